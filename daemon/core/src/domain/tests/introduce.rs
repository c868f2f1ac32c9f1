//! Recipients of one content who help each other.

use super::world::*;
use crate::contact::Trust;
use crate::effect::{Effect, LinkCommand, LinkTag, TorrentCommand};
use crate::ids::{Fingerprint, FullJid, InfoHash, TransferId};
use crate::input::{Input, LinkEvent, TorrentEvent};
use crate::limits::{INTRODUCED_PER_TRANSFER, LINKS_PER_DEVICE};
use crate::session::{SessionCommand, SessionEvent};
use crate::settings::Settings;
use crate::signal::{Answer, Candidate, CandidateKind, Condition, Introduction, Refusal, Request, Signed, Token, Wait};
use crate::way::Ways;

/// Alice, who sends one content slowly, and so many who receive it and do not know each other.
fn crowd(seed: u64, recipients: usize) -> (World, Node, Vec<Node>) {
    let mut world = World::new(seed);
    world.pace = 60_000;
    let names: Vec<String> = (0..recipients).map(|n| format!("r{n}")).collect();
    names.iter().for_each(|name| world.befriend("alice", name));
    let alice = world.device("alice", "a1");
    let nodes: Vec<Node> = names.iter().map(|name| world.device(name, "b1")).collect();
    world.login(alice);
    nodes.iter().for_each(|node| world.login(*node));
    world.pass(1_000);
    (world, alice, nodes)
}

