//! What is killed comes back and goes on.

use xbt_tests::content::{self, MIB};
use xbt_tests::daemon::jid;
use xbt_tests::{Stage, wait};

#[test]
fn a_transfer_outlives_kills_of_receiver_sender_and_server_and_fetches_at_most_32_mib_again() {
    const SIZE: u64 = 192 * MIB;
    let mut stage = Stage::counted();
    let mut alice = stage.person("alice").with("network.upload_limit", "16 MiB/s").online();
    let mut bob = stage.online("bob");
    let source = stage.file("big.bin", SIZE);
    let out = alice.ctl.send(&jid("bob"), &source);
    let inn = bob.ctl.offer("big.bin");
    bob.ctl.accept(inn);

    bob.ctl.has_moved(inn, 48 * MIB);
    bob.kill9();
    bob.start();
    bob.ctl.has_moved(inn, 96 * MIB);
    alice.kill9();
    alice.start();
    bob.ctl.has_moved(inn, 144 * MIB);
    stage.prosody.kill9();
    stage.prosody.start();

    bob.ctl.reaches(inn, "done");
    alice.ctl.reaches(out, "done");
    assert_eq!(content::hash(&bob.downloads().join("big.bin")), content::hash(&source));
    assert_eq!(content::names(&bob.downloads()), ["big.bin"]);
    // All that went over the network: content, signalling, acknowledgements, headers. 2 % is what xbt may cost.
    let bytes = stage.net().bytes();
    assert!(bytes <= SIZE + SIZE / 50 + 32 * MIB, "{} MiB for {} MiB", bytes / MIB, SIZE / MIB);
    assert!(bytes >= SIZE, "the count cannot be right: {bytes}");
}

#[test]
fn a_kill_while_preparing_prepares_again() {
    let stage = Stage::new();
    let mut alice = stage.online("alice");
    let out = alice.ctl.send(&jid("bob"), &stage.tree("many", 500, 48 * MIB));
    alice.kill9();
    alice.start();
    alice.ctl.reaches(out, "queued");
    let bob = stage.online("bob");
    let inn = bob.ctl.offer("many");
    bob.ctl.accept(inn);
    bob.ctl.reaches(inn, "done");
    assert_eq!(content::hash(&bob.downloads().join("many")), content::hash(&stage.source("many")));
}

#[test]
fn a_finished_send_needs_no_rehash_after_a_restart() {
    let stage = Stage::new();
    let mut alice = stage.online("alice");
    let out = alice.ctl.send(&jid("bob"), &stage.file("hashed.bin", 32 * MIB));
    let hash = alice.ctl.reaches(out, "queued")["info_hash"].clone();
    assert!(hash.is_string());
    alice.kill9();
    alice.start();
    let again = alice.ctl.show(out);
    assert_eq!((&again["state"], &again["info_hash"]), (&"queued".into(), &hash), "{again}");
}

#[test]
fn a_kill_between_accept_and_the_first_byte_loses_nothing() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let mut bob = stage.online("bob");
    let out = alice.ctl.send(&jid("bob"), &stage.file("early.bin", 3 * MIB));
    let inn = bob.ctl.offer("early.bin");
    bob.ctl.accept(inn);
    bob.kill9();
    bob.start();
    bob.ctl.reaches(inn, "done");
    alice.ctl.reaches(out, "done");
    assert_eq!(content::hash(&bob.downloads().join("early.bin")), content::hash(&stage.source("early.bin")));
}

#[test]
fn the_list_is_the_same_after_a_kill() {
    let stage = Stage::new();
    let mut alice = stage.online("alice");
    for name in ["one.bin", "two.bin", "three.bin"] {
        let out = alice.ctl.send(&jid("bob"), &stage.file(name, 1000));
        alice.ctl.reaches(out, "queued");
    }
    let ids = |daemon: &xbt_tests::Daemon| -> Vec<_> {
        daemon.ctl.list().iter().map(|one| (one["id"].clone(), one["name"].clone(), one["state"].clone())).collect()
    };
    let before = ids(&alice);
    alice.kill9();
    alice.start();
    assert_eq!(ids(&alice), before);
    assert_eq!(before.len(), 3);
}

#[test]
fn sigterm_in_mid_transfer_ends_the_daemon_cleanly_and_the_transfer_goes_on_afterwards() {
    let stage = Stage::new();
    let mut alice = stage.person("alice").with("network.upload_limit", "4 MiB/s").online();
    let mut bob = stage.online("bob");
    let out = alice.ctl.send(&jid("bob"), &stage.file("term.bin", 24 * MIB));
    let inn = bob.ctl.offer("term.bin");
    bob.ctl.accept(inn);
    bob.ctl.has_moved(inn, 2 * MIB);
    bob.restart();
    bob.ctl.has_moved(inn, 8 * MIB);
    alice.restart();
    bob.ctl.reaches(inn, "done");
    alice.ctl.reaches(out, "done");
    assert_eq!(content::hash(&bob.downloads().join("term.bin")), content::hash(&stage.source("term.bin")));
}

#[test]
fn a_clean_restart_of_the_receiver_fetches_nothing_again() {
    const SIZE: u64 = 32 * MIB;
    let stage = Stage::counted();
    let alice = stage.person("alice").with("network.upload_limit", "8 MiB/s").online();
    let mut bob = stage.online("bob");
    let out = alice.ctl.send(&jid("bob"), &stage.file("clean.bin", SIZE));
    let inn = bob.ctl.offer("clean.bin");
    bob.ctl.accept(inn);
    bob.ctl.has_moved(inn, SIZE / 2);
    bob.restart();
    wait::until("it goes on where it was", wait::SOON, || {
        (bob.ctl.show(inn)["done_bytes"].as_u64()? >= SIZE / 3).then_some(())
    });
    bob.ctl.reaches(inn, "done");
    alice.ctl.reaches(out, "done");
    // Only what was on its way: at most a window of requests, for which 8 MiB is generous.
    let bytes = stage.net().bytes();
    assert!(bytes <= SIZE + 8 * MIB, "{} MiB for {} MiB", bytes / MIB, SIZE / MIB);
}
