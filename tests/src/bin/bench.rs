//! `make bench`: how fast all of xbt is on this machine, beside a plain copy. Build it for release, and let nothing else run.
#![allow(clippy::panic, reason = "a fault ends the measurement by unwinding, which cleans up")]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use xbt_api::{Client, SendRequest};
use xbt_tests::content::MIB;
use xbt_tests::ctl::text;
use xbt_tests::daemon::{Daemon, jid};
use xbt_tests::{Stage, programs, wait};

/// Long enough for a GiB on a slow disk.
const LONG: Duration = Duration::from_secs(600);
/// For which the idle daemons are watched.
const IDLE: Duration = Duration::from_secs(60);
/// Transfers in the long list.
const MANY: usize = 10_000;
/// How often short things are done; the median is told.
const TIMES: usize = 9;

fn main() -> Result<(), Box<dyn Error>> {
    let load = fs::read_to_string("/proc/loadavg")?;
    let cores = thread::available_parallelism()?;
    println!("xbt, {} build; {cores} cores; load before: {}", programs::profile(), load.trim());
    engine()?;
    let stage = Stage::new();
    let (alice, bob) = (stage.online("alice"), stage.online("bob"));
    println!("memory, idle: {} MiB", resident(&alice, "VmRSS"));
    large(&stage, &alice, &bob)?;
    small(&stage, &alice, &bob);
    drop((alice, bob));
    instant(&stage);
    idle(&stage);
    many(&stage)?;
    overhead();
    Ok(())
}

/// The engine alone, over TCP in the clear.
fn engine() -> Result<(), Box<dyn Error>> {
    let example = programs::folder().join("examples/loopback");
    if !example.exists() {
        println!("the engine alone: not measured (cargo build --release -p xbt-torrent --example loopback)");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let source = folder.path().join("source");
    xbt_tests::content::file(&source, 1024 * MIB, 1);
    println!("the engine alone, 1 GiB:");
    for round in ["one", "two"] {
        let work = folder.path().join(round);
        fs::create_dir(&work)?;
        let said = Command::new(&example).args([&source, &work]).output()?;
        String::from_utf8_lossy(&said.stdout).lines().for_each(|line| println!("  {line}"));
        fs::remove_dir_all(&work)?;
    }
    Ok(())
}

/// One file of 1 GiB, from accept to done, beside `cp` of the same.
fn large(stage: &Stage, alice: &Daemon, bob: &Daemon) -> Result<(), Box<dyn Error>> {
    let source = stage.file("large.bin", 1024 * MIB);
    let copy = stage.source("copy.bin");
    let begun = Instant::now();
    Command::new("cp").args(["--reflink=never"]).args([&source, &copy]).status()?;
    Command::new("sync").arg(&copy).status()?;
    told("cp and sync of 1 GiB", 1024.0, begun);
    fs::remove_file(&copy)?;
    let begun = Instant::now();
    alice.ctl.send(&jid("bob"), &source);
    let offer = bob.ctl.offer("large.bin").to_string();
    told("1 GiB, send to offered", 1024.0, begun);
    accepted("1 GiB, accept to done, encrypted", 1024.0, bob, &offer);
    println!(
        "memory, most while 1 GiB moved: {} MiB sender, {} MiB receiver",
        resident(alice, "VmHWM"),
        resident(bob, "VmHWM")
    );
    fs::remove_file(bob.downloads().join("large.bin"))?;
    fs::remove_file(source)?;
    Ok(())
}

/// Many small files, several times.
fn small(stage: &Stage, alice: &Daemon, bob: &Daemon) {
    // ext4 steps around each inode that was freed in the last five seconds, here or by anybody else.
    thread::sleep(Duration::from_secs(6));
    for round in 1..=3 {
        let name = format!("small-{round}");
        let source = stage.tree(&name, 2_000, 76 * MIB);
        alice.ctl.send(&jid("bob"), &source);
        let offer = bob.ctl.offer(&name).to_string();
        accepted("2,000 files, 76 MiB, accept to done", 76.0, bob, &offer);
    }
}

/// From the typed command until the sender knows that it has arrived.
fn instant(stage: &Stage) {
    let bob = stage.person("bob").with("accept.from", vec![jid("alice")]).online();
    let alice = stage.online("alice");
    alice.ctl.sees(&jid("bob"));
    let mut took: Vec<Duration> = (0..TIMES)
        .map(|round| {
            let source = stage.file(&format!("note-{round}"), 1024);
            let begun = Instant::now();
            alice.ctl.spawn(&["send", &jid("bob"), text(&source), "--wait"]).ends_within(LONG);
            begun.elapsed()
        })
        .collect();
    took.sort_unstable();
    println!("1 KiB, accepted by rule, send to done: {} ms", took[TIMES / 2].as_millis());
    drop(bob);
}

/// Two daemons that have nothing to do.
fn idle(stage: &Stage) {
    let (alice, bob) = (stage.online("alice"), stage.online("bob"));
    alice.ctl.sees(&jid("bob"));
    thread::sleep(Duration::from_secs(5)); // what a login brings with it is over
    let before = (ticks(&alice), ticks(&bob));
    thread::sleep(IDLE);
    let used = (ticks(&alice) - before.0, ticks(&bob) - before.1);
    println!("idle for {} s: {} and {} ticks of 10 ms used", IDLE.as_secs(), used.0, used.1);
}

/// A long list.
fn many(stage: &Stage) -> Result<(), Box<dyn Error>> {
    let mut alice = stage.online("alice");
    let source = stage.file("often", 1024);
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = Client::connect(alice.ctl.socket()).await?;
        for _ in 0..MANY {
            client
                .send(SendRequest {
                    contacts: vec![jid("dave")],
                    paths: vec![text(&source).to_owned()],
                    name: None,
                    message: None,
                    expire_s: None,
                    open: false,
                })
                .await?;
        }
        Ok::<_, Box<dyn Error>>(())
    })?;
    println!("{MANY} sends queued, {:.1} ms each", begun.elapsed().as_secs_f64() * 1000.0 / MANY as f64);
    wait::until("all are hashed", LONG, || {
        (alice.ctl.status()["counts"]["waiting"] == MANY
            && alice.ctl.ok(&["list", "--all", "--state", "preparing"]).is_empty())
        .then_some(())
    });
    println!("memory with {MANY} transfers: {} MiB", resident(&alice, "VmRSS"));
    alice.restart();
    println!("memory with {MANY} transfers after a restart: {} MiB", resident(&alice, "VmRSS"));
    for args in [&["list"][..], &["list", "--all"], &["list", "--all", "--json"], &["list", "--state", "done"]] {
        let mut took: Vec<Duration> = (0..TIMES)
            .map(|_| {
                let begun = Instant::now();
                let done = alice.ctl.command(args).stdout(Stdio::null()).status();
                assert!(done.is_ok_and(|status| status.success()), "the list can be shown");
                begun.elapsed()
            })
            .collect();
        took.sort_unstable();
        println!("xbtctl {} with {MANY} transfers: {} ms", args.join(" "), took[TIMES / 2].as_millis());
    }
    Ok(())
}

