//! Links through a real server: its SOCKS5 proxy, and the XMPP streams themselves.

use std::sync::Arc;

use xbt_core::effect::Want;
use xbt_core::session::SessionEvent;
use xbt_core::signal::Proxy;

use super::order::InBandEnd;
use super::*;
use crate::link::address::Ourselves;
use crate::link::relay::{Opening, Reason, Relays, Session, at_proxy, expect_in_band, open_in_band};
use crate::link::tls::Tls;
use crate::xmpp::tests::{Client, prosody::Prosody};
use crate::xmpp::{RelayError, SessionHandle};

/// The session of a device.
struct Through(SessionHandle);

fn reason(error: RelayError) -> Reason {
    (error.code(), error.to_string())
}

impl Relays for Through {
    fn activate(&self, proxy: Proxy, stream_id: String, target: FullJid) -> Opening<()> {
        let session = self.0.clone();
        Box::pin(async move { session.activate_once_met(proxy, stream_id, target).await.map_err(reason) })
    }

    fn open_in_band(&self, device: FullJid, stream_id: String) -> Opening<BoxedStream> {
        let session = self.0.clone();
        Box::pin(async move {
            let stream = session.open_in_band(device, stream_id).await.map_err(reason)?;
            Ok(Box::new(stream) as BoxedStream)
        })
    }

    fn expect_in_band(&self, device: FullJid, stream_id: String) -> Opening<BoxedStream> {
        let session = self.0.clone();
        Box::pin(async move {
            let stream = session.expect_in_band(device, stream_id).await.map_err(reason)?;
            Ok(Box::new(stream) as BoxedStream)
        })
    }
}

/// A device with an account.
struct Online {
    client: Client,
    device: FullJid,
    session: Session,
    tls: Tls,
    fingerprint: Fingerprint,
    proxies: Vec<Proxy>,
}

impl Online {
    async fn start(prosody: &Prosody, account: &str, identity: Identity) -> Self {
        let (mut client, device) = Client::online(prosody.config(account, "xbt")).await;
        let proxies = client
            .until(|event| match event {
                SessionEvent::Facilities(found) => Some(found.proxies.clone()),
                _ => None,
            })
            .await;
        let session = Session::default();
        session.set(Some(Arc::new(Through(client.handle.clone()))));
        let (fingerprint, tls) = (identity.fingerprint(), Tls::new(&identity).unwrap());
        Self { client, device, session, tls, fingerprint, proxies }
    }

    fn reach(&self) -> Reach {
        let stream_id = Some(format!("of-{}", self.device.bare));
        Reach { proxies: self.proxies.clone(), stream_id, in_band: true, ..Reach::default() }
    }

    fn want(&self, other: &Self) -> Want {
        Want {
            own: self.device.clone(),
            device: other.device.clone(),
            ours: self.reach(),
            theirs: other.reach(),
            ..want_of(TransferId(1), other.fingerprint, HOLIDAY, Vec::new())
        }
    }
}

async fn two(prosody: &Prosody) -> (Online, Online) {
    let (a, b) = two_identities();
    let (mut alice, mut bob) = (Online::start(prosody, "alice", a).await, Online::start(prosody, "bob", b).await);
    let (a, b) = (alice.device.clone(), bob.device.clone());
    for (one, other) in [(&mut alice, b), (&mut bob, a)] {
        // Perhaps it was told before what the server does.
        let told =
            |event: &SessionEvent| matches!(event, SessionEvent::Available { device, xbt: true } if *device == other);
        if !one.client.seen.iter().any(told) {
            one.client.until_xbt(&other).await;
        }
    }
    (alice, bob)
}

