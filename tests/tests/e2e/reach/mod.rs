//! Every way between two people, in the network laboratory (`docs/laboratory.md`).
//!
//! Each test builds a laboratory, starts an unconfigured daemon on each side, and looks which way the transfer takes.

mod changes;
mod direct;
mod distance;
mod doctor;
mod ejabberd;
mod in_band;
mod laboratory;
mod mapped;
mod privacy;
mod proxy;
mod punched;

use std::path::Path;
use std::time::Instant;

use xbt_tests::content::{self, MIB};
use xbt_tests::lab::{Lab, Nat, Place, Router, Scene, Side};
use xbt_tests::wait;
use xbt_tests::{Daemon, ctl};

/// At [`SLOW`] it takes 16 s: enough for a better way to come up and be seen.
const CONTENT: u64 = 32 * MIB;

/// 2 MB/s.
const SLOW: &str = "16mbit";

/// 50 MB/s, once what had to be seen was seen.
const FAST: &str = "400mbit";

/// Both behind routers of one kind, with a STUN server.
fn behind(router: Router) -> Scene {
    Scene { a: Place::Behind(router), b: Place::Behind(router), stun: true, ..Scene::default() }
}

/// Both behind routers that nothing opens.
fn shut() -> Scene {
    behind(Router::plain(Nat::Symmetric))
}

/// Builds the laboratory, sends 32 MiB from alice to bob, which must go this way and arrive whole.
#[track_caller]
fn arrives(scene: Scene, way: &str) {
    arrives_by(scene, &[way]);
}

/// The same, by any of these ways.
#[track_caller]
fn arrives_by(scene: Scene, ways: &[&str]) {
    let Some(lab) = Lab::open(scene) else { return };
    lab.slow(Side::A, SLOW);
    let (alice, bob) = lab.both();
    let (out, inn, source) = begin(&lab, &alice, &bob, CONTENT);
    let accepted = Instant::now();
    let fits = |one: &serde_json::Value| one["way"].as_str().is_some_and(|way| ways.contains(&way));
    let taken = bob.ctl.becomes(inn, &format!("takes one of {ways:?}"), fits);
    let linked = accepted.elapsed();
    alice.ctl.becomes(out, &format!("takes one of {ways:?}"), fits);
    let way = &taken["way"];
    lab.slow(Side::A, FAST);
    finish(&alice, &bob, out, inn, &source);
    let done = accepted.elapsed();
    println!("{way}: seen {:.1} s after accepting, done {:.1} s after", linked.as_secs_f32(), done.as_secs_f32());
}

/// Offers a file of this size and accepts it: the two ids, and what is sent.
#[track_caller]
fn begin(lab: &Lab, alice: &Daemon, bob: &Daemon, size: u64) -> (u64, u64, std::path::PathBuf) {
    let source = lab.file("content.bin", size);
    let out = alice.ctl.send(&lab.jid(Side::B), &source);
    let inn = bob.ctl.offer("content.bin");
    bob.ctl.accept(inn);
    (out, inn, source)
}

/// Waits until the transfer takes this way.
#[track_caller]
fn takes(daemon: &Daemon, transfer: u64, way: &str) {
    daemon.ctl.becomes(transfer, &format!("takes {way}"), |one| one["way"] == way);
}

/// Waits for the end and compares the contents.
#[track_caller]
fn finish(alice: &Daemon, bob: &Daemon, out: u64, inn: u64, source: &Path) {
    // Even the slowest way of all may take its time as long as it moves.
    let mut before = 0;
    while wait::within(wait::LONG, || (bob.ctl.show(inn)["state"] == "done").then_some(())).is_none() {
        let now = ctl::done_bytes(&bob.ctl.show(inn));
        assert!(now > before, "nothing has moved: {:#}", bob.ctl.show(inn));
        before = now;
    }
    bob.ctl.reaches(inn, "done");
    alice.ctl.reaches(out, "done");
    assert_eq!(content::hash(&bob.downloads().join("content.bin")), content::hash(source));
}
