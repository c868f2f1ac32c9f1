//! Blind before verification; afterwards an unknown key blocks, in both directions.

use super::restart::{ask, offer_of};
use super::world::person::offered;
use super::world::{Node, World, jid};
use crate::contact::Trust;
use crate::effect::Event;
use crate::ids::{Fingerprint, FullJid, OfferId};
use crate::input::Command;
use crate::session::SessionCommand;
use crate::signal::{Condition, Connect, Request, Role, SyncItem, SyncState};
use crate::transfer::Transfer;

fn verify(world: &mut World, node: Node, whose: &str, device: Node) {
    let fingerprint = world.at(device).settings.fingerprint;
    world.command(node, Command::DeviceVerified { contact: jid(whose), fingerprint }).unwrap();
}

fn refusal(answer: &SessionCommand) -> Option<Condition> {
    match answer {
        SessionCommand::Answer { answer: Err(refusal), .. } => Some(refusal.condition),
        _ => None,
    }
}

#[test]
fn a_new_device_is_accepted_and_announced_before_verification() {
    let (world, (alice, _), (bob, _)) = offered(1);
    let fingerprint = world.at(alice).settings.fingerprint;
    let news = Event::NewDevice { contact: jid("alice"), fingerprint, another: false, blocked: false };
    assert_eq!(world.at(bob).news.iter().filter(|n| **n == news).count(), 1);
    assert_eq!(world.at(bob).store.devices[&(jid("alice"), fingerprint)].trust, Trust::Unverified);
}

#[test]
fn after_verification_offers_of_an_unknown_key_are_refused_until_it_is_verified_too() {
    let (mut world, (alice, _), (bob, _)) = offered(2);
    verify(&mut world, bob, "alice", alice);
    let other = world.device("alice", "a2");
    world.login(other);
    world.pass(1_000);
    let sent = world.send(other, &["bob"])[0];
    world.pass(5_000);
    assert_eq!(world.list(bob).len(), 1, "nothing of the new device");
    assert_eq!(world.why(other, sent), Some("refused"));
    let fingerprint = world.at(other).settings.fingerprint;
    let news = Event::NewDevice { contact: jid("alice"), fingerprint, another: true, blocked: true };
    assert!(world.at(bob).news.contains(&news));
    verify(&mut world, bob, "alice", other);
    world.restart(other);
    world.login(other);
    world.settle();
    assert_eq!((world.list(bob).len(), world.state(other, sent)), (2, "offered"));
}

#[test]
fn a_second_key_is_unseen_until_the_person_looks_and_the_first_never_was() {
    let (mut world, _, (bob, _)) = offered(21);
    assert!(world.at(bob).domain.unseen_keys().is_empty());
    let other = world.device("alice", "a2");
    world.login(other);
    world.pass(1_000);
    world.send(other, &["bob"]);
    world.pass(5_000);
    let fingerprint = world.at(other).settings.fingerprint;
    let news = Event::NewDevice { contact: jid("alice"), fingerprint, another: true, blocked: false };
    assert!(world.at(bob).news.contains(&news));
    world.restart(bob);
    assert_eq!(world.at(bob).domain.unseen_keys(), [jid("alice")], "also after a restart");
    world.command(bob, Command::DevicesSeen(jid("alice"))).unwrap();
    world.restart(bob);
    assert!(world.at(bob).domain.unseen_keys().is_empty());
}

#[test]
fn a_send_to_a_blocked_key_says_so() {
    let (mut world, (alice, _), (bob, _)) = offered(22);
    verify(&mut world, bob, "alice", alice);
    world.logout(alice);
    let other = world.device("alice", "a2");
    world.login(other);
    world.pass(1_000);
    world.send(other, &["bob"]);
    world.pass(5_000);
    let sent = world.send(bob, &["alice"])[0];
    world.pass(5_000);
    assert_eq!(world.why(bob, sent), Some("key-blocked"));
    verify(&mut world, bob, "alice", other);
    world.pass(5_000);
    assert_eq!(world.state(bob, sent), "offered");
}

