//! Offers that lapse.

use super::world::person::alice_and_bob;
use super::world::{DAY, Node, World};

fn expiring(seed: u64) -> (World, Node, Node) {
    let (mut world, alice, bob) = alice_and_bob(seed);
    world.send_file(alice, "file", &["bob"], Some(DAY)).unwrap();
    world.pass(1_000);
    (world, alice, bob)
}

#[test]
fn an_offer_that_nobody_takes_expires_on_both_sides() {
    let (mut world, alice, bob) = expiring(1);
    world.pass(DAY);
    assert_eq!((world.states(alice), world.states(bob)), (vec!["expired"], vec!["expired"]));
    let got = world.only(bob);
    assert_eq!(world.accept(bob, got).unwrap_err().code, "wrong-state");
}

#[test]
fn an_offer_expires_also_while_both_are_down_and_is_not_offered_any_more() {
    let (mut world, alice, bob) = alice_and_bob(2);
    world.logout(bob);
    world.pass(1_000);
    world.send_file(alice, "file", &["bob"], Some(DAY)).unwrap();
    world.pass(1_000);
    world.logout(alice);
    world.now += 2 * DAY;
    world.restart(alice);
    world.pass(10);
    assert_eq!(world.states(alice), ["expired"]);
    world.login(alice);
    world.login(bob);
    world.settle();
    assert!(world.list(bob).is_empty());
}

#[test]
fn what_was_taken_in_time_does_not_expire() {
    let (mut world, alice, bob) = expiring(3);
    world.faults.no_links = true;
    let got = world.only(bob);
    world.accept(bob, got).unwrap();
    world.pass(2 * DAY);
    assert_eq!((world.states(alice), world.states(bob)), (vec!["connecting"], vec!["connecting"]));
    world.faults.no_links = false;
    world.settle();
    assert_eq!(world.states(alice), ["done"]);
}

#[test]
fn an_accept_that_comes_too_late_ends_as_expired_on_both_sides() {
    let (mut world, alice, bob) = expiring(4);
    let got = world.only(bob);
    world.logout(alice);
    world.accept(bob, got).unwrap();
    world.pass(2 * DAY);
    world.login(alice);
    world.settle();
    assert_eq!((world.states(alice), world.states(bob)), (vec!["expired"], vec!["expired"]));
}

#[test]
fn a_wall_clock_that_jumps_ends_nothing_early_and_nothing_late() {
    let (mut world, alice, bob) = expiring(5);
    world.skew[alice.0] = -10 * DAY as i64;
    world.pass(2 * 3_600_000);
    assert_eq!(world.states(alice), ["offered"]);
    world.skew[alice.0] = 0;
    world.pass(DAY - 3 * 3_600_000);
    assert_eq!(world.states(alice), ["offered"]);
    world.skew[alice.0] = 3 * DAY as i64;
    world.pass(3_600_000);
    assert_eq!((world.states(alice), world.states(bob)), (vec!["expired"], vec!["expired"]));
}

#[test]
fn an_offer_that_has_expired_by_our_clock_is_not_taken_in() {
    let (mut world, alice, bob) = alice_and_bob(6);
    world.skew[bob.0] = 2 * DAY as i64;
    world.send_file(alice, "file", &["bob"], Some(DAY)).unwrap();
    world.settle();
    assert!(world.list(bob).is_empty());
    assert_eq!(world.states(alice), ["queued"]);
}

#[test]
fn a_running_transfer_that_the_sender_cancels_near_its_expiry_ends_as_cancelled_on_both_sides() {
    for before_expiry in [30_000, -30_000] {
        let (mut world, alice, bob) = expiring(7);
        world.faults.no_links = true;
        let (sent, got) = (world.only(alice), world.only(bob));
        world.accept(bob, got).unwrap();
        world.pass(DAY.saturating_add_signed(-before_expiry) - world.now);
        assert_eq!(world.states(alice), ["connecting"]);
        world.cancel(alice, sent).unwrap();
        world.pass(5_000);
        assert_eq!((world.states(alice), world.states(bob)), (vec!["cancelled"], vec!["cancelled"]));
    }
}
