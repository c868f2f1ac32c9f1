//! Accepting and declining.

use super::world::person::{alice_and_bob, offered};
use crate::effect::Event;
use crate::fault::Fault;
use crate::input::{Input, TorrentEvent};

#[test]
fn an_accept_while_the_sender_is_away_is_carried_out_when_it_returns() {
    let (mut world, (alice, sent), (bob, got)) = offered(1);
    world.logout(alice);
    world.pass(1_000);
    world.accept(bob, got).unwrap();
    world.settle();
    assert_eq!((world.state(bob, got), world.why(bob, got)), ("connecting", Some("contact-offline")));
    world.restart(bob);
    world.restart(alice);
    world.login(bob);
    world.settle();
    world.login(alice);
    world.settle();
    assert_eq!((world.state(alice, sent), world.state(bob, got)), ("done", "done"));
}

#[test]
fn a_decline_reaches_the_sender_with_its_word_also_when_it_was_away() {
    for away in [false, true] {
        let (mut world, (alice, sent), (bob, got)) = offered(2);
        if away {
            world.logout(alice);
            world.pass(1_000);
        }
        world.decline(bob, got).unwrap();
        world.login(alice);
        world.pass(5_000);
        assert_eq!((world.state(alice, sent), world.state(bob, got)), ("declined", "declined"));
    }
}

#[test]
fn what_does_not_fit_is_refused_with_the_numbers_and_stays_on_offer() {
    let (mut world, (_, _), (bob, got)) = offered(3);
    let fault = world.accept_into(bob, got, 3_999).unwrap_err();
    assert_eq!(fault.code, "no-space");
    assert!(fault.message.contains("3.9 KiB") && !fault.hint.is_empty(), "{fault:?}");
    assert_eq!(world.state(bob, got), "offered");
    world.accept_into(bob, got, 4_000).unwrap();
}

#[test]
fn what_is_on_its_way_into_the_folder_counts_against_its_space() {
    let (mut world, alice, bob) = alice_and_bob(4);
    world.faults.no_links = true;
    world.send(alice, &["bob"]);
    world.send(alice, &["bob"]);
    world.pass(1_000);
    let ids: Vec<_> = world.list(bob).iter().map(|t| t.id).collect();
    world.accept_into(bob, ids[0], 7_000).unwrap();
    let fault = world.accept_into(bob, ids[1], 7_000).unwrap_err();
    assert!(fault.message.contains("for other transfers"), "{fault:?}");
    world.accept_into(bob, ids[1], 8_000).unwrap();
}

#[test]
fn a_standing_rule_accepts_by_contact_and_group_and_size() {
    let (mut world, alice, bob) = alice_and_bob(5);
    world.at_mut(bob).settings.accept_from = vec!["alice@example.org".into()];
    world.at_mut(bob).settings.accept_max_size = 4_000;
    world.restart(bob);
    world.login(bob);
    world.pass(1_000);
    world.send(alice, &["bob"]);
    world.settle();
    assert_eq!(world.states(bob), ["done"]);
    world.size = 4_001;
    world.send(alice, &["bob"]);
    world.settle();
    assert_eq!(world.states(bob), ["done", "offered"]);
}

#[test]
fn a_full_disk_pauses_the_transfer_and_resume_goes_on_where_it_was() {
    let (mut world, (alice, sent), (bob, got)) = offered(6);
    world.accept(bob, got).unwrap();
    let content = world.transfer(bob, got).content;
    world.until(bob, got, "receiving");
    world.pass(150);
    world.at_mut(bob).engine.disk_full = true;
    world.settle();
    assert_eq!((world.state(bob, got), world.why(bob, got)), ("connecting", Some("disk-full")));
    assert_eq!(world.why(alice, sent), Some("paused-by-contact"));
    let had = world.at(bob).engine.partial[&content];
    assert!(had > 0, "its pieces are kept");
    world.restart(bob);
    world.login(bob);
    world.settle();
    assert_eq!(world.why(bob, got), Some("disk-full"));
    world.at_mut(bob).engine.disk_full = false;
    world.resume(bob, got).unwrap();
    world.settle();
    assert_eq!((world.state(alice, sent), world.state(bob, got)), ("done", "done"));
}

#[test]
fn every_change_is_told_to_those_who_watch() {
    let (mut world, (_, _), (bob, got)) = offered(7);
    world.at_mut(bob).news.clear();
    world.accept(bob, got).unwrap();
    assert!(world.at(bob).news.contains(&Event::Transfer(got)));
}

#[test]
fn a_fault_of_the_engine_holds_a_fetch_up_and_resume_goes_on_with_what_it_has() {
    let (mut world, (alice, sent), (bob, got)) = offered(12);
    world.accept(bob, got).unwrap();
    world.until(bob, got, "receiving");
    let content = world.transfer(bob, got).content;
    let fault = Fault::new("engine-fault", "a fault of xbt stopped this content", "resume it");
    world.handle(bob, Input::Torrent(TorrentEvent::Failed { content, fault }));
    world.settle();
    assert_eq!((world.state(bob, got), world.why(bob, got)), ("connecting", Some("engine-fault")));
    world.resume(bob, got).unwrap();
    world.settle();
    assert_eq!((world.state(alice, sent), world.state(bob, got)), ("done", "done"));
}
