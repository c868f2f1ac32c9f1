//! What a contact may do with requests that are all in order.

use super::restart::{ask, offer_of};
use super::world::person::{alice_and_bob, offered};
use super::world::{Node, World, jid};
use crate::effect::Event;
use crate::ids::{Fingerprint, FullJid, OfferId};
use crate::input::{Command, Input};
use crate::limits::{OPEN_PER_CONTACT, VAIN_PER_CONTACT};
use crate::session::{SessionCommand, SessionEvent};
use crate::signal::{Answer, Condition, Connect, Offer, Refusal, Request, Signed};
use crate::transfer::Transfer;

type Answered = Result<Answer, Refusal>;

fn asks(world: &mut World, node: Node, from: (&str, &str), request: Request) -> Answered {
    match ask(world, node, from.0, from.1, request) {
        SessionCommand::Answer { answer, .. } => answer,
        other => panic!("{other:?}"),
    }
}

/// Another one like this offer.
fn like(offer: &Offer, number: u128) -> Offer {
    Offer { id: OfferId::from_random(number << 80 | number), ..offer.clone() }
}

#[test]
fn offers_that_are_taken_back_again_and_again_leave_a_bounded_list() {
    let (mut world, (alice, _), (bob, first)) = offered(1);
    let offer = offer_of(&world, alice);
    for number in 1..=2 * VAIN_PER_CONTACT as u128 {
        let offer = like(&offer, number);
        let id = offer.id;
        assert!(asks(&mut world, bob, ("alice", "a1"), Request::Offer(offer)).is_ok());
        assert!(asks(&mut world, bob, ("alice", "a1"), Request::Cancel { id }).is_ok());
    }
    assert_eq!(world.list(bob).len(), 1 + VAIN_PER_CONTACT);
    assert_eq!(world.state(bob, first), "offered", "what is open stays");
    let store = &world.at(bob).store;
    assert_eq!((store.transfers.len(), store.contents.len()), (1 + VAIN_PER_CONTACT, 1 + VAIN_PER_CONTACT));
    assert_eq!(store.tombstones.len(), 0, "the tombstones of others are not pushed out");
    assert!(world.at(bob).domain.live_is_bounded());
}

#[test]
fn what_was_accepted_and_came_to_nothing_does_not_come_back_when_its_row_has_gone() {
    let (mut world, (alice, _), (bob, first)) = offered(2);
    let offer = offer_of(&world, alice);
    world.accept(bob, first).unwrap();
    world.cancel(bob, first).unwrap();
    for number in 1..=VAIN_PER_CONTACT as u128 {
        let offer = like(&offer, number);
        let id = offer.id;
        asks(&mut world, bob, ("alice", "a1"), Request::Offer(offer)).unwrap();
        asks(&mut world, bob, ("alice", "a1"), Request::Cancel { id }).unwrap();
    }
    assert!(world.list(bob).iter().all(|t| t.id != first));
    asks(&mut world, bob, ("alice", "a1"), Request::Offer(offer)).unwrap();
    assert!(world.states(bob).iter().all(|state| *state == "cancelled"));
}

#[test]
fn open_transfers_of_a_contact_that_is_accepted_by_rule_are_bounded() {
    let (mut world, (alice, _), (bob, _)) = offered(3);
    let offer = offer_of(&world, alice);
    world.command(bob, Command::ContactAllow(jid("alice"))).unwrap();
    let mut refused = 0;
    for number in 1..=OPEN_PER_CONTACT as u128 + 10 {
        let offer = like(&offer, number);
        let answer = asks(&mut world, bob, ("alice", "a1"), Request::Offer(offer));
        refused += usize::from(answer.is_err_and(|refusal| refusal.condition == Condition::ResourceConstraint));
        if number % 200 == 0 {
            world.pass(6); // the folder is looked at, and Alice does not yet say that she knows none of them
        }
    }
    assert_eq!((world.list(bob).len(), refused), (OPEN_PER_CONTACT, 11));
}

