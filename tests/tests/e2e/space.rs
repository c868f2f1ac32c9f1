//! Disks are finite.

use std::fs::{self, File};
use std::io::Write;

use xbt_tests::content::{self, MIB};
use xbt_tests::daemon::jid;
use xbt_tests::{Stage, wait};

#[test]
fn an_offer_that_does_not_fit_is_refused_at_accept_with_the_numbers() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let bob = stage.person("bob").with_small_disk(20 * MIB).online();
    let out = alice.ctl.send(&jid("bob"), &stage.file("film.mkv", 64 * MIB));
    let inn = bob.ctl.offer("film.mkv");
    let refusal = bob.ctl.refused(&["accept", &inn.to_string()], "no-space");
    assert!(refusal.message.contains("64") && refusal.message.contains("20"), "it has the numbers: {refusal:?}");
    // The offer stands, and another folder has room.
    assert_eq!(bob.ctl.show(inn)["state"], "offered");
    let roomy = bob.home().join("Roomy");
    fs::create_dir(&roomy).unwrap();
    bob.ctl.ok(&["accept", &inn.to_string(), "-o", xbt_tests::ctl::text(&roomy)]);
    bob.ctl.reaches(inn, "done");
    alice.ctl.reaches(out, "done");
    assert_eq!(content::hash(&roomy.join("film.mkv")), content::hash(&stage.source("film.mkv")));
}

#[test]
fn space_that_runs_out_in_mid_transfer_pauses_it_and_resume_completes_it() {
    let stage = Stage::new();
    let alice = stage.person("alice").with("network.upload_limit", "4 MiB/s").online();
    let bob = stage.person("bob").with_small_disk(80 * MIB).online();
    let out = alice.ctl.send(&jid("bob"), &stage.file("film.mkv", 64 * MIB));
    let inn = bob.ctl.offer("film.mkv");
    bob.ctl.accept(inn);
    bob.ctl.has_moved(inn, 4 * MIB);
    let filler = bob.downloads().join("filler");
    let mut file = File::create(&filler).unwrap();
    while file.write_all(&[1; 65536]).is_ok() {}
    drop(file); // an open file keeps its space
    let paused = bob.ctl.becomes(inn, "is paused", |one| one["paused"] == true);
    assert!(paused.to_string().contains("disk-full"), "it says why: {paused}");
    alice.ctl.becomes(out, "is paused", |one| one["paused"] == true);
    fs::remove_file(&filler).unwrap();
    bob.ctl.tell("resume", inn);
    bob.ctl.reaches(inn, "done");
    alice.ctl.reaches(out, "done");
    assert_eq!(content::hash(&bob.downloads().join("film.mkv")), content::hash(&stage.source("film.mkv")));
    wait::until("nothing else is left", wait::SOON, || {
        (content::names(&bob.downloads()) == ["film.mkv"]).then_some(())
    });
}

#[test]
fn a_destination_that_cannot_be_written_is_refused_at_accept() {
    let stage = Stage::new();
    let (alice, bob) = (stage.online("alice"), stage.online("bob"));
    alice.ctl.send(&jid("bob"), &stage.file("a.bin", 1000));
    let inn = bob.ctl.offer("a.bin").to_string();
    bob.ctl.refused(&["accept", &inn, "-o", xbt_tests::ctl::text(&bob.home().join("no/where"))], "bad-destination");
    let locked = bob.home().join("locked");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(&locked, std::os::unix::fs::PermissionsExt::from_mode(0o500)).unwrap();
    bob.ctl.refused(&["accept", &inn, "-o", xbt_tests::ctl::text(&locked)], "bad-destination");
    bob.ctl.accept(inn.parse().unwrap());
    bob.ctl.reaches(inn.parse().unwrap(), "done");
}

#[test]
fn what_is_paused_goes_on_in_another_folder_with_what_has_come() {
    let stage = Stage::new();
    let alice = stage.person("alice").with("network.upload_limit", "4 MiB/s").online();
    let bob = stage.person("bob").with_small_disk(80 * MIB).online();
    alice.ctl.send(&jid("bob"), &stage.file("film.mkv", 64 * MIB));
    let inn = bob.ctl.offer("film.mkv");
    let id = inn.to_string();
    bob.ctl.accept(inn);
    let moved = bob.ctl.has_moved(inn, 8 * MIB);
    // It is made.
    let other = bob.home().join("Other");
    let refusal = bob.ctl.refused(&["accept", &id, "-o", xbt_tests::ctl::text(&other)], "wrong-state");
    assert!(refusal.hint.contains("pause it"), "{refusal:?}");
    bob.ctl.tell("pause", inn);
    bob.ctl.ok(&["accept", &id, "-o", xbt_tests::ctl::text(&other)]);
    let done = bob.ctl.reaches(inn, "done");
    assert_eq!(content::hash(&other.join("film.mkv")), content::hash(&stage.source("film.mkv")));
    assert_eq!(content::names(&other), ["film.mkv"]);
    assert!(content::names(&bob.downloads()).is_empty(), "nothing is left where it was");
    let downloaded = bob.ctl.show(inn)["downloaded"].as_u64().unwrap();
    assert!(downloaded < 64 * MIB + 8 * MIB && moved >= 8 * MIB, "{downloaded} of {done}");
}
