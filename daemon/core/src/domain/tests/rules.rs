//! Standing rules: the first that fits decides about an offer, and commands of the person's run once each.

use super::world::person::{alice_and_bob, offered};
use super::world::{Node, World, jid};
use crate::effect::Event;
use crate::fault::Fault;
use crate::folder::FolderPattern;
use crate::hook::{Hook, Hooks};
use crate::ids::TransferId;
use crate::input::{Command, Input};
use crate::rate::{RateChange, RateLimits};
use crate::rule::{Accept, Rule};
use crate::schedule::Schedule;
use crate::session::{RosterItem, SessionEvent, Subscription};
use crate::settings::Settings;

fn rule(who: &[&str], accept: Option<Accept>, max_size: Option<u64>) -> Rule {
    Rule { who: who.iter().map(|who| (*who).to_owned()).collect(), accept, max_size, folder: None }
}

/// Alice and Bob, who has these rules.
fn ruled(seed: u64, rules: Vec<Rule>) -> (World, Node, Node) {
    let (mut world, alice, bob) = alice_and_bob(seed);
    let settings = Settings { rules, ..world.at(bob).settings.clone() };
    configure(&mut world, bob, settings);
    (world, alice, bob)
}

fn configure(world: &mut World, node: Node, settings: Settings) {
    world.at_mut(node).settings = settings.clone();
    world.handle(node, Input::Settings(settings));
}

/// What becomes of an offer of so many bytes.
fn fate(world: &mut World, alice: Node, bob: Node, size: u64) -> &'static str {
    world.size = size;
    world.send(alice, &["bob"]);
    world.pass(5_000);
    let id = world.list(bob).last().unwrap().id;
    world.state(bob, id)
}

fn put_into(world: &mut World, bob: Node, groups: &[&str]) {
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    let item = RosterItem { jid: jid("alice"), name: None, subscription: Subscription::Both, ask: false, groups };
    world.handle(bob, Input::Session(SessionEvent::RosterChanged(item)));
}

#[test]
fn the_first_rule_that_fits_decides_and_a_larger_offer_is_asked_about() {
    let rules = vec![
        rule(&["carol@example.org"], Some(Accept::Never), None),
        rule(&["alice@example.org"], Some(Accept::Always), Some(10_000)),
        rule(&[], Some(Accept::Never), None),
    ];
    let (mut world, alice, bob) = ruled(1, rules);
    assert_ne!(fate(&mut world, alice, bob, 9_000), "offered");
    assert_eq!(fate(&mut world, alice, bob, 11_000), "offered");
}

#[test]
fn an_offer_that_a_rule_accepts_waits_where_its_folder_cannot_be_used_and_the_person_hears_why() {
    let (mut world, alice, bob) = ruled(20, vec![rule(&[], Some(Accept::Always), None)]);
    let fault = Fault::new("bad-destination", "the folder /mnt/nas cannot be made", "mount it");
    world.at_mut(bob).destination.free = Err(fault);
    assert_eq!(fate(&mut world, alice, bob, 1_000), "offered");
    let (transfer, reason) = (world.only(bob), "the folder /mnt/nas cannot be made".to_owned());
    assert!(world.at(bob).news.contains(&Event::NotAccepted { transfer, reason }));
    world.accept(bob, transfer).unwrap();
    world.settle();
    assert_eq!((world.states(alice), world.states(bob)), (vec!["done"], vec!["done"]));
}

#[test]
fn what_the_person_does_while_the_folder_is_looked_at_stands() {
    for (answer, end) in [(true, "declined"), (false, "offered")] {
        let (mut world, alice, bob) = ruled(21, vec![rule(&[], Some(Accept::Always), None)]);
        world.send(alice, &["bob"]);
        while world.list(bob).is_empty() {
            world.pass(1);
        }
        let got = world.only(bob);
        if answer {
            world.decline(bob, got).unwrap();
        } else {
            let settings = Settings { rules: Vec::new(), ..world.at(bob).settings.clone() };
            configure(&mut world, bob, settings);
        }
        world.settle();
        assert_eq!(world.state(bob, got), end);
        assert!(!world.at(bob).news.iter().any(|news| matches!(news, Event::NotAccepted { .. })));
    }
}

