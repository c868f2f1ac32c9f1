//! One contact at every limit at once: the others are served, and the daemon stays small.

use std::thread;

use xbt_tests::content::{self, MIB};
use xbt_tests::daemon::jid;
use xbt_tests::device::{Bait, Device};
use xbt_tests::{Daemon, Stage, wait};

use super::leaks::in_status;

/// What the daemon may take, in KiB.
const MEMORY: u64 = 120 << 10;

/// What the ledger says of a contact.
fn uses(daemon: &Daemon, contact: &str, what: &str) -> u64 {
    let status = daemon.ctl.status();
    let ledger = status["ledger"].as_array().unwrap();
    ledger.iter().find(|one| one["contact"] == jid(contact)).map_or(0, |one| one[what].as_u64().unwrap())
}

fn is_small(daemon: &Daemon) {
    let memory = in_status(daemon, "VmRSS");
    assert!(memory < MEMORY, "{memory} KiB");
}

/// Links that are held; they end with the daemon.
#[track_caller]
fn holds(device: &mut Device, bait: &Bait) -> thread::JoinHandle<()> {
    wait::until("the device has its link", wait::LONG, || {
        let accepted = device.is_accepted(bait);
        device.hold(&accepted, bait).ok()
    })
}

#[test]
fn a_contact_at_every_limit_at_once_takes_nothing_from_the_others() {
    const DISK: u64 = 256 * MIB;
    let stage = Stage::unlimited();
    let alice = stage
        .person("alice")
        .with_small_disk(DISK)
        .with("accept.from", vec![jid("bob"), jid("dave")])
        .with("accept.quota", "0")
        // Its paths are long, so it might have many folders.
        .with("accept.max_size", "64 GiB")
        .with("hooks.on_offer", vec!["sleep", "600"])
        .online();
    let dave = stage.online("dave");
    let fingerprint = alice.ctl.status()["fingerprint"].as_str().unwrap().to_owned();
    let mut bad = Device::login_before(&stage, "bob", &fingerprint);
    let to = alice.ctl.status()["device"].as_str().unwrap().to_owned();

    // Memory of pieces: two contents with the largest pieces, and no data.
    let mut held = Vec::new();
    for number in [1, 2] {
        let bait = Bait::of_large_pieces(&format!("pieces {number}"), 2);
        bad.bait(&to, number, &bait);
        held.push(holds(&mut bad, &bait));
    }
    wait::until("all memory of pieces is held", wait::LONG, || {
        (uses(&alice, "bob", "pieces") >= 32 * MIB).then_some(())
    });
    // Memory of metadata.
    let paths = Bait::of_long_paths("paths", 15_000);
    assert!(paths.metadata() as u64 > 14 * MIB);
    bad.bait(&to, 3, &paths);
    held.push(holds(&mut bad, &paths));
    wait::until("metadata is held", wait::LONG, || (uses(&alice, "bob", "metadata") >= 14 * MIB).then_some(()));
    let padded = Bait::of_padding("padded", 4_088, 31 << 20);
    (1_000..1_020).for_each(|number| bad.bait(&to, number, &padded));
    // Disk, offers, hooks and notices.
    for number in 5..300 {
        bad.bait(&to, number, &Bait::of_large_pieces(&format!("bare {number}"), 8));
        bad.chat.say(&jid("alice"), &format!("spam {number}"));
        bad.chat.has("");
    }
    wait::until("the contact is at its limits", wait::LONG, || {
        let open = uses(&alice, "bob", "transfers") + uses(&alice, "bob", "offers");
        (open >= 200 && uses(&alice, "bob", "hooks") > 2).then_some(())
    });
    is_small(&alice);

    let out = dave.ctl.send(&jid("alice"), &stage.file("honest.bin", 8 * MIB));
    dave.ctl.reaches(out, "done");
    assert_eq!(content::hash(&alice.downloads().join("honest.bin")), content::hash(&stage.source("honest.bin")));
    is_small(&alice);
    assert!(uses(&alice, "bob", "transfers") > 3, "the contact is still there");
    assert!(alice.ctl.list().iter().all(|one| one["name"] != "padded"), "nothing needs so much metadata");
    assert_eq!(alice.ctl.status()["connection"], "online");
    drop(bad);
}
