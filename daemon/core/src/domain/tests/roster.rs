//! Contacts, subscriptions and what the server says of them.

use super::world::person::alice_and_bob;
use super::world::{Node, World, jid};
use crate::effect::Event;
use crate::input::{Command, Input};
use crate::session::{RosterItem, SessionCommand, SessionEvent, Subscription};
use crate::settings::Subscriptions;
use crate::time::Mono;

fn item(name: &str, subscription: Subscription, ask: bool) -> RosterItem {
    RosterItem { jid: jid(name), name: None, subscription, ask, groups: Vec::new() }
}

fn tell(world: &mut World, node: Node, event: SessionEvent) {
    world.handle(node, Input::Session(event));
}

fn sent(world: &World, node: Node, command: &SessionCommand) -> bool {
    world.at(node).sent.contains(command)
}

#[test]
fn the_roster_is_remembered_so_that_a_send_is_judged_while_the_server_is_away() {
    let (mut world, alice, _) = alice_and_bob(1);
    world.restart(alice);
    assert_eq!(world.send(alice, &["bob"]).len(), 1);
    assert_eq!(world.send_file(alice, "file", &["carol"], None).unwrap_err().code, "unknown-contact");
}

#[test]
fn before_the_first_roster_every_send_is_queued() {
    let mut world = World::new(2);
    let alice = world.device("alice", "a1");
    let id = world.send(alice, &["whoever"])[0];
    world.pass(1_000);
    assert_eq!((world.state(alice, id), world.why(alice, id)), ("queued", Some("offline")));
    world.login(alice);
    world.pass(1_000);
    assert_eq!(world.why(alice, id), Some("not-in-roster"));
}

#[test]
fn a_send_to_a_contact_whose_presence_we_do_not_see_waits_and_says_what_to_do_until_they_show_it() {
    let (mut world, alice, bob) = alice_and_bob(3);
    world.logout(bob);
    tell(&mut world, alice, SessionEvent::RosterChanged(item("bob", Subscription::From, false)));
    let id = world.send(alice, &["bob"])[0];
    world.pass(1_000);
    let told = |world: &World| {
        let domain = &world.at(alice).domain;
        domain.why(domain.transfer(id).unwrap(), Mono::default()).unwrap()
    };
    assert_eq!(world.state(alice, id), "queued");
    assert!(told(&world).code == "not-subscribed" && told(&world).text.contains("contacts add bob@example.org"));
    tell(&mut world, alice, SessionEvent::RosterChanged(item("bob", Subscription::From, true)));
    assert!(told(&world).code == "not-subscribed" && !told(&world).text.contains("contacts add"), "they were asked");
    tell(&mut world, alice, SessionEvent::RosterChanged(item("bob", Subscription::Both, false)));
    world.login(bob);
    world.until(alice, id, "offered");
}

#[test]
fn a_contact_that_was_removed_elsewhere_is_not_listed_any_more() {
    let (mut world, alice, _) = alice_and_bob(4);
    tell(&mut world, alice, SessionEvent::RosterRemoved(jid("bob")));
    assert!(world.at(alice).domain.contacts().is_empty());
    tell(&mut world, alice, SessionEvent::RosterChanged(item("bob", Subscription::Both, false)));
    tell(&mut world, alice, SessionEvent::Roster(vec![item("carol", Subscription::Both, false)]));
    let listed: Vec<_> = world.at(alice).domain.contacts().iter().map(|c| c.contact.jid.clone()).collect();
    assert_eq!(listed, [jid("carol")]);
}

