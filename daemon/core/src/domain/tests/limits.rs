//! Bounds: what others may make us keep and do, and what many transfers may cost.

use std::time::Duration;

use super::restart::ask;
use super::world::person::{alice_and_bob, offered};
use super::world::{World, jid};
use crate::effect::Persist;
use crate::ids::{FullJid, OfferId};
use crate::input::{Input, TorrentEvent};
use crate::limits::{OFFERS_PER_CONTACT, REQUESTS_PER_DEVICE, TOMBSTONES};
use crate::session::{SessionCommand, SessionEvent};
use crate::signal::{Answer, Condition, Request};

#[test]
fn offers_of_one_contact_are_bounded_and_the_others_come_as_the_first_are_answered() {
    let (mut world, alice, bob) = alice_and_bob(1);
    for _ in 0..OFFERS_PER_CONTACT + 50 {
        world.send(alice, &["bob"]);
    }
    world.settle();
    assert_eq!(world.list(bob).len(), OFFERS_PER_CONTACT);
    let before = world.at(alice).sent.len();
    world.settle();
    let asked = world.at(alice).sent.len() - before;
    assert!(asked < 60, "{asked} requests in ten minutes although nobody answers");
    for id in world.list(bob).iter().map(|t| t.id).take(100).collect::<Vec<_>>() {
        world.decline(bob, id).unwrap();
    }
    world.settle();
    assert_eq!(world.list(bob).len(), OFFERS_PER_CONTACT + 50);
}

#[test]
fn a_device_that_took_no_more_offers_is_asked_again_by_itself() {
    let (mut world, alice, bob) = alice_and_bob(9);
    for number in 0..OFFERS_PER_CONTACT {
        world.send_file(alice, &format!("file-{number}"), &["bob"], Some(3_600_000)).unwrap();
    }
    world.settle();
    let last = world.send(alice, &["bob"])[0];
    world.settle();
    assert_eq!((world.state(alice, last), world.why(alice, last)), ("queued", Some("put-off")));
    world.pass(3_600_000);
    assert_eq!(world.state(alice, last), "offered");
    assert_eq!(world.states(bob).iter().filter(|s| **s == "offered").count(), 1);
}

#[test]
fn requests_in_flight_to_one_device_are_bounded() {
    let (mut world, alice, bob) = alice_and_bob(2);
    world.faults.lose = 100;
    for _ in 0..50 {
        world.send(alice, &["bob"]);
    }
    world.pass(1_000);
    let asked =
        |c: &&SessionCommand| matches!(c, SessionCommand::Request { request, .. } if *request != Request::Hello);
    assert_eq!(world.at(alice).sent.iter().filter(asked).count(), REQUESTS_PER_DEVICE);
    world.faults.lose = 0;
    world.pass(30 * 60_000);
    assert_eq!(world.list(bob).len(), 50);
    assert!(world.at(alice).domain.live_is_bounded());
}

#[test]
fn strangers_are_answered_as_by_a_client_without_xbt_and_leave_nothing_behind() {
    let (mut world, (alice, _), (bob, _)) = offered(3);
    let offer = super::restart::offer_of(&world, alice);
    for number in 0..100 {
        let who = format!("stranger{number}");
        let device = FullJid::new(jid(&who), "x");
        world.handle(bob, Input::Session(SessionEvent::Available { device, xbt: true }));
        for request in [Request::Offer(offer.clone()), Request::Cancel { id: offer.id }, Request::Sync(Vec::new())] {
            let answer = ask(&mut world, bob, &who, "x", request);
            let SessionCommand::Answer { answer: Err(refusal), .. } = answer else { panic!("{answer:?}") };
            assert_eq!(refusal.condition, Condition::ServiceUnavailable);
            assert!(refusal.text.is_empty());
        }
    }
    let store = &world.at(bob).store;
    assert_eq!((store.contacts.len(), store.devices.len(), store.transfers.len()), (1, 1, 1));
}

#[test]
fn offers_that_cannot_be_true_are_refused_with_a_text() {
    let (mut world, (alice, _), (bob, _)) = offered(4);
    let good = super::restart::offer_of(&world, alice);
    let with = |change: &dyn Fn(&mut crate::signal::Offer)| {
        let mut offer = good.clone();
        offer.id = OfferId::from_random(99);
        change(&mut offer);
        offer
    };
    let bad = [
        with(&|o| o.files = 0),
        with(&|o| o.files = u64::MAX),
        with(&|o| o.metadata_size = 0),
        with(&|o| o.metadata_size = u32::MAX),
        with(&|o| o.size = u64::MAX),
        with(&|o| o.name.clear()),
        with(&|o| o.name = "../../../evil".into()),
        with(&|o| o.name = "/etc/passwd".into()),
        with(&|o| o.name = "a/b".into()),
        with(&|o| o.name = "a\0".into()),
        with(&|o| o.name = ".".into()),
        with(&|o| o.name = "..".into()),
        with(&|o| o.name = "n".repeat(1_025)),
        with(&|o| o.message = Some("m".repeat(4_097))),
        with(&|o| o.expires = Some(i64::MIN)),
    ];
    for offer in bad {
        let answer = ask(&mut world, bob, "alice", "a1", Request::Offer(offer));
        let SessionCommand::Answer { answer: Err(refusal), .. } = answer else { panic!("{answer:?}") };
        assert_eq!(refusal.condition, Condition::NotAcceptable);
        assert!(!refusal.text.is_empty());
    }
    assert_eq!(world.list(bob).len(), 1);
}

