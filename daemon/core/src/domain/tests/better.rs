//! Which ways are told, and how a transfer moves to another one.

use std::net::IpAddr;

use super::restart::ask;
use super::world::person::{alice_and_bob, offered};
use super::world::{Node, World};
use crate::effect::LinkTag;
use crate::ids::{Fingerprint, InfoHash, TransferId};
use crate::input::{Input, LinkEvent};
use crate::limits::ATTEMPTS;
use crate::session::{ServerServices, SessionCommand, SessionEvent};
use crate::signal::{Answer, Candidate, CandidateKind, Connect, Outcome, Proxy, Request, Wait};
use crate::way::{Way, Ways};

type End = (Node, TransferId);

/// Within it the receiver has looked for a better way, and once more after that.
const FIRST_LOOKS: u64 = 25_000;

/// Alice sends to Bob, slowly, over this way.
fn sending_by(way: Way) -> (World, End, End) {
    let (mut world, a, b) = offered(1);
    world.ways = vec![way];
    world.pace = 60_000;
    world.accept(b.0, b.1).unwrap();
    world.until(b.0, b.1, "receiving");
    world.pass(1_000);
    (world, a, b)
}

/// An offer of so many bytes.
fn offered_of(size: u64) -> (World, End, End) {
    let (mut world, alice, bob) = alice_and_bob(5);
    world.size = size;
    let sent = world.send(alice, &["bob"])[0];
    world.pass(5_000);
    let got = world.only(bob);
    (world, (alice, sent), (bob, got))
}

fn way(world: &World, end: End) -> Option<Way> {
    world.at(end.0).domain.in_use(end.1)
}

fn connects(world: &World, node: Node) -> Vec<Connect> {
    let connect = |command: &SessionCommand| match command {
        SessionCommand::Request { request: Request::Connect(connect), .. } => Some(connect.clone()),
        _ => None,
    };
    world.at(node).sent.iter().filter_map(connect).collect()
}

fn candidate(kind: CandidateKind, address: &str) -> Candidate {
    Candidate { kind, address: address.parse().unwrap() }
}

fn all_candidates() -> Vec<Candidate> {
    vec![
        candidate(CandidateKind::Host, "192.0.2.1:5000"),
        candidate(CandidateKind::Mapped, "192.0.2.1:5001"),
        candidate(CandidateKind::Reflexive, "192.0.2.1:5002"),
    ]
}

fn services() -> ServerServices {
    let proxy = |jid: &str| Proxy { jid: jid.into(), host: "198.51.100.7".into(), port: 5000 };
    ServerServices {
        proxies: ["p1", "p2", "p3", "p4", "p5"].map(proxy).into(),
        stun: Vec::new(),
        external: Some(IpAddr::from([192, 0, 2, 1])),
    }
}

#[test]
fn while_a_fallback_path_is_in_use_the_receiver_looks_for_a_better_way_at_growing_intervals() {
    let (mut world, a, b) = sending_by(Way::Proxy65);
    assert_eq!((connects(&world, b.0).len(), way(&world, b)), (1, Some(Way::Proxy65)));
    world.pass(115_000);
    let looks = connects(&world, b.0);
    // After 10 s and then 20, 40… s later, unless one is still going on.
    assert!((3..=4).contains(&looks.len()), "{}", looks.len());
    assert!(looks[1..].iter().all(|connect| connect.better_than == Some(Way::Proxy65)), "{looks:?}");
    assert!(connects(&world, a.0).iter().all(|connect| connect.better_than.is_none()));
    assert_eq!((world.state(a.0, a.1), world.state(b.0, b.1)), ("sending", "receiving"));
    world.ways = vec![Way::MappedTcp4, Way::InBand];
    world.pass(150_000);
    assert_eq!((way(&world, a), way(&world, b)), (Some(Way::MappedTcp4), Some(Way::MappedTcp4)));
    assert_eq!(world.links.len(), 1, "the old link is closed");
    let seen = connects(&world, b.0).len();
    world.pass(600_000);
    assert_eq!(connects(&world, b.0).len(), seen, "a mapped port is good enough");
    world.settle();
    assert_eq!((world.state(a.0, a.1), world.state(b.0, b.1)), ("done", "done"));
}

#[test]
fn a_new_address_of_either_side_is_a_reason_to_look_at_once() {
    for sender in [true, false] {
        let (mut world, a, b) = sending_by(Way::Proxy65);
        world.ways = vec![Way::DirectTcp4];
        let changed = if sender { a.0 } else { b.0 };
        world.handle(changed, Input::Link(LinkEvent::Candidates(all_candidates())));
        world.pass(1_500);
        assert_eq!((way(&world, a), way(&world, b)), (Some(Way::DirectTcp4), Some(Way::DirectTcp4)));
    }
}