#[test]
fn a_rule_for_a_group_is_for_those_who_are_in_it_now() {
    let (mut world, alice, bob) = ruled(2, vec![rule(&["Family"], Some(Accept::Always), None)]);
    assert_eq!(fate(&mut world, alice, bob, 1_000), "offered");
    put_into(&mut world, bob, &["Friends", "Family"]);
    assert_ne!(fate(&mut world, alice, bob, 1_000), "offered");
}

#[test]
fn a_group_named_like_an_address_does_not_stand_for_that_address() {
    let (mut world, alice, bob) = ruled(22, vec![rule(&["carol@example.org"], Some(Accept::Always), None)]);
    let settings = Settings { accept_from: vec!["carol@example.org".into()], ..world.at(bob).settings.clone() };
    configure(&mut world, bob, settings);
    put_into(&mut world, bob, &["carol@example.org"]);
    assert_eq!(fate(&mut world, alice, bob, 1_000), "offered");
}

#[test]
fn where_groups_count_for_verified_contacts_only_an_unverified_one_is_asked_about() {
    for by_rule in [true, false] {
        let rules = if by_rule { vec![rule(&["Family"], Some(Accept::Always), None)] } else { Vec::new() };
        let (mut world, alice, bob) = ruled(23, rules);
        let accept_from = if by_rule { Vec::new() } else { vec!["Family".to_owned()] };
        let settings = Settings { verified_groups: true, accept_from, ..world.at(bob).settings.clone() };
        configure(&mut world, bob, settings);
        put_into(&mut world, bob, &["Family"]);
        assert_eq!(fate(&mut world, alice, bob, 1_000), "offered");
        let fingerprint = world.at(alice).settings.fingerprint;
        world.command(bob, Command::DeviceVerified { contact: jid("alice"), fingerprint }).unwrap();
        assert_ne!(fate(&mut world, alice, bob, 1_000), "offered");
    }
    // What declines still does.
    let (mut world, alice, bob) = ruled(24, vec![rule(&["Spam"], Some(Accept::Never), None)]);
    let settings = Settings { verified_groups: true, ..world.at(bob).settings.clone() };
    configure(&mut world, bob, settings);
    put_into(&mut world, bob, &["Spam"]);
    assert_eq!(fate(&mut world, alice, bob, 1_000), "declined");
}

#[test]
fn what_a_rule_never_accepts_is_declined_also_where_the_person_allowed_it() {
    let (mut world, alice, bob) = ruled(3, vec![rule(&[], Some(Accept::Never), None)]);
    world.command(bob, Command::ContactAllow(jid("alice"))).unwrap();
    assert_eq!(fate(&mut world, alice, bob, 1_000), "declined");
    world.pass(5_000);
    let sent = world.only(alice);
    assert_eq!(world.state(alice, sent), "declined", "and the sender hears of it");
}

#[test]
fn a_rule_that_asks_comes_before_allow_and_one_that_says_nothing_of_it_does_not() {
    let (mut world, alice, bob) = ruled(4, vec![rule(&["alice@example.org"], Some(Accept::Ask), None)]);
    world.command(bob, Command::ContactAllow(jid("alice"))).unwrap();
    assert_eq!(fate(&mut world, alice, bob, 1_000), "offered");
    let rules = vec![rule(&["alice@example.org"], None, Some(2_000))];
    let settings = Settings { rules, ..world.at(bob).settings.clone() };
    configure(&mut world, bob, settings);
    assert_eq!(fate(&mut world, alice, bob, 3_000), "offered", "larger than the rule says");
    assert_ne!(fate(&mut world, alice, bob, 1_500), "offered");
}

#[test]
fn the_folder_is_that_of_the_rule_that_fits_or_else_the_usual_one() {
    let folder = |text: &str| FolderPattern::parse(text).unwrap();
    let own = Rule { folder: Some(folder("/pictures/{contact}")), ..rule(&["Family"], None, None) };
    let (mut world, _, bob) = ruled(5, vec![own]);
    assert_eq!(world.at(bob).domain.ruling(&jid("alice")).folder, &folder("/home/downloads"));
    put_into(&mut world, bob, &["Family"]);
    assert_eq!(world.at(bob).domain.ruling(&jid("alice")).folder, &folder("/pictures/{contact}"));
}

fn with_hooks(world: &mut World, node: Node) {
    let command = Some(vec!["true".to_owned()]);
    let hooks = Hooks { on_offer: command.clone(), on_complete: command, timeout_ms: 1_000 };
    let settings = Settings { hooks, ..world.at(node).settings.clone() };
    configure(world, node, settings);
}

