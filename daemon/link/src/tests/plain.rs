//! Plain BitTorrent at the port for links.

use tokio::net::TcpStream;

use super::*;
use crate::handshake::{Handshake, LENGTH};

const TUNE: InfoHash = InfoHash([0x7e; 20]);

async fn says(device: &Device, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(device.address()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

fn hello(info_hash: InfoHash) -> [u8; LENGTH] {
    Handshake::ours(info_hash, *b"-XX0001-another prog").to_bytes()
}

/// Until the other side ends it.
async fn heard(mut stream: TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    // A reset is an end, too.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut heard)).await.unwrap();
    heard
}

#[tokio::test]
async fn plain_bittorrent_is_answered_for_an_open_content_and_handed_over() {
    let mut device = Device::start(new_identity(), config(&[V4]));
    device.handle.open(TUNE);
    let mut stream = says(&device, &[&hello(TUNE)[..], b"next"].concat()).await;
    let LinkEvent::Plain { info_hash, stream: mut theirs, reserved, slot, .. } = device.event().await else {
        panic!("not handed over");
    };
    assert_eq!((info_hash, reserved[5]), (TUNE, 0x10));
    let mut answer = [0; LENGTH];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(Handshake::parse(&answer).unwrap().info_hash, TUNE);
    let mut next = [0; 4];
    theirs.read_exact(&mut next).await.unwrap();
    assert_eq!(&next, b"next", "nothing after the handshake was taken");
    drop(slot);
}

#[tokio::test]
async fn plain_bittorrent_for_anything_else_is_closed_without_a_byte_and_counted() {
    let (small, large) = two_identities();
    let (mut device, other) = (Device::start(small, config(&[V4])), large.fingerprint());
    // A private content, granted to a device at this moment; an open one; and one that was open.
    device.handle.dial(request_for(TransferId(1), other, HOLIDAY, Vec::new()));
    device.handle.open(TUNE);
    let shut = InfoHash([3; 20]);
    device.handle.open(shut);
    device.handle.shut(shut);
    let mut rubbish = hello(TUNE);
    rubbish[7] ^= 1;
    let cases: [(&[u8], &str); 5] = [
        (&hello(HOLIDAY), "not-open"),
        (&hello(shut), "not-open"),
        (&hello(InfoHash([9; 20])), "not-open"),
        (&rubbish, "bad-handshake"),
        (b"GET / HTTP/1.1\r\n\r\n", "bad-tls"),
    ];
    for (bytes, reason) in cases {
        let stream = says(&device, bytes).await;
        assert_eq!(device.rejected().await, (reason, None));
        assert!(heard(stream).await.is_empty(), "{reason}");
    }
}

#[tokio::test]
async fn who_begins_plain_bittorrent_and_does_not_end_its_handshake_is_closed_in_time() {
    let mut device = Device::start_with(new_identity(), config(&[V4]), short());
    device.handle.open(TUNE);
    let stream = says(&device, &hello(TUNE)[..60]).await;
    assert_eq!(device.rejected().await, ("too-slow", None));
    assert!(heard(stream).await.is_empty());
    let silent = says(&device, b"").await;
    assert_eq!(device.rejected().await, ("too-slow", None));
    assert!(heard(silent).await.is_empty());
}

#[tokio::test]
async fn our_own_handshake_that_comes_back_is_refused() {
    let mut device = Device::start(new_identity(), config(&[V4]));
    device.handle.open(TUNE);
    let stream = says(&device, &Handshake::ours(TUNE, config(&[V4]).peer_id).to_bytes()).await;
    assert_eq!(device.rejected().await, ("own-device", None));
    assert!(heard(stream).await.is_empty());
}

#[tokio::test]
async fn one_source_reads_by_eight_connections_and_its_ninth_is_refused_until_one_has_gone() {
    let mut device = Device::start(new_identity(), config(&[V4]));
    device.handle.open(TUNE);
    let mut readers = Vec::new();
    for _ in 0..8 {
        readers.push((says(&device, &hello(TUNE)).await, device.event().await));
    }
    let ninth = says(&device, &hello(TUNE)).await;
    assert_eq!(device.rejected().await, ("too-many", None));
    assert!(heard(ninth).await.is_empty());
    readers.pop();
    let _tenth = says(&device, &hello(TUNE)).await;
    assert!(matches!(device.event().await, LinkEvent::Plain { .. }));
}

#[tokio::test]
async fn links_come_about_at_the_port_at_which_an_open_content_is_read() {
    let (mut small, mut large) = pair(&[V4]);
    small.handle.open(TUNE);
    let _reader = says(&small, &hello(TUNE)).await;
    assert!(matches!(small.event().await, LinkEvent::Plain { .. }));
    let at = host(small.address());
    small.dial(1, &large, HOLIDAY, Vec::new());
    large.dial(2, &small, HOLIDAY, vec![at]);
    linked(&mut small, &mut large).await;
}
