//! What `sync` makes of every combination of states: a terminal state wins, and both agree.

use super::world::person::offered;
use super::world::{Node, World};
use crate::fault::Fault;
use crate::transfer::{Direction, End, Incoming, Outgoing, Peer, Side, Tombstone};

/// How one side's row is set before the two meet.
#[derive(Clone, Debug)]
enum Set {
    Open,
    Accepted,
    Ended(End),
    /// Removed: only the tombstone is left.
    Removed(End),
    /// Nothing is left, as after a loss of the database.
    Forgotten,
}

fn fault() -> Fault {
    Fault::new("source-changed", "the file has changed", "send it again")
}

fn ends(receiver: bool) -> Vec<End> {
    let mut ends = vec![End::Done, End::Declined { message: None }, End::Cancelled, End::Expired, End::Failed(fault())];
    if receiver {
        ends.push(End::Elsewhere);
    }
    ends
}

fn all(receiver: bool) -> Vec<Set> {
    let mut all = vec![Set::Open, Set::Accepted, Set::Forgotten];
    all.extend(ends(receiver).into_iter().map(Set::Ended));
    all.extend(ends(receiver).into_iter().map(Set::Removed));
    all
}

fn apply(world: &mut World, node: Node, peer: Peer, set: &Set, taken: bool) {
    let device = world.at_mut(node);
    let (id, mut row) = device.store.transfers.pop_first().unwrap();
    match &mut row.side {
        Side::Out { state, taken_by, .. } => {
            *taken_by = taken.then_some(peer);
            *state = match set {
                Set::Accepted => Outgoing::Connecting,
                Set::Open | Set::Forgotten => Outgoing::Offered,
                Set::Ended(end) | Set::Removed(end) => Outgoing::Ended(end.clone()),
            };
        }
        Side::In { state, folder, .. } => {
            *folder = Some("/home/downloads".into());
            *state = match set {
                Set::Accepted => Incoming::Connecting,
                Set::Open | Set::Forgotten => Incoming::Offered,
                Set::Ended(end) | Set::Removed(end) => Incoming::Ended(end.clone()),
            };
        }
    }
    match set {
        Set::Open | Set::Accepted | Set::Ended(_) => drop(device.store.transfers.insert(id, row)),
        Set::Removed(end) => {
            let (account, contact, offer) = (row.account.clone(), row.contact.clone(), row.offer);
            let direction = row.direction();
            let end = end.clone();
            let stone = Tombstone { account, contact: contact.clone(), offer, direction, end, at: row.updated };
            device.store.tombstones.insert((contact, offer, direction), stone);
        }
        Set::Forgotten => {}
    }
}

/// What must come out; `None`: no row.
fn expected(out: &Set, inc: &Set, taken: bool) -> (Option<&'static str>, Option<&'static str>) {
    use Set::{Accepted, Ended, Forgotten, Open, Removed};
    let kept = |set: &Set| if let Ended(end) = set { Some(end.name()) } else { None };
    match (out, inc) {
        // The device that took it had everything before it was given up, and nobody undoes that.
        (Ended(End::Cancelled | End::Failed(_)), Ended(End::Done) | Removed(End::Done)) if taken => {
            (Some("done"), kept(inc))
        }
        // Both have ended (or know nothing): nothing is said any more.
        (Ended(_) | Removed(_) | Forgotten, Ended(_) | Removed(_) | Forgotten) => (kept(out), kept(inc)),
        // Only the sender has.
        (Forgotten, Open | Accepted) => (None, Some("failed")),
        (Ended(end) | Removed(end), Open | Accepted) => {
            let partner = taken && matches!(out, Ended(_));
            let there = match end {
                End::Done | End::Declined { .. } if partner => "failed",
                End::Done | End::Declined { .. } => "elsewhere",
                End::Cancelled => "cancelled",
                End::Expired => "expired",
                End::Failed(_) | End::Elsewhere => "failed",
            };
            (kept(out), Some(there))
        }
        // Only the receiver has.
        (Open | Accepted, Ended(end) | Removed(end)) => {
            let here = match end {
                End::Done if taken => "done",
                End::Declined { .. } => "declined",
                End::Cancelled => "cancelled",
                End::Failed(_) => "failed",
                End::Expired | End::Elsewhere if taken => "failed",
                // Nobody took it, so it is still there for another device.
                End::Done | End::Expired | End::Elsewhere => "offered",
            };
            (Some(here), kept(inc))
        }
        // Neither has.
        (Open | Accepted, Forgotten) => (Some("offered"), Some("offered")),
        (Open, Open) => (Some("offered"), Some("offered")),
        // The person there has not accepted (any more): asked for again and again until then.
        (Accepted, Open) => (Some("connecting"), Some("offered")),
        (Open | Accepted, Accepted) => (Some("done"), Some("done")),
    }
}

#[test]
fn a_terminal_state_wins_and_both_agree() {
    let mut tried = 0;
    for out in all(false) {
        for inc in all(true) {
            // Taken by this device or by nobody; only what was accepted must have been taken.
            for taken in [false, true] {
                if matches!(out, Set::Accepted) != taken && matches!(out, Set::Open | Set::Accepted) {
                    continue;
                }
                let (mut world, (alice, _), (bob, _)) = offered(tried);
                for node in [alice, bob] {
                    world.logout(node);
                }
                let peer = |node| {
                    let settings = &world.at(node).settings;
                    Peer { resource: settings.resource.clone(), fingerprint: settings.fingerprint }
                };
                let (to_bob, to_alice) = (peer(bob), peer(alice));
                apply(&mut world, alice, to_bob, &out, taken);
                apply(&mut world, bob, to_alice, &inc, taken);
                for node in [alice, bob] {
                    world.restart(node);
                    world.login(node);
                }
                world.settle();
                let state = |node| world.states(node).first().copied();
                let result = (state(alice), state(bob));
                assert_eq!(result, expected(&out, &inc, taken), "{out:?} {inc:?} {taken}");
                tried += 1;
            }
        }
    }
    assert!(tried > 200, "{tried}");
}

#[test]
fn more_transfers_than_fit_into_a_page_are_compared_too() {
    let (mut world, alice, bob) = super::world::person::alice_and_bob(1);
    for _ in 0..250 {
        world.send(alice, &["bob"]);
    }
    world.settle();
    assert_eq!(world.list(bob).len(), 250);
    world.logout(bob);
    world.pass(1_000);
    for id in world.list(alice).iter().map(|t| t.id).collect::<Vec<_>>() {
        world.cancel(alice, id).unwrap();
    }
    world.login(bob);
    world.settle();
    assert!(world.states(bob).iter().all(|s| *s == "cancelled"));
    assert!(world.list(bob).iter().all(|t| t.direction() == Direction::In));
}
