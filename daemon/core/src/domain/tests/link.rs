//! Links that are lost, crossed connects, a server that goes away.

use super::world::person::{alice_and_bob, offered};
use super::world::{Node, World};
use crate::effect::{DialRequest, Effect, LinkCommand, LinkTag};
use crate::ids::TransferId;
use crate::input::{Input, LinkEvent, TorrentEvent};
use crate::session::{SessionCommand, SessionEvent};
use crate::signal::{Answer, Candidate, CandidateKind, Connect, Outcome, Reach, Request};
use crate::transfer::MAX_HISTORY;
use crate::way::Way;

fn receiving(seed: u64) -> (World, (Node, TransferId), (Node, TransferId)) {
    let (mut world, a, b) = offered(seed);
    world.accept(b.0, b.1).unwrap();
    world.until(b.0, b.1, "receiving");
    world.pass(120);
    (world, a, b)
}

#[test]
fn a_lost_link_is_established_again_and_goes_on() {
    for seed in 0..20 {
        let (mut world, a, b) = receiving(seed);
        world.lose_links(a.0);
        world.pass(10_000);
        assert_eq!((world.state(a.0, a.1), world.state(b.0, b.1)), ("done", "done"));
    }
}

#[test]
fn a_transfer_goes_on_while_the_server_is_away() {
    let (mut world, a, b) = receiving(1);
    world.logout(a.0);
    world.logout(b.0);
    world.pass(5_000);
    assert_eq!(world.state(b.0, b.1), "done");
    world.login(a.0);
    world.login(b.0);
    world.settle();
    assert_eq!(world.state(a.0, a.1), "done");
}

#[test]
fn the_receivers_word_on_its_link_ends_a_send_while_the_server_is_away() {
    let mut heard = 0;
    for seed in 0..20 {
        let (mut world, a, _) = receiving(seed);
        world.logout(a.0);
        world.pass(5_000);
        // Some links go through the server, and some words are lost; then it comes by way of the server.
        let early = world.state(a.0, a.1) == "done";
        heard += u32::from(early);
        let history = world.transfer(a.0, a.1).history.len();
        world.login(a.0);
        world.settle();
        assert_eq!(world.state(a.0, a.1), "done");
        assert!(!early || world.transfer(a.0, a.1).history.len() == history, "said twice, and noted twice");
    }
    assert!(heard > 0);
}

#[test]
fn a_last_word_from_a_sender_or_on_another_link_ends_nothing() {
    let (mut world, a, b) = receiving(1);
    let ends: Vec<_> = world.links.values().flat_map(|link| link.ends).collect();
    let here = ends.iter().find(|end| end.0 == b.0).unwrap().3;
    world.handle(b.0, Input::Torrent(TorrentEvent::PeerDone { link: here }));
    world.handle(a.0, Input::Torrent(TorrentEvent::PeerDone { link: LinkTag(u64::MAX) }));
    assert_eq!((world.state(a.0, a.1), world.state(b.0, b.1)), ("sending", "receiving"));
}

#[test]
fn a_link_lost_while_the_server_is_away_is_established_when_it_is_back() {
    let (mut world, a, b) = receiving(2);
    world.logout(a.0);
    world.logout(b.0);
    world.lose_links(a.0);
    world.settle();
    assert_eq!((world.state(a.0, a.1), world.state(b.0, b.1)), ("connecting", "connecting"));
    assert_eq!(world.why(b.0, b.1), Some("offline"));
    world.login(a.0);
    world.login(b.0);
    world.settle();
    assert_eq!((world.state(a.0, a.1), world.state(b.0, b.1)), ("done", "done"));
}

#[test]
fn a_link_lost_while_the_stream_hangs_is_established_when_it_is_resumed() {
    let (mut world, a, b) = receiving(3);
    world.hang(a.0);
    world.hang(b.0);
    world.lose_links(a.0);
    world.pass(10_000);
    world.resume_stream(a.0);
    world.resume_stream(b.0);
    world.settle();
    assert_eq!((world.state(a.0, a.1), world.state(b.0, b.1)), ("done", "done"));
}

#[test]
fn what_is_told_while_the_stream_hangs_arrives_when_it_is_resumed() {
    let (mut world, a, b) = receiving(4);
    world.hang(b.0);
    world.cancel(b.0, b.1).unwrap();
    world.pass(60_000);
    world.resume_stream(b.0);
    world.pass(5_000);
    assert_eq!(world.state(a.0, a.1), "cancelled");
}

#[test]
fn restarts_of_either_or_both_in_mid_transfer_lose_nothing() {
    for (sender, receiver) in [(true, false), (false, true), (true, true)] {
        let (mut world, a, b) = receiving(5);
        let content = world.transfer(b.0, b.1).content;
        let had = world.at(b.0).engine.partial[&content];
        for (node, restarts) in [(a.0, sender), (b.0, receiver)] {
            if restarts {
                world.restart(node);
            }
        }
        assert!(world.at(b.0).engine.partial[&content] >= had && had > 0);
        world.login(a.0);
        world.login(b.0);
        world.settle();
        assert_eq!((world.state(a.0, a.1), world.state(b.0, b.1)), ("done", "done"));
        assert_eq!(world.at(a.0).engine.prepared.values().sum::<u64>(), 1, "nothing is hashed again");
    }
}