#[test]
fn an_address_that_becomes_known_while_a_link_is_sought_is_sent_at_once() {
    for sender in [true, false] {
        let (mut world, a, b) = offered(1);
        world.faults.no_links = true;
        world.accept(b.0, b.1).unwrap();
        world.pass(1_000);
        assert_eq!((world.state(a.0, a.1), world.state(b.0, b.1)), ("connecting", "connecting"));
        let node = if sender { a.0 } else { b.0 };
        let before = connects(&world, node).len();
        world.handle(node, Input::Link(LinkEvent::Candidates(all_candidates())));
        world.pass(1_500);
        let sent = connects(&world, node);
        assert_eq!(sent.len(), before + 1, "sender: {sender}");
        assert_eq!(sent[before].reach.candidates, all_candidates());
        world.handle(node, Input::Link(LinkEvent::Candidates(all_candidates())));
        world.pass(1_500);
        assert_eq!(connects(&world, node).len(), before + 1, "the other side knows them");
    }
}

#[test]
fn a_link_that_seems_dead_is_replaced_by_any_way_and_its_pieces_stay() {
    let (mut world, a, b) = sending_by(Way::DirectTcp6);
    world.pass(60_000);
    let content = world.transfer(b.0, b.1).content;
    let had = world.at(b.0).engine.partial[&content];
    assert!(had > 0);
    world.ways = vec![Way::InBand];
    world.stall_links(a.0);
    world.pass(6_000);
    assert_eq!((way(&world, a), way(&world, b)), (Some(Way::InBand), Some(Way::InBand)));
    assert!(world.at(b.0).engine.partial[&content] >= had);
    assert_eq!(world.links.len(), 1);
}

#[test]
fn a_replacement_is_sought_again_until_there_is_one_or_the_link_lives() {
    let (mut world, a, b) = sending_by(Way::DirectTcp6);
    world.ways = Vec::new();
    world.stall_links(a.0);
    world.pass(60_000);
    let tries = connects(&world, b.0).len();
    assert!((3..20).contains(&tries), "{tries}");
    world.ways = vec![Way::Proxy65];
    world.pass(61_000);
    assert_eq!(way(&world, b), Some(Way::Proxy65));
}

#[test]
fn a_look_for_a_better_way_that_comes_to_nothing_leaves_the_link_and_its_turn() {
    let (mut world, a, b) = sending_by(Way::PunchedUdp);
    world.pass(30_000);
    assert!(connects(&world, b.0).len() > 1);
    world.pass(31_000);
    assert_eq!((world.state(a.0, a.1), world.state(b.0, b.1)), ("sending", "receiving"));
    let attempt = crate::input::Attempt { way: Way::DirectTcp6, reason: "nobody answered".into() };
    let failed = LinkEvent::Failed { transfer: b.1, attempts: vec![attempt.clone()] };
    world.handle(b.0, Input::Link(failed));
    assert_eq!(world.at(b.0).domain.live_view(b.1, world.clock(b.0).mono).attempts, [attempt]);
    assert_eq!(way(&world, b), Some(Way::PunchedUdp));
}

#[test]
fn only_allowed_ways_are_told_and_no_address_where_only_relays_are() {
    let ways = [
        (Ways::ALL, 3, 4, true),
        (Ways { proxy65: true, in_band: true, ..Ways::NONE }, 0, 4, true),
        (Ways { direct: true, ..Ways::NONE }, 1, 0, false),
        (Ways { punched: true, mapped: true, ..Ways::NONE }, 2, 0, false),
    ];
    for (ways, candidates, proxies, in_band) in ways {
        let (mut world, _, b) = offered(3);
        let settings = crate::settings::Settings { ways, ..world.at(b.0).settings.clone() };
        world.handle(b.0, Input::Settings(settings));
        world.handle(b.0, Input::Link(LinkEvent::Candidates(all_candidates())));
        world.handle(b.0, Input::Session(SessionEvent::Services(services())));
        world.accept(b.0, b.1).unwrap();
        world.settle();
        let reach = &connects(&world, b.0)[0].reach;
        assert_eq!((reach.candidates.len(), reach.proxies.len(), reach.in_band), (candidates, proxies, in_band));
        assert_eq!(reach.stream_id.is_some(), proxies > 0 || in_band);
        let text = format!("{:?}", world.at(b.0).sent);
        assert_eq!(text.contains("192.0.2.1"), candidates > 0, "{ways:?}");
    }
}

#[test]
fn in_band_is_told_only_for_contents_within_the_limit_and_the_person_hears_why_not() {
    for (size, told) in [(1 << 20, true), ((1 << 20) + 1, false)] {
        let (mut world, a, b) = offered_of(size);
        world.faults.no_links = true;
        world.accept(b.0, b.1).unwrap();
        world.settle();
        assert_eq!(connects(&world, b.0)[0].reach.in_band, told);
        let attempts = world.at(b.0).domain.live_view(b.1, world.clock(b.0).mono).attempts;
        assert_eq!(attempts.iter().any(|attempt| attempt.way == Way::InBand), !told, "{attempts:?}");
        assert_eq!(world.state(a.0, a.1), "connecting");
    }
}

