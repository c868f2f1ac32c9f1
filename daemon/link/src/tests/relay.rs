//! Relays that are slow, or at which the other side does not show up. Against a real server the daemon tests them.

use std::sync::Arc;

use tokio::net::TcpListener;
use xbt_core::signal::Proxy;

use super::order::InBandEnd;
use super::*;
use crate::addresses::local::Local;
use crate::identity::tls::Tls;
use crate::times::Times;
use crate::ways::in_band::InBand;
use crate::ways::proxy65::Proxy65;
use crate::ways::relays::CurrentRelays;

/// A SOCKS5 proxy that agrees to everything and joins nothing.
async fn proxy() -> (Proxy, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind(V4).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 47];
        stream.read_exact(&mut request[..3]).await.unwrap();
        stream.write_all(&[5, 0]).await.unwrap();
        stream.read_exact(&mut request).await.unwrap();
        stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
        // Until the other end has gone.
        let _ = stream.read(&mut [0]).await;
    });
    (Proxy { jid: "proxy.example".into(), host: "127.0.0.1".into(), port }, task)
}

#[tokio::test]
async fn at_a_proxy_to_which_the_other_device_does_not_come_there_is_no_link() {
    let (small, large) = two_identities();
    let (proxy, _task) = proxy().await;
    let relays = CurrentRelays::default();
    // It never activates the bytestream.
    relays.set(Some(Arc::new(InBandEnd(std::sync::Mutex::new(None)))));
    let ours = Reach { stream_id: Some("s".into()), ..Reach::default() };
    let request = DialRequest { ours, ..request_for(TransferId(1), large.fingerprint(), HOLIDAY, Vec::new()) };
    let times = Times { relay: Duration::from_millis(100), ..times() };
    let way = Proxy65 { tls: Arc::new(Tls::new(&small).unwrap()), relays, ways: Ways::ALL, times };
    let failure = way.meet(&request, (&proxy, true), &Local::default()).await.unwrap_err();
    assert_eq!(failure.reason, Reason::NotActivated);
}

/// The way through an XMPP stream whose end is this.
fn in_band(identity: &Identity, end: tokio::io::DuplexStream) -> InBand {
    let relays = CurrentRelays::default();
    relays.set(Some(Arc::new(InBandEnd(Some(end).into()))));
    InBand { tls: Arc::new(Tls::new(identity).unwrap()), relays, incoming: mpsc::channel(1).0, times: times() }
}

/// A slow server: passes on as many bytes as it may.
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
    let (opens, expects) = (in_band(&small, one), in_band(&large, other));
    let request = request_for(TransferId(1), large.fingerprint(), HOLIDAY, Vec::new());
    let expected = request_for(TransferId(1), small.fingerprint(), HOLIDAY, Vec::new());
    let (ours, theirs) = tokio::join!(opens.open(&request), expects.take(&expected));
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