#[test]
fn crossed_connects_make_one_link() {
    for seed in 0..50 {
        let (mut world, a, b) = receiving(seed);
        world.lose_links(a.0);
        world.pass(60);
        // Both seek at the same moment, and their connects cross.
        for end in [a, b] {
            let device = world.at_mut(end.0);
            device.domain.seek_soon(end.1);
            device.domain.seek_after(end.1, 1);
        }
        world.pass(250);
        assert!(world.links.len() <= 1 || world.links.values().all(|l| l.ends[0].1 == a.1));
        world.settle();
        assert_eq!((world.state(a.0, a.1), world.state(b.0, b.1)), ("done", "done"));
        assert!(world.links.is_empty());
    }
}

#[test]
fn without_a_way_it_is_tried_again_and_again_and_the_reason_is_shown() {
    let (mut world, a, b) = offered(6);
    world.faults.no_links = true;
    world.accept(b.0, b.1).unwrap();
    world.settle();
    assert_eq!((world.state(b.0, b.1), world.why(b.0, b.1)), ("connecting", Some("no-way")));
    assert_eq!(world.why(a.0, a.1), Some("no-way"));
    let requests = world.at(b.0).sent.len();
    assert!(requests < 60, "{requests} requests in ten minutes");
    world.faults.no_links = false;
    world.settle();
    assert_eq!((world.state(a.0, a.1), world.state(b.0, b.1)), ("done", "done"));
}

#[test]
fn a_link_that_nobody_wants_is_closed() {
    let (mut world, a, b) = offered(7);
    let up =
        LinkEvent::Up { transfer: a.1, link: LinkTag(99), way: Way::DirectTcp6, relay: None, attempts: Vec::new() };
    world.handle(a.0, Input::Link(up));
    assert_eq!((world.state(a.0, a.1), world.state(b.0, b.1)), ("offered", "offered"));
    let up = LinkEvent::Up {
        transfer: TransferId(77),
        link: LinkTag(98),
        way: Way::DirectTcp6,
        relay: None,
        attempts: Vec::new(),
    };
    world.handle(a.0, Input::Link(up));
    let failed = LinkEvent::Failed { transfer: TransferId(77), attempts: Vec::new() };
    world.handle(a.0, Input::Link(failed));
    assert!(world.at(a.0).domain.live_is_bounded());
}

#[test]
fn a_link_whose_end_is_told_before_its_beginning_is_not_waited_for() {
    let (mut world, a, b) = offered(8);
    world.faults.no_links = true;
    world.accept(b.0, b.1).unwrap();
    world.pass(1_000);
    let link = LinkTag(99);
    let closed = crate::input::TorrentEvent::LinkClosed { link, reason: "reset".into() };
    world.handle(b.0, Input::Torrent(closed));
    world.handle(
        b.0,
        Input::Link(LinkEvent::Up { transfer: b.1, link, way: Way::DirectTcp4, relay: None, attempts: Vec::new() }),
    );
    assert_eq!(world.state(b.0, b.1), "connecting");
    world.faults.no_links = false;
    world.settle();
    assert_eq!((world.state(a.0, a.1), world.state(b.0, b.1)), ("done", "done"));
}

#[test]
fn a_grant_for_the_next_link_outlives_the_late_end_of_the_last() {
    let (mut world, a, b) = receiving(9);
    let (_, link) = world.links.pop_first().unwrap();
    let [here, there] = link.ends.map(|end| end.3);
    let closed = |link| Input::Torrent(crate::input::TorrentEvent::LinkClosed { link, reason: "reset".into() });
    let number = world.at(a.0).grants[&a.1.into()].number;
    world.handle(b.0, closed(there));
    while world.at(a.0).grants[&a.1.into()].number == number {
        world.pass(1);
    }
    world.handle(a.0, closed(here));
    assert!(world.at(a.0).grants.contains_key(&a.1.into()), "the grant is for the next link");
    world.pass(900);
    assert_eq!((world.state(a.0, a.1), world.state(b.0, b.1)), ("done", "done"));
}

#[test]
fn a_next_link_that_fails_does_not_hide_the_end_of_the_last() {
    let (mut world, a, b) = receiving(10);
    let (_, link) = world.links.pop_first().unwrap();
    let [here, there] = link.ends.map(|end| end.3);
    let closed = |link| Input::Torrent(crate::input::TorrentEvent::LinkClosed { link, reason: "reset".into() });
    world.handle(b.0, closed(there));
    world.faults.no_links = true;
    world.pass(29_000);
    assert_eq!(world.state(a.0, a.1), "sending");
    world.pass(5_000);
    world.faults.no_links = false;
    world.handle(a.0, closed(here));
    world.settle();
    assert_eq!((world.state(a.0, a.1), world.state(b.0, b.1)), ("done", "done"));
}

