//! From the command to the moment when a device takes it.

use super::world::person::offered;

#[test]
fn a_send_is_offered_accepted_carried_and_done_on_both_sides() {
    let (mut world, (alice, sent), (bob, got)) = offered(1);
    assert_eq!((world.state(alice, sent), world.state(bob, got)), ("offered", "offered"));
    world.accept(bob, got).unwrap();
    world.pass(5_000);
    assert_eq!((world.state(alice, sent), world.state(bob, got)), ("done", "done"));
    assert!(world.links.is_empty());
}
