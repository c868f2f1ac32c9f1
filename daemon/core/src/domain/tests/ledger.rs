//! What one contact uses up is not taken from others.

use super::world::person::{alice_and_bob, offered};
use super::world::{Node, World, jid};
use crate::domain::ledger::Usage;
use crate::effect::Event;
use crate::ids::TransferId;
use crate::input::{Command, Input};
use crate::limits::{NOTICE_APART, NOTICES_AT_ONCE, QUOTA_TIME, UNLINKED_TIME};
use crate::session::SessionEvent;

/// Two contacts; the second accepts by a rule, and no link comes about.
fn without_links(seed: u64, quota: u64) -> (World, Node, Node) {
    let (mut world, alice, bob) = alice_and_bob(seed);
    world.faults.no_links = true;
    let settings = &mut world.at_mut(bob).settings;
    settings.accept_quota = quota;
    world.restart(bob);
    world.login(bob);
    world.command(bob, Command::ContactAllow(jid("alice"))).unwrap();
    (world, alice, bob)
}

fn disk(world: &World, node: Node, id: TransferId) -> u64 {
    world.transfer(node, id).facts.as_ref().unwrap().disk()
}

#[test]
fn what_a_rule_accepted_reserves_no_space_before_its_first_link() {
    let (mut world, alice, bob) = without_links(1, 0);
    world.send(alice, &["bob"]);
    world.pass(5_000);
    assert_eq!(world.states(bob), ["connecting"]);
    let usage = world.at(bob).domain.usage(&jid("alice"));
    assert_eq!((usage.reserved, usage.transfers), (0, 1));
    world.command(bob, Command::ContactDeny(jid("alice"))).unwrap();
    world.send(alice, &["bob"]);
    world.pass(5_000);
    let second = world.list(bob).last().unwrap().id;
    world.accept_into(bob, second, 4_000).unwrap();
    let usage = world.at(bob).domain.usage(&jid("alice"));
    assert_eq!(usage.reserved, disk(&world, bob, second), "what the person accepts does at once");
}

#[test]
fn with_a_link_it_reserves_what_is_missing() {
    let (mut world, alice, bob) = without_links(2, 0);
    world.faults.no_links = false;
    world.send(alice, &["bob"]);
    let id = loop {
        world.pass(10);
        if let [transfer] = world.list(bob)[..]
            && transfer.linked()
        {
            break transfer.id;
        }
    };
    assert_eq!(world.at(bob).domain.usage(&jid("alice")).reserved, disk(&world, bob, id));
    world.settle();
    assert_eq!(world.state(bob, id), "done");
    assert_eq!(world.at(bob).domain.usage(&jid("alice")).reserved, 0);
}

#[test]
fn beyond_its_quota_the_person_is_asked_until_a_day_has_passed() {
    let (mut world, alice, bob) = without_links(3, 20_000);
    world.faults.no_links = false;
    for _ in 0..3 {
        world.send(alice, &["bob"]);
        world.settle();
    }
    assert_eq!(world.states(bob), ["done", "done", "offered"]);
    let reason = world.at(bob).news.iter().find_map(|event| match event {
        Event::NotAccepted { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert!(reason.unwrap().contains("automatically within a day"));
    let waiting = world.list(bob).last().unwrap().id;
    world.accept(bob, waiting).unwrap();
    world.settle();
    world.pass(QUOTA_TIME as u64);
    world.send(alice, &["bob"]);
    world.settle();
    assert_eq!(world.states(bob), ["done", "done", "done", "done"]);
}

#[test]
fn what_a_rule_accepted_and_never_got_a_link_expires() {
    let (mut world, alice, bob) = without_links(4, 0);
    world.send(alice, &["bob"]);
    world.pass(5_000);
    let id = world.only(bob);
    world.logout(alice);
    world.pass(UNLINKED_TIME as u64 - 3_600_000);
    assert_eq!(world.state(bob, id), "connecting");
    world.pass(2 * 3_600_000);
    assert_eq!(world.state(bob, id), "expired");
}

#[test]
fn what_the_person_accepted_does_not_expire_without_a_link() {
    let (mut world, (alice, _), (bob, got)) = offered(5);
    world.faults.no_links = true;
    world.logout(alice);
    world.accept(bob, got).unwrap();
    world.pass(2 * UNLINKED_TIME as u64);
    assert_eq!(world.state(bob, got), "connecting");
}

#[test]
fn syncs_with_a_device_that_puts_them_off_do_not_pile_up() {
    let (mut world, (alice, _), (bob, got)) = offered(6);
    world.accept(bob, got).unwrap();
    world.hang(alice);
    let device = world.at(alice).jid();
    let domain = &mut world.at_mut(bob).domain;
    for _ in 0..50 {
        domain.sync_with(&device);
        domain.ask_state(got, &device);
    }
    assert!(domain.usage(&jid("alice")).requests <= 3, "{:?}", domain.usage(&jid("alice")));
}

#[test]
fn chat_messages_of_one_contact_are_told_together() {
    let (mut world, _, bob) = alice_and_bob(7);
    let chats = |world: &World| -> (usize, u64) {
        world.at(bob).news.iter().fold((0, 0), |(one, more), event| match event {
            Event::Chat { .. } => (one + 1, more),
            Event::MoreChat { messages, .. } => (one, more + messages),
            _ => (one, more),
        })
    };
    for number in 0..100 {
        let text = format!("spam {number}");
        world.handle(bob, Input::Session(SessionEvent::Chat { from: jid("alice"), text }));
    }
    world.handle(bob, Input::Session(SessionEvent::Chat { from: jid("carol"), text: "hello".into() }));
    assert_eq!(chats(&world), (NOTICES_AT_ONCE + 1, 0), "the first ones are told at once");
    let rest = 100 - NOTICES_AT_ONCE as u64;
    assert_eq!(world.at(bob).domain.usage(&jid("alice")).notices, rest);
    world.pass(2 * NOTICE_APART);
    assert_eq!(chats(&world), (NOTICES_AT_ONCE + 1, rest));
    world.pass(2 * NOTICE_APART);
    assert!(world.at(bob).domain.ledger().is_empty(), "{:?}", world.at(bob).domain.ledger());
}

#[test]
fn the_ledger_names_who_uses_what() {
    let (mut world, (_, _), (bob, got)) = offered(8);
    let ledger = world.at(bob).domain.ledger();
    assert_eq!(ledger.keys().collect::<Vec<_>>(), [&jid("alice")]);
    assert_eq!(ledger[&jid("alice")], Usage { offers: 1, ..Usage::default() });
    world.decline(bob, got).unwrap();
    world.settle();
    assert!(world.at(bob).domain.ledger().is_empty());
}