#[test]
fn after_verification_an_unknown_key_gets_no_link_and_has_no_say() {
    let (mut world, (alice, sent), (bob, got)) = offered(3);
    // Alice knows Bob's key from an earlier transfer, and has compared it.
    world.accept(bob, got).unwrap();
    world.settle();
    verify(&mut world, alice, "bob", bob);
    let next = world.send(alice, &["bob"])[0];
    let new = world.device("bob", "b2");
    world.login(new);
    world.settle();
    assert!(world.list(new).is_empty(), "nothing is offered to it");
    let Transfer { offer: id, facts, .. } = world.transfer(alice, next).clone();
    let connect = Connect {
        id,
        info_hash: facts.unwrap().info_hash,
        fingerprint: world.at(new).settings.fingerprint,
        reach: crate::signal::Reach::default(),
        delay: 0,
        better_than: None,
        introduce: false,
    };
    let answer = ask(&mut world, alice, "bob", "b2", Request::Connect(connect));
    assert_eq!(refusal(&answer), Some(Condition::Forbidden));
    assert_eq!(world.state(alice, next), "offered", "it is still there for the device that is known");
    for request in [Request::Decline { id, message: None }, Request::Cancel { id }, Request::Sync(Vec::new())] {
        let answer = ask(&mut world, alice, "bob", "b2", request);
        assert_eq!(refusal(&answer), Some(Condition::Forbidden));
    }
    let later = world.send(alice, &["bob"])[0];
    world.settle();
    assert_eq!((world.list(bob).len(), world.list(new).len()), (3, 0), "nothing is offered to it still");
    verify(&mut world, alice, "bob", new);
    world.settle();
    assert_eq!(world.list(new).len(), 2);
    assert_eq!((world.state(alice, sent), world.state(alice, later)), ("done", "offered"));
}

#[test]
fn nobody_else_has_our_key() {
    let (mut world, (alice, _), (bob, _)) = offered(4);
    let mut offer = offer_of(&world, alice);
    offer.id = OfferId::from_random(7);
    offer.fingerprint = world.at(bob).settings.fingerprint;
    let answer = ask(&mut world, bob, "alice", "a1", Request::Offer(offer));
    assert_eq!(refusal(&answer), Some(Condition::Forbidden));
}

#[test]
fn a_connect_for_another_content_or_of_another_contact_gets_no_address() {
    let (mut world, (alice, sent), (bob, _)) = offered(5);
    world.befriend("alice", "carol");
    world.roster_push(alice, "carol");
    let id = world.transfer(alice, sent).offer;
    let info_hash = offer_of(&world, alice).info_hash;
    let fingerprint = world.at(bob).settings.fingerprint;
    let connect = Connect {
        id,
        info_hash,
        fingerprint,
        reach: crate::signal::Reach::default(),
        delay: 0,
        better_than: None,
        introduce: false,
    };
    let fingerprint = world.key_at(&FullJid::new(jid("carol"), "c1"));
    let carols = Connect { fingerprint, ..connect.clone() };
    let answer = ask(&mut world, alice, "carol", "c1", Request::Connect(carols));
    assert_eq!(refusal(&answer), Some(Condition::ItemNotFound));
    let wrong = Connect { info_hash: crate::ids::InfoHash([9; 20]), ..connect };
    let answer = ask(&mut world, alice, "bob", "b1", Request::Connect(wrong));
    assert_eq!(refusal(&answer), Some(Condition::NotAcceptable));
    assert!(world.at(alice).grants.is_empty());
}

#[test]
fn the_sender_gets_no_link_before_the_person_has_accepted() {
    let (mut world, (alice, _), (bob, _)) = offered(6);
    let offer = offer_of(&world, alice);
    let (id, info_hash, fingerprint) = (offer.id, offer.info_hash, offer.fingerprint);
    let connect = Connect {
        id,
        info_hash,
        fingerprint,
        reach: crate::signal::Reach::default(),
        delay: 0,
        better_than: None,
        introduce: false,
    };
    let answer = ask(&mut world, bob, "alice", "a1", Request::Connect(connect));
    assert_eq!(refusal(&answer), Some(Condition::Forbidden));
    assert!(world.at(bob).grants.is_empty());
}

