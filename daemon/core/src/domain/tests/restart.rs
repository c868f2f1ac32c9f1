//! What outlives the daemon, and what outlives a removed transfer.

use super::world::jid;
use super::world::person::{alice_and_bob, offered};
use crate::effect::{CallId, Event, Gone, Reply, TorrentCommand};
use crate::ids::FullJid;
use crate::input::{Command, Input, NewSend};
use crate::session::SessionCommand;
use crate::signal::{Answer, Offer, Request};
use crate::transfer::{Deleted, Side};

/// What a device answers to a request, and everything that it sends meanwhile.
pub fn ask(
    world: &mut super::world::World,
    node: super::world::Node,
    from: &str,
    resource: &str,
    request: Request,
) -> SessionCommand {
    let from = FullJid::new(jid(from), resource);
    let key = match &request {
        Request::Offer(offer) => offer.fingerprint,
        Request::Connect(connect) => connect.fingerprint,
        _ => world.key_at(&from),
    };
    world.speak(node, &from, key, request)
}

/// The offer that a device sent.
pub fn offer_of(world: &super::world::World, node: super::world::Node) -> Offer {
    let offer = world.at(node).sent.iter().find_map(|c| match c {
        SessionCommand::Request { request: Request::Offer(offer), .. } => Some(offer.clone()),
        _ => None,
    });
    offer.unwrap()
}

#[test]
fn a_replay_after_remove_resurrects_nothing_and_the_sender_hears_how_it_ended() {
    let (mut world, (alice, _), (bob, got)) = offered(1);
    let offer = offer_of(&world, alice);
    world.decline(bob, got).unwrap();
    world.pass(1_000);
    world.remove(bob, got).unwrap();
    for restarted in [false, true] {
        if restarted {
            world.restart(bob);
            world.login(bob);
            world.pass(1_000);
        }
        world.at_mut(bob).sent.clear();
        let answer = ask(&mut world, bob, "alice", "a1", Request::Offer(offer.clone()));
        assert!(matches!(answer, SessionCommand::Answer { answer: Ok(Answer::Acknowledged), .. }));
        assert!(world.list(bob).is_empty());
        let told = |c: &SessionCommand| matches!(c, SessionCommand::Request { request: Request::Decline { .. }, .. });
        assert!(world.at(bob).sent.iter().any(told));
        world.pass(1_000);
    }
}

#[test]
fn many_replays_at_once_are_all_answered_with_their_ends() {
    let (mut world, alice, bob) = alice_and_bob(2);
    for _ in 0..30 {
        world.send(alice, &["bob"]);
    }
    world.pass(10_000);
    let store: Vec<_> = world.at(alice).store.transfers.values().cloned().collect();
    for got in world.list(bob).iter().map(|t| t.id).collect::<Vec<_>>() {
        world.decline(bob, got).unwrap();
        world.remove(bob, got).unwrap();
    }
    world.pass(10_000);
    assert!(world.states(alice).iter().all(|s| *s == "declined"));
    // Alice's machine comes back from a backup.
    world.logout(alice);
    store.into_iter().for_each(|row| drop(world.at_mut(alice).store.transfers.insert(row.id, row)));
    world.restart(alice);
    world.login(alice);
    world.settle();
    assert!(world.states(alice).iter().all(|s| *s == "declined"), "{:?}", world.states(alice));
    assert!(world.list(bob).is_empty());
}

#[test]
fn numbers_are_never_used_twice() {
    let (mut world, alice, _) = alice_and_bob(3);
    let first = world.send(alice, &["bob"])[0];
    world.cancel(alice, first).unwrap();
    world.remove(alice, first).unwrap();
    world.restart(alice);
    world.login(alice);
    assert!(world.send(alice, &["bob"])[0] > first);
}

#[test]
fn remove_leaves_the_received_file_unless_it_is_to_be_deleted() {
    for delete_data in [false, true] {
        let (mut world, (alice, sent), (bob, got)) = offered(4);
        world.accept(bob, got).unwrap();
        world.settle();
        let fault = world.command(alice, Command::Remove { ids: vec![sent], delete_data: true }).unwrap_err();
        assert_eq!(fault.code, "wrong-direction");
        world.at_mut(bob).engine.deletes = true;
        world.at_mut(bob).engine.keeps = 3;
        let reply = world.command(bob, Command::Remove { ids: vec![got], delete_data }).unwrap();
        let deleted = delete_data.then(|| Deleted { gone: 1, kept: 3, named: Vec::new() });
        assert_eq!(reply, Reply::Removed(vec![(got, deleted)]));
        let bob = world.at(bob);
        assert_eq!(bob.engine.deleted.len(), usize::from(delete_data));
        assert!(bob.store.transfers.is_empty() && bob.store.contents.is_empty() && bob.store.deletions.is_empty());
        let told = bob.news.iter().any(|news| matches!(news, Event::Deleted { deleted, .. } if deleted.kept == 3));
        assert_eq!(told, delete_data);
    }
}

