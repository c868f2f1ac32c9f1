//! kill -9 of either daemon, or both, at any moment.

use std::time::Duration;

use xbt_tests::content::{self, MIB};
use xbt_tests::ctl::{Running, done_bytes, text};
use xbt_tests::daemon::jid;
use xbt_tests::trial::{Chance, Trial};
use xbt_tests::{Daemon, Stage, wait};

use super::{Job, check, clear, look, settle};

/// How long a round waits for the progress at which it kills; the kill comes in any case.
const PROGRESS: Duration = Duration::from_secs(3);

const USERS: [&str; 2] = ["alice", "bob"];

fn make(stage: &Stage, chance: &mut Chance, name: &str) {
    let path = stage.source(name);
    let seed = chance.below(u64::MAX);
    match chance.below(6) {
        0 => content::file(&path, 0, seed),
        1 => content::file(&path, 1 + chance.below(3_000), seed),
        2 => content::folder(&path, 2 + chance.below(40), chance.below(3 * MIB), seed),
        3 => content::folder(&path, 2 + chance.below(5), 4 * MIB + chance.below(4 * MIB), seed),
        _ => content::file(&path, 1 + chance.below(10 * MIB), seed),
    }
}

/// A send whose answer may be lost: the caller looks, as `docs/rpc.md` says, before it repeats it.
fn start_send(stage: &Stage, pair: &[Daemon; 2], job: &Job) -> Running {
    pair[job.from].ctl.spawn(&["send", &jid(USERS[1 - job.from]), text(&stage.source(&job.name))])
}

fn make_sure_it_is_sent(stage: &Stage, pair: &[Daemon; 2], job: &Job, sending: Running) {
    let ran = sending.ends_within(wait::LONG);
    let known = || look(&pair[job.from]).map(|list| !super::pick(&list, "out", &job.name).is_empty());
    let known = wait::until("the sender answers", wait::SOON, known);
    assert!(known || ran.code != Some(0), "a send that was answered is kept: {job:?}");
    if !known {
        pair[job.from].ctl.send(&jid(USERS[1 - job.from]), &stage.source(&job.name));
    }
}

/// Waits for the moment of a kill.
fn moment(pair: &[Daemon; 2], jobs: &[Job], chance: &mut Chance) {
    if chance.once_in(2) {
        return chance.pause(Duration::from_millis(400));
    }
    let job = &jobs[chance.below(jobs.len() as u64) as usize];
    let permille = chance.below(1_000);
    wait::within(PROGRESS, || {
        let list = look(&pair[1 - job.from])?;
        let one = *super::pick(&list, "in", &job.name).first()?;
        if one["state"] == "offered" {
            let _ = pair[1 - job.from].ctl.run(&["accept", &one["id"].to_string()]);
        }
        (done_bytes(one) >= one["size"].as_u64()? * permille / 1_000).then_some(())
    });
}

#[test]
fn kills_at_any_moment_lose_and_double_nothing() {
    let stage = Stage::new();
    // Alice asks before she accepts; bob does not. The limit makes moments in mid-transfer likely.
    let mut alice = stage.person("alice").with("network.upload_limit", "12 MiB/s");
    let mut bob = stage.person("bob").with("network.upload_limit", "12 MiB/s").with("accept.from", vec![jid("alice")]);
    alice.start();
    bob.start();
    let mut pair = [alice, bob];
    let mut kills = 0;
    for round in Trial::new("fire::kills::kills_at_any_moment_lose_and_double_nothing", 6) {
        let mut chance = round.chance();
        let jobs: Vec<_> = (0..1 + chance.below(3))
            .map(|number| Job { name: format!("round {} {number}", round.number), from: chance.below(2) as usize })
            .collect();
        let mut sending = Vec::new();
        for job in &jobs {
            make(&stage, &mut chance, &job.name);
            sending.push(start_send(&stage, &pair, job));
        }
        let early = chance.once_in(3);
        if early {
            // In the middle of the command itself.
            chance.pause(Duration::from_millis(40));
        } else {
            for (job, sending) in jobs.iter().zip(sending.drain(..)) {
                make_sure_it_is_sent(&stage, &pair, job, sending);
            }
        }
        for kill in 0..1 + chance.below(3) {
            if !(early && kill == 0) {
                moment(&pair, &jobs, &mut chance);
            }
            let victim = chance.below(2) as usize;
            let both = chance.once_in(4);
            kills += 1 + u32::from(both);
            println!(
                "round {}: kill {kill} hits {}{}",
                round.number,
                USERS[victim],
                if both { " and the other" } else { "" }
            );
            pair[victim].kill9();
            if both {
                pair[1 - victim].kill9();
            }
            chance.pause(Duration::from_millis(200));
            pair[victim].start();
            if both {
                pair[1 - victim].start();
            }
        }
        for (job, sending) in jobs.iter().zip(sending) {
            make_sure_it_is_sent(&stage, &pair, job, sending);
        }
        let both = [&pair[0], &pair[1]];
        settle(both, &jobs);
        check(&stage, both, &jobs);
        clear(both);
    }
    println!("{kills} kills");
}
