//! Disks with other rules than ours.

use std::fs;
use std::os::unix::fs::symlink;

use xbt_tests::ctl::text;
use xbt_tests::daemon::jid;
use xbt_tests::foreign_disk::ForeignDisk;
use xbt_tests::{Stage, content};

/// A folder that holds what Windows cannot.
fn odd(stage: &Stage) -> std::path::PathBuf {
    let source = stage.source("odd");
    fs::create_dir_all(source.join("a?b")).unwrap();
    for name in ["what?.txt", "what_.txt", "12:30.txt", "readme", "README", "a?b/in"] {
        fs::write(source.join(name), name).unwrap();
    }
    source
}

#[test]
fn names_that_a_disk_refuses_become_others_and_it_is_told() {
    for disk in [ForeignDisk::Exfat, ForeignDisk::Ntfs] {
        if let Some(why) = disk.missing() {
            eprintln!("not tried: {why}");
            continue;
        }
        let stage = Stage::new();
        let alice = stage.online("alice");
        let bob = stage.person("bob").with_foreign_disk(disk).online();
        let out = alice.ctl.send(&jid("bob"), &odd(&stage));
        let inn = bob.ctl.offer("odd");
        bob.ctl.accept(inn);
        let done = bob.ctl.reaches(inn, "done");
        alice.ctl.reaches(out, "done");
        let got = bob.downloads().join("odd");
        let read = |name: &str| fs::read_to_string(got.join(name)).unwrap();
        assert_eq!(read("what_ (2).txt"), "what?.txt");
        assert_eq!(
            (read("what_.txt"), read("12_30.txt"), read("a_b/in")),
            ("what_.txt".into(), "12:30.txt".into(), "a?b/in".into())
        );
        // NTFS on Linux keeps case apart.
        let twin = if matches!(disk, ForeignDisk::Exfat) { "readme (2)" } else { "readme" };
        assert_eq!((read("README"), read(twin)), ("README".into(), "readme".into()));
        assert!(done.to_string().contains("12:30.txt is 12_30.txt"), "{done:#}");
        assert_eq!(content::names(&bob.downloads()), ["odd"]);
    }
}

#[test]
fn a_disk_without_symbolic_links_is_found_out_before_anything_is_fetched() {
    let disk = ForeignDisk::Exfat;
    if let Some(why) = disk.missing() {
        return eprintln!("not tried: {why}");
    }
    let stage = Stage::new();
    let alice = stage.online("alice");
    let bob = stage.person("bob").with_foreign_disk(disk).online();
    let source = stage.tree("linked", 3, 3_000_000);
    symlink("0", source.join("link")).unwrap();
    let out = alice.ctl.send(&jid("bob"), &source);
    let inn = bob.ctl.offer("linked");
    bob.ctl.accept(inn);
    let paused = bob.ctl.becomes(inn, "is paused", |one| one["paused"] == true);
    assert!(paused.to_string().contains("destination-unsuitable"), "{paused:#}");
    assert_eq!(paused["done_bytes"], 0);
    let other = bob.home().join("Other");
    bob.ctl.ok(&["accept", &inn.to_string(), "-o", text(&other)]);
    bob.ctl.reaches(inn, "done");
    alice.ctl.reaches(out, "done");
    assert!(other.join("linked/link").is_symlink());
    assert!(content::names(&bob.downloads()).is_empty());
}
