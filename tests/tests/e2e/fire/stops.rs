//! A laptop that sleeps, a server that hangs: SIGSTOP, a while, SIGCONT.

use rustix::process::Signal;
use xbt_tests::content::{self, MIB};
use xbt_tests::daemon::jid;
use xbt_tests::{Daemon, Stage, wait};

use super::span;

/// Seconds that somebody is stopped; soaks take a minute.
const SECONDS: &str = "XBT_STOP_SECONDS";

#[track_caller]
fn stopped(signal: impl FnOnce(&Stage, &Daemon, &Daemon) -> Box<dyn Fn(Signal)>) {
    let stage = Stage::new();
    let alice = stage.person("alice").with("network.upload_limit", "4 MiB/s").online();
    let bob = stage.online("bob");
    let source = stage.file("sleepy.bin", 16 * MIB);
    let out = alice.ctl.send(&jid("bob"), &source);
    let inn = bob.ctl.offer("sleepy.bin");
    bob.ctl.accept(inn);
    bob.ctl.has_moved(inn, 2 * MIB);
    let send = signal(&stage, &alice, &bob);
    send(Signal::STOP);
    // Nothing to wait for: the passing of time is what is tried.
    std::thread::sleep(span(SECONDS, 4));
    send(Signal::CONT);
    bob.ctl.reaches(inn, "done");
    alice.ctl.reaches(out, "done");
    assert_eq!(content::hash(&bob.downloads().join("sleepy.bin")), content::hash(&source));
    assert_eq!(content::names(&bob.downloads()), ["sleepy.bin"]);
    // And the next one goes as if nothing had been.
    let out = alice.ctl.send(&jid("bob"), &stage.file("next.bin", 100_000));
    let inn = wait::until("bob gets the next offer", wait::LONG, || {
        bob.ctl.named("in", "next.bin").first().map(xbt_tests::ctl::id)
    });
    bob.ctl.accept(inn);
    alice.ctl.reaches(out, "done");
}

#[test]
fn a_sender_hears_on_the_link_that_all_has_arrived_however_the_server_is() {
    let stage = Stage::new();
    let alice = stage.person("alice").with("network.upload_limit", "4 MiB/s").online();
    let bob = stage.online("bob");
    let out = alice.ctl.send(&jid("bob"), &stage.file("heard.bin", 8 * MIB));
    let inn = bob.ctl.offer("heard.bin");
    bob.ctl.accept(inn);
    bob.ctl.has_moved(inn, MIB);
    let server = to(stage.prosody.pid());
    server(Signal::STOP);
    bob.ctl.reaches(inn, "done");
    alice.ctl.reaches(out, "done");
    server(Signal::CONT);
    // What the server brings after that, before the next offer is accepted, changes nothing.
    let next = alice.ctl.send(&jid("bob"), &stage.file("next.bin", 100_000));
    let inn = wait::until("bob gets the next offer", wait::LONG, || {
        bob.ctl.named("in", "next.bin").first().map(xbt_tests::ctl::id)
    });
    bob.ctl.accept(inn);
    alice.ctl.reaches(next, "done");
    alice.ctl.reaches(out, "done");
}

/// Signals a process by its id: the stage and the daemons stay where they are.
fn to(pid: u32) -> Box<dyn Fn(Signal)> {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
    Box::new(move |signal| rustix::process::kill_process(pid, signal).unwrap())
}

#[test]
fn a_receiver_that_is_stopped_for_a_while_goes_on() {
    stopped(|_, _, bob| to(bob.pid()));
}

#[test]
fn a_sender_that_is_stopped_for_a_while_goes_on() {
    stopped(|_, alice, _| to(alice.pid()));
}

#[test]
fn a_server_that_is_stopped_for_a_while_is_outlived() {
    stopped(|stage, _, _| to(stage.prosody.pid()));
}