#[test]
fn what_is_being_sent_on_is_not_deleted() {
    let (mut world, _, (bob, got)) = offered(4);
    world.accept(bob, got).unwrap();
    world.settle();
    let Side::In { path: Some(path), .. } = world.transfer(bob, got).side.clone() else { panic!("it has come") };
    for path in [path.clone(), format!("{path}/inside"), "/".to_owned()] {
        let send = NewSend { contacts: vec![jid("alice")], paths: vec![path], ..NewSend::default() };
        let Reply::Transfers(ids) = world.command(bob, Command::Send(send)).unwrap() else { panic!("it is queued") };
        let remove = Command::Remove { ids: vec![got], delete_data: true };
        let fault = world.command(bob, remove).unwrap_err();
        assert!(fault.code == "wrong-state" && fault.message.contains("being sent on"), "{fault:?}");
        world.cancel(bob, ids[0]).unwrap();
    }
    world.at_mut(bob).engine.deletes = true;
    world.command(bob, Command::Remove { ids: vec![got], delete_data: true }).unwrap();
    assert_eq!(world.at(bob).engine.deleted.len(), 1);
}

#[test]
fn data_that_is_to_be_deleted_is_deleted_after_a_crash_and_the_caller_waits_for_it() {
    let (mut world, _, (bob, got)) = offered(9);
    world.accept(bob, got).unwrap();
    world.settle();
    // The deletion hangs.
    world.handle(bob, Input::Command(CallId(77), Command::Remove { ids: vec![got], delete_data: true }));
    assert!(world.at(bob).replies.is_empty() && world.at(bob).store.transfers.is_empty());
    for _ in 0..2 {
        assert_eq!(world.at(bob).store.deletions.len(), 1);
        world.restart(bob);
    }
    world.at_mut(bob).engine.deletes = true;
    world.restart(bob);
    assert_eq!(world.at(bob).engine.deleted.len(), 1);
    assert!(world.at(bob).store.deletions.is_empty());
    world.restart(bob);
    assert_eq!(world.at(bob).engine.deleted.len(), 1);
}

#[test]
fn what_is_removed_is_told_with_all_that_was_known_of_it() {
    let (mut world, (alice, sent), (bob, got)) = offered(8);
    world.accept(bob, got).unwrap();
    world.settle();
    for (node, id, paths) in [(alice, sent, true), (bob, got, false)] {
        let transfer = world.transfer(node, id).clone();
        let source = world.at(node).domain.content(&transfer).and_then(|content| content.paths.first().cloned());
        assert_eq!(source.is_some(), paths);
        let done_bytes = transfer.facts.as_ref().unwrap().size;
        world.remove(node, id).unwrap();
        let gone = Event::Removed(Box::new(Gone { transfer, source, done_bytes }));
        assert_eq!(world.at(node).news.last(), Some(&gone));
    }
}

#[test]
fn data_of_a_transfer_that_ended_without_it_is_known_as_abandoned() {
    let (mut world, _, (bob, got)) = offered(6);
    let content = world.transfer(bob, got).content;
    world.accept(bob, got).unwrap();
    assert!(world.at(bob).domain.abandoned(content).is_none(), "it is still wanted");
    world.command(bob, Command::Cancel(vec![got])).unwrap();
    world.restart(bob);
    assert!(matches!(world.at(bob).domain.abandoned(content), Some(TorrentCommand::Fetch { .. })));

    let (mut world, _, (bob, got)) = offered(7);
    world.accept(bob, got).unwrap();
    world.settle();
    let content = world.transfer(bob, got).content;
    assert!(world.at(bob).domain.abandoned(content).is_none(), "it is done and in place");
}

#[test]
fn rows_of_another_account_are_listed_and_inert() {
    let (mut world, (alice, sent), (bob, _)) = offered(5);
    world.logout(alice);
    world.at_mut(alice).settings.account = jid("alicia");
    world.befriend("alicia", "bob");
    world.restart(alice);
    world.login(alice);
    world.settle();
    assert_eq!((world.state(alice, sent), world.why(alice, sent)), ("offered", Some("other-account")));
    for command in [
        Command::Cancel(vec![sent]),
        Command::Pause(vec![sent]),
        Command::Resume(vec![sent]),
        Command::Remove { ids: vec![sent], delete_data: false },
    ] {
        assert_eq!(world.command(alice, command).unwrap_err().code, "other-account");
    }
    let id = world.transfer(alice, sent).offer;
    ask(&mut world, alice, "bob", "b1", Request::Decline { id, message: None });
    world.pass(super::world::DAY);
    assert_eq!(world.state(alice, sent), "offered");
    assert_eq!(world.states(bob), ["offered"]);
    // The old account is configured again: it goes on.
    world.logout(alice);
    world.at_mut(alice).settings.account = jid("alice");
    world.restart(alice);
    world.login(alice);
    world.settle();
    let got = world.only(bob);
    world.accept(bob, got).unwrap();
    world.settle();
    assert_eq!(world.state(alice, sent), "done");
}

#[test]
fn a_reload_of_the_configuration_never_changes_who_we_are() {
    let (mut world, (alice, sent), _) = offered(6);
    let mut settings = world.at(alice).settings.clone();
    settings.account = jid("mallory");
    settings.accept_from = vec!["bob@example.org".into()];
    world.handle(alice, Input::Settings(settings));
    assert_eq!(world.at(alice).domain.settings().account, jid("alice"));
    assert_eq!(world.at(alice).domain.settings().accept_from.len(), 1);
    world.handle(alice, Input::Command(CallId(1), Command::Cancel(vec![sent])));
    assert_eq!(world.state(alice, sent), "cancelled");
}
