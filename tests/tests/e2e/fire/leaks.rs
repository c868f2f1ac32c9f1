//! After many transfers of mixed fates everything is as before: descriptors, threads, memory, files.

use std::fs;
use std::path::Path;

use xbt_tests::content::{self, MIB};
use xbt_tests::ctl::id;
use xbt_tests::daemon::jid;
use xbt_tests::trial::number;
use xbt_tests::{Daemon, Stage, wait};

use super::{look, meet, pick};

/// How many transfers; soaks make a thousand.
const TRANSFERS: &str = "XBT_LEAKS";

/// Sent together.
const BATCH: usize = 10;

/// Memory that the allocator may keep and the lists of what has ended may need: what leaks with every transfer would be far above it
/// after a thousand.
const MEMORY: u64 = 24 * MIB;

/// Idle workers go after some seconds; a few may stay for good.
const THREADS: u64 = 4;

/// The open file descriptors of a daemon.
pub fn descriptors(daemon: &Daemon) -> usize {
    fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count()
}

/// A number of `/proc/<pid>/status`.
pub fn in_status(daemon: &Daemon, key: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
}

#[derive(Debug)]
struct Base {
    descriptors: usize,
    threads: u64,
    memory: u64,
    files: Vec<String>,
}

fn files(daemon: &Daemon) -> Vec<String> {
    let folders = [daemon.state_dir(), daemon.home().join("run/xbt"), daemon.home().join("tmp")];
    folders.iter().flat_map(|folder| tree(folder)).collect()
}

fn tree(folder: &Path) -> Vec<String> {
    content::tree(folder).into_iter().map(|path| path.display().to_string()).collect()
}

fn base(daemon: &Daemon) -> Base {
    Base {
        descriptors: descriptors(daemon),
        threads: in_status(daemon, "Threads"),
        memory: in_status(daemon, "VmRSS") * 1_024,
        files: files(daemon),
    }
}

#[track_caller]
fn as_before(daemon: &Daemon, before: &Base) {
    let back = wait::within(wait::LONG, || {
        let now = base(daemon);
        (now.descriptors <= before.descriptors
            && now.threads <= before.threads + THREADS
            && now.memory <= before.memory + MEMORY
            && now.files == before.files)
            .then_some(())
    });
    println!("{}: before {before:?}, after {:?}", daemon.name(), base(daemon));
    assert!(back.is_some(), "{} must be as before: {before:#?}, now {:#?}", daemon.name(), base(daemon));
}

/// Sends a batch, and gives each transfer another fate.
fn batch(stage: &Stage, alice: &Daemon, bob: &Daemon, trial: &str) {
    let mut names = Vec::new();
    for index in 0..BATCH {
        let name = format!("{trial} {index}");
        // Two are ended in mid-flight, and have to last until then.
        let size = match index {
            7 | 8 => 12 * MIB,
            9 => MIB,
            _ => 20_000 * index as u64,
        };
        if index == 2 {
            content::folder(&stage.source(&name), 8, 60_000, 9);
        } else {
            content::file(&stage.source(&name), size, size);
        }
        alice.ctl.send(&jid("bob"), &stage.source(&name));
        names.push(name);
    }
    let offers: Vec<u64> = names.iter().map(|name| bob.ctl.offer(name)).collect();
    let sent: Vec<u64> = names.iter().map(|name| id(&alice.ctl.named("out", name)[0])).collect();
    let run = |daemon: &Daemon, command: &str, ids: &[u64]| {
        let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
        let args: Vec<_> = std::iter::once(command).chain(ids.iter().map(String::as_str)).collect();
        daemon.ctl.ok(&args);
    };
    run(bob, "decline", &offers[3..4]);
    run(alice, "cancel", &sent[4..5]);
    fs::write(stage.source(&names[5]), "changed").unwrap();
    run(bob, "accept", &[&offers[..3], &offers[5..]].concat());
    // Turns: at most four links at once, so that these three begin when the small ones are through.
    bob.ctl.has_moved(offers[7], 1);
    run(alice, "cancel", &sent[7..8]);
    bob.ctl.has_moved(offers[8], 1);
    run(bob, "cancel", &offers[8..9]);
    bob.ctl.has_moved(offers[9], 1);
    for command in ["pause", "resume"] {
        // Refused when it was faster than we are.
        let _ = bob.ctl.run(&[command, &offers[9].to_string()]);
    }
    ended(alice, bob, &names);
    for (daemon, direction, flags) in [(alice, "out", &[][..]), (bob, "in", &["--delete-data", "--yes"][..])] {
        let list = look(daemon).unwrap();
        let ids: Vec<_> =
            names.iter().flat_map(|name| pick(&list, direction, name)).map(|one| id(one).to_string()).collect();
        daemon.ctl.ok(&[&["remove"], flags, &ids.iter().map(String::as_str).collect::<Vec<_>>()].concat());
    }
    for name in &names {
        let path = stage.source(name);
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
}

#[track_caller]
fn ended(alice: &Daemon, bob: &Daemon, names: &[String]) {
    const FATES: [&str; BATCH] =
        ["done", "done", "done", "declined", "cancelled", "failed", "done", "cancelled", "cancelled", "done"];
    let states = |daemon: &Daemon, direction: &str| -> Option<Vec<String>> {
        let list = look(daemon)?;
        Some(names.iter().flat_map(|name| pick(&list, direction, name)).map(|one| text_of(&one["state"])).collect())
    };
    let found =
        wait::within(wait::LONG, || (states(alice, "out")? == FATES && states(bob, "in")? == FATES).then_some(()));
    assert!(found.is_some(), "{:?} {:?} must both be {FATES:?}", states(alice, "out"), states(bob, "in"));
}

fn text_of(value: &serde_json::Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[test]
fn transfers_of_mixed_fates_leave_nothing_behind() {
    let stage = Stage::new();
    let alice = stage.person("alice").with("network.upload_limit", "2 MiB/s").online();
    let bob = stage.online("bob");
    meet(&alice, &bob);
    // What is allocated once and kept is no leak.
    batch(&stage, &alice, &bob, "warm");
    let before = [base(&alice), base(&bob)];
    let batches = number(TRANSFERS).unwrap_or(50).div_ceil(BATCH as u64);
    for number in 0..batches {
        batch(&stage, &alice, &bob, &format!("batch {number}"));
        // For the reader of a failure: a leak grows on, what is kept does not.
        let memory = [&alice, &bob].map(|daemon| in_status(daemon, "VmRSS") / 1_024);
        println!("batch {number}: {memory:?} MiB");
    }
    as_before(&alice, &before[0]);
    as_before(&bob, &before[1]);
    wait::until("bob's folder is empty", wait::SOON, || content::names(&bob.downloads()).is_empty().then_some(()));
}