#[test]
fn keys_of_one_contact_are_bounded() {
    let (mut world, (alice, _), (bob, _)) = offered(7);
    let offer = offer_of(&world, alice);
    for number in 0..200u8 {
        let mut offer = offer.clone();
        offer.id = OfferId::from_random(u128::from(number) << 8);
        offer.fingerprint = Fingerprint([100; 32]);
        offer.fingerprint.0[0] = number;
        ask(&mut world, bob, "alice", "a1", Request::Offer(offer));
    }
    assert_eq!(world.at(bob).store.devices.len(), crate::limits::DEVICES_PER_CONTACT);
}

/// Alice has compared Bob's key, and somebody with another key spoke from his device's resource while it was away.
fn impostor(seed: u64) -> (World, Node, Node, Request) {
    let (mut world, (alice, sent), (bob, got)) = offered(seed);
    world.accept(bob, got).unwrap();
    world.settle();
    assert_eq!(world.state(alice, sent), "done");
    verify(&mut world, alice, "bob", bob);
    let mut offer = offer_of(&world, alice);
    offer.id = OfferId::from_random(9);
    offer.fingerprint = Fingerprint([77; 32]);
    world.logout(bob);
    world.settle();
    let offer = Request::Offer(offer);
    assert_eq!(refusal(&ask(&mut world, alice, "bob", "b1", offer.clone())), Some(Condition::Forbidden));
    (world, alice, bob, offer)
}

#[test]
fn a_key_that_is_not_verified_does_not_lock_a_device_out_that_only_receives() {
    let (mut world, alice, bob, offer) = impostor(8);
    let late = world.send(alice, &["bob"])[0];
    for restart in [false, true] {
        world.login(bob);
        world.settle();
        assert_eq!(world.state(alice, late), "offered", "the right device is back (restarted: {restart})");
        assert_eq!(world.list(bob).len(), 2);
        world.logout(bob);
        world.settle();
        assert_eq!(refusal(&ask(&mut world, alice, "bob", "b1", offer.clone())), Some(Condition::Forbidden));
        world.restart(alice);
        world.login(alice);
        world.settle();
    }
}

#[test]
fn while_a_key_that_is_not_verified_speaks_from_a_resource_it_has_no_say_there() {
    let (mut world, alice, bob, offer) = impostor(9);
    world.login(bob);
    world.settle();
    let late = world.send(alice, &["bob"])[0];
    world.settle();
    ask(&mut world, alice, "bob", "b1", offer);
    let id = world.transfer(alice, late).offer;
    let place = FullJid::new(jid("bob"), "b1");
    for request in [Request::Decline { id, message: None }, Request::Cancel { id }, Request::Sync(Vec::new())] {
        let answer = world.speak(alice, &place, Fingerprint([77; 32]), request);
        assert_eq!(refusal(&answer), Some(Condition::Forbidden));
    }
    let next = world.send(alice, &["bob"])[0];
    world.settle();
    let states = (world.state(alice, late), world.state(alice, next));
    assert_eq!(states, ("offered", "offered"), "who answers there is the right one, which has proved it again");
}

#[test]
fn after_verification_a_device_that_never_showed_a_key_ends_nothing_that_nobody_took() {
    let (mut world, (alice, _), (bob, got)) = offered(10);
    world.accept(bob, got).unwrap();
    world.settle();
    verify(&mut world, alice, "bob", bob);
    let sent = world.send(alice, &["bob"])[0];
    let fresh = world.device("bob", "b9");
    world.login(fresh);
    world.settle();
    assert!(world.list(fresh).is_empty(), "nothing is offered to it");
    let id = world.transfer(alice, sent).offer;
    let reason = "no".to_owned();
    let ends = [Request::Decline { id, message: None }, Request::Cancel { id }, Request::Failed { id, reason }];
    for request in ends {
        assert_eq!(refusal(&ask(&mut world, alice, "bob", "b9", request)), Some(Condition::Forbidden));
    }
    // Nor does it by what it says in a `sync`.
    let declined = SyncItem { id, role: Role::Receiver, state: SyncState::Declined };
    let answer = ask(&mut world, alice, "bob", "b9", Request::Sync(vec![declined]));
    assert_eq!(refusal(&answer), Some(Condition::Forbidden));
    assert_eq!(world.state(alice, sent), "offered");
    let id = world.list(bob).last().unwrap().id;
    world.decline(bob, id).unwrap();
    world.settle();
    assert_eq!(world.state(alice, sent), "declined", "the verified device has a say");
}
