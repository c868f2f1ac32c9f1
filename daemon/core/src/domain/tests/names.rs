//! Names on the roster, which the server may change.

use super::world::person::alice_and_bob;
use super::world::{Node, World, jid};
use crate::effect::Reply;
use crate::fault::Fault;
use crate::input::Command;

fn uses(world: &mut World, node: Node, name: &str, who: &str, confirmed: bool) -> Result<Reply, Fault> {
    world.command(node, Command::UseName { name: name.to_owned(), jid: jid(who), confirmed })
}

#[test]
fn a_name_that_has_moved_to_another_address_names_both_until_the_person_confirms_it() {
    let (mut world, alice, _) = alice_and_bob(1);
    assert_eq!(uses(&mut world, alice, "Bob", "bob", false), Ok(Reply::Done));
    assert_eq!(uses(&mut world, alice, "bob", "bob", false), Ok(Reply::Done));
    world.restart(alice);
    for _ in 0..2 {
        let fault = uses(&mut world, alice, "bob", "carol", false).unwrap_err();
        assert_eq!(fault.code, "name-moved");
        assert!(fault.message.contains("carol@example.org") && fault.message.contains("bob@example.org"), "{fault:?}");
    }
    assert_eq!(uses(&mut world, alice, "bob", "carol", true), Ok(Reply::Done));
    assert_eq!(uses(&mut world, alice, "Bob", "carol", false), Ok(Reply::Done));
    assert!(uses(&mut world, alice, "Bob", "bob", false).is_err(), "and back is a move as well");
}

#[test]
fn a_name_that_the_person_gives_a_contact_is_no_surprise() {
    let (mut world, alice, _) = alice_and_bob(2);
    uses(&mut world, alice, "Bob", "bob", false).unwrap();
    world.command(alice, Command::ContactAdd { jid: jid("carol"), name: Some("Bob".to_owned()) }).unwrap();
    assert_eq!(uses(&mut world, alice, "bob", "carol", false), Ok(Reply::Done));
}