#[test]
fn metadata_out_of_all_proportion_to_the_files_is_refused() {
    let (mut world, (alice, _), (bob, _)) = offered(4);
    let offer = like(&offer_of(&world, alice), 9);
    let small = Offer { size: 1, files: 1, metadata_size: 5 << 20, ..offer.clone() };
    let refusal = asks(&mut world, bob, ("alice", "a1"), Request::Offer(small)).unwrap_err();
    assert_eq!(refusal.condition, Condition::NotAcceptable);
    let large = Offer { size: 16 << 30, files: 1, metadata_size: 20 << 20, ..offer };
    assert!(asks(&mut world, bob, ("alice", "a1"), Request::Offer(large)).is_ok());
}

#[test]
fn metadata_counts_in_what_is_accepted_by_rule() {
    let (mut world, alice, bob) = alice_and_bob(5);
    world.at_mut(bob).settings.accept_max_size = 1 << 20;
    world.restart(bob);
    world.login(bob);
    world.send(alice, &["bob"]);
    world.pass(5_000);
    world.command(bob, Command::ContactAllow(jid("alice"))).unwrap();
    let offer = Offer { size: 1000, files: 1_000, metadata_size: 2 << 20, ..like(&offer_of(&world, alice), 9) };
    asks(&mut world, bob, ("alice", "a1"), Request::Offer(offer)).unwrap();
    let last = world.list(bob).last().map(|t| t.id).unwrap();
    assert_eq!(world.state(bob, last), "offered");
}

#[test]
fn a_stranger_that_asks_again_and_again_is_told_about_once() {
    let (mut world, alice, _) = alice_and_bob(6);
    for _ in 0..100 {
        world.handle(alice, Input::Session(SessionEvent::SubscriptionRequested(jid("mallory"))));
    }
    let told = |news: &&Event| matches!(news, Event::SubscriptionRequested(_));
    assert_eq!(world.at(alice).news.iter().filter(told).count(), 1);
}

/// Mallory, a contact of Bob's, and what she says with a key of hers.
fn mallory(world: &mut World, bob: Node) -> (FullJid, Fingerprint) {
    world.befriend("mallory", "bob");
    world.roster_push(bob, "mallory");
    let device = FullJid::new(jid("mallory"), "m1");
    let key = world.key_at(&device);
    (device, key)
}

