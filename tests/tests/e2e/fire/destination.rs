//! The folder to receive into is taken away in mid-transfer, and comes back.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use xbt_tests::content::{self, MIB};
use xbt_tests::ctl::text;
use xbt_tests::daemon::jid;
use xbt_tests::power::{HungDisk, PowerDisk};
use xbt_tests::{Stage, wait};

#[track_caller]
fn taken_away(take: impl FnOnce(&Path), bring_back: impl FnOnce(&Path)) {
    let stage = Stage::new();
    let alice = stage.person("alice").with("network.upload_limit", "512 KiB/s").online();
    let mut bob = stage.online("bob");
    let source = stage.tree("album", 12, 12 * MIB);
    let out = alice.ctl.send(&jid("bob"), &source);
    let inn = bob.ctl.offer("album");
    bob.ctl.accept(inn);
    bob.ctl.has_moved(inn, MIB);
    take(&bob.downloads());
    let paused = bob.ctl.becomes(inn, "is paused", |one| one["paused"] == true);
    assert_eq!(paused["why"]["code"], "destination-unwritable", "{paused}");
    assert!(paused["why"]["text"].as_str().is_some_and(|text| !text.is_empty()), "{paused}");
    alice.ctl.becomes(out, "is paused", |one| one["paused"] == true);
    alice.ctl.ok(&["limit", "--up", "0"]);
    // Neither a restart nor an early resume makes it worse.
    bob.restart();
    let _ = bob.ctl.run(&["resume", &inn.to_string()]);
    let paused = bob.ctl.becomes(inn, "is paused", |one| one["paused"] == true);
    assert_eq!(paused["why"]["code"], "destination-unwritable", "{paused}");
    bring_back(&bob.downloads());
    wait::until("it can be resumed", wait::SOON, || {
        (bob.ctl.run(&["resume", &inn.to_string()]).code == Some(0)).then_some(())
    });
    bob.ctl.reaches(inn, "done");
    alice.ctl.reaches(out, "done");
    assert_eq!(content::hash(&bob.downloads().join("album")), content::hash(&source));
    assert_eq!(content::names(&bob.downloads()), ["album"]);
}

#[test]
fn a_destination_that_vanishes_in_mid_transfer_pauses_it_and_resume_completes_it() {
    // The daemon is creating files in it: one that comes while the others are removed keeps the folder, so again until it is gone.
    let remove = |folder: &Path| {
        wait::until("the folder is gone", wait::SOON, || {
            let _ = fs::remove_dir_all(folder);
            (!folder.exists()).then_some(())
        });
    };
    taken_away(remove, |folder| fs::create_dir(folder).unwrap());
}

#[test]
fn a_destination_that_is_moved_away_in_mid_transfer_pauses_it_and_resume_completes_it() {
    let elsewhere = |folder: &Path| folder.with_extension("elsewhere");
    taken_away(
        |folder| fs::rename(folder, elsewhere(folder)).unwrap(),
        |folder| fs::rename(elsewhere(folder), folder).unwrap(),
    );
}

#[test]
fn a_destination_that_becomes_read_only_in_mid_transfer_pauses_it_and_resume_completes_it() {
    let mode = |folder: &Path, mode| fs::set_permissions(folder, Permissions::from_mode(mode)).unwrap();
    taken_away(|folder| mode(folder, 0o500), |folder| mode(folder, 0o700));
}

#[test]
fn a_file_of_the_same_name_that_appears_in_mid_transfer_is_not_touched() {
    let stage = Stage::new();
    let alice = stage.person("alice").with("network.upload_limit", "512 KiB/s").online();
    let bob = stage.online("bob");
    let source = stage.file("report.pdf", 8 * MIB);
    alice.ctl.send(&jid("bob"), &source);
    let inn = bob.ctl.offer("report.pdf");
    bob.ctl.accept(inn);
    bob.ctl.has_moved(inn, MIB);
    let mine = bob.downloads().join("report.pdf");
    fs::write(&mine, "mine").unwrap();
    alice.ctl.ok(&["limit", "--up", "0"]);
    let done = bob.ctl.reaches(inn, "done");
    assert_eq!(fs::read_to_string(&mine).unwrap(), "mine");
    let arrived = bob.downloads().join("report (2).pdf");
    assert_eq!(done["path"].as_str(), arrived.to_str());
    assert_eq!(content::hash(&arrived), content::hash(&source));
}

#[test]
fn a_disk_that_hangs_when_a_rule_accepts_an_offer_holds_up_that_offer_and_nothing_else() {
    if let Some(why) = PowerDisk::missing() {
        return eprintln!("did not run: {why}");
    }
    let stage = Stage::new();
    let nas = stage.folder().join("nas");
    let disk = HungDisk::mount(16 * MIB, &nas, stage.folder());
    let alice = stage.online("alice");
    let bob = stage.person("bob").with("accept.from", vec![jid("alice")]);
    let bob = bob.with("files.download_dir", text(&nas.join("in"))).online();
    let frozen = disk.freeze();
    let out = alice.ctl.send(&jid("bob"), &stage.file("held.bin", 1_000));
    let inn = bob.ctl.offer("held.bin");
    assert_eq!(bob.ctl.show(inn)["state"], "offered");
    assert_eq!(bob.ctl.status()["connection"], "online");
    drop(frozen);
    bob.ctl.reaches(inn, "done");
    alice.ctl.reaches(out, "done");
}