#[test]
fn bytestreams_have_one_name_until_there_is_a_link_and_another_one_afterwards() {
    let (mut world, _, b) = sending_by(Way::Proxy65);
    world.pass(115_000);
    let names: Vec<_> = connects(&world, b.0).into_iter().map(|connect| connect.reach.stream_id.unwrap()).collect();
    assert_eq!(names[0].len(), 32);
    assert_ne!(names[0], names[1]);
    // The link that stands has its own: a new one could not meet at the same proxy under the same name.
    world.handle(
        b.0,
        Input::Link(LinkEvent::Up {
            transfer: b.1,
            link: LinkTag(77),
            way: Way::InBand,
            relay: None,
            attempts: vec![],
        }),
    );
    assert_eq!(way(&world, b), Some(Way::InBand));
}

#[test]
fn who_asks_for_a_link_says_how_long_the_answer_takes_to_come_back() {
    let (world, _, b) = sending_by(Way::DirectTcp6);
    let delay = connects(&world, b.0)[0].delay;
    assert!((1..=200).contains(&delay), "{delay}");
}

/// The `connect` that the other side sends, once more, and what is answered.
fn asked_again(world: &mut World, node: Node, from: (&str, &str), connect: &Connect) -> Option<Wait> {
    match ask(world, node, from.0, from.1, Request::Connect(connect.clone())) {
        SessionCommand::Answer { answer: Err(refusal), .. } => refusal.wait,
        _ => None,
    }
}

#[test]
fn a_contact_that_asks_for_a_link_again_and_again_does_not_have_us_dial_each_time() {
    let (mut world, a, b) = sending_by(Way::Proxy65);
    let connect = connects(&world, b.0)[0].clone();
    let dialled = (0..500).filter(|_| asked_again(&mut world, a.0, ("bob", "b1"), &connect).is_none()).count();
    assert!((4..=16).contains(&dialled), "{dialled} times");
    assert_eq!(asked_again(&mut world, a.0, ("bob", "b1"), &connect), Some(Wait::Busy));
    world.pass(60_000);
    assert_eq!(asked_again(&mut world, a.0, ("bob", "b1"), &connect), None);
    world.settle();
    assert_eq!((world.state(a.0, a.1), world.state(b.0, b.1)), ("done", "done"));
}

#[test]
fn a_look_for_a_better_way_that_crosses_a_stall_brings_a_link_by_any_way() {
    let (mut world, a, b) = sending_by(Way::Proxy65);
    world.stall_links(a.0);
    world.faults.lose = 100;
    world.pass(4_500);
    let ours = connects(&world, b.0)[0].clone();
    let fingerprint = world.at(a.0).settings.fingerprint;
    let better_than = Some(Way::Proxy65);
    asked_again(&mut world, b.0, ("alice", "a1"), &Connect { fingerprint, better_than, ..ours });
    assert_eq!(world.at(b.0).grants[&b.1.into()].better_than, None);
}

#[test]
fn a_look_for_a_better_way_that_is_answered_with_what_was_not_agreed_ends_and_the_link_stays() {
    let (mut world, a, b) = sending_by(Way::Proxy65);
    let fingerprint = world.at(a.0).settings.fingerprint;
    world.faults.lose = 100;
    for (key, content) in [(Fingerprint([9; 32]), None), (fingerprint, Some(InfoHash([9; 20])))] {
        let sent = world.at(b.0).sent.len();
        let asked = |command: &SessionCommand| match command {
            SessionCommand::Request { token, request: Request::Connect(connect), .. } => {
                Some((*token, connect.clone()))
            }
            _ => None,
        };
        world.pass(FIRST_LOOKS);
        let (token, ours) = world.at(b.0).sent[sent..].iter().find_map(asked).unwrap();
        assert!(world.at(b.0).domain.live[&b.1].seeking.is_some());
        let info_hash = content.unwrap_or(ours.info_hash);
        let outcome = Outcome::Answered(Answer::Connect(Connect { fingerprint: key, info_hash, ..ours }));
        world.handle(b.0, Input::Session(SessionEvent::Answered { token, outcome, by: Some(fingerprint) }));
        let live = &world.at(b.0).domain.live[&b.1];
        assert!(live.seeking.is_none() && live.seek_at.is_none(), "it is still sought: {live:?}");
        assert_eq!((way(&world, b), world.state(b.0, b.1)), (Some(Way::Proxy65), "receiving"));
    }
}

#[test]
fn what_is_remembered_of_attempts_stays_within_its_bound() {
    let (mut world, _, b) = offered_of((1 << 20) + 1);
    world.faults.no_links = true;
    world.accept(b.0, b.1).unwrap();
    world.pass(1_000);
    let attempt = crate::input::Attempt { way: Way::DirectTcp6, reason: "nobody answered".into() };
    let failed = LinkEvent::Failed { transfer: b.1, attempts: vec![attempt; 2 * ATTEMPTS] };
    world.handle(b.0, Input::Link(failed));
    let attempts = world.at(b.0).domain.live_view(b.1, world.clock(b.0).mono).attempts;
    assert_eq!(attempts.len(), ATTEMPTS);
    assert!(attempts.iter().any(|attempt| attempt.way == Way::InBand), "also why it does not go through the server");
}
