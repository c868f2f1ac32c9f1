//! What a person limits: kept, told to the engine whenever it opens a content, and only for what is open.

use super::world::person::{alice_and_bob, offered};
use super::world::{Node, World, jid};
use crate::effect::Reply;
use crate::ids::TransferId;
use crate::input::{Command, Input};
use crate::rate::{Priority, RateChange, RateLimits};

fn limit(world: &mut World, node: Node, id: TransferId, up: Option<u64>, down: Option<u64>) -> Vec<TransferId> {
    match world.command(node, Command::Limit { ids: vec![id], change: RateChange { up, down }, priority: None }) {
        Ok(Reply::Transfers(ids)) => ids,
        other => panic!("{other:?}"),
    }
}

/// What the engine holds a transfer to.
fn held_to(world: &World, node: Node, id: TransferId) -> Option<(RateLimits, Priority)> {
    world.at(node).engine.limited.get(&world.transfer(node, id).content).copied()
}

#[test]
fn a_limit_reaches_the_engine_when_the_content_is_opened_and_again_after_a_restart() {
    let (mut world, (alice, sent), (bob, got)) = offered(1);
    limit(&mut world, bob, got, None, Some(1000));
    assert_eq!(held_to(&world, bob, got), None, "nothing is open yet");
    let change = Command::Limit { ids: vec![got], change: RateChange::default(), priority: Some(Priority::High) };
    world.command(bob, change).unwrap();
    world.faults.no_links = true;
    world.accept(bob, got).unwrap();
    world.pass(1_000);
    let expected = (RateLimits { up: 0, down: 1000 }, Priority::High);
    assert_eq!(held_to(&world, bob, got), Some(expected), "what was left out of the second change stays");
    world.restart(bob);
    assert_eq!(held_to(&world, bob, got), Some(expected));
    assert_eq!(held_to(&world, alice, sent), Some(Default::default()), "the other side is not asked to do the same");
}

#[test]
fn a_limit_counts_at_once_for_what_moves_and_zero_lifts_it() {
    let (mut world, (alice, sent), (bob, got)) = offered(2);
    world.accept(bob, got).unwrap();
    world.until(alice, sent, "sending");
    limit(&mut world, alice, sent, Some(7), Some(8));
    assert_eq!(held_to(&world, alice, sent).unwrap().0, RateLimits { up: 7, down: 8 });
    limit(&mut world, alice, sent, Some(0), None);
    assert_eq!(held_to(&world, alice, sent).unwrap().0, RateLimits { up: 0, down: 8 });
    world.settle();
    assert_eq!(world.state(bob, got), "done");
}

#[test]
fn open_sends_of_one_content_share_their_limits_and_what_has_ended_is_refused() {
    let mut world = World::new(3);
    world.befriend("alice", "bob");
    world.befriend("alice", "carol");
    let alice = world.device("alice", "a1");
    world.login(alice);
    world.pass(1_000);
    let ids = world.send(alice, &["bob", "carol"]);
    let other = world.send(alice, &["bob"])[0];
    assert_eq!(limit(&mut world, alice, ids[1], Some(5), None), ids);
    let limits = |world: &World, id| world.transfer(alice, id).limits.up;
    assert_eq!((limits(&world, ids[0]), limits(&world, other)), (5, 0));
    world.cancel(alice, ids[0]).unwrap();
    assert_eq!(limit(&mut world, alice, ids[1], Some(6), None), [ids[1]]);
    let command =
        Command::Limit { ids: vec![other, ids[0]], change: RateChange { up: Some(1), down: None }, priority: None };
    assert_eq!(world.command(alice, command).unwrap_err().code, "wrong-state");
    assert_eq!((limits(&world, ids[0]), limits(&world, other)), (5, 0), "all or nothing");
}

#[test]
fn a_contacts_limits_outlive_a_restart_and_a_stranger_has_none() {
    let (mut world, alice, _) = alice_and_bob(4);
    let change = RateChange { up: Some(10), down: None };
    let command = |name: &str| Command::ContactLimit { jid: jid(name), change };
    world.command(alice, command("bob")).unwrap();
    let expected = RateLimits { up: 10, down: 0 };
    assert_eq!(world.at(alice).engine.contacts.get(&jid("bob")), Some(&expected));
    world.restart(alice);
    assert_eq!(world.at(alice).engine.contacts.get(&jid("bob")), Some(&expected));
    // The roster, which comes anew at each login, says nothing about limits.
    world.login(alice);
    world.pass(1_000);
    assert_eq!(world.at(alice).domain.contact_of(&jid("bob")).unwrap().contact.limits, expected);
    assert_eq!(world.command(alice, command("mallory")).unwrap_err().code, "unknown-contact");
}

#[test]
fn limits_for_everything_hold_until_the_configuration_is_taken_over() {
    let (mut world, alice, _) = alice_and_bob(5);
    world.command(alice, Command::LimitAll(RateChange { up: Some(1), down: Some(2) })).unwrap();
    world.command(alice, Command::LimitAll(RateChange { up: None, down: Some(3) })).unwrap();
    assert_eq!(world.at(alice).engine.all, RateLimits { up: 1, down: 3 });
    assert_eq!(world.at(alice).domain.pace().limits, RateLimits { up: 1, down: 3 });
    let settings =
        crate::settings::Settings { limits: RateLimits { up: 9, down: 0 }, ..world.at(alice).settings.clone() };
    world.handle(alice, Input::Settings(settings));
    assert_eq!(world.at(alice).engine.all, RateLimits { up: 9, down: 0 });
}
