//! `make demo`: two people, a private server, 256 MiB (or as many as the argument says) from one to the other; everything is cleaned up
//! afterwards.
#![allow(clippy::panic, reason = "a fault ends the demo by unwinding, which cleans up")]

use std::cell::Cell;
use std::error::Error;
use std::io::{IsTerminal, Write, stderr};
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use xbt_tests::content::{self, MIB};
use xbt_tests::daemon::{Daemon, jid};
use xbt_tests::{Stage, ctl, programs, wait};

/// How many MiB are sent.
const SIZE: u64 = 256;
/// In how many files.
const FILES: u64 = 120;

fn main() -> ExitCode {
    let size = match std::env::args().nth(1).map_or(Ok(SIZE), |text| text.parse::<u64>()) {
        Ok(size @ 1..=1_000_000) => size * MIB,
        _ => {
            eprintln!("usage: demo [MIB]");
            return ExitCode::from(2);
        }
    };
    // The work has a thread of its own, so that an interrupt can end it by unwinding, which stops the programs and removes the files.
    let work = thread::spawn(move || run(size));
    if let Err(error) = wait_for_interrupt_or(|| work.is_finished()) {
        eprintln!("cannot watch for Ctrl-C: {error}");
    }
    match work.join() {
        Ok(true) => ExitCode::SUCCESS,
        _ if wait::interrupted() => {
            eprintln!("\ninterrupted; everything is cleaned up");
            ExitCode::from(130)
        }
        _ => ExitCode::FAILURE,
    }
}

fn wait_for_interrupt_or(finished: impl Fn() -> bool) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        loop {
            tokio::select! {
                pressed = tokio::signal::ctrl_c() => {
                    pressed?;
                    wait::interrupt();
                    return Ok(());
                }
                _ = tick.tick() => if finished() { return Ok(()) },
            }
        }
    })
}

/// Returns whether both hashes are equal.
fn run(size: u64) -> bool {
    println!("xbt demo: {} MiB from alice to bob on this machine ({} build)", size / MIB, programs::profile());
    let stage = step("a private Prosody with two accounts", Stage::new);
    let alice = step("alice's daemon", || stage.online("alice"));
    let bob = step("bob's daemon", || stage.online("bob"));
    let source = step(&format!("a folder of {FILES} files, {} MiB", size / MIB), || stage.tree("holiday", FILES, size));

    println!("\nalice $ xbtctl send bob@localhost holiday");
    let start = Instant::now();
    let out = alice.ctl.send(&jid("bob"), &source);
    let offer = bob.ctl.offer("holiday");
    let prepared = start.elapsed();
    print!("bob   $ xbtctl list\n{}", bob.ctl.ok(&["list"]));

    println!("\nbob   $ xbtctl accept {offer} --wait");
    let start = Instant::now();
    receive(&bob, offer, size);
    let moved = start.elapsed();
    alice.ctl.reaches(out, "done");
    let sent = alice.ctl.show(out);
    print!("alice $ xbtctl list\n{}", alice.ctl.ok(&["list", "--all"]));

    let (theirs, ours) = (content::hash(&bob.downloads().join("holiday")), content::hash(&source));
    println!("\nsent      sha256 {ours}  {}", show(&source));
    println!("received  sha256 {theirs}  {}", show(&bob.downloads().join("holiday")));
    println!("hashed and offered in {:.1} s ({:.0} MiB/s)", prepared.as_secs_f64(), rate(size, prepared));
    println!(
        "moved in {:.1} s: {:.0} MiB/s, encrypted, from accept to verified and in place (way: {})",
        moved.as_secs_f64(),
        rate(size, moved),
        way(&sent)
    );
    let equal = ours == theirs;
    println!("{}", if equal { "the hashes are equal" } else { "THE HASHES DIFFER" });
    equal
}

/// The way it went: the last link that its history names.
fn way(sent: &Value) -> &str {
    let steps = sent["history"].as_array().into_iter().flatten();
    let links = steps.filter_map(|step| step["reason"].as_str()?.strip_prefix("link "));
    links.fold("not known", |_, way| way)
}

/// Accepts, and shows the progress: that of xbtctl itself on a terminal, else a line now and then.
fn receive(bob: &Daemon, offer: u64, size: u64) {
    let id = offer.to_string();
    if stderr().is_terminal() {
        let mut child = bob
            .ctl
            .command(&["accept", &id, "--wait"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap_or_else(|error| panic!("xbtctl cannot be started: {error}"));
        wait::until("bob has it all", wait::LONG, || child.try_wait().ok().flatten());
        bob.ctl.reaches(offer, "done");
        return;
    }
    let start = Instant::now();
    bob.ctl.accept(offer);
    let told = Cell::new(0);
    bob.ctl.becomes(offer, "is done", |one| {
        let done = ctl::done_bytes(one);
        let percent = done * 100 / size;
        if percent >= told.get() + 10 {
            eprintln!("  {percent:3} %  {:.0} MiB/s", rate(done, start.elapsed()));
            told.set(percent);
        }
        one["state"] == "done"
    });
}

fn step<T>(what: &str, make: impl FnOnce() -> T) -> T {
    print!("  {what} … ");
    let _ = std::io::stdout().flush();
    let start = Instant::now();
    let made = make();
    println!("{:.1} s", start.elapsed().as_secs_f64());
    made
}

fn rate(size: u64, took: Duration) -> f64 {
    size as f64 / MIB as f64 / took.as_secs_f64()
}

fn show(path: &Path) -> String {
    path.display().to_string()
}
