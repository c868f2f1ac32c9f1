//! An end that crosses another one: that the receiver has everything wins, and only who took it may say so.

use super::restart::ask;
use super::world::person::{alice_and_bob, offered};
use super::world::{Node, World};
use crate::ids::TransferId;
use crate::session::SessionCommand;
use crate::signal::{Answer, Condition, Request, Role, SyncItem, SyncState};

/// The world, the sender's side and the receiver's.
type Crossed = (World, (Node, TransferId), (Node, TransferId));

/// Alice cancels while Bob's device, which has just got everything, cannot be heard.
fn crossed(seed: u64) -> Crossed {
    // The engine's word on the link may be faster.
    (seed..).step_by(100).find_map(crossing).unwrap()
}

fn crossing(seed: u64) -> Option<Crossed> {
    let (mut world, (alice, sent), (bob, got)) = offered(seed);
    world.accept(bob, got).unwrap();
    world.pace = 1_000;
    world.until(alice, sent, "sending");
    world.pass(500);
    world.faults.lose = 100;
    while world.state(bob, got) != "done" {
        world.pass(1);
    }
    world.cancel(alice, sent).ok()?;
    assert_eq!(world.state(alice, sent), "cancelled");
    world.logout(bob);
    world.faults.lose = 0;
    world.settle();
    (world.state(alice, sent) == "cancelled").then_some((world, (alice, sent), (bob, got)))
}

fn refused(answer: &SessionCommand) -> Option<Condition> {
    match answer {
        SessionCommand::Answer { answer: Err(refusal), .. } => Some(refusal.condition),
        _ => None,
    }
}

#[test]
fn a_cancel_that_crosses_the_end_becomes_done_when_the_two_meet_again() {
    for restarted in [None, Some(0), Some(1)] {
        let (mut world, (alice, sent), (bob, got)) = crossed(1);
        assert_eq!(world.state(alice, sent), "cancelled", "nothing was heard yet");
        match restarted {
            Some(0) => {
                world.restart(alice);
                world.login(alice);
            }
            Some(_) => world.restart(bob),
            None => {}
        }
        world.login(bob);
        world.settle();
        assert_eq!((world.state(alice, sent), world.state(bob, got)), ("done", "done"));
    }
}

#[test]
fn it_does_so_also_where_the_receiver_has_removed_it_from_the_list() {
    let (mut world, (alice, sent), (bob, got)) = crossed(2);
    world.remove(bob, got).unwrap();
    world.login(bob);
    world.settle();
    assert_eq!(world.state(alice, sent), "done");
}

#[test]
fn a_cancelled_transfer_that_was_removed_does_not_come_back() {
    let (mut world, (alice, sent), (bob, _)) = crossed(3);
    let id = world.transfer(alice, sent).offer;
    world.remove(alice, sent).unwrap();
    world.login(bob);
    world.settle();
    assert!(world.list(alice).is_empty());
    let answer = ask(&mut world, alice, "bob", "b1", Request::Done { id });
    assert_eq!(refused(&answer), Some(Condition::ItemNotFound));
    assert!(world.list(alice).is_empty());
}

#[test]
fn how_it_ended_is_asked_once() {
    let (mut world, (alice, sent), (bob, _)) = crossed(4);
    for round in 0..3 {
        world.login(bob);
        world.settle();
        let about = |command: &&SessionCommand| match command {
            SessionCommand::Request { request: Request::Sync(items), .. } => !items.is_empty(),
            _ => false,
        };
        let asked = world.at(alice).sent.iter().filter(about).count();
        assert!(asked <= 2, "round {round}: {asked}");
        world.logout(bob);
        world.settle();
        world.at_mut(alice).sent.clear();
        if round > 0 {
            assert_eq!(asked, 0, "it is known");
        }
    }
    assert_eq!(world.state(alice, sent), "done");
}

#[test]
fn a_cancel_whose_word_was_lost_arrives_with_the_next_comparison() {
    let (mut world, (alice, sent), (bob, got)) = offered(5);
    world.accept(bob, got).unwrap();
    world.until(alice, sent, "sending");
    world.faults.lose = 100;
    world.cancel(alice, sent).unwrap();
    world.logout(alice);
    world.faults.lose = 0;
    world.login(alice);
    world.settle();
    assert_eq!((world.state(alice, sent), world.state(bob, got)), ("cancelled", "cancelled"));
}

#[test]
fn nobody_can_call_done_what_it_never_took() {
    let (mut world, (alice, sent), (bob, _)) = offered(6);
    let id = world.transfer(alice, sent).offer;
    world.cancel(alice, sent).unwrap();
    world.settle();
    for resource in ["b1", "b2"] {
        let answer = ask(&mut world, alice, "bob", resource, Request::Done { id });
        assert_eq!(refused(&answer), Some(Condition::Forbidden));
    }
    let claim = vec![SyncItem { id, role: Role::Receiver, state: SyncState::Done }];
    ask(&mut world, alice, "bob", "b1", Request::Sync(claim));
    assert_eq!(world.state(alice, sent), "cancelled");
    // Nor can another device than the one that took it, nor anybody what was declined.
    let taken = world.send(alice, &["bob"])[0];
    world.settle();
    let got = world.list(bob).last().unwrap().id;
    world.accept(bob, got).unwrap();
    world.until(alice, taken, "sending");
    world.cancel(alice, taken).unwrap();
    let id = world.transfer(alice, taken).offer;
    let answer = ask(&mut world, alice, "bob", "b2", Request::Done { id });
    assert_eq!((refused(&answer), world.state(alice, taken)), (Some(Condition::Forbidden), "cancelled"));
    let declined = world.send(alice, &["bob"])[0];
    world.settle();
    let got = world.list(bob).last().unwrap().id;
    world.decline(bob, got).unwrap();
    world.settle();
    let id = world.transfer(alice, declined).offer;
    ask(&mut world, alice, "bob", "b1", Request::Done { id });
    assert_eq!(world.state(alice, declined), "declined");
}

#[test]
fn who_took_it_and_had_everything_may_say_so_again_and_again() {
    let (mut world, (alice, sent), (bob, _)) = crossed(7);
    world.login(bob);
    world.settle();
    let before = world.transfer(alice, sent).clone();
    let id = before.offer;
    for _ in 0..2 {
        let answer = ask(&mut world, alice, "bob", "b1", Request::Done { id });
        let acknowledged = SessionCommand::Answer { token: token(&answer), answer: Ok(Answer::Acknowledged) };
        assert_eq!(answer, acknowledged);
    }
    assert_eq!(*world.transfer(alice, sent), before, "nothing is changed or written twice");
}

fn token(answer: &SessionCommand) -> crate::signal::Token {
    match answer {
        SessionCommand::Answer { token, .. } => *token,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_offer_that_comes_after_its_end_and_after_the_notes_were_compared_does_not_stay() {
    let (mut world, alice, bob) = alice_and_bob(1);
    world.faults.lose = 100;
    let sent = world.send(alice, &["bob"])[0];
    world.pass(1_000);
    let offer = |command: &SessionCommand| match command {
        SessionCommand::Request { request: request @ Request::Offer(_), .. } => Some(request.clone()),
        _ => None,
    };
    let late = world.at(alice).sent.iter().find_map(offer).unwrap();
    world.cancel(alice, sent).unwrap();
    world.logout(alice);
    world.faults.lose = 0;
    world.login(alice);
    world.pass(5_000);
    ask(&mut world, bob, "alice", "a1", late);
    let got = world.only(bob);
    assert_eq!(world.state(bob, got), "offered");
    world.pass(60_000);
    assert_eq!(world.state(bob, got), "cancelled");
}
