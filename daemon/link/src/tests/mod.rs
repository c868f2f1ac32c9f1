//! The room with real sockets: two or three devices in one process, on loopback.

#![allow(clippy::unwrap_used, clippy::panic)]

mod address;
mod identity;
mod introduced;
mod listening;
mod log;
mod order;
mod parking;
mod plain;
mod refusing;
mod relay;
mod strangers;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::sync::mpsc;
use tokio::time::timeout;
use xbt_core::ids::{BareJid, Fingerprint, FullJid, InfoHash, TransferId};
use xbt_core::signal::{Candidate, CandidateKind, Reach};

use xbt_core::way::{Way, Ways};

use super::*;
use crate::times::Times;

/// Long enough for a busy computer; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the log says of a link that has passed TLS: each of its two ends does.
const AUTHENTICATED: &str = "an authenticated link";

const V4: &str = "127.0.0.1:0";
const V6: &str = "[::1]:0";

const HOLIDAY: InfoHash = InfoHash([1; 20]);
const LETTER: InfoHash = InfoHash([2; 20]);

/// As long as a busy computer needs for what must come.
fn times() -> Times {
    Times {
        request: PATIENCE,
        parked: PATIENCE,
        early: PATIENCE,
        answer: PATIENCE,
        tls: PATIENCE,
        connect: PATIENCE,
        ..Times::default()
    }
}

/// Shorter than in life, for tests that wait for what does not come.
fn short() -> Times {
    Times {
        request: Duration::from_secs(5),
        parked: Duration::from_secs(3),
        early: Duration::from_millis(700),
        answer: Duration::from_secs(2),
        tls: Duration::from_secs(3),
        ..Times::default()
    }
}

fn new_identity() -> Identity {
    let folder = tempfile::tempdir().unwrap();
    Identity::load_or_create(&folder.path().join("key")).unwrap()
}

/// Two identities, the one with the smaller fingerprint (which chooses) first.
fn two_identities() -> (Identity, Identity) {
    let (a, b) = (new_identity(), new_identity());
    if a.fingerprint() < b.fingerprint() { (a, b) } else { (b, a) }
}

fn config(listen: &[&str]) -> LinkConfig {
    LinkConfig {
        listen: listen.iter().map(|address| address.parse().unwrap()).collect(),
        kept_port: None,
        advertise: Vec::new(),
        ways: Ways::ALL,
        forbidden_ports: Vec::new(),
        peer_id: *b"-XB0000-abcdefghijkl",
    }
}

/// A request for a link with a device at these addresses, by the ways that need no server.
fn request_for(
    transfer: TransferId,
    peer: Fingerprint,
    info_hash: InfoHash,
    candidates: Vec<Candidate>,
) -> DialRequest {
    DialRequest {
        transfer,
        peer,
        introduced: false,
        info_hash,
        own: FullJid::new(BareJid::from_normalised("alice@example.org"), "xbt"),
        device: FullJid::new(BareJid::from_normalised("bob@example.org"), "xbt"),
        theirs: Reach { candidates, ..Reach::default() },
        ours: Reach::default(),
        delay: 0,
        better_than: None,
    }
}

fn host(address: SocketAddr) -> Candidate {
    Candidate { kind: CandidateKind::Host, address }
}

/// A port where nothing listens, reserved while the socket is kept.
fn reserved() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(V4.parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// A running room with its events.
struct Device {
    fingerprint: Fingerprint,
    handle: LinkHandle,
    events: mpsc::Receiver<LinkEvent>,
    _room: LinkRoom,
}

/// A link as it was handed over.
struct Ready {
    transfer: TransferId,
    peer: Fingerprint,
    stream: BoxedStream,
    way: Way,
    reserved: [u8; 8],
}

impl Device {
    fn start(identity: Identity, config: LinkConfig) -> Self {
        Self::start_with(identity, config, times())
    }

    fn start_with(identity: Identity, config: LinkConfig, times: Times) -> Self {
        let fingerprint = identity.fingerprint();
        let (sender, events) = mpsc::channel(4);
        let (room, handle) = LinkRoom::start_with(identity, config, sender, times).unwrap();
        Self { fingerprint, handle, events, _room: room }
    }

    fn address(&self) -> SocketAddr {
        self.handle.listening()[0]
    }

    fn dial(&self, transfer: u64, peer: &Device, info_hash: InfoHash, candidates: Vec<Candidate>) {
        let transfer = TransferId(transfer);
        self.handle.dial(request_for(transfer, peer.fingerprint, info_hash, candidates));
    }

    async fn event(&mut self) -> LinkEvent {
        timeout(PATIENCE, self.events.recv()).await.expect("an event in time").expect("a running room")
    }

    /// The next link; other events than `Refused` on the way are not expected.
    async fn ready(&mut self) -> Ready {
        loop {
            match self.event().await {
                LinkEvent::Ready { transfer, peer, stream, way, reserved, .. } => {
                    return Ready { transfer, peer, stream, way, reserved };
                }
                LinkEvent::Rejected(_) | LinkEvent::CandidatesChanged(_) => {}
                LinkEvent::Failed { attempts, .. } => panic!("no link: {attempts:?}"),
                LinkEvent::Plain { .. } => panic!("nothing is open"),
            }
        }
    }

    async fn failed(&mut self) -> (TransferId, Vec<Attempt>) {
        loop {
            match self.event().await {
                LinkEvent::Failed { transfer, attempts, .. } => return (transfer, attempts),
                LinkEvent::Rejected(_) | LinkEvent::CandidatesChanged(_) => {}
                LinkEvent::Ready { .. } | LinkEvent::Plain { .. } => panic!("a link where none may be"),
            }
        }
    }

    async fn rejected(&mut self) -> (&'static str, Option<Fingerprint>) {
        loop {
            match self.event().await {
                LinkEvent::Rejected(rejected) => return (rejected.reason.code(), rejected.peer),
                LinkEvent::CandidatesChanged(_) => {}
                other @ (LinkEvent::Ready { .. } | LinkEvent::Failed { .. } | LinkEvent::Plain { .. }) => {
                    panic!("not refused: {other:?}")
                }
            }
        }
    }
}

/// Two devices on the same kind of address; the first one chooses.
fn pair(listen: &[&str]) -> (Device, Device) {
    pair_with(listen, times())
}

fn pair_with(listen: &[&str], times: Times) -> (Device, Device) {
    let (small, large) = two_identities();
    (Device::start_with(small, config(listen), times), Device::start_with(large, config(listen), times))
}

/// Sends a word through each direction and sees that it comes out at the other end.
async fn talk(a: &mut BoxedStream, b: &mut BoxedStream) {
    static WORD: AtomicU64 = AtomicU64::new(0);
    for turn in 0..2 {
        let (from, to) = if turn == 0 { (&mut *a, &mut *b) } else { (&mut *b, &mut *a) };
        let word = WORD.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        from.write_all(&word).await.unwrap();
        from.flush().await.unwrap();
        let mut heard = [0; 8];
        timeout(PATIENCE, to.read_exact(&mut heard)).await.unwrap().unwrap();
        assert_eq!(heard, word);
    }
}

/// Both have the same link.
async fn linked(a: &mut Device, b: &mut Device) -> (Ready, Ready) {
    let (mut one, mut other) = tokio::join!(a.ready(), b.ready());
    assert_eq!((one.peer, other.peer), (b.fingerprint, a.fingerprint));
    talk(&mut one.stream, &mut other.stream).await;
    (one, other)
}

fn transfers(links: &[Ready]) -> BTreeSet<u64> {
    links.iter().map(|link| link.transfer.0).collect()
}
