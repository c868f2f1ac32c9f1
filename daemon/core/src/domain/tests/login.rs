//! What is remembered of logins, and what a person may allow.

use super::world::World;
use super::world::person::alice_and_bob;
use crate::effect::Reply;
use crate::input::{Command, Input};
use crate::login::{Authority, Login, Mechanism};
use crate::session::{Connection, SessionCommand, SessionEvent};

fn login(world: &World, node: super::world::Node, mechanism: Mechanism) -> Login {
    let authority = Some(Authority { id: "a".to_owned(), name: "A".to_owned() });
    Login { account: world.at(node).settings.account.clone(), mechanism, authority }
}

#[test]
fn the_login_is_kept_and_comes_back_after_a_restart() {
    let (mut world, alice, _) = alice_and_bob(1);
    let strong = login(&world, alice, Mechanism::ScramSha512Plus);
    world.handle(alice, Input::Session(SessionEvent::LoggedIn(strong.clone())));
    assert_eq!(world.at(alice).store.login.as_ref(), Some(&strong));
    world.restart(alice);
    assert_eq!(world.at(alice).domain.login(), Some(&strong));
}

#[test]
fn only_what_was_refused_can_be_allowed_and_is_remembered_then() {
    let (mut world, alice, _) = alice_and_bob(1);
    let (strong, weak) = (login(&world, alice, Mechanism::ScramSha256Plus), login(&world, alice, Mechanism::ScramSha1));
    world.handle(alice, Input::Session(SessionEvent::LoggedIn(strong.clone())));
    let nothing = world.command(alice, Command::AllowWeakerLogin).unwrap_err();
    assert_eq!(nothing.code, "no-weaker-login");
    assert_eq!(world.at(alice).domain.login(), Some(&strong));
    let (code, reason, hint) = ("weaker-login", "weaker".to_owned(), String::new());
    let refused = Connection::Refused { code, reason, hint, retry_in: Some(1), weaker: Some(Box::new(weak.clone())) };
    world.handle(alice, Input::Session(SessionEvent::Connection(refused)));
    assert_eq!(world.command(alice, Command::AllowWeakerLogin), Ok(Reply::Done));
    assert_eq!(world.at(alice).store.login.as_ref(), Some(&weak));
    assert_eq!(world.at(alice).sent.last(), Some(&SessionCommand::AllowLogin(Box::new(weak))));
}

#[test]
fn a_login_of_another_account_is_not_taken_for_ours() {
    let (mut world, alice, bob) = alice_and_bob(1);
    let theirs = login(&world, bob, Mechanism::ScramSha1);
    world.handle(alice, Input::Session(SessionEvent::LoggedIn(theirs)));
    assert_eq!(world.at(alice).domain.login(), None);
}
