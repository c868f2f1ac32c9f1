//! Two devices with real sockets, on loopback and behind real NATs in network namespaces.

#![allow(clippy::unwrap_used, clippy::panic)]

mod asking;
mod crossing;
mod nat;
mod streams;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;
use xbt_core::ids::Fingerprint;

use super::connections::Expectation;
use super::punch::Punch;
use super::reflexive::{Reflexive, StunFailure};
use super::*;
use crate::identity::key::Identity;
use crate::stream::BoxedStream;

/// Long enough for a busy computer; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

const V4: &str = "127.0.0.1:0";
const V6: &str = "[::1]:0";

fn new_identity() -> Identity {
    let folder = tempfile::tempdir().unwrap();
    Identity::load_or_create(&folder.path().join("key")).unwrap()
}

struct Device {
    fingerprint: Fingerprint,
    punch: Punch,
    arrivals: mpsc::Receiver<Arrived>,
}

impl Device {
    fn start(identity: &Identity, bind: &[&str]) -> Self {
        Self::start_with(identity, bind, None)
    }

    fn start_with(identity: &Identity, bind: &[&str], idle: Option<Duration>) -> Self {
        let bind: Vec<SocketAddr> = bind.iter().map(|address| address.parse().unwrap()).collect();
        let (sender, arrivals) = mpsc::channel(4);
        let tls = Arc::new(Tls::new(identity).unwrap());
        let punch = match idle {
            Some(idle) => Punch::start_with(tls, &bind, sender, Some(idle)),
            None => Punch::start(tls, &bind, sender),
        };
        let punch = punch.unwrap();
        Self { fingerprint: identity.fingerprint(), punch, arrivals }
    }

    async fn connect(&self, peer: &Device) -> Result<(), Failure> {
        self.punch.connect(peer.fingerprint, &peer.punch.local(), PATIENCE).await
    }

    fn expect(&self, peer: &Device) -> Expectation {
        self.punch.expect(peer.fingerprint, &peer.punch.local(), Vec::new())
    }

    /// Opens a stream and says something on it.
    async fn say(&self, peer: &Device, what: &[u8]) -> BoxedStream {
        let (mut stream, _) = self.punch.open(peer.fingerprint).await.expect("a stream");
        stream.write_all(what).await.unwrap();
        stream
    }

    async fn arrived(&mut self) -> Arrived {
        timeout(PATIENCE, self.arrivals.recv()).await.expect("a stream in time").expect("a running device")
    }
}

/// Two devices, the one with the smaller fingerprint (which opens streams) first.
fn pair(bind: &[&str]) -> (Device, Device) {
    pair_with(bind, None)
}

fn pair_with(bind: &[&str], idle: Option<Duration>) -> (Device, Device) {
    let (a, b) = two_identities();
    (Device::start_with(&a, bind, idle), Device::start_with(&b, bind, idle))
}

fn two_identities() -> (Identity, Identity) {
    let (a, b) = (new_identity(), new_identity());
    if a.fingerprint() < b.fingerprint() { (a, b) } else { (b, a) }
}

/// A connected pair.
async fn connected(bind: &[&str]) -> (Device, Device) {
    let (small, large) = pair(bind);
    let (one, other) = tokio::join!(small.connect(&large), large.connect(&small));
    one.unwrap();
    other.unwrap();
    (small, large)
}

/// Both directions work.
async fn converse(small: &Device, large: &mut Device) -> (BoxedStream, BoxedStream) {
    let mut ours = small.say(large, b"hello").await;
    let arrived = large.arrived().await;
    assert_eq!(arrived.peer, small.fingerprint);
    assert!(small.punch.local().contains(&arrived.remote));
    let mut theirs = arrived.stream;
    assert_eq!(read(&mut theirs, 5).await, b"hello");
    theirs.write_all(b"welcome").await.unwrap();
    assert_eq!(read(&mut ours, 7).await, b"welcome");
    (ours, theirs)
}

async fn read(stream: &mut BoxedStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    timeout(PATIENCE, stream.read_exact(&mut bytes)).await.expect("bytes in time").unwrap();
    bytes
}

/// Waits for what must come to hold.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{what}: never came to be"));
}