/// All bytes on the wire for 64 MiB.
fn overhead() {
    let stage = Stage::counted();
    let (alice, bob) = (stage.online("alice"), stage.online("bob"));
    alice.ctl.sees(&jid("bob"));
    let source = stage.file("counted.bin", 64 * MIB);
    let before = stage.net().bytes();
    let out = alice.ctl.send(&jid("bob"), &source);
    let offer = bob.ctl.offer("counted.bin").to_string();
    bob.ctl.ok(&["accept", &offer, "--wait"]);
    alice.ctl.reaches(out, "done");
    let bytes = stage.net().bytes() - before;
    println!(
        "bytes on the wire (with headers of IP and TCP) per byte of 64 MiB: {:.4}",
        bytes as f64 / (64 * MIB) as f64
    );
}

fn accepted(what: &str, mib: f64, bob: &Daemon, offer: &str) {
    let begun = Instant::now();
    let ran = bob.ctl.spawn(&["accept", offer, "--wait"]).ends_within(LONG);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    told(what, mib, begun);
}

fn told(what: &str, mib: f64, begun: Instant) {
    let took = begun.elapsed().as_secs_f64();
    println!("{what}: {took:.2} s, {:.0} MiB/s", mib / took);
}

/// A number of `/proc/<pid>/status`, in MiB.
fn resident(daemon: &Daemon, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or_else(|| panic!("the kernel tells {field}")) / 1024
}

/// Processor time that a daemon has used, in the kernel's ticks.
fn ticks(daemon: &Daemon) -> u64 {
    let stat = fs::read_to_string(Path::new("/proc").join(daemon.pid().to_string()).join("stat")).unwrap_or_default();
    // The second column is the program's name in parentheses, which may hold anything.
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    rest.split(' ').skip(11).take(2).filter_map(|column| column.parse::<u64>().ok()).sum()
}