fn send_to_all(world: &mut World, alice: Node, nodes: &[Node]) -> Vec<TransferId> {
    let names: Vec<String> = (0..nodes.len()).map(|n| format!("r{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let sent = world.send(alice, &names);
    world.pass(3_000);
    for node in nodes {
        let id = world.list(*node).last().unwrap().id;
        world.accept(*node, id).unwrap();
    }
    world.pass(3_000);
    sent
}

/// The links between two who receive, by their nodes.
fn helping(world: &World) -> Vec<(Node, Node)> {
    world.links.values().filter(|l| l.introduced).map(|l| (l.ends[0].0, l.ends[1].0)).collect()
}

fn degree(world: &World, node: Node) -> usize {
    helping(world).iter().filter(|(a, b)| *a == node || *b == node).count()
}

fn set(world: &mut World, node: Node, change: impl FnOnce(&mut Settings)) {
    let mut settings = world.at(node).settings.clone();
    change(&mut settings);
    world.at_mut(node).settings = settings.clone();
    world.handle(node, Input::Settings(settings));
}

/// What Alice's device is made to say, and what it hears.
fn told(world: &mut World, node: Node, from: Node, introduction: Introduction) -> Result<Answer, Refusal> {
    let key = world.at(from).settings.fingerprint;
    let from = world.at(from).jid();
    let signed = world.stamped(node, &from, key);
    told_as(world, node, from, introduction, Some(signed))
}

/// The same as somebody on the way may have made or changed it.
fn told_as(
    world: &mut World,
    node: Node,
    from: FullJid,
    introduction: Introduction,
    signed: Option<Signed>,
) -> Result<Answer, Refusal> {
    let now = world.clock(node);
    let token = Token(1 << 50 | world.count());
    let request = Request::Introduce(introduction);
    let input = Input::Session(SessionEvent::Requested { token, from, request, signed });
    let effects = world.at_mut(node).domain.handle(input, now);
    let answer = effects.iter().find_map(|effect| match effect {
        Effect::Session(SessionCommand::Answer { answer, .. }) => Some(answer.clone()),
        _ => None,
    });
    let wants = effects.iter().filter(|e| matches!(e, Effect::Link(LinkCommand::Dial(_)))).count();
    assert!(wants <= usize::from(matches!(answer, Some(Ok(_)))), "nobody is dialled for what is refused");
    answer.unwrap()
}

fn stranger(world: &World, node: Node, number: u8) -> Introduction {
    let transfer = world.transfer(node, world.only(node));
    Introduction {
        id: transfer.offer,
        info_hash: transfer.facts.as_ref().unwrap().info_hash,
        fingerprint: Fingerprint([200 + number; 32]),
        candidates: vec![Candidate { kind: CandidateKind::Host, address: "192.0.2.99:6000".parse().unwrap() }],
    }
}

fn tells_of(world: &mut World, node: Node, from: Node, number: u8) -> Result<Answer, Refusal> {
    let introduction = stranger(world, node, number);
    told(world, node, from, introduction)
}

#[test]
fn recipients_of_one_send_are_introduced_and_pass_on_what_they_have() {
    let (mut world, alice, nodes) = crowd(1, 3);
    let sent = send_to_all(&mut world, alice, &nodes);
    assert_eq!(helping(&world).len(), 3, "each pair");
    for node in &nodes {
        assert_eq!(world.states(*node), ["receiving"]);
        let history = &world.transfer(*node, world.only(*node)).history;
        assert_eq!(history.iter().filter(|step| step.state == "receiving").count(), 1, "{history:?}");
    }
    world.settle();
    for id in sent {
        assert_eq!(world.state(alice, id), "done");
    }
    assert!(helping(&world).is_empty(), "they end with the transfers");
    assert!(nodes.iter().all(|node| world.at(*node).grants.is_empty()));
}

#[test]
fn recipients_of_several_sends_of_the_same_are_introduced_too() {
    let (mut world, alice, nodes) = crowd(2, 2);
    for name in ["r0", "r1"] {
        world.send_file(alice, "the same", &[name], None).unwrap();
    }
    world.pass(3_000);
    nodes.iter().for_each(|node| drop(world.accept(*node, world.only(*node)).unwrap()));
    world.pass(3_000);
    assert_eq!(helping(&world).len(), 1);
}

#[test]
fn nobody_is_introduced_against_the_will_of_any_of_the_three() {
    for unwilling in 0..3 {
        let (mut world, alice, nodes) = crowd(3, 2);
        let node = [alice, nodes[0], nodes[1]][unwilling];
        set(&mut world, node, |settings| settings.introduce = false);
        let sent = send_to_all(&mut world, alice, &nodes);
        let told = |c: &SessionCommand| matches!(c, SessionCommand::Request { request: Request::Introduce(_), .. });
        assert!(!world.at(alice).sent.iter().any(told), "{unwilling}");
        assert!(helping(&world).is_empty());
        world.settle();
        sent.iter().for_each(|id| assert_eq!(world.state(alice, *id), "done"));
    }
}

#[test]
fn who_tells_no_address_that_tcp_can_dial_is_not_introduced() {
    let (mut world, alice, nodes) = crowd(4, 2);
    set(&mut world, nodes[0], |s| s.ways = Ways { direct: false, mapped: false, ..Ways::ALL });
    send_to_all(&mut world, alice, &nodes);
    let refused = tells_of(&mut world, nodes[0], alice, 1).unwrap_err();
    assert_eq!(refused.condition, Condition::Forbidden);
    assert!(helping(&world).is_empty());
}

#[test]
fn in_a_large_group_everybody_knows_some_and_nobody_more_than_the_bound() {
    let (mut world, alice, nodes) = crowd(5, 30);
    send_to_all(&mut world, alice, &nodes);
    world.pass(10_000);
    let degrees: Vec<usize> = nodes.iter().map(|node| degree(&world, *node)).collect();
    assert!(degrees.iter().all(|d| (3..=INTRODUCED_PER_TRANSFER).contains(d)), "{degrees:?}");
}

#[test]
fn only_the_device_that_serves_a_running_transfer_introduces_others_for_it() {
    let (mut world, alice, nodes) = crowd(6, 2);
    let mallory = world.device("alice", "a2");
    world.login(mallory);
    send_to_all(&mut world, alice, &nodes);
    let node = nodes[0];
    let good = stranger(&world, node, 1);
    let condition =
        |world: &mut World, from, introduction| told(world, node, from, introduction).unwrap_err().condition;
    assert_eq!(condition(&mut world, mallory, good.clone()), Condition::Forbidden, "another device of hers");
    assert_eq!(condition(&mut world, nodes[1], good.clone()), Condition::ServiceUnavailable, "somebody else");
    let other = Introduction { info_hash: InfoHash([9; 20]), ..good.clone() };
    assert_eq!(condition(&mut world, alice, other), Condition::NotAcceptable);
    let other = Introduction { id: crate::ids::OfferId::from_random(7), ..good.clone() };
    assert_eq!(condition(&mut world, alice, other), Condition::ItemNotFound);
    for fingerprint in [world.at(node).settings.fingerprint, world.at(alice).settings.fingerprint] {
        let other = Introduction { fingerprint, ..good.clone() };
        assert_eq!(condition(&mut world, alice, other), Condition::NotAcceptable);
    }
    let kind = CandidateKind::Reflexive;
    let candidates = good.candidates.iter().map(|c| Candidate { kind, ..*c }).collect();
    assert_eq!(condition(&mut world, alice, Introduction { candidates, ..good.clone() }), Condition::NotAcceptable);
    assert_eq!(told(&mut world, node, alice, good.clone()), Ok(Answer::Acknowledged));
    world.cancel(node, world.only(node)).unwrap();
    assert_eq!(condition(&mut world, alice, good), Condition::ItemNotFound, "it has ended");
}

#[test]
fn an_offer_that_nobody_has_accepted_brings_no_introductions() {
    let (mut world, alice, nodes) = crowd(7, 1);
    world.send(alice, &["r0"]);
    world.pass(3_000);
    let refused = tells_of(&mut world, nodes[0], alice, 1).unwrap_err();
    assert_eq!(refused.condition, Condition::ItemNotFound);
}

#[test]
fn introductions_are_bounded_and_the_same_one_is_dialled_once() {
    let (mut world, alice, nodes) = crowd(8, 1);
    send_to_all(&mut world, alice, &nodes);
    let node = nodes[0];
    let numbers = 0..INTRODUCED_PER_TRANSFER as u8;
    for number in numbers {
        assert!(tells_of(&mut world, node, alice, number).is_ok());
    }
    let refused = tells_of(&mut world, node, alice, 50).unwrap_err();
    assert_eq!((refused.condition, refused.wait), (Condition::ResourceConstraint, Some(Wait::Busy)));
    // Said again it is taken, and changes nothing.
    let known = stranger(&world, node, 0);
    let (from, key) = (world.at(alice).jid(), world.at(alice).settings.fingerprint);
    let signed = Some(world.stamped(node, &from, key));
    let (token, request, now) = (Token(1 << 51), Request::Introduce(known), world.clock(node));
    let again = Input::Session(SessionEvent::Requested { token, from, request, signed });
    let effects = world.at_mut(node).domain.handle(again, now);
    assert!(matches!(effects[..], [Effect::Session(SessionCommand::Answer { answer: Ok(_), .. })]), "{effects:?}");
    let refused = (0..100).find_map(|_| tells_of(&mut world, node, alice, 0).err());
    assert_eq!(refused.unwrap().wait, Some(Wait::Busy), "too often");
}

#[test]
fn one_device_gets_no_more_links_by_introductions_than_a_pair_has() {
    let (mut world, alice, nodes) = crowd(9, 1);
    let node = nodes[0];
    for _ in 0..=LINKS_PER_DEVICE {
        send_to_all(&mut world, alice, &nodes);
    }
    let all: Vec<_> = world.list(node).into_iter().cloned().collect();
    let about = |t: &crate::transfer::Transfer| Introduction {
        id: t.offer,
        info_hash: t.facts.as_ref().unwrap().info_hash,
        fingerprint: Fingerprint([200; 32]),
        candidates: vec![Candidate { kind: CandidateKind::Host, address: "192.0.2.99:6000".parse().unwrap() }],
    };
    let (fifth, four) = all.split_last().unwrap();
    four.iter().for_each(|transfer| drop(told(&mut world, node, alice, about(transfer)).unwrap()));
    assert_eq!(told(&mut world, node, alice, about(fifth)).unwrap_err().wait, Some(Wait::Turn));
    world.cancel(node, four[0].id).unwrap();
    assert!(told(&mut world, node, alice, about(fifth)).is_ok(), "one has ended");
}

#[test]
fn a_server_that_speaks_as_the_sender_can_introduce_nobody() {
    let (mut world, alice, nodes) = crowd(10, 2);
    let node = nodes[0];
    send_to_all(&mut world, alice, &nodes);
    let forged = stranger(&world, node, 1);
    let from = world.at(alice).jid();
    let key = world.at(nodes[1]).settings.fingerprint;
    let another = world.stamped(node, &from, key);
    for signed in [None, Some(another)] {
        let refused = told_as(&mut world, node, from.clone(), forged.clone(), signed);
        assert_eq!(refused.unwrap_err().condition, Condition::Forbidden, "{signed:?}");
    }
    assert!(told(&mut world, node, alice, forged).is_ok());
}

#[test]
fn an_introduction_that_comes_again_does_nothing() {
    let (mut world, alice, nodes) = crowd(12, 1);
    let node = nodes[0];
    send_to_all(&mut world, alice, &nodes);
    let (from, key) = (world.at(alice).jid(), world.at(alice).settings.fingerprint);
    let signed = Some(world.stamped(node, &from, key));
    let known = stranger(&world, node, 0);
    assert!(told_as(&mut world, node, from.clone(), known.clone(), signed).is_ok());
    world
        .handle(node, Input::Link(LinkEvent::IntroducedFailed { transfer: world.only(node), peer: known.fingerprint }));
    world.pass(60_000);
    for restarts in [false, true] {
        if restarts {
            world.restart(node);
            world.login(node);
            world.pass(5_000);
        }
        let refused = told_as(&mut world, node, from.clone(), known.clone(), signed).unwrap_err();
        assert_eq!(refused.wait, Some(Wait::Hello), "restarts: {restarts}");
    }
}

#[test]
fn who_introduces_a_device_gets_none_of_the_links_that_belong_to_its_own_transfer() {
    let (mut world, alice, nodes) = crowd(13, 1);
    let node = nodes[0];
    world.befriend("r0", "dave");
    world.roster_push(node, "dave");
    send_to_all(&mut world, alice, &nodes);
    let hers = world.only(node);
    let dave = FullJid::new(jid("dave"), "d1");
    let key = world.key_at(&dave);
    let introduction = Introduction { fingerprint: key, ..stranger(&world, node, 1) };
    assert!(told(&mut world, node, alice, introduction.clone()).is_ok());
    assert_eq!(world.at(node).domain.live[&hers].introduced.len(), 1);
    // Dave sends the same himself.
    let id = crate::ids::OfferId::from_random(7);
    let offer = crate::signal::Offer { id, fingerprint: key, ..super::restart::offer_of(&world, alice) };
    let info_hash = offer.info_hash;
    world.speak(node, &dave, key, Request::Offer(offer));
    let his = world.list(node).last().unwrap().id;
    world.accept(node, his).unwrap();
    let reach = crate::signal::Reach::default();
    let connect = crate::signal::Connect {
        id,
        info_hash,
        fingerprint: key,
        reach,
        delay: 0,
        better_than: None,
        introduce: false,
    };
    let answer = world.speak(node, &dave, key, Request::Connect(connect));
    assert!(matches!(answer, SessionCommand::Answer { answer: Ok(_), .. }), "{answer:?}");
    assert!(world.at(node).domain.live[&hers].introduced.is_empty(), "its links belong to its own transfer");
    let refused = told(&mut world, node, alice, introduction).unwrap_err();
    assert_eq!(refused.condition, Condition::NotAcceptable);
}

#[test]
fn a_key_that_we_have_blocked_is_refused_whoever_introduces_it() {
    let (mut world, alice, nodes) = crowd(10, 1);
    let node = nodes[0];
    send_to_all(&mut world, alice, &nodes);
    let introduction = stranger(&world, node, 1);
    let row = crate::contact::Device {
        unseen: false,
        account: jid("r0"),
        contact: jid("somebody"),
        fingerprint: introduction.fingerprint,
        resource: "x".into(),
        first_seen: crate::time::Wall(0),
        trust: Trust::Blocked,
    };
    world.at_mut(node).domain.devices.add(row);
    let refused = told(&mut world, node, alice, introduction).unwrap_err();
    assert_eq!(refused.condition, Condition::Forbidden);
}

#[test]
fn a_lost_introduced_link_is_no_loss_of_the_transfers_own_and_comes_again() {
    let (mut world, alice, nodes) = crowd(11, 2);
    send_to_all(&mut world, alice, &nodes);
    let node = nodes[0];
    let id = world.only(node);
    let before = world.transfer(node, id).clone();
    let link = world.links.values().find(|l| l.introduced).unwrap().ends[0].3;
    world.close(link, "the connection was lost");
    world.pass(200);
    assert!(helping(&world).is_empty());
    assert_eq!(world.transfer(node, id), &before, "not a word of it");
    world.pass(10_000);
    assert_eq!(helping(&world).len(), 1, "both look again");
}

#[test]
fn whoever_is_gone_is_not_dialled_for_ever_and_the_transfer_ends_without_it() {
    let (mut world, alice, nodes) = crowd(12, 2);
    let sent = send_to_all(&mut world, alice, &nodes);
    let (node, gone) = (nodes[0], nodes[1]);
    world.logout(gone);
    world.lose_links(gone);
    world.at_mut(gone).grants.clear();
    world.at_mut(gone).settings.fingerprint = Fingerprint([250; 32]);
    world.until(node, world.only(node), "done");
    world.pass(10_000);
    assert_eq!(world.state(alice, sent[0]), "done");
    assert!(world.at(node).grants.is_empty());
}

#[test]
fn pausing_closes_introduced_links_and_going_on_brings_them_back() {
    let (mut world, alice, nodes) = crowd(13, 2);
    send_to_all(&mut world, alice, &nodes);
    let id = world.only(nodes[0]);
    world.pause(nodes[0], id).unwrap();
    world.pass(1_000);
    assert!(helping(&world).is_empty());
    let refused = tells_of(&mut world, nodes[0], alice, 1).unwrap_err();
    assert_eq!(refused.wait, Some(Wait::Paused));
    world.resume(nodes[0], id).unwrap();
    world.pass(20_000);
    assert_eq!(helping(&world).len(), 1);
}

#[test]
fn forbidding_introductions_closes_the_links_that_they_brought() {
    let (mut world, alice, nodes) = crowd(14, 2);
    send_to_all(&mut world, alice, &nodes);
    assert_eq!(helping(&world).len(), 1);
    set(&mut world, nodes[1], |settings| settings.introduce = false);
    world.pass(1_000);
    assert!(helping(&world).is_empty());
    assert_eq!(world.states(nodes[1]), ["receiving"]);
}

#[test]
fn a_link_that_nobody_was_introduced_for_is_closed() {
    let (mut world, alice, nodes) = crowd(15, 1);
    send_to_all(&mut world, alice, &nodes);
    let (node, link) = (nodes[0], LinkTag(77));
    let up = LinkEvent::IntroducedUp { transfer: world.only(node), peer: Fingerprint([99; 32]), link };
    let now = world.clock(node);
    let effects = world.at_mut(node).domain.handle(Input::Link(up), now);
    assert_eq!(effects, [Effect::Torrent(TorrentCommand::Detach(link))]);
    assert!(world.at(node).domain.transfer_of_link(link).is_none());
}

#[test]
fn a_link_that_ends_before_it_is_known_is_not_kept() {
    let (mut world, alice, nodes) = crowd(16, 1);
    send_to_all(&mut world, alice, &nodes);
    let (node, link) = (nodes[0], LinkTag(77));
    let introduction = stranger(&world, node, 1);
    told(&mut world, node, alice, introduction.clone()).unwrap();
    world.handle(node, Input::Torrent(TorrentEvent::LinkClosed { link, reason: "gone".into() }));
    let (transfer, peer) = (world.only(node), introduction.fingerprint);
    world.handle(node, Input::Link(LinkEvent::IntroducedUp { transfer, peer, link }));
    assert!(world.at(node).domain.transfer_of_link(link).is_none());
}

#[test]
fn what_goes_over_introduced_links_counts_for_the_transfer() {
    let (mut world, alice, nodes) = crowd(17, 1);
    send_to_all(&mut world, alice, &nodes);
    let (node, link) = (nodes[0], LinkTag(77));
    let introduction = stranger(&world, node, 1);
    told(&mut world, node, alice, introduction.clone()).unwrap();
    let (transfer, peer) = (world.only(node), introduction.fingerprint);
    world.handle(node, Input::Link(LinkEvent::IntroducedUp { transfer, peer, link }));
    for (uploaded, downloaded) in [(10, 100), (30, 400)] {
        world.handle(node, Input::Torrent(TorrentEvent::PeerProgress { link, has: 0, uploaded, downloaded }));
    }
    let view = world.at(node).domain.live_view(transfer, world.clock(node).mono);
    assert_eq!((view.uploaded, view.downloaded), (30, 400));
}
