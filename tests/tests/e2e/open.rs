//! Sends marked open: other people's BitTorrent programs read them at the daemon's own port, and nothing else.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use xbt_tests::content::{self, MIB};
use xbt_tests::ctl::text;
use xbt_tests::daemon::{Daemon, jid};
use xbt_tests::stranger::{self, Shows};
use xbt_tests::{Stage, wait};

/// libtorrent as people have it: with its encryption, which it leaves off when nobody answers it.
const LIBTORRENT: &str = "
import sys, time, libtorrent
session = libtorrent.session({'listen_interfaces': '127.0.0.1:0', 'enable_dht': False, 'enable_lsd': False,
    'enable_upnp': False, 'enable_natpmp': False})
parameters = libtorrent.parse_magnet_uri(sys.argv[1])
parameters.save_path = sys.argv[2]
torrent = session.add_torrent(parameters)
while not torrent.status().is_seeding:
    time.sleep(0.05)
";

/// Another program, ended with the test.
struct Program(Child);

impl Program {
    fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("`make setup` installs it"))
    }

    fn libtorrent(magnet: &str, folder: &Path) -> Self {
        Self::start(Command::new("/usr/bin/python3").args(["-c", LIBTORRENT, magnet, text(folder)]))
    }

    fn aria2(magnet: &str, folder: &Path, tracker: &str) -> Self {
        Self::start(Command::new("aria2c").args(["--no-conf=true", "--enable-dht=false", "--enable-dht6=false"]).args(
            [
                "--seed-time=0",
                "--file-allocation=none",
                "--interface=127.0.0.1",
                "--listen-port=1024-32000", // the first that is free
                &format!("--bt-tracker={tracker}"),
                &format!("--dir={}", text(folder)),
                magnet,
            ],
        ))
    }

    fn ends_well(&mut self) {
        let status = wait::until("the other program has it", wait::LONG, || self.0.try_wait().unwrap());
        assert!(status.success(), "{status}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A tracker (BEP 3, 23) that names one address, for programs that do not read it in magnet links.
fn tracker(peer: SocketAddr) -> String {
    let SocketAddr::V4(peer) = peer else { panic!("{peer} is no IPv4 address") };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/announce", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let mut body = b"d8:intervali1800e5:peers6:".to_vec();
            body.extend(peer.ip().octets());
            body.extend(peer.port().to_be_bytes());
            body.push(b'e');
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
        }
    });
    url
}

/// Sends it open to bob, who need not be there, and waits for its magnet link.
fn send_open(alice: &Daemon, path: &Path) -> (u64, String) {
    let id = xbt_tests::ctl::id(&alice.ctl.json(&["send", "--open", &jid("bob"), text(path)]));
    let shown = alice.ctl.becomes(id, "a magnet link", |shown| shown["magnet"].is_string());
    (id, shown["magnet"].as_str().unwrap().to_owned())
}

fn address_in(magnet: &str) -> SocketAddr {
    magnet.split("&x.pe=").skip(1).find_map(|at| at.parse().ok().filter(SocketAddr::is_ipv4)).expect("an IPv4 address")
}

fn hash_in(magnet: &str) -> [u8; 20] {
    stranger::info_hash(magnet.strip_prefix("magnet:?xt=urn:btih:").unwrap().split_at(40).0)
}

#[test]
fn libtorrent_fetches_an_open_send_from_the_daemon_by_its_magnet_link_alone() {
    let stage = Stage::new();
    let alice = stage.person("alice").online();
    let source = stage.tree("photos & films", 40, 6 * MIB);
    let (id, magnet) = send_open(&alice, &source);
    let to = stage.folder().join("libtorrent");
    Program::libtorrent(&magnet, &to).ends_well();
    assert_eq!(content::hash(&to.join("photos & films")), content::hash(&source));
    assert_eq!(alice.ctl.status()["open"]["contents"], 1);
    wait::until("what it read is counted", wait::SOON, || {
        (alice.ctl.status()["open"]["uploaded"].as_u64()? >= 6 * MIB).then_some(())
    });
    // It is offered to bob still; once that is over, nobody reads it any more.
    assert_eq!(alice.ctl.show(id)["state"], "queued");
    alice.ctl.tell("cancel", id);
    assert!(alice.ctl.show(id)["magnet"].is_null());
    wait::until("strangers get nothing any more", wait::SOON, || {
        let reply = stranger::dial(address_in(&magnet), Shows::NoTls, hash_in(&magnet), wait::SOON);
        (reply.closed && reply.bytes.is_empty()).then_some(())
    });
}

#[test]
fn aria2_fetches_an_open_send_from_the_port_at_which_a_private_one_goes_to_bob_and_cannot_be_read() {
    let stage = Stage::new();
    let alice = stage.person("alice").with("network.upload_limit", "4 MiB/s").online();
    let bob = stage.online("bob");
    let (private, open) = (stage.file("secret.bin", 24 * MIB), stage.file("tune.ogg", 3 * MIB));
    let out = alice.ctl.send(&jid("bob"), &private);
    let inn = bob.ctl.offer("secret.bin");
    bob.ctl.accept(inn);
    bob.ctl.has_moved(inn, MIB);
    let (_, magnet) = send_open(&alice, &open);
    let secret = stranger::info_hash(alice.ctl.show(out)["info_hash"].as_str().unwrap());
    let reply = stranger::dial(address_in(&magnet), Shows::NoTls, secret, wait::LONG);
    assert!(reply.closed && reply.bytes.is_empty(), "a private content at the same port: {reply:?}");
    wait::until("it is counted", wait::SOON, || {
        (alice.ctl.status()["refused"]["not-open"].as_u64()? >= 1).then_some(())
    });
    assert!(alice.ctl.show(out)["magnet"].is_null());
    let to = stage.folder().join("aria2");
    Program::aria2(&magnet, &to, &tracker(address_in(&magnet))).ends_well();
    assert_eq!(content::hash(&to.join("tune.ogg")), content::hash(&open));
    bob.ctl.reaches(inn, "done");
    assert_eq!(content::hash(&bob.downloads().join("secret.bin")), content::hash(&private));
    assert!(fs::exists(&open).unwrap());
}

#[test]
fn an_open_send_reaches_the_contact_over_its_link_and_is_open_again_after_a_restart_until_then() {
    let stage = Stage::new();
    let mut alice = stage.person("alice").online();
    let source = stage.file("tune.ogg", MIB);
    let (out, magnet) = send_open(&alice, &source);
    alice.restart();
    let again = alice.ctl.becomes(out, "a magnet link", |shown| shown["magnet"].is_string());
    assert_eq!(again["magnet"], magnet.as_str());
    let greeting =
        wait::until("it is open again", wait::SOON, || stranger::greeting(address_in(&magnet), hash_in(&magnet)).ok());
    assert!(greeting.starts_with(b"\x13BitTorrent protocol"));
    let bob = stage.online("bob");
    let inn = bob.ctl.offer("tune.ogg");
    bob.ctl.accept(inn);
    bob.ctl.reaches(inn, "done");
    alice.ctl.reaches(out, "done");
    assert_eq!(content::hash(&bob.downloads().join("tune.ogg")), content::hash(&source));
    wait::until("it is open no longer", wait::SOON, || (alice.ctl.status()["open"]["contents"] == 0).then_some(()));
}