fn condition(answer: SessionCommand) -> Option<Condition> {
    match answer {
        SessionCommand::Answer { answer, .. } => answer.err().map(|refusal| refusal.condition),
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_claims_the_key_of_somebody_elses_device_is_refused_and_told_about_once() {
    let (mut world, (alice, _), (bob, from_alice)) = offered(7);
    let (device, own) = mallory(&mut world, bob);
    let key = world.at(alice).settings.fingerprint;
    // With a signature of her own she only says so; and if she had the key itself, it would still be Alice's here.
    for (round, signs) in [own, key, own, key].into_iter().enumerate() {
        let offer = Offer { fingerprint: key, ..like(&offer_of(&world, alice), round as u128 + 1) };
        let answer = world.speak(bob, &device, signs, Request::Offer(offer));
        let expected = if signs == own { Condition::NotAcceptable } else { Condition::Forbidden };
        assert_eq!(condition(answer), Some(expected));
    }
    let claimed = Event::KeyClaimed { contact: jid("mallory"), owner: jid("alice"), fingerprint: key };
    assert_eq!(world.at(bob).news.iter().filter(|news| **news == claimed).count(), 1);
    assert_eq!(world.list(bob).len(), 1);
    assert!(!world.at(bob).store.devices.contains_key(&(jid("mallory"), key)));
    // Nor does she get the link, the turns or the end of what Alice sends.
    let Transfer { offer: id, facts, .. } = world.transfer(bob, from_alice).clone();
    let info_hash = facts.unwrap().info_hash;
    world.faults.no_links = true;
    world.accept(bob, from_alice).unwrap();
    world.pass(1_000);
    for fingerprint in [own, key] {
        let reach = crate::signal::Reach::default();
        let connect = Connect { id, info_hash, fingerprint, reach, delay: 0, better_than: None, introduce: false };
        assert!(condition(world.speak(bob, &device, own, Request::Connect(connect))).is_some());
        assert!(condition(world.speak(bob, &device, own, Request::Taken { id })).is_some());
    }
    assert_eq!((world.state(bob, from_alice), world.why(bob, from_alice)), ("connecting", None));
}

#[test]
fn a_key_is_free_again_once_the_contact_that_had_it_is_off_the_roster() {
    let (mut world, (alice, _), (bob, _)) = offered(8);
    let (device, _) = mallory(&mut world, bob);
    let key = world.at(alice).settings.fingerprint;
    let offer = Offer { fingerprint: key, ..like(&offer_of(&world, alice), 9) };
    assert!(condition(world.speak(bob, &device, key, Request::Offer(offer.clone()))).is_some());
    world.handle(bob, Input::Session(SessionEvent::RosterRemoved(jid("alice"))));
    assert_eq!(condition(world.speak(bob, &device, key, Request::Offer(offer))), None);
}

#[test]
fn what_is_not_signed_or_was_said_before_decides_nothing_and_is_counted() {
    let (mut world, (alice, sent), (bob, got)) = offered(9);
    world.accept(bob, got).unwrap();
    world.until(alice, sent, "sending");
    let from = world.at(bob).jid();
    let key = world.at(bob).settings.fingerprint;
    let id = world.transfer(alice, sent).offer;
    let connects = world.at(bob).sent.iter().filter_map(|c| match c {
        SessionCommand::Request { request: request @ Request::Connect(_), stamp, .. } => {
            Some((request.clone(), Some(Signed { key, stamp: *stamp })))
        }
        _ => None,
    });
    let mut attacks: Vec<_> = connects.collect();
    assert!(!attacks.is_empty(), "genuine ones");
    let other = world.stamped(alice, &from, Fingerprint([0xee; 32]));
    let stolen = Signed { key, stamp: other.stamp };
    let reason = String::new();
    for end in [
        Request::Done { id },
        Request::Decline { id, message: None },
        Request::Cancel { id },
        Request::Failed { id, reason },
    ] {
        for signed in [None, Some(other), Some(stolen)] {
            attacks.push((end.clone(), signed));
        }
    }
    for (request, signed) in attacks {
        let answer = world.say(alice, &from, request.clone(), signed);
        assert!(condition(answer).is_some(), "{request:?} {signed:?}");
        assert_eq!(world.state(alice, sent), "sending", "{request:?} {signed:?}");
    }
    let counted: Vec<_> = world.at(alice).domain.unproved_stanzas().collect();
    assert!(matches!(counted[..], [(Some(who), 5..)] if *who == jid("bob")), "{counted:?}");
    let told = |news: &&Event| **news == Event::Unproved(jid("bob"));
    assert_eq!(world.at(alice).news.iter().filter(told).count(), 1);
    world.settle();
    assert_eq!((world.state(alice, sent), world.state(bob, got)), ("done", "done"));
}

#[test]
fn a_device_that_only_says_that_it_runs_xbt_is_none_and_gets_nothing() {
    let (mut world, alice, _) = alice_and_bob(10);
    world.send(alice, &["bob"]);
    world.pass(5_000);
    let before = world.at(alice).news.len();
    world.at_mut(alice).sent.clear();
    let device = FullJid::new(jid("bob"), "evil");
    world.handle(alice, Input::Session(SessionEvent::Available { device: device.clone(), xbt: true }));
    for _ in 0..60 {
        world.send(alice, &["bob"]);
        world.pass(10_000);
    }
    let to_it = world.at(alice).sent.iter().filter_map(|c| match c {
        SessionCommand::Request { to, request, .. } if *to == device => Some(request),
        _ => None,
    });
    assert!(to_it.clone().all(|request| *request == Request::Hello));
    let count = to_it.count();
    assert!((2..20).contains(&count), "with pauses that grow: {count}");
    assert!(!world.at(alice).news[before..].iter().any(|news| matches!(news, Event::NewDevice { .. })));
    let devices = world.at(alice).domain.contact_of(&jid("bob")).unwrap().devices;
    assert_eq!(devices.len(), 1, "the one that has proved its key");
}
