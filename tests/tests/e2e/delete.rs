//! `remove --delete-data` deletes what was received, and nothing of the person's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use xbt_tests::ctl::text;
use xbt_tests::daemon::{Daemon, jid};
use xbt_tests::{Stage, content, wait};

/// Bob has received a path from alice: the number of the transfer and where it lies.
#[track_caller]
fn received(stage: &Stage, path: &Path) -> (Daemon, u64, PathBuf) {
    let (alice, bob) = (stage.online("alice"), stage.online("bob"));
    let out = alice.ctl.send(&jid("bob"), path);
    let inn = bob.ctl.offer(text(Path::new(path.file_name().unwrap())));
    bob.ctl.accept(inn);
    let done = bob.ctl.reaches(inn, "done");
    alice.ctl.reaches(out, "done");
    (bob, inn, PathBuf::from(done["path"].as_str().unwrap()))
}

fn stays(told: &Value) -> Vec<&str> {
    let mut paths: Vec<&str> =
        told["stays"].as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap()).collect();
    paths.sort_unstable();
    paths
}

#[test]
fn an_own_file_that_has_the_received_name_now_stays() {
    let stage = Stage::new();
    let (bob, inn, path) = received(&stage, &stage.file("report.pdf", 5000));
    let moved = bob.home().join("kept.pdf");
    fs::rename(&path, &moved).unwrap();
    fs::write(&path, "my own").unwrap();
    let told = bob.ctl.json(&["remove", &inn.to_string(), "--delete-data"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "my own");
    assert!(moved.exists());
    assert_eq!((&told["kept"], stays(&told)), (&1.into(), vec!["report.pdf"]), "{told}");
}

#[test]
fn own_and_edited_files_in_a_received_folder_stay_and_are_named() {
    let stage = Stage::new();
    let source = stage.source("holiday");
    fs::create_dir_all(source.join("day/empty")).unwrap();
    for name in ["a.txt", "b.txt", "day/c.txt"] {
        fs::write(source.join(name), name).unwrap();
    }
    let (bob, inn, got) = received(&stage, &source);
    fs::write(got.join("a.txt"), "A.txt").unwrap();
    fs::write(got.join("mine.txt"), "mine").unwrap();
    let ran = bob.ctl.run(&["remove", &inn.to_string(), "--delete-data"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(said.contains("2 kept"), "{said}");
    assert!(said.contains("holiday/a.txt was changed since it was received"), "{said}");
    assert!(said.contains("holiday/mine.txt was not received"), "{said}");
    assert_eq!(content::names(&got), ["a.txt", "mine.txt"]);
    assert_eq!(fs::read_to_string(got.join("a.txt")).unwrap(), "A.txt");
    assert!(bob.log().contains("2 kept"), "the log tells it, too");
}

#[test]
fn what_is_being_sent_on_is_not_deleted() {
    let stage = Stage::new();
    let (bob, inn, path) = received(&stage, &stage.file("report.pdf", 5000));
    let on = bob.ctl.send(&jid("alice"), &path).to_string();
    let inn = inn.to_string();
    let refusal = bob.ctl.refused(&["remove", &inn, "--delete-data"], "wrong-state");
    assert!(refusal.message.contains("being sent on") && refusal.hint.contains(&on), "{refusal:?}");
    assert!(path.exists());
    bob.ctl.ok(&["cancel", &on]);
    bob.ctl.ok(&["remove", &inn, "--delete-data"]);
    assert!(!path.exists());
}

#[test]
fn a_deletion_that_a_kill_interrupted_is_carried_out_at_the_next_start() {
    const FILES: usize = 4000;
    let stage = Stage::new();
    let (mut bob, inn, got) = received(&stage, &stage.tree("many", FILES as u64, 4 << 20));
    let there = || fs::read_dir(&got).map_or(0, |names| names.count());
    let before = there();
    let asked = bob.ctl.spawn(&["remove", &inn.to_string(), "--delete-data"]);
    wait::until("it has begun", wait::SOON, || (there() < before).then_some(()));
    bob.kill9();
    drop(asked);
    bob.start();
    assert!(bob.ctl.list().is_empty(), "the transfer is gone");
    wait::until("the rest is gone as well", wait::SOON, || (!got.exists()).then_some(()));
    bob.restart();
    assert!(content::names(&bob.downloads()).is_empty());
}

#[test]
fn what_came_before_records_were_kept_stays_and_it_is_said() {
    let stage = Stage::new();
    let (mut bob, inn, path) = received(&stage, &stage.file("old.bin", 1000));
    bob.stop();
    let sql = "import sqlite3, sys; sqlite3.connect(sys.argv[1], isolation_level=None).execute('DELETE FROM received')";
    let database = bob.state_dir().join("xbt.db");
    assert!(Command::new("python3").args(["-c", sql, text(&database)]).status().unwrap().success());
    bob.start();
    let told = bob.ctl.json(&["remove", &inn.to_string(), "--delete-data"]);
    assert_eq!((&told["kept"], &told["deleted"]), (&1.into(), &0.into()), "{told}");
    assert!(told["stays"][0]["why"].as_str().unwrap().contains("no record"), "{told}");
    assert!(path.exists());
}
