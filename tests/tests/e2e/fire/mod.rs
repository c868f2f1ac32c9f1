//! Under fire: nothing is lost, doubled or stuck, whatever life does to daemons, server, disks and callers.
//!
//! Chances come from seeds (`XBT_SEED`), which a failing test prints; `XBT_ROUNDS` asks for more rounds than a quick run has.

mod clock;
mod destination;
mod doors;
mod endings;
mod hostile;
mod kills;
mod leaks;
mod ledger;
mod power;
mod rpc;
mod signalling;
mod signed;
mod state;
mod stops;

use std::time::Duration;

use serde_json::Value;
use xbt_tests::content;
use xbt_tests::ctl::id;
use xbt_tests::daemon::jid;
use xbt_tests::{Daemon, Stage, wait};

/// One content on its way from one person to the other.
#[derive(Debug)]
struct Job {
    name: String,
    /// Index into the pair of daemons.
    from: usize,
}

/// All transfers of a daemon, if it answers now: it may be dead, stopped or just starting.
fn look(daemon: &Daemon) -> Option<Vec<Value>> {
    let ran = daemon.ctl.run(&["list", "--all", "--json"]);
    (ran.code == Some(0)).then(|| serde_json::from_str(&ran.stdout).ok()).flatten()
}

fn pick<'a>(list: &'a [Value], direction: &str, name: &str) -> Vec<&'a Value> {
    list.iter().filter(|one| one["direction"] == direction && one["name"] == name).collect()
}

/// Accepts what is offered, until every job is done on both sides, exactly once.
#[track_caller]
fn settle(pair: [&Daemon; 2], jobs: &[Job]) {
    let mut seen = Vec::new();
    let found = wait::within(wait::LONG, || {
        let lists = [look(pair[0])?, look(pair[1])?];
        let mut all = true;
        for job in jobs {
            let (out, inn) = (pick(&lists[job.from], "out", &job.name), pick(&lists[1 - job.from], "in", &job.name));
            assert!(out.len() == 1 && inn.len() <= 1, "{job:?} is there once: {out:#?} {inn:#?}");
            for one in inn.iter().filter(|one| one["state"] == "offered") {
                // May be refused: by then it may have been accepted already, or the daemon be on its way down.
                let _ = pair[1 - job.from].ctl.run(&["accept", &id(one).to_string()]);
            }
            for (side, one) in out.iter().map(|one| (job.from, one)).chain(inn.iter().map(|one| (1 - job.from, one))) {
                if one["why"]["code"] == "paused" {
                    let _ = pair[side].ctl.run(&["resume", &id(one).to_string()]);
                }
                let ended = ["failed", "cancelled", "declined", "expired", "elsewhere"];
                assert!(!ended.contains(&one["state"].as_str().unwrap_or_default()), "{job:?}: {one:#}");
            }
            all &= out[0]["state"] == "done" && inn.first().is_some_and(|one| one["state"] == "done");
        }
        seen = lists.to_vec();
        all.then_some(())
    });
    assert!(found.is_some(), "waited in vain until all of {jobs:?} are done: {seen:#?}");
}

/// What arrived is what was sent, and there is nothing else.
#[track_caller]
fn check(stage: &Stage, pair: [&Daemon; 2], jobs: &[Job]) {
    for job in jobs {
        let arrived = pair[1 - job.from].downloads().join(&job.name);
        assert_eq!(content::hash(&arrived), content::hash(&stage.source(&job.name)), "{job:?}");
    }
    for (index, daemon) in pair.iter().enumerate() {
        let mut expected: Vec<_> = jobs.iter().filter(|job| job.from != index).map(|job| job.name.clone()).collect();
        expected.sort();
        assert_eq!(
            content::names(&daemon.downloads()),
            expected,
            "no partial and no double is left at {}",
            daemon.name()
        );
    }
}

/// Takes everything off the lists and disks.
#[track_caller]
fn clear(pair: [&Daemon; 2]) {
    for daemon in pair {
        for one in daemon.ctl.list() {
            let number = id(&one).to_string();
            let args: &[&str] =
                if one["direction"] == "in" { &["remove", &number, "--delete-data"] } else { &["remove", &number] };
            daemon.ctl.ok(args);
        }
        wait::until("what was removed is gone", wait::SOON, || {
            content::names(&daemon.downloads()).is_empty().then_some(())
        });
    }
}

/// Both see each other: there is something to break.
#[track_caller]
fn meet(alice: &Daemon, bob: &Daemon) {
    for daemon in [alice, bob] {
        // To a server that broke again and again a daemon comes back more and more slowly, up to a minute.
        daemon.ctl.connection_becomes("online", wait::LONG);
    }
    alice.ctl.sees(&jid("bob"));
    bob.ctl.sees(&jid("alice"));
}

/// A span that soaks make longer.
fn span(name: &str, quick: u64) -> Duration {
    Duration::from_secs(xbt_tests::trial::number(name).unwrap_or(quick))
}
