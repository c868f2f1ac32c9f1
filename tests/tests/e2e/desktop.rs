//! Notifications, on a real notification server and pressed with a real mouse pointer.

use std::time::Duration;

use xbt_tests::content::MIB;
use xbt_tests::daemon::jid;
use xbt_tests::{Desktop, Stage, wait};

#[test]
fn an_offer_is_accepted_by_a_click_and_its_progress_and_its_end_are_shown() {
    let stage = Stage::new();
    let alice = stage.person("alice").with("network.upload_limit", "2 MiB/s").online();
    let bob = stage.online("bob");
    let desktop = Desktop::new(&stage.folder().join("desktop"));
    let _notifier = desktop.notifier(&bob);
    alice.ctl.send(&jid("bob"), &stage.tree("holiday <b>& more", 12, 16 * MIB));
    let offer = desktop.tells(&[
        "Alice wants to send you files",
        "holiday &lt;b&gt;&amp; more (12 files, 16.0 MiB)",
        "alice@localhost",
    ]);
    for part in [
        "\"accept\"",
        "\"Accept\"",
        "\"decline\"",
        "\"Decline\"",
        "\"category\"",
        "\"transfer\"",
        "\"desktop-entry\"",
        "\"xbt\"",
    ] {
        assert!(offer.contains(part), "{part} is missing: {offer}");
    }
    desktop.picture("notification-offer");
    let got = bob.ctl.offer("holiday <b>& more");
    desktop.presses("Accept");
    let progress = desktop.tells(&["Receiving from Alice", "holiday &lt;b&gt;&amp; more", "\"value\""]);
    assert!(progress.contains("of 16.0 MiB"), "{progress}");
    desktop.picture("notification-progress");
    bob.ctl.reaches(got, "done");
    let done =
        desktop.tells(&["Received from Alice", "holiday &lt;b&gt;&amp; more", "\"transfer.complete\"", "Open folder"]);
    assert!(!done.contains("uint32 0\n"), "it takes the place of the progress: {done}");
    let updates = desktop.told().iter().filter(|call| call.contains("Receiving")).count();
    assert!((2..=12).contains(&updates), "eight seconds, one update a second at most: {updates}");
    desktop.shows(1);
    desktop.picture("notification-done");
}

#[test]
fn an_offer_is_declined_by_a_click_and_the_sender_is_told() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let bob = stage.online("bob");
    let desktop = Desktop::new(&stage.folder().join("desktop"));
    let senders = Desktop::new(&stage.folder().join("senders desktop"));
    let _notifiers = (desktop.notifier(&bob), senders.notifier(&alice));
    let sent = alice.ctl.send(&jid("bob"), &stage.file("small.bin", MIB));
    desktop.tells(&["Alice wants to send you a file", "small.bin (1 file, 1.0 MiB)"]);
    desktop.presses("Decline");
    alice.ctl.reaches(sent, "declined");
    senders.tells(&["Bob has declined", "small.bin"]);
    desktop.shows(0);
    // What goes well is told at both ends.
    let sent = alice.ctl.send(&jid("bob"), &stage.file("other.bin", MIB));
    desktop.tells(&["Alice wants to send you a file", "other.bin"]);
    desktop.presses("Accept");
    alice.ctl.reaches(sent, "done");
    senders.tells(&["Bob has received", "other.bin"]);
    desktop.tells(&["Received from Alice", "other.bin"]);
    assert!(!desktop.calls().contains("Receiving from"), "too short for a progress notification");
}

#[test]
fn notifications_outlive_their_server_and_the_daemon_and_old_ones_are_not_told_again() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let mut bob = stage.online("bob");
    let mut desktop = Desktop::new(&stage.folder().join("desktop"));
    // Before the notifier runs: not told.
    alice.ctl.send(&jid("bob"), &stage.file("early.bin", MIB));
    let early = bob.ctl.offer("early.bin");
    bob.ctl.accept(early);
    bob.ctl.reaches(early, "done");
    alice.ctl.send(&jid("bob"), &stage.file("open.bin", MIB));
    let open = bob.ctl.offer("open.bin");
    let notifier = desktop.notifier(&bob);
    let opened = |desktop: &Desktop| desktop.told().iter().filter(|call| call.contains("open.bin")).count();
    desktop.tells(&["open.bin"]);
    desktop.kill_server();
    desktop.serve();
    wait::until("the open offer is shown again", wait::SOON, || (opened(&desktop) == 2).then_some(()));
    desktop.shows(1);
    bob.restart();
    // As long as a new connection takes, and longer.
    wait::stays("one offer on the screen", Duration::from_secs(4), || desktop.count() == Some(1));
    assert_eq!(opened(&desktop), 2, "the same offer is not told again");
    desktop.presses("Accept");
    bob.ctl.reaches(open, "done");
    desktop.tells(&["Received from Alice", "open.bin"]);
    assert!(!desktop.calls().contains("early.bin"), "{}", desktop.calls());
    // A second one has nothing to do, and what waits for an answer goes with us.
    assert!(desktop.notifier(&bob).ends_within(wait::SOON).success());
    alice.ctl.send(&jid("bob"), &stage.file("last.bin", MIB));
    desktop.tells(&["Alice wants to send you a file", "last.bin"]);
    assert!(notifier.terminate(wait::SOON).success());
    wait::until("the offer is gone from the screen", wait::SOON, || (desktop.count()? <= 1).then_some(()));
}