fn ended(world: &mut World, node: Node, transfer: TransferId, hook: Hook, outcome: Result<(), &str>) {
    world.handle(node, Input::Hook { transfer, hook, outcome: outcome.map_err(str::to_owned) });
}

#[test]
fn the_command_for_an_offer_runs_once_however_often_the_offer_comes() {
    let (mut world, alice, bob) = alice_and_bob(6);
    with_hooks(&mut world, bob);
    world.faults.double = 100;
    let sent = world.send(alice, &["bob"])[0];
    world.pass(5_000);
    let got = world.only(bob);
    world.restart(alice);
    world.restart(bob);
    world.login(alice);
    world.login(bob);
    world.settle();
    assert_eq!(world.at(bob).hooks, [(got, Hook::Offer)]);
    assert!(world.at(alice).hooks.is_empty(), "{sent} has no command");
}

#[test]
fn the_command_for_what_is_done_runs_again_only_if_the_daemon_ended_before_it_had() {
    let (mut world, (alice, sent), (bob, got)) = offered(7);
    with_hooks(&mut world, alice);
    with_hooks(&mut world, bob);
    world.accept(bob, got).unwrap();
    world.settle();
    assert_eq!(
        (world.at(alice).hooks.clone(), world.at(bob).hooks.clone()),
        (vec![(sent, Hook::Complete)], vec![(got, Hook::Complete)])
    );
    ended(&mut world, alice, sent, Hook::Complete, Ok(()));
    world.restart(alice);
    world.restart(bob);
    assert_eq!((world.at(alice).hooks.len(), world.at(bob).hooks.len()), (1, 2));
    ended(&mut world, bob, got, Hook::Complete, Err("took longer than 1 s and was killed"));
    world.restart(bob);
    assert_eq!(world.at(bob).hooks.len(), 2, "also one that failed has ended");
    let last = world.transfer(bob, got).history.last().unwrap();
    assert_eq!(last.reason.as_deref(), Some("on_complete took longer than 1 s and was killed"));
    assert_eq!(world.state(bob, got), "done");
    assert!(world.at(bob).news.iter().any(|news| matches!(news, Event::HookFailed { .. })));
}

#[test]
fn a_command_that_is_configured_no_more_is_not_owed_any_more() {
    let (mut world, _, (bob, got)) = offered(8);
    with_hooks(&mut world, bob);
    world.accept(bob, got).unwrap();
    world.settle();
    world.at_mut(bob).settings.hooks = Hooks::default();
    world.restart(bob);
    assert!(!world.transfer(bob, got).hook_due && world.at(bob).hooks.len() == 1);
}

#[test]
fn limits_change_when_a_schedule_begins_and_when_it_ends_without_anybody_asking() {
    let (mut world, alice, _) = alice_and_bob(9);
    let minute = |world: &World| world.clock(alice).wall.0.rem_euclid(86_400_000) / 60_000;
    let from = u16::try_from(minute(&world) + 2).unwrap() % 1_440;
    let change = RateChange { up: Some(7), down: None };
    let schedules = vec![Schedule { days: 0x7f, from, to: (from + 3) % 1_440, change }];
    let usual = RateLimits { up: 100, down: 50 };
    let settings = Settings { schedules, limits: usual, ..world.at(alice).settings.clone() };
    configure(&mut world, alice, settings);
    assert_eq!(world.at(alice).engine.all, usual);
    world.pass(2 * 60_000);
    assert_eq!(world.at(alice).engine.all, RateLimits { up: 7, down: 50 });
    world.command(alice, Command::LimitAll(RateChange { up: None, down: Some(9) })).unwrap();
    assert_eq!(world.at(alice).engine.all, RateLimits { up: 7, down: 9 }, "what was not said by hand is scheduled");
    world.pass(3 * 60_000);
    assert_eq!(world.at(alice).engine.all, RateLimits { up: 100, down: 9 });
    assert!(world.at(alice).domain.live_is_bounded());
    // The wall clock jumps into the middle of the span: the next thing that happens shows it.
    world.skew[0] += 86_400_000 - 2 * 60_000;
    world.handle(alice, Input::Tick);
    assert_eq!(world.at(alice).engine.all, RateLimits { up: 7, down: 9 });
    world.restart(alice);
    assert_eq!(world.at(alice).engine.all, RateLimits { up: 7, down: 50 }, "a new engine is told");
}
