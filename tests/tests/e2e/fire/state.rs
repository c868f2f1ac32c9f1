//! The daemon's own memory: a full disk, a lock held by another program.

use std::time::Duration;

use rusqlite::Connection;
use xbt_tests::content::{self, MIB};
use xbt_tests::ctl::text;
use xbt_tests::daemon::jid;
use xbt_tests::disk::Disk;
use xbt_tests::{Daemon, Stage, wait};

use super::{Job, check, settle};

/// Room for the database and its log, and little more.
const SMALL: u64 = 4 * MIB;

/// The daemon says that it cannot write, where people look.
#[track_caller]
fn says_why(daemon: &Daemon, code: &str) {
    let status = wait::until("status tells of the state that cannot be written", wait::SOON, || {
        Some(daemon.ctl.status()).filter(|status| status["state_error"].is_object())
    });
    let error = &status["state_error"];
    assert_eq!(error["code"], code, "{status}");
    assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{status}");
    let shown = daemon.ctl.ok(&["status"]);
    assert!(shown.contains("xbt.db"), "people see it too: {shown}");
}

#[track_caller]
fn says_nothing(daemon: &Daemon) {
    wait::until("status is clean again", wait::SOON, || daemon.ctl.status()["state_error"].is_null().then_some(()));
}

#[test]
fn a_full_disk_for_the_state_holds_a_send_up_and_neither_loses_nor_doubles_it() {
    let stage = Stage::new();
    let mut alice = stage.person("alice").with_small_state(SMALL).online();
    let bob = stage.person("bob").with("accept.from", vec![jid("alice")]).online();
    let source = stage.file("held.bin", 300_000);
    let filler = Disk::filler(&alice.state_seen());
    let sending = alice.ctl.spawn(&["send", &jid("bob"), text(&source)]);
    says_why(&alice, "disk-full");
    drop(filler);
    assert_eq!(sending.ends_within(wait::SOON).code, Some(0));
    let jobs = [Job { name: "held.bin".into(), from: 0 }];
    settle([&alice, &bob], &jobs);
    check(&stage, [&alice, &bob], &jobs);
    says_nothing(&alice);
    alice.restart();
    settle([&alice, &bob], &jobs);
}

#[test]
fn a_full_disk_for_the_state_does_not_fail_what_is_prepared_meanwhile() {
    let stage = Stage::new();
    let alice = stage.person("alice").with_small_state(SMALL).online();
    let bob = stage.person("bob").with("accept.from", vec![jid("alice")]).online();
    let source = stage.tree("many", 400, 64 * MIB);
    let out = alice.ctl.send(&jid("bob"), &source);
    let filler = Disk::filler(&alice.state_seen());
    says_why(&alice, "disk-full");
    drop(filler);
    alice.ctl.reaches(out, "done");
    let jobs = [Job { name: "many".into(), from: 0 }];
    settle([&alice, &bob], &jobs);
    check(&stage, [&alice, &bob], &jobs);
}

#[test]
fn a_full_disk_for_the_receivers_state_holds_the_transfer_up_and_no_more() {
    let stage = Stage::new();
    let alice = stage.person("alice").with("network.upload_limit", "4 MiB/s").online();
    let mut bob = stage.person("bob").with_small_state(SMALL).online();
    alice.ctl.send(&jid("bob"), &stage.file("film.mkv", 12 * MIB));
    let inn = bob.ctl.offer("film.mkv");
    bob.ctl.accept(inn);
    bob.ctl.has_moved(inn, MIB);
    let filler = Disk::filler(&bob.state_seen());
    // What it remembers of the pieces cannot be written either; or the file arrives, and that cannot be.
    says_why(&bob, "disk-full");
    // A crash now is the worst moment: nothing that has happened since is kept.
    bob.kill9();
    drop(filler);
    bob.start();
    let job = [Job { name: "film.mkv".into(), from: 0 }];
    wait::until("it goes on, at the latest when told to", wait::SOON, || {
        let one = bob.ctl.show(inn);
        let paused = one["paused"] == true && bob.ctl.run(&["resume", &inn.to_string()]).code != Some(0);
        (!paused).then_some(())
    });
    settle([&alice, &bob], &job);
    check(&stage, [&alice, &bob], &job);
}