#[test]
fn only_contacts_that_we_added_may_see_us_without_asking() {
    let (mut world, alice, _) = alice_and_bob(5);
    tell(&mut world, alice, SessionEvent::SubscriptionRequested(jid("bob")));
    assert!(sent(&world, alice, &SessionCommand::ApproveSubscription(jid("bob"))));
    tell(&mut world, alice, SessionEvent::SubscriptionRequested(jid("mallory")));
    assert!(!sent(&world, alice, &SessionCommand::ApproveSubscription(jid("mallory"))));
    assert!(world.at(alice).news.contains(&Event::SubscriptionRequested(jid("mallory"))));
    for command in [Command::ContactAllow(jid("mallory")), Command::ContactDeny(jid("mallory"))] {
        let fault = world.command(alice, command).unwrap_err();
        assert!(fault.hint.contains("contacts add"), "{fault:?}");
    }
    world.command(alice, Command::ContactRemove(jid("mallory"))).unwrap();
    assert!(sent(&world, alice, &SessionCommand::DenySubscription(jid("mallory"))));
    assert_eq!(world.at(alice).domain.asking().count(), 0);
}

#[test]
fn a_request_that_waits_is_granted_when_the_contact_is_added() {
    let (mut world, alice, _) = alice_and_bob(6);
    world.at_mut(alice).settings.subscriptions = Subscriptions::Added;
    tell(&mut world, alice, SessionEvent::SubscriptionRequested(jid("carol")));
    assert_eq!(world.at(alice).domain.asking().count(), 1);
    tell(&mut world, alice, SessionEvent::RosterChanged(item("carol", Subscription::None, true)));
    assert!(sent(&world, alice, &SessionCommand::ApproveSubscription(jid("carol"))));
    assert_eq!(world.at(alice).domain.asking().count(), 0);
}

#[test]
fn one_command_says_yes_to_a_request_and_asks_back() {
    let (mut world, alice, _) = alice_and_bob(6);
    tell(&mut world, alice, SessionEvent::SubscriptionRequested(jid("carol")));
    world.command(alice, Command::ContactAdd { jid: jid("carol"), name: None }).unwrap();
    assert!(sent(&world, alice, &SessionCommand::ApproveSubscription(jid("carol"))));
    assert!(sent(&world, alice, &SessionCommand::AddContact { jid: jid("carol"), name: None }));
    let fault = world.command(alice, Command::ContactAdd { jid: jid("alice"), name: None }).unwrap_err();
    assert!(fault.message.contains("is you"), "{fault:?}");
}

#[test]
fn a_flood_of_subscription_requests_is_not_remembered() {
    let (mut world, alice, _) = alice_and_bob(7);
    for number in 0..2_000 {
        tell(&mut world, alice, SessionEvent::SubscriptionRequested(jid(&format!("bot{number}"))));
    }
    assert!(world.at(alice).domain.asking().count() <= 256);
    assert_eq!(world.at(alice).store.contacts.len(), 1);
}

#[test]
fn the_roster_is_changed_only_with_a_connection_and_for_those_on_it() {
    let (mut world, alice, _) = alice_and_bob(8);
    assert_eq!(world.command(alice, Command::ContactRemove(jid("carol"))).unwrap_err().code, "unknown-contact");
    world.command(alice, Command::ContactAdd { jid: jid("carol"), name: None }).unwrap();
    world.command(alice, Command::ContactRemove(jid("bob"))).unwrap();
    assert!(sent(&world, alice, &SessionCommand::RemoveContact(jid("bob"))));
    world.logout(alice);
    for command in [Command::ContactAdd { jid: jid("carol"), name: None }, Command::ContactRemove(jid("bob"))] {
        let fault = world.command(alice, command).unwrap_err();
        assert!(fault.code == "not-connected" && !fault.hint.is_empty());
    }
    // What is accepted without asking is for us alone to say.
    for command in [Command::ContactAllow(jid("bob")), Command::ContactDeny(jid("bob"))] {
        world.command(alice, command).unwrap();
    }
}

#[test]
fn a_contact_taken_off_the_roster_can_still_end_what_is_under_way() {
    let (mut world, (alice, sent), (bob, got)) = super::world::person::offered(9);
    tell(&mut world, alice, SessionEvent::RosterRemoved(jid("bob")));
    world.decline(bob, got).unwrap();
    world.pass(1_000);
    assert_eq!(world.state(alice, sent), "declined");
}
