//! The loss of power: what was not synced is gone, and the machine starts anew.

use std::path::Path;
use std::time::Duration;

use xbt_tests::content::{self, MIB};
use xbt_tests::ctl::done_bytes;
use xbt_tests::daemon::jid;
use xbt_tests::power::PowerDisk;
use xbt_tests::trial::{Chance, Trial};
use xbt_tests::{Daemon, Stage, wait};

use super::{Job, check, clear, look, pick, settle};

/// Room for what a round sends, and the database.
const DISK: u64 = 96 * MIB;

/// How long a round waits for the progress at which it cuts; the cut comes in any case.
const PROGRESS: Duration = Duration::from_secs(4);

/// The way of a stanza through a server on the same machine, with room to spare.
const ARRIVES: Duration = Duration::from_millis(300);

fn make(path: &Path, chance: &mut Chance) {
    let seed = chance.below(u64::MAX);
    match chance.below(6) {
        0 => content::file(path, chance.below(3_000), seed),
        1 => content::folder(path, 2 + chance.below(40), chance.below(3 * MIB), seed),
        // So many that the whole file system is synced at once.
        2 => content::folder(path, 80 + chance.below(200), chance.below(2 * MIB), seed),
        _ => content::file(path, MIB + chance.below(8 * MIB), seed),
    }
}

/// A moment of the last job: some way into it, or right after it said that it was done.
fn moment(pair: &[Daemon; 2], jobs: &[Job], chance: &mut Chance) {
    if chance.once_in(3) {
        return chance.pause(Duration::from_millis(600));
    }
    let job = &jobs[chance.below(jobs.len() as u64) as usize];
    let done = chance.once_in(2);
    let permille = chance.below(1_000);
    wait::within(PROGRESS, || {
        let list = look(&pair[1])?;
        let one = *pick(&list, "in", &job.name).first()?;
        let far = done_bytes(one) >= one["size"].as_u64()? * permille / 1_000;
        (if done { one["state"] == "done" } else { far }).then_some(())
    });
    chance.pause(Duration::from_millis(30));
}

/// The jobs of which a daemon says that they are done.
fn done(daemon: &Daemon, direction: &str, jobs: &[Job]) -> Vec<String> {
    let list = wait::until("the daemon tells its list", wait::SOON, || look(daemon));
    let said = |job: &&Job| pick(&list, direction, &job.name).iter().any(|one| one["state"] == "done");
    jobs.iter().filter(said).map(|job| job.name.clone()).collect()
}

/// Cuts the power of the victims at one moment; returns what had been called done before that.
fn cut(pair: &mut [Daemon; 2], victims: &[usize], jobs: &[Job]) -> Vec<String> {
    let mut said = done(&pair[1], "in", jobs);
    said.extend(done(&pair[0], "out", jobs));
    for victim in victims {
        pair[*victim].power_cut();
    }
    if let [1] = victims {
        // What the receiver told in its last moment arrives within milliseconds, or never: there is nothing else to wait for.
        wait::within(ARRIVES, || None::<()>);
        said.extend(done(&pair[0], "out", jobs));
    }
    said.sort();
    said.dedup();
    said
}

/// What was called done is whole, and so is all that has its final name.
fn is_whole(stage: &Stage, receiver: &Daemon, said: &[String], jobs: &[Job]) {
    for job in jobs {
        let arrived = receiver.downloads().join(&job.name);
        if said.contains(&job.name) || arrived.exists() {
            let sent = content::hash(&stage.source(&job.name));
            assert_eq!(content::hash(&arrived), sent, "{job:?} (called done: {})", said.contains(&job.name));
        }
    }
}

fn lose_power(test: &'static str, victims: &[usize], quick: u64) {
    if let Some(why) = PowerDisk::missing() {
        println!("{test} did not run: {why}");
        return;
    }
    let stage = Stage::new();
    let alice = stage.person("alice").with("network.upload_limit", "8 MiB/s").with_power_disk(DISK).online();
    let bob = stage.person("bob").with("accept.from", vec![jid("alice")]).with_power_disk(DISK).online();
    let mut pair = [alice, bob];
    let (mut cuts, mut finished) = (0, 0);
    for round in Trial::new(test, quick) {
        let mut chance = round.chance();
        let jobs: Vec<_> =
            (0..1 + chance.below(3)).map(|n| Job { name: format!("round {} {n}", round.number), from: 0 }).collect();
        for job in &jobs {
            make(&stage.source(&job.name), &mut chance);
            pair[0].ctl.send(&jid("bob"), &stage.source(&job.name));
        }
        for _ in 0..1 + chance.below(3) {
            moment(&pair, &jobs, &mut chance);
            let said = cut(&mut pair, victims, &jobs);
            (cuts, finished) = (cuts + 1, finished + said.len());
            println!("round {}: power cut of {victims:?}, done before: {said:?}", round.number);
            is_whole(&stage, &pair[1], &said, &jobs);
            for victim in victims {
                pair[*victim].start();
            }
            for (daemon, direction) in [(&pair[0], "out"), (&pair[1], "in")] {
                let still = done(daemon, direction, &jobs);
                // The sender may have heard it only afterwards.
                assert!(direction == "out" || said.iter().all(|name| still.contains(name)), "{said:?} {still:?}");
            }
        }
        let both = [&pair[0], &pair[1]];
        settle(both, &jobs);
        check(&stage, both, &jobs);
        clear(both);
    }
    println!("{cuts} power cuts, {finished} contents called done before one");
}

#[test]
fn a_receiver_that_loses_its_power_has_what_it_called_done_and_gets_the_rest() {
    lose_power("fire::power::a_receiver_that_loses_its_power_has_what_it_called_done_and_gets_the_rest", &[1], 4);
}

#[test]
fn a_sender_that_loses_its_power_still_sends_what_it_said_it_would() {
    lose_power("fire::power::a_sender_that_loses_its_power_still_sends_what_it_said_it_would", &[0], 3);
}

#[test]
fn both_losing_their_power_at_once_lose_and_double_nothing() {
    lose_power("fire::power::both_losing_their_power_at_once_lose_and_double_nothing", &[0, 1], 2);
}
