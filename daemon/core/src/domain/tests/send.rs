//! From the command to the moment when a device takes it.

use super::world::person::{alice_and_bob, offered};
use super::world::{World, jid};
use crate::input::Input;
use crate::session::SessionCommand;
use crate::signal::Request;

fn offers(world: &World, from: super::world::Node) -> usize {
    let sent = &world.at(from).sent;
    sent.iter().filter(|c| matches!(c, SessionCommand::Request { request: Request::Offer(_), .. })).count()
}

#[test]
fn a_send_is_offered_accepted_carried_and_done_on_both_sides() {
    let (mut world, (alice, sent), (bob, got)) = offered(1);
    assert_eq!((world.state(alice, sent), world.state(bob, got)), ("offered", "offered"));
    world.accept(bob, got).unwrap();
    world.pass(5_000);
    assert_eq!((world.state(alice, sent), world.state(bob, got)), ("done", "done"));
    assert!(world.links.is_empty());
    let live = world.at(alice).domain.live_view(sent, world.clock(alice).mono);
    assert_eq!(live.done_bytes, world.size);
}

#[test]
fn an_empty_content_arrives_too() {
    let (mut world, alice, bob) = alice_and_bob(1);
    world.size = 0;
    let sent = world.send(alice, &["bob"])[0];
    world.pass(1_000);
    let got = world.only(bob);
    world.accept(bob, got).unwrap();
    world.settle();
    assert_eq!((world.state(alice, sent), world.state(bob, got)), ("done", "done"));
}

#[test]
fn a_send_to_an_offline_contact_survives_restarts_of_both_and_is_offered_once() {
    let (mut world, alice, bob) = alice_and_bob(2);
    world.logout(bob);
    world.pass(1_000);
    let sent = world.send(alice, &["bob"])[0];
    world.settle();
    assert_eq!((world.state(alice, sent), world.why(alice, sent)), ("queued", Some("contact-offline")));
    world.restart(alice);
    world.restart(bob);
    assert_eq!(world.why(alice, sent), Some("offline"));
    world.login(alice);
    world.pass(DAY);
    assert_eq!(world.state(alice, sent), "queued");
    world.login(bob);
    world.settle();
    assert_eq!((world.state(alice, sent), world.states(bob)), ("offered", vec!["offered"]));
    world.restart(alice);
    world.restart(bob);
    world.login(alice);
    world.login(bob);
    world.settle();
    assert_eq!((world.states(alice), world.states(bob)), (vec!["offered"], vec!["offered"]));
    assert_eq!(offers(&world, alice), 1);
}

const DAY: u64 = super::world::DAY;

#[test]
fn two_recipients_share_one_content_that_is_hashed_once_and_both_get_it() {
    let (mut world, alice, bob) = alice_and_bob(3);
    world.befriend("alice", "carol");
    world.roster_push(alice, "carol");
    let carol = world.device("carol", "c1");
    world.login(carol);
    world.pass(1_000);
    let sent = world.send(alice, &["bob", "carol", "bob"]);
    assert_eq!(sent.len(), 2, "nobody gets it twice");
    world.pass(1_000);
    for node in [bob, carol] {
        let got = world.only(node);
        world.accept(node, got).unwrap();
    }
    world.settle();
    assert_eq!(world.states(alice), ["done", "done"]);
    assert_eq!(world.at(alice).engine.prepared.values().copied().collect::<Vec<_>>(), [1]);
    assert!(world.at(alice).engine.seeds.is_empty(), "nothing is seeded that nobody waits for");
}

#[test]
fn cancelling_one_recipient_while_hashing_does_not_stop_the_other() {
    let (mut world, alice, bob) = alice_and_bob(4);
    world.befriend("alice", "carol");
    world.roster_push(alice, "carol");
    let sent = world.send(alice, &["carol", "bob"]);
    world.cancel(alice, sent[0]).unwrap();
    assert!(!world.at(alice).engine.preparing.is_empty());
    world.pass(1_000);
    assert_eq!((world.states(alice), world.states(bob)), (vec!["cancelled", "offered"], vec!["offered"]));
}

#[test]
fn a_send_to_my_own_other_device_arrives_there() {
    let (mut world, alice, _) = alice_and_bob(5);
    let other = world.device("alice", "a2");
    world.login(other);
    world.pass(1_000);
    let sent = world.send(alice, &["alice"])[0];
    world.pass(1_000);
    let got = world.only(other);
    world.accept(other, got).unwrap();
    world.settle();
    assert_eq!((world.state(alice, sent), world.state(other, got)), ("done", "done"));
}

#[test]
fn what_cannot_be_hashed_fails_with_the_reason_and_reaches_nobody() {
    let (mut world, alice, bob) = alice_and_bob(6);
    world.send_file(alice, "missing", &["bob"], None).unwrap();
    world.settle();
    assert_eq!((world.states(alice), world.states(bob)), (vec!["failed"], vec![]));
}

#[test]
fn a_source_that_changes_fails_all_sends_of_the_content_and_the_receivers_hear_it() {
    let (mut world, (alice, sent), (bob, got)) = offered(7);
    let content = world.transfer(alice, sent).content;
    let fault = crate::fault::Fault::new("source-changed", "the file has changed", "send it again");
    world.handle(alice, Input::Torrent(crate::input::TorrentEvent::Failed { content, fault }));
    world.pass(1_000);
    assert_eq!((world.state(alice, sent), world.state(bob, got)), ("failed", "failed"));
    let end = world.transfer(bob, got).end().cloned();
    assert!(
        matches!(end, Some(crate::transfer::End::Failed(f)) if f.message.contains("what was to be sent has changed"))
    );
}

#[test]
fn a_contact_without_xbt_gets_one_courtesy_message_per_offer() {
    let mut world = World::new(8);
    world.befriend("alice", "bob");
    let (alice, bob) = (world.device("alice", "a1"), world.device("bob", "chat"));
    world.login(alice);
    world.login_as(bob, false);
    world.pass(1_000);
    let sent = world.send(alice, &["bob"])[0];
    world.settle();
    assert_eq!(world.why(alice, sent), Some("no-xbt"));
    world.restart(alice);
    world.login(alice);
    world.settle();
    let courtesy = |c: &&SessionCommand| matches!(c, SessionCommand::Courtesy { to, .. } if *to == jid("bob"));
    assert_eq!(world.at(alice).sent.iter().filter(courtesy).count(), 1);
}

#[test]
fn sends_that_cannot_work_are_refused_with_a_hint() {
    let (mut world, alice, _) = alice_and_bob(9);
    let many: Vec<String> = (0..300).map(|i| format!("friend{i}")).collect();
    many.iter().for_each(|name| world.roster_push(alice, name));
    let names: Vec<&str> = many.iter().map(String::as_str).collect();
    for (to, code) in [(vec!["nobody"], "unknown-contact"), (vec![], "bad-recipients"), (names, "bad-recipients")] {
        let fault = world.send_file(alice, "file", &to, None).unwrap_err();
        assert_eq!(fault.code, code);
        assert!(!fault.hint.is_empty() && !fault.message.is_empty());
    }
    assert!(world.list(alice).is_empty());
}