#[test]
fn only_four_links_stand_between_two_devices_and_the_others_go_in_turn() {
    for seed in 0..10 {
        let (mut world, alice, bob) = alice_and_bob(seed);
        world.size = 40_000;
        for (from, to) in [(alice, "bob"), (bob, "alice")] {
            for _ in 0..8 {
                world.send(from, &[to]);
            }
        }
        world.pass(2_000);
        for node in [alice, bob] {
            let offers: Vec<_> =
                world.list(node).iter().filter(|t| t.state_name() == "offered").map(|t| t.id).collect();
            offers.into_iter().for_each(|id| drop(world.accept(node, id)));
        }
        world.pass(100);
        let waits = world.list(alice).iter().filter(|t| world.why(alice, t.id) == Some("turn")).count();
        assert!(waits > 0, "the fifth waits");
        // The world itself checks that there are never more than four.
        world.pass(60_000);
        assert!(world.states(alice).iter().all(|s| *s == "done"), "{:?}", world.states(alice));
        assert!(world.states(bob).iter().all(|s| *s == "done"));
    }
}

#[test]
fn the_receiver_lets_the_sender_in_before_its_answer_has_arrived() {
    for seed in 0..20 {
        let (mut world, (alice, sent), (bob, got)) = offered(seed);
        world.accept(bob, got).unwrap();
        world.faults.lose = 100; // from now on, and so no answer to what Bob has asked
        world.pass(1_000);
        assert!(matches!(world.state(bob, got), "receiving" | "done"), "{}", world.state(bob, got));
        world.faults.lose = 0;
        world.settle();
        assert_eq!((world.state(alice, sent), world.state(bob, got)), ("done", "done"));
        assert!(world.at(alice).grants.is_empty() && world.at(bob).grants.is_empty());
    }
}

#[test]
fn who_is_let_in_before_the_answer_is_so_no_more_once_the_answer_is_no() {
    let (mut world, (alice, sent), (bob, got)) = offered(1);
    world.accept(bob, got).unwrap();
    assert_eq!(world.at(bob).grants.len(), 1, "the request is out");
    world.pause(alice, sent).unwrap();
    world.pass(1_000);
    assert_eq!(world.at(alice).grants.len() + world.at(bob).grants.len(), 0);
    world.resume(alice, sent).unwrap();
    world.settle();
    assert_eq!((world.state(alice, sent), world.state(bob, got)), ("done", "done"));
}

#[test]
fn however_often_a_link_is_lost_each_step_can_be_told_once() {
    let (mut world, a, b) = receiving(11);
    world.pace = 1 << 50; // never done
    let (mut told, mut seen) = (0, 0);
    for _ in 0..60 {
        world.lose_links(a.0);
        world.pass(70_000);
        let transfer = world.transfer(b.0, b.1);
        let new = transfer.steps_since(seen);
        assert_eq!(new.last(), transfer.history.last(), "the newest step is new");
        told += new.len() as u64;
        seen = transfer.steps;
    }
    assert!(told == seen && told > MAX_HISTORY as u64, "{told} of {seen}");
    assert!(world.transfer(b.0, b.1).steps_since(seen).is_empty());
}

/// What Bob's link room was asked to do while an input was handled.
fn wanted(world: &mut World, node: Node, input: Input) -> Vec<DialRequest> {
    let now = world.clock(node);
    let effects = world.at_mut(node).domain.handle(input, now);
    let want = |effect: Effect| match effect {
        Effect::Link(LinkCommand::Dial(want)) => Some(*want),
        _ => None,
    };
    effects.into_iter().filter_map(want).collect()
}

#[test]
fn a_link_is_sought_with_what_the_other_side_was_told_also_if_that_has_changed_meanwhile() {
    let (mut world, a, b) = offered(1);
    world.accept(b.0, b.1).unwrap();
    let request = world.at(b.0).sent.iter().find_map(|command| match command {
        SessionCommand::Request { token, request: Request::Connect(connect), .. } => Some((*token, connect.clone())),
        _ => None,
    });
    let (token, told) = request.unwrap();
    let address = "192.0.2.99:7000".parse().unwrap();
    let candidates = vec![Candidate { kind: CandidateKind::Host, address }];
    world.handle(b.0, Input::Link(LinkEvent::Candidates(candidates)));
    let key = world.at(a.0).settings.fingerprint;
    let answer = Connect { fingerprint: key, reach: Reach::default(), introduce: false, ..told.clone() };
    let outcome = Outcome::Answered(Answer::Connect(answer));
    let by = Some(key);
    let wants = wanted(&mut world, b.0, Input::Session(SessionEvent::Answered { token, outcome, by }));
    assert_eq!(wants.iter().map(|want| &want.ours).collect::<Vec<_>>(), [&told.reach]);
}
