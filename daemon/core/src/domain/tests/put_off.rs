//! Requests that a server, or the other device, answers with an error that may pass.

use super::world::person::alice_and_bob;
use super::world::{Node, World, jid};
use crate::effect::Event;
use crate::ids::TransferId;
use crate::input::{Input, LinkEvent};
use crate::limits::DISCARDED_SENDERS;
use crate::session::{SessionCommand, SessionEvent};
use crate::signal::{Candidate, CandidateKind, Condition, ErrorType, Request};
use crate::time::Mono;

/// What the servers of RFC 6120 say while another server is restarted, with the types that Prosody and ejabberd give.
const PASSING: [(Condition, ErrorType); 8] = [
    (Condition::RemoteServerTimeout, ErrorType::Wait),
    (Condition::RemoteServerNotFound, ErrorType::Cancel),
    (Condition::RemoteServerNotFound, ErrorType::Wait),
    (Condition::RecipientUnavailable, ErrorType::Wait),
    (Condition::InternalServerError, ErrorType::Cancel),
    (Condition::InternalServerError, ErrorType::Wait),
    (Condition::ServiceUnavailable, ErrorType::Cancel),
    (Condition::Other, ErrorType::Wait),
];

fn why(world: &World, node: Node, id: TransferId) -> (String, String) {
    let domain = &world.at(node).domain;
    let why = domain.why(domain.transfer(id).unwrap(), Mono(world.now)).unwrap();
    (why.code.to_owned(), why.text)
}

/// Offers that a device has sent.
fn offers(world: &World, node: Node) -> usize {
    let is_offer = |c: &&SessionCommand| matches!(c, SessionCommand::Request { request: Request::Offer(_), .. });
    world.at(node).sent.iter().filter(is_offer).count()
}

#[test]
fn an_offer_that_meets_a_passing_error_arrives_when_that_has_passed() {
    for error in PASSING {
        let (mut world, alice, bob) = alice_and_bob(3);
        world.faults.error = Some(error);
        let sent: Vec<_> = (0..3).map(|_| world.send(alice, &["bob"])[0]).collect();
        world.pass(60_000);
        assert!(sent.iter().all(|id| world.state(alice, *id) == "queued"), "{error:?}");
        assert_eq!(why(&world, alice, sent[0]).0, "put-off", "{error:?}");
        world.faults.error = None;
        world.pass(300_000);
        assert!(sent.iter().all(|id| world.state(alice, *id) == "offered"), "{error:?}");
        assert_eq!(world.list(bob).len(), 3, "{error:?}");
    }
}

#[test]
fn the_pauses_grow_to_five_minutes_and_the_person_can_see_when_the_next_try_is() {
    let (mut world, alice, _) = alice_and_bob(3);
    world.faults.error = Some((Condition::RemoteServerNotFound, ErrorType::Cancel));
    let sent = world.send(alice, &["bob"])[0];
    world.send(alice, &["bob"]);
    world.pass(600_000);
    let (code, text) = why(&world, alice, sent);
    assert!(code == "put-off" && text.contains("our server cannot reach theirs"), "{code}: {text}");
    let seconds: u64 = text.split("next try in ").nth(1).unwrap().trim_end_matches(" s").parse().unwrap();
    assert!((1..=300).contains(&seconds), "{text}");
    let before = offers(&world, alice);
    world.pass(3_600_000);
    let asked = offers(&world, alice) - before;
    assert!((10..=14).contains(&asked), "{asked} offers in an hour");
}

#[test]
fn a_presence_that_comes_again_unchanged_brings_what_was_put_off_at_once() {
    let (mut world, alice, bob) = alice_and_bob(3);
    world.faults.error = Some((Condition::RemoteServerTimeout, ErrorType::Wait));
    let sent: Vec<_> = (0..3).map(|_| world.send(alice, &["bob"])[0]).collect();
    world.pass(1_000_000);
    world.faults.error = None;
    world.repeat_presence(bob);
    world.pass(2_000);
    assert!(sent.iter().all(|id| world.state(alice, *id) == "offered"), "{:?}", world.states(alice));
}

#[test]
fn presences_without_end_cost_a_retry_now_and_then() {
    let (mut world, alice, bob) = alice_and_bob(3);
    world.faults.error = Some((Condition::Forbidden, ErrorType::Auth));
    (0..20).for_each(|_| drop(world.send(alice, &["bob"])));
    world.pass(5_000);
    let (before, news) = (offers(&world, alice), world.at(alice).news.len());
    for _ in 0..1_000 {
        world.repeat_presence(bob);
        world.pass(10);
    }
    let (sent, news) = (offers(&world, alice) - before, world.at(alice).news.len() - news);
    assert!(sent <= 3 * 20, "{sent} offers in ten seconds");
    assert!(news <= 3 * 20, "{news} events in ten seconds");
}

#[test]
fn a_resumed_stream_and_another_network_bring_what_was_put_off_at_once() {
    for resumes in [true, false] {
        let (mut world, alice, _) = alice_and_bob(3);
        world.faults.error = Some((Condition::RemoteServerTimeout, ErrorType::Wait));
        let sent = world.send(alice, &["bob"])[0];
        world.pass(1_000_000);
        world.faults.error = None;
        if resumes {
            world.hang(alice);
            world.resume_stream(alice);
        } else {
            let elsewhere = vec![Candidate { kind: CandidateKind::Host, address: "203.0.113.9:4000".parse().unwrap() }];
            world.handle(alice, Input::Link(LinkEvent::Candidates(elsewhere)));
        }
        world.pass(2_000);
        assert_eq!(world.state(alice, sent), "offered", "resumes: {resumes}");
    }
}

#[test]
fn what_a_server_refuses_for_good_is_asked_again_since_only_the_device_itself_can() {
    let (mut world, alice, _) = alice_and_bob(3);
    world.faults.error = Some((Condition::Forbidden, ErrorType::Auth));
    let sent = world.send(alice, &["bob"])[0];
    world.pass(3_600_000);
    assert_eq!((world.state(alice, sent), why(&world, alice, sent).0.as_str()), ("queued", "put-off"));
    let asked = offers(&world, alice);
    assert!((10..30).contains(&asked), "with pauses: {asked}");
    world.faults.error = None;
    world.pass(300_000);
    assert_eq!(world.state(alice, sent), "offered");
}

#[test]
fn stanzas_that_cannot_be_read_are_counted_by_sender_within_a_bound() {
    let (mut world, alice, _) = alice_and_bob(3);
    for number in 0..200 {
        let from = Some(jid(&format!("stranger-{number}")));
        for _ in 0..2 {
            world.handle(alice, Input::Session(SessionEvent::Discarded { from: from.clone() }));
        }
    }
    world.handle(alice, Input::Session(SessionEvent::Discarded { from: None }));
    let counted: Vec<_> = world.at(alice).domain.discarded().map(|(from, count)| (from.cloned(), count)).collect();
    assert_eq!(counted.len(), DISCARDED_SENDERS + 1);
    assert_eq!(counted.iter().map(|(_, count)| count).sum::<u64>(), 401);
    assert!(counted.iter().filter(|(from, _)| from.is_some()).all(|(_, count)| *count == 2));
    let told = |event: &&Event| matches!(event, Event::Discarded(_));
    assert_eq!(world.at(alice).news.iter().filter(told).count(), counted.len());
}