#[test]
fn words_from_outside_are_cut_to_their_bound_and_our_own_are_refused_beyond_it() {
    let (mut world, (alice, sent), _) = offered(7);
    let id = world.transfer(alice, sent).offer;
    ask(&mut world, alice, "bob", "b1", Request::Decline { id, message: Some("ü".repeat(9_999)) });
    let end = world.transfer(alice, sent).end().cloned();
    let Some(crate::transfer::End::Declined { message: Some(text) }) = end else { panic!("{end:?}") };
    assert_eq!(text.len(), crate::limits::MESSAGE);
    let fault = world.send_file(alice, &"n".repeat(2_000), &["bob"], None).unwrap_err();
    assert!(fault.code == "name-too-long" && !fault.hint.is_empty());
}

#[test]
fn resources_of_one_contact_are_bounded() {
    let (mut world, (alice, _), _) = offered(8);
    for number in 0..1_000 {
        let device = FullJid::new(jid("bob"), format!("r{number}"));
        world.handle(alice, Input::Session(SessionEvent::Available { device, xbt: true }));
    }
    assert_eq!(world.at(alice).domain.presence.len(), crate::limits::DEVICES_PER_CONTACT);
}

#[test]
fn tombstones_are_bounded_in_memory_as_in_the_store() {
    let (mut world, alice, _) = alice_and_bob(5);
    let id = world.send(alice, &["bob"])[0];
    world.pass(1_000);
    let row = world.transfer(alice, id).clone();
    let tombstones = (0..TOMBSTONES as u128 + 10).map(|n| crate::transfer::Tombstone {
        account: jid("alice"),
        contact: jid("bob"),
        offer: OfferId::from_random(n << 80 | n),
        direction: row.direction(),
        end: crate::transfer::End::Cancelled,
        at: crate::time::Wall(n as i64),
    });
    tombstones.for_each(|stone| world.at_mut(alice).store.apply(Persist::Tombstone(stone)));
    world.restart(alice);
    world.cancel(alice, id).unwrap();
    world.remove(alice, id).unwrap();
    assert_eq!(world.at(alice).domain.transfers.tombstones(), TOMBSTONES);
    assert_eq!(world.at(alice).store.tombstones.len(), TOMBSTONES);
}

/// A device with so many sends that wait for Bob.
fn with_sends(number: usize) -> (World, super::world::Node) {
    let (mut world, alice, bob) = alice_and_bob(6);
    world.logout(bob);
    world.pass(1_000);
    let id = world.send(alice, &["bob"])[0];
    world.pass(1_000);
    let row = world.transfer(alice, id).clone();
    for n in 1..number as u64 {
        let mut row = row.clone();
        row.id.0 += n;
        row.content.0 += n;
        row.offer = OfferId::from_random(u128::from(n));
        world.at_mut(alice).store.transfers.insert(row.id, row);
    }
    world.restart(alice);
    world.login(alice);
    world.pass(20_000);
    (world, alice)
}

/// How long this thread has had a processor: what else the computer does is not in it.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

/// What so many transfers take from their progress to their removal, a few inputs each.
fn life_of(count: usize) -> Duration {
    let (mut world, alice) = with_sends(count);
    let content = world.list(alice)[count / 2].content;
    let start = processor_time();
    for bytes in 0..count as u64 {
        let progress = TorrentEvent::PrepareProgress { content, bytes, total: count as u64 };
        world.handle(alice, Input::Torrent(progress));
    }
    let device = FullJid::new(jid("bob"), "b9");
    world.handle(alice, Input::Session(SessionEvent::Available { device: device.clone(), xbt: true }));
    // Every offer is acknowledged, eight at a time.
    let mut next = 0;
    while next < world.at(alice).sent.len() {
        let command = world.at(alice).sent[next].clone();
        next += 1;
        let (token, answer) = match command {
            SessionCommand::Request { token, request: Request::Hello, .. } => {
                (token, Answer::Hello(crate::signal::Epoch([1; 16])))
            }
            SessionCommand::Request { token, request: Request::Offer(_), .. } => (token, Answer::Acknowledged),
            _ => continue,
        };
        let (outcome, by) = (crate::signal::Outcome::Answered(answer), Some(world.key_at(&device)));
        world.handle(alice, Input::Session(SessionEvent::Answered { token, outcome, by }));
    }
    assert!(world.states(alice).iter().all(|s| *s == "offered"));
    assert!(world.states(alice).iter().all(|s| *s == "offered"));
    let ids: Vec<_> = world.list(alice).iter().map(|t| t.id).collect();
    for id in &ids {
        world.cancel(alice, *id).unwrap();
        world.remove(alice, *id).unwrap();
    }
    processor_time() - start
}

#[test]
fn ten_thousand_open_transfers_make_no_input_slow() {
    let (some, many) = (life_of(1_000), life_of(10_000));
    // Ten times as much, if an input takes the same time; a hundred times, if each looks at all transfers.
    assert!(many < 40 * some, "{some:?} for a tenth of what took {many:?}");
}
