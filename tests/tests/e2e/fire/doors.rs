//! Strangers at the door for links, while a transfer runs inside.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use xbt_tests::content::{self, MIB, Noise};
use xbt_tests::daemon::jid;
use xbt_tests::stranger::{self, Shows};
use xbt_tests::{Daemon, Stage, wait};

use super::leaks::descriptors;

/// Connections that say nothing.
const HALF_OPEN: usize = 2_000;

/// What the daemon may have open beside its base: handshakes (64), parked links, the transfer's own, and files.
const BOUND: usize = 200;

fn door(daemon: &Daemon) -> SocketAddr {
    daemon.ctl.status()["listen"][0].as_str().unwrap().parse().unwrap()
}

/// Runs `attack` on both ends of a running transfer, which must complete; returns the stage for a last look.
#[track_caller]
fn under(size: u64, attack: impl Fn(&Daemon) + Sync) {
    let stage = Stage::new();
    let alice = stage.person("alice").with("network.upload_limit", "4 MiB/s").online();
    let bob = stage.online("bob");
    let before = [descriptors(&alice), descriptors(&bob)];
    let source = stage.file("precious.bin", size);
    let out = alice.ctl.send(&jid("bob"), &source);
    let inn = bob.ctl.offer("precious.bin");
    bob.ctl.accept(inn);
    bob.ctl.has_moved(inn, MIB);
    thread::scope(|scope| {
        for daemon in [&alice, &bob] {
            let attack = &attack;
            scope.spawn(move || attack(daemon));
        }
    });
    bob.ctl.reaches(inn, "done");
    alice.ctl.reaches(out, "done");
    assert_eq!(content::hash(&bob.downloads().join("precious.bin")), content::hash(&source));
    for (daemon, before) in [&alice, &bob].into_iter().zip(before) {
        wait::until("all descriptors are back", wait::LONG, || (descriptors(daemon) <= before + 4).then_some(()));
    }
}

#[test]
fn thousands_of_half_open_connections_do_not_disturb_a_transfer_and_go() {
    under(24 * MIB, |daemon| {
        let door = door(daemon);
        let mut silent = Vec::new();
        for _ in 0..HALF_OPEN {
            if let Ok(stream) = TcpStream::connect_timeout(&door, Duration::from_secs(5)) {
                silent.push(stream);
            }
        }
        assert!(silent.len() > HALF_OPEN / 2, "{}", silent.len());
        assert!(descriptors(daemon) < BOUND, "{} descriptors at {}", descriptors(daemon), daemon.name());
        wait::until("it is counted", wait::SOON, || {
            (!daemon.ctl.status()["refused"].as_object()?.is_empty()).then_some(())
        });
    });
}

#[test]
fn rubbish_and_stalls_on_links_do_not_disturb_a_transfer() {
    let hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3];
    under(24 * MIB, |daemon| {
        let door = door(daemon);
        let mut noise = Noise::new(42);
        let mut stalled = Vec::new();
        for kind in 0..60 {
            let mut stream = TcpStream::connect(door).unwrap();
            let bytes = match kind % 6 {
                0 => Vec::new(),
                1 => hello.to_vec(), // begins as a TLS handshake and never goes on
                2 => [&hello[..], &[0xFF; 600]].concat(),
                3 => b"\x13BitTorrent protocol".repeat(20),
                4 => vec![0x16, 3, 3, 0xFF, 0xFF], // a record longer than TLS allows
                _ => {
                    let mut bytes = vec![0; 100_000];
                    noise.read_exact(&mut bytes).unwrap();
                    bytes
                }
            };
            let _ = stream.write_all(&bytes); // may be closed on us in the middle
            stalled.push(stream);
        }
        let hash = [7; 20];
        for shows in [Shows::OwnKey, Shows::NoKey, Shows::NoTls] {
            stranger::dial(door, shows, hash, Duration::from_millis(500));
        }
        assert!(descriptors(daemon) < BOUND);
    });
}

#[test]
fn a_flood_of_whole_tls_handshakes_of_strangers_does_not_disturb_a_transfer() {
    under(24 * MIB, |daemon| {
        let door = door(daemon);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        stranger::dial(door, Shows::OwnKey, [7; 20], Duration::from_millis(50));
                    }
                });
            }
        });
        assert!(descriptors(daemon) < BOUND);
    });
}
