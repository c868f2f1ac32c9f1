//! Limits that are changed while things move.

use std::time::{Duration, Instant};

use xbt_tests::content::MIB;
use xbt_tests::ctl::done_bytes;
use xbt_tests::daemon::{Daemon, jid};
use xbt_tests::{Stage, wait};

/// How long a transfer takes at least for so many more bytes, once it has settled after a change.
fn takes(at: &Daemon, transfer: u64, bytes: u64) -> Duration {
    // What was in the buffers at the old rate does not count.
    at.ctl.has_moved(transfer, done_bytes(&at.ctl.show(transfer)) + 2 * MIB);
    // Before the look, which takes time itself: what moves meanwhile must not make the rest look fast.
    let start = Instant::now();
    let settled = done_bytes(&at.ctl.show(transfer));
    at.ctl.has_moved(transfer, settled + bytes);
    start.elapsed()
}

/// Alice, who sends at 8 MiB/s unless told otherwise, and Bob, who receives: the number of the transfer at both.
fn moving(stage: &Stage) -> ((Daemon, u64), (Daemon, u64)) {
    let alice = stage.person("alice").with("network.upload_limit", "8 MiB/s").online();
    let bob = stage.online("bob");
    let sent = alice.ctl.send(&jid("bob"), &stage.file("long.bin", 64 * MIB));
    let got = bob.ctl.offer("long.bin");
    bob.ctl.accept(got);
    bob.ctl.has_moved(got, 2 * MIB);
    ((alice, sent), (bob, got))
}

#[test]
fn a_limit_slows_a_running_transfer_down_and_zero_lets_it_go_fast_again() {
    let stage = Stage::new();
    let (_alice, (bob, got)) = moving(&stage);
    let id = got.to_string();
    bob.ctl.ok(&["limit", &id, "--down", "1 MiB/s", "--priority", "high"]);
    let slow = takes(&bob, got, 4 * MIB);
    // Four seconds, or half a one without the limit.
    assert!(slow > Duration::from_secs(2), "4 MiB at 1 MiB/s took only {slow:?}");
    let shown = bob.ctl.show(got);
    assert_eq!((&shown["limits"]["download"], &shown["priority"]), (&MIB.into(), &"high".into()), "{shown}");
    // At this rate the rest would take most of a day.
    bob.ctl.ok(&["limit", &id, "--down", "1 KiB/s"]);
    bob.ctl.ok(&["limit", &id, "--down", "0"]);
    bob.ctl.reaches(got, "done");
    bob.ctl.refused(&["limit", &id, "--down", "1 B/s"], "wrong-state");
}

#[test]
fn a_contacts_limit_holds_for_running_links_and_is_kept() {
    let stage = Stage::new();
    let ((mut alice, sent), (bob, got)) = moving(&stage);
    alice.ctl.ok(&["contacts", "limit", &jid("bob"), "--up", "1 MiB/s"]);
    let slow = takes(&bob, got, 4 * MIB);
    assert!(slow > Duration::from_secs(2), "4 MiB at 1 MiB/s took only {slow:?}");
    alice.restart();
    alice.ctl.reaches(sent, "sending");
    let slow = takes(&bob, got, 3 * MIB);
    assert!(slow > Duration::from_millis(1500), "after a restart 3 MiB at 1 MiB/s took only {slow:?}");
    let contact = alice.ctl.json(&["contacts"])[0].clone();
    assert_eq!(contact["limits"]["upload"], MIB, "{contact}");
    alice.ctl.ok(&["contacts", "limit", &jid("bob"), "--up", "0"]);
    bob.ctl.reaches(got, "done");
}

#[test]
fn limits_for_everything_hold_until_the_configuration_is_read_again() {
    let stage = Stage::new();
    let ((alice, _), (bob, got)) = moving(&stage);
    let limits = alice.ctl.json(&["limit", "--up", "1 MiB/s"]);
    assert_eq!((&limits["upload"], &limits["download"]), (&MIB.into(), &0.into()));
    let slow = takes(&bob, got, 4 * MIB);
    assert!(slow > Duration::from_secs(2), "4 MiB at 1 MiB/s took only {slow:?}");
    // At this rate the rest would take most of a day.
    alice.ctl.ok(&["limit", "--up", "1 KiB/s"]);
    alice.reload();
    wait::until("the configuration counts again", wait::SOON, || {
        (alice.ctl.status()["limits"]["upload"] == 8 * MIB).then_some(())
    });
    bob.ctl.reaches(got, "done");
}
