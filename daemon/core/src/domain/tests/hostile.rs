//! What a contact may do with requests that are all in order.

use super::restart::{ask, offer_of};
use super::world::person::{alice_and_bob, offered};
use super::world::{Node, World, jid};
use crate::effect::Event;
use crate::ids::{Fingerprint, InfoHash, OfferId, TransferId};
use crate::input::{Command, Input};
use crate::limits::{LINKS_PER_DEVICE, OPEN_PER_CONTACT, VAIN_PER_CONTACT};
use crate::session::{SessionCommand, SessionEvent};
use crate::signal::{Answer, Condition, Connect, Offer, Refusal, Request};

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

/// Accepts an offer of Mallory's that names a key, and lets her ask for its link.
fn claim(world: &mut World, bob: Node, number: u128, fingerprint: Fingerprint) -> TransferId {
    let offer =
        Offer { info_hash: InfoHash([number as u8; 20]), fingerprint, ..like(&offer_of(world, Node(0)), number) };
    let (id, info_hash) = (offer.id, offer.info_hash);
    asks(world, bob, ("mallory", "m1"), Request::Offer(offer)).unwrap();
    let row = world.list(bob).last().map(|t| t.id).unwrap();
    world.accept(bob, row).unwrap();
    let connect = Connect {
        id,
        info_hash,
        fingerprint,
        reach: crate::signal::Reach::default(),
        delay: 0,
        better_than: None,
        introduce: false,
    };
    asks(world, bob, ("mallory", "m1"), Request::Connect(connect)).unwrap();
    row
}

#[test]
fn who_claims_the_key_of_somebody_elses_device_takes_none_of_its_turns() {
    let (mut world, alice, bob) = alice_and_bob(7);
    world.befriend("mallory", "bob");
    world.roster_push(bob, "mallory");
    world.faults.no_links = true;
    world.send(alice, &["bob"]);
    world.pass(5_000);
    let from_alice = world.only(bob);
    let key = world.at(alice).settings.fingerprint;
    for number in 1..=LINKS_PER_DEVICE as u128 {
        claim(&mut world, bob, number, key);
    }
    world.accept(bob, from_alice).unwrap();
    assert_ne!(world.why(bob, from_alice), Some("turn"));
}
