//! Several devices of one person.

use super::world::{Node, World};
use crate::ids::TransferId;

/// Alice, and Bob with two devices that both have the offer.
fn two(seed: u64) -> (World, (Node, TransferId), [(Node, TransferId); 2]) {
    let mut world = World::new(seed);
    world.befriend("alice", "bob");
    let alice = world.device("alice", "a1");
    let bobs = [world.device("bob", "b1"), world.device("bob", "b2")];
    [alice, bobs[0], bobs[1]].into_iter().for_each(|node| world.login(node));
    world.pass(1_000);
    let sent = world.send(alice, &["bob"])[0];
    world.pass(1_000);
    let got = bobs.map(|bob| (bob, world.only(bob)));
    (world, (alice, sent), got)
}

#[test]
fn after_one_device_accepts_the_other_shows_elsewhere() {
    let (mut world, (alice, sent), [(b1, one), (b2, two)]) = two(1);
    assert_eq!((world.state(b1, one), world.state(b2, two)), ("offered", "offered"));
    world.accept(b2, two).unwrap();
    world.pass(5_000);
    assert_eq!((world.state(b1, one), world.state(b2, two)), ("elsewhere", "done"));
    assert_eq!(world.state(alice, sent), "done");
}

#[test]
fn after_one_device_declines_the_other_shows_elsewhere() {
    let (mut world, (alice, sent), [(b1, one), (b2, two)]) = two(2);
    world.decline(b1, one).unwrap();
    world.pass(5_000);
    assert_eq!((world.state(b1, one), world.state(b2, two)), ("declined", "elsewhere"));
    assert_eq!(world.state(alice, sent), "declined");
}

#[test]
fn when_both_accept_at_once_exactly_one_gets_it() {
    for seed in 0..20 {
        let (mut world, (alice, sent), [(b1, one), (b2, two)]) = two(seed);
        world.accept(b1, one).unwrap();
        world.accept(b2, two).unwrap();
        world.settle();
        let mut states = [world.state(b1, one), world.state(b2, two)];
        states.sort();
        assert_eq!((world.state(alice, sent), states), ("done", ["done", "elsewhere"]));
    }
}

#[test]
fn a_device_that_was_away_when_it_was_settled_hears_it_when_it_returns() {
    for accepts in [true, false] {
        let (mut world, (_, _), [(b1, one), (b2, two)]) = two(3);
        world.logout(b1);
        world.pass(1_000);
        if accepts {
            world.accept(b2, two).unwrap()
        } else {
            world.decline(b2, two).unwrap()
        };
        world.settle();
        world.login(b1);
        world.settle();
        assert_eq!(world.state(b1, one), "elsewhere");
    }
}

#[test]
fn a_device_that_comes_late_is_offered_what_nobody_has_taken() {
    let (mut world, (alice, _), [(b1, one), _]) = two(4);
    let b3 = world.device("bob", "b3");
    world.login(b3);
    world.settle();
    assert_eq!(world.states(b3), ["offered"]);
    world.accept(b1, one).unwrap();
    world.settle();
    assert_eq!(world.states(b3), ["elsewhere"]);
    let b4 = world.device("bob", "b4");
    world.login(b4);
    world.settle();
    assert!(world.list(b4).is_empty(), "what is done is offered to nobody");
    assert_eq!(world.states(alice), ["done"]);
}

#[test]
fn a_device_whose_acknowledgement_was_lost_hears_of_the_end_nonetheless() {
    let (mut world, alice, bob) = super::world::person::alice_and_bob(6);
    world.faults.lose = 100;
    let sent = world.send(alice, &["bob"])[0];
    world.pass(70);
    // The offer itself gets through.
    let offer = super::restart::offer_of(&world, alice);
    super::restart::ask(&mut world, bob, "alice", "a1", crate::signal::Request::Offer(offer));
    world.pause(alice, sent).unwrap();
    world.restart(alice);
    world.faults.lose = 0;
    world.login(alice);
    world.pass(5_000);
    assert_eq!(world.state(alice, sent), "offered", "bob's sync speaks of it");
    world.cancel(alice, sent).unwrap();
    world.pass(1_000);
    assert_eq!(world.states(bob), ["cancelled"]);
}

#[test]
fn once_one_device_has_taken_it_the_others_have_no_say() {
    use crate::signal::Request;
    let (mut world, (alice, sent), [(b1, one), _]) = two(7);
    world.faults.no_links = true;
    world.accept(b1, one).unwrap();
    world.pass(1_000);
    let id = world.transfer(alice, sent).offer;
    let reason = "no".to_owned();
    for request in [
        Request::Decline { id, message: None },
        Request::Cancel { id },
        Request::Failed { id, reason },
        Request::Done { id },
    ] {
        super::restart::ask(&mut world, alice, "bob", "b2", request);
        assert_eq!(world.state(alice, sent), "connecting");
    }
    super::restart::ask(&mut world, b1, "alice", "a2", Request::Cancel { id });
    assert_eq!(world.state(b1, one), "connecting", "only the device that made the offer takes it back");
}

#[test]
fn cancelling_a_send_ends_it_on_all_devices() {
    let (mut world, (alice, sent), [(b1, one), (b2, two)]) = two(5);
    world.cancel(alice, sent).unwrap();
    world.pass(1_000);
    assert_eq!((world.state(b1, one), world.state(b2, two)), ("cancelled", "cancelled"));
}
