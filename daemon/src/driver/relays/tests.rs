//! Links through a real server: its SOCKS5 proxy, and the XMPP streams themselves.

#![allow(clippy::unwrap_used, clippy::panic)]

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;
use xbt_core::ids::{Fingerprint, InfoHash, TransferId};
use xbt_core::session::SessionEvent;
use xbt_core::signal::Reach;
use xbt_core::way::{Way, Ways};
use xbt_link::{DialRequest, Identity, LinkConfig, LinkEvent, LinkHandle, LinkRoom};

use super::*;
use xbt_xmpp::testing::{Client, prosody::Prosody};

/// Long enough for a busy computer; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A device with an account.
struct Online {
    client: Client,
    device: FullJid,
    proxies: Vec<Proxy>,
    fingerprint: Fingerprint,
    links: LinkHandle,
    events: mpsc::Receiver<LinkEvent>,
    _room: LinkRoom,
}

impl Online {
    async fn start(prosody: &Prosody, account: &str) -> Self {
        let (mut client, device) = Client::online(prosody.config(account, "xbt")).await;
        let proxies = client
            .until(|event| match event {
                SessionEvent::Services(found) => Some(found.proxies.clone()),
                _ => None,
            })
            .await;
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::load_or_create(&folder.path().join("key")).unwrap();
        let fingerprint = identity.fingerprint();
        let config = LinkConfig {
            // A device that listens on loopback may dial there, where the test's proxy is.
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            kept_port: None,
            advertise: Vec::new(),
            ways: Ways { direct: true, proxy65: true, in_band: true, ..Ways::NONE },
            forbidden_ports: Vec::new(),
            peer_id: *b"-XB0000-abcdefghijkl",
        };
        let (sender, events) = mpsc::channel(4);
        let (room, links) = LinkRoom::start(identity, config, sender).await.unwrap();
        links.relay_through(Some(Arc::new(SessionRelays(client.handle.clone()))));
        Self { client, device, proxies, fingerprint, links, events, _room: room }
    }

    fn reach(&self, way: Way) -> Reach {
        let stream_id = Some(format!("of-{}", self.device.bare));
        let proxies = if way == Way::Proxy65 { self.proxies.clone() } else { Vec::new() };
        Reach { proxies, stream_id, in_band: way == Way::InBand, ..Reach::default() }
    }

    fn dial(&self, other: &Self, way: Way) {
        self.links.dial(DialRequest {
            transfer: TransferId(1),
            peer: other.fingerprint,
            introduced: false,
            info_hash: InfoHash([1; 20]),
            own: self.device.clone(),
            device: other.device.clone(),
            ours: self.reach(way),
            theirs: other.reach(way),
            delay: 0,
            better_than: None,
        });
    }

    async fn ready(&mut self) -> (BoxedStream, Way) {
        loop {
            match timeout(PATIENCE, self.events.recv()).await.unwrap().unwrap() {
                LinkEvent::Ready { stream, way, .. } => return (stream, way),
                LinkEvent::CandidatesChanged(_) => {}
                other => panic!("no link: {other:?}"),
            }
        }
    }
}

/// Two devices that see each other, and a link between them.
async fn linked(way: Way) -> (Prosody, [Online; 2], [BoxedStream; 2]) {
    let prosody = Prosody::start(&["alice", "bob"], &["alice", "bob"]);
    let (mut alice, mut bob) = (Online::start(&prosody, "alice").await, Online::start(&prosody, "bob").await);
    let (a, b) = (alice.device.clone(), bob.device.clone());
    for (one, other) in [(&mut alice, b), (&mut bob, a)] {
        // It may have been seen before the server's services were.
        let sees =
            |event: &SessionEvent| matches!(event, SessionEvent::Available { device, xbt: true } if *device == other);
        if !one.client.seen.iter().any(sees) {
            one.client.until_xbt(&other).await;
        }
    }
    alice.dial(&bob, way);
    bob.dial(&alice, way);
    let ((ours, one), (theirs, other)) = tokio::join!(alice.ready(), bob.ready());
    assert_eq!((one, other), (way, way));
    (prosody, [alice, bob], [ours, theirs])
}

/// Sends bursts of sizes at which a proxy could keep the end back, and waits for each to arrive in whole while both
/// sides read, as on every link.
async fn bursts(mut from: BoxedStream, mut to: BoxedStream) -> (BoxedStream, BoxedStream) {
    for size in [1, 4_096, 5_000, 6_000, 8_200, 9_000, 12_345, 16_397, 70_000, 1_000_003] {
        let sent = vec![7; size];
        let mut got = vec![0; size];
        let mut nothing = [0; 1];
        let (mut from_in, mut from_out) = tokio::io::split(&mut from);
        let arrives = async {
            let write = async {
                from_out.write_all(&sent).await.unwrap();
                from_out.flush().await.unwrap();
            };
            tokio::join!(write, async { to.read_exact(&mut got).await.unwrap() });
        };
        tokio::select! {
            () = arrives => {}
            _ = from_in.read(&mut nothing) => panic!("nothing was sent this way"),
            () = tokio::time::sleep(PATIENCE) => panic!("{size} bytes do not arrive"),
        }
        assert!(got == sent);
    }
    (from, to)
}

#[tokio::test]
async fn through_a_proxy_everything_arrives_at_once_in_both_directions_and_so_does_the_end() {
    let (_prosody, _devices, [ours, theirs]) = linked(Way::Proxy65).await;
    let (ours, theirs) = bursts(ours, theirs).await;
    let (mut theirs, mut ours) = bursts(theirs, ours).await;
    // The last burst ends with the stream.
    let last = vec![1; 6_000];
    let end = async {
        ours.write_all(&last).await.unwrap();
        ours.shutdown().await.unwrap();
    };
    let mut got = Vec::new();
    let (_, read) = tokio::join!(end, timeout(PATIENCE, theirs.read_to_end(&mut got)));
    read.unwrap().unwrap();
    assert!(got == last);
}

#[tokio::test]
async fn in_band_carries_a_link_as_well() {
    let (_prosody, _devices, [mut ours, mut theirs]) = linked(Way::InBand).await;
    for turn in 0..2 {
        let (from, to) = if turn == 0 { (&mut ours, &mut theirs) } else { (&mut theirs, &mut ours) };
        from.write_all(b"a word").await.unwrap();
        from.flush().await.unwrap();
        let mut heard = [0; 6];
        timeout(PATIENCE, to.read_exact(&mut heard)).await.unwrap().unwrap();
        assert_eq!(&heard, b"a word");
    }
}