fn prosody() -> Prosody {
    Prosody::start(&["alice", "bob"], &["alice", "bob"])
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

/// A device that listens on loopback, where the test's proxy is.
fn here() -> Ourselves {
    Ourselves { listening: vec!["127.0.0.1:9".parse().unwrap()], ..Ourselves::default() }
}

#[tokio::test]
async fn through_a_proxy_everything_arrives_at_once_in_both_directions_and_the_end_is_told() {
    let prosody = prosody();
    let (alice, bob) = two(&prosody).await;
    let (wants, wanted) = (alice.want(&bob), bob.want(&alice));
    let proxy = &alice.proxies[0];
    let times = times();
    let here = here();
    let (ours, theirs) =
        tokio::join!(at_proxy(&alice.session, &alice.tls, &wants, (proxy, true), &here, &times), async {
            // Late, so that activating is tried in vain before.
            tokio::time::sleep(Duration::from_millis(500)).await;
            at_proxy(&bob.session, &bob.tls, &wanted, (proxy, false), &here, &times).await
        },);
    let (ours, theirs) = bursts(ours.unwrap(), theirs.unwrap()).await;
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
async fn at_a_proxy_to_which_the_other_device_does_not_come_there_is_no_link() {
    let prosody = prosody();
    let (alice, bob) = two(&prosody).await;
    let times = Times { relay: Duration::from_secs(1), ..times() };
    let outcome =
        at_proxy(&alice.session, &alice.tls, &alice.want(&bob), (&alice.proxies[0], true), &here(), &times).await;
    assert_eq!(outcome.unwrap_err().0, "not-activated");
}

#[tokio::test]
async fn in_band_carries_a_link_as_well() {
    let prosody = prosody();
    let (alice, bob) = two(&prosody).await;
    let (wants, wanted, times) = (alice.want(&bob), bob.want(&alice), times());
    let (ours, theirs) = tokio::join!(
        open_in_band(&alice.session, &alice.tls, &wants, &times),
        expect_in_band(&bob.session, &bob.tls, &wanted, &times),
    );
    let (mut ours, mut theirs) = (ours.unwrap(), theirs.unwrap());
    talk(&mut ours, &mut theirs).await;
}

/// A slow server: hands on as long as it may, and so many bytes more.
async fn hand_on(
    from: tokio::io::DuplexStream,
    to: tokio::io::DuplexStream,
    most: Arc<std::sync::atomic::AtomicUsize>,
) {
    let (mut from_in, mut from_out) = tokio::io::split(from);
    let (mut to_in, mut to_out) = tokio::io::split(to);
    let forwards = async {
        let mut bytes = [0; 1000];
        while let Ok(count @ 1..) = from_in.read(&mut bytes).await {
            if most.load(Ordering::SeqCst) < count {
                std::future::pending::<()>().await;
            }
            to_out.write_all(&bytes[..count]).await.unwrap();
            most.fetch_sub(count, Ordering::SeqCst);
        }
    };
    let _ = tokio::join!(forwards, tokio::io::copy(&mut to_in, &mut from_out));
}

#[tokio::test]
async fn in_band_what_has_come_is_read_at_once_and_not_only_with_16_kib_of_it() {
    let (small, large) = two_identities();
    let ((one, middle), (other_middle, other)) = (tokio::io::duplex(1_000), tokio::io::duplex(1_000));
    let most = Arc::new(std::sync::atomic::AtomicUsize::new(1 << 20));
    tokio::spawn(hand_on(middle, other_middle, most.clone()));
    let (opens, expects) = (Session::default(), Session::default());
    opens.set(Some(Arc::new(InBandEnd(Some(one).into()))));
    expects.set(Some(Arc::new(InBandEnd(Some(other).into()))));
    let (small_tls, large_tls) = (Tls::new(&small).unwrap(), Tls::new(&large).unwrap());
    let wants = want_of(TransferId(1), large.fingerprint(), HOLIDAY, Vec::new());
    let wanted = want_of(TransferId(1), small.fingerprint(), HOLIDAY, Vec::new());
    let times = times();
    let (ours, theirs) = tokio::join!(
        open_in_band(&opens, &small_tls, &wants, &times),
        expect_in_band(&expects, &large_tls, &wanted, &times),
    );
    let (mut ours, mut theirs) = (ours.unwrap(), theirs.unwrap());
    most.store(6_000, Ordering::SeqCst);
    let sending = tokio::spawn(async move {
        ours.write_all(&[7; 1 << 16]).await?;
        // Most of it still waits to go out.
        ours.flush().await
    });
    let mut got = [0; 1];
    timeout(PATIENCE / 4, theirs.read_exact(&mut got)).await.expect("something to read").unwrap();
    sending.abort();
}
