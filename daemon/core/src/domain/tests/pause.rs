//! Pausing and cancelling, from both sides, at every state.

use super::world::person::offered;
use super::world::{Node, World};
use crate::ids::TransferId;

type End = (Node, TransferId);

/// A transfer whose receiver is in this state.
fn reach(seed: u64, state: &str) -> (World, End, End) {
    let (mut world, a, b) = offered(seed);
    match state {
        "offered" => {}
        "connecting" => {
            world.faults.no_links = true;
            world.accept(b.0, b.1).unwrap();
            world.pass(500);
        }
        _ => {
            world.accept(b.0, b.1).unwrap();
            world.until(b.0, b.1, "receiving");
        }
    }
    assert_eq!(world.state(b.0, b.1), state);
    (world, a, b)
}

#[test]
fn a_pause_by_either_side_shows_on_both_and_ends_with_resume() {
    for state in ["offered", "connecting", "receiving"] {
        for by_sender in [true, false] {
            let (mut world, a, b) = reach(1, state);
            let (here, there) = if by_sender { (a, b) } else { (b, a) };
            if state == "offered" && !by_sender {
                assert_eq!(world.pause(b.0, b.1).unwrap_err().code, "wrong-state");
                continue;
            }
            world.pause(here.0, here.1).unwrap();
            if state == "offered" {
                world.accept(b.0, b.1).unwrap();
            }
            world.faults.no_links = false;
            world.settle();
            assert_eq!(world.why(here.0, here.1), Some("paused"), "{state} {by_sender}");
            assert_eq!(world.why(there.0, there.1), Some("paused-by-contact"), "{state} {by_sender}");
            assert!(world.links.is_empty());
            assert_eq!(world.resume(there.0, there.1).unwrap_err().code, "paused-by-contact");
            world.resume(here.0, here.1).unwrap();
            world.settle();
            assert_eq!((world.state(a.0, a.1), world.state(b.0, b.1)), ("done", "done"), "{state} {by_sender}");
        }
    }
}

#[test]
fn when_both_pause_it_goes_on_when_both_have_resumed() {
    for first in [0, 1] {
        let (mut world, a, b) = reach(2, "receiving");
        world.pause(a.0, a.1).unwrap();
        world.pause(b.0, b.1).unwrap();
        world.settle();
        let order = if first == 0 { [a, b] } else { [b, a] };
        world.resume(order[0].0, order[0].1).unwrap();
        world.settle();
        assert_eq!(world.why(order[0].0, order[0].1), Some("paused-by-contact"));
        world.resume(order[1].0, order[1].1).unwrap();
        world.settle();
        assert_eq!((world.state(a.0, a.1), world.state(b.0, b.1)), ("done", "done"));
    }
}

#[test]
fn a_pause_survives_restarts_and_a_resume_while_the_other_is_away_is_heard() {
    for by_sender in [true, false] {
        let (mut world, a, b) = reach(3, "receiving");
        let (here, there) = if by_sender { (a, b) } else { (b, a) };
        world.pause(here.0, here.1).unwrap();
        world.settle();
        for node in [a.0, b.0] {
            world.restart(node);
            world.login(node);
        }
        world.settle();
        assert_eq!(world.why(here.0, here.1), Some("paused"));
        assert_eq!(world.why(there.0, there.1), Some("paused-by-contact"));
        world.logout(there.0);
        world.settle();
        world.resume(here.0, here.1).unwrap();
        world.settle();
        world.login(there.0);
        world.settle();
        assert_eq!((world.state(a.0, a.1), world.state(b.0, b.1)), ("done", "done"));
    }
}

#[test]
fn a_send_paused_while_it_waits_for_its_turn_neither_blocks_others_nor_is_forgotten() {
    let (mut world, alice, bob) = super::world::person::alice_and_bob(4);
    world.size = 40_000;
    let sent: Vec<_> = (0..7).map(|_| world.send(alice, &["bob"])[0]).collect();
    world.pass(1_000);
    let got: Vec<_> = world.list(bob).iter().map(|t| t.id).collect();
    got.iter().for_each(|id| drop(world.accept(bob, *id).unwrap()));
    world.pass(200);
    let waits = *sent.iter().find(|id| world.why(alice, **id) == Some("turn")).unwrap();
    world.pause(alice, waits).unwrap();
    world.settle();
    let done = world.states(alice).iter().filter(|s| **s == "done").count();
    assert_eq!(done, 6);
    world.resume(alice, waits).unwrap();
    world.settle();
    assert!(world.states(alice).iter().all(|s| *s == "done"), "{:?}", world.states(alice));
}

#[test]
fn a_resume_shows_on_both_sides_also_before_there_is_a_link() {
    let (mut world, a, b) = reach(7, "connecting");
    world.pause(b.0, b.1).unwrap();
    world.settle();
    assert_eq!(world.why(a.0, a.1), Some("paused-by-contact"));
    world.resume(b.0, b.1).unwrap();
    world.pass(1_000);
    assert!(!world.transfer(a.0, a.1).paused.any());
}

#[test]
fn a_cancel_by_either_side_at_every_state_ends_both() {
    for state in ["offered", "connecting", "receiving"] {
        for by_sender in [true, false] {
            for away in [true, false] {
                let (mut world, a, b) = reach(5, state);
                let (here, there) = if by_sender { (a, b) } else { (b, a) };
                if away {
                    world.logout(there.0);
                }
                world.cancel(here.0, here.1).unwrap();
                world.pass(1_000);
                world.login(there.0);
                world.settle();
                let states = (world.state(a.0, a.1), world.state(b.0, b.1));
                assert_eq!(states, ("cancelled", "cancelled"), "{state} {by_sender} {away}");
                assert!(world.links.is_empty() && world.at(b.0).engine.partial.is_empty());
                assert!(world.at(a.0).grants.is_empty() && world.at(b.0).grants.is_empty());
            }
        }
    }
}

#[test]
fn a_cancel_while_hashing_or_queued_reaches_nobody() {
    let (mut world, alice, bob) = super::world::person::alice_and_bob(6);
    let sent = world.send(alice, &["bob"])[0];
    world.cancel(alice, sent).unwrap();
    assert!(world.at(alice).engine.preparing.is_empty());
    world.settle();
    assert!(world.list(bob).is_empty());
    world.logout(bob);
    world.pass(1_000);
    let queued = world.send(alice, &["bob"])[0];
    world.pass(1_000);
    world.cancel(alice, queued).unwrap();
    world.login(bob);
    world.settle();
    assert!(world.list(bob).is_empty());
}