#[test]
fn a_daemon_whose_state_cannot_be_written_still_ends_cleanly() {
    let stage = Stage::new();
    let mut alice = stage.person("alice").with_small_state(SMALL).online();
    let source = stage.file("held.bin", 300_000);
    let filler = Disk::filler(&alice.state_seen());
    let sending = alice.ctl.spawn(&["send", &jid("bob"), text(&source)]);
    says_why(&alice, "disk-full");
    alice.stop();
    let ran = sending.ends_within(wait::SOON);
    assert!(ran.code != Some(0), "what was not kept was not promised: {ran:?}");
    drop(filler);
    alice.start();
    assert!(alice.ctl.list().is_empty(), "and is not there");
}

#[test]
fn a_start_with_a_full_disk_for_the_state_is_refused_with_a_hint_and_works_once_there_is_room() {
    let stage = Stage::new();
    let mut alice = stage.person("alice").with_small_state(SMALL);
    let filler = Disk::filler(&alice.state_seen());
    let (_, said) = alice.start_fails();
    assert!(said.contains("error: ") && said.contains("hint: ") && said.contains("space"), "{said}");
    drop(filler);
    alice.start();
    assert!(alice.ctl.list().is_empty());
}

#[test]
fn a_database_locked_by_another_program_for_some_seconds_loses_and_doubles_nothing() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let bob = stage.person("bob").with("accept.from", vec![jid("alice")]).online();
    let source = stage.file("locked.bin", 300_000);
    let sending = {
        let other = Connection::open(alice.state_dir().join("xbt.db")).unwrap();
        other.busy_timeout(Duration::from_secs(5)).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let sending = alice.ctl.spawn(&["send", &jid("bob"), text(&source)]);
        says_why(&alice, "database-busy");
        sending
    };
    assert_eq!(sending.ends_within(wait::SOON).code, Some(0));
    let jobs = [Job { name: "locked.bin".into(), from: 0 }];
    settle([&alice, &bob], &jobs);
    check(&stage, [&alice, &bob], &jobs);
    says_nothing(&alice);
}

#[test]
fn a_page_of_the_database_that_is_damaged_stops_the_start_and_nothing_is_replaced() {
    let stage = Stage::new();
    let mut alice = stage.online("alice");
    for number in 0..20 {
        alice.ctl.send(&jid("bob"), &stage.file(&format!("{number}.bin"), 10));
    }
    alice.stop();
    let path = alice.state_dir().join("xbt.db");
    let mut bytes = std::fs::read(&path).unwrap();
    // All but the header, which names the program and the version.
    bytes[100..].fill(0x55);
    std::fs::write(&path, &bytes).unwrap();
    let (_, said) = alice.start_fails();
    assert!(said.contains("damaged") && said.contains("hint: ") && said.contains("xbt.db"), "{said}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "what could not be read stays as it is");
    assert_eq!(content::names(alice.state_dir().as_path()).iter().filter(|name| name.ends_with(".new")).count(), 0);
}

#[test]
fn a_state_that_can_never_be_written_ends_the_daemon_with_a_sentence() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let database = Connection::open(alice.state_dir().join("xbt.db")).unwrap();
    database.execute_batch("DROP TABLE transfers").unwrap();
    let sent = alice.ctl.run(&["send", &jid("bob"), text(&stage.file("never.bin", 10))]);
    assert!(matches!(sent.code, Some(1 | 3)), "refused, or the daemon is gone already: {sent:?}");
    wait::until("the daemon says why it ends", wait::SOON, || {
        alice.log().contains("\nerror: the database").then_some(())
    });
    wait::until("it is gone", wait::SOON, || (alice.ctl.run(&["status"]).code == Some(3)).then_some(()));
}
