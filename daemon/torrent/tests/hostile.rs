//! The other side lies, floods, breaks the protocol.
#![allow(clippy::unwrap_used, clippy::panic)]
mod common;
use common::*;

use common::peer::Peer;
use tokio::io::AsyncWriteExt;
use xbt_torrent::{CloseReason, Event, Fetch, Prepared, codes};

async fn content(node: &mut Node, size: usize) -> (Prepared, Vec<u8>) {
    let bytes = noise(size, 77);
    let source = write(&node.path("content.bin"), &bytes);
    (node.seed(&source).await, bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_sends_wrong_data_is_closed_and_nothing_wrong_is_kept() {
    let (mut a, mut b) = (Node::new(), Node::new());
    let (prepared, bytes) = content(&mut a, 4 << 20).await;
    b.fetch(&prepared);
    let (liar, at_b) = Peer::attach(&b);
    let serving = tokio::spawn(liar.serve(prepared.clone(), bytes.clone(), |piece, block| {
        if piece % 2 == 0 {
            block[0] ^= 1;
        }
    }));
    assert_eq!(b.closed(at_b).await, CloseReason::Corrupt);
    serving.await.unwrap();
    join(&a, &b);
    b.arrives(&bytes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_foreign_peer_is_understood_whatever_its_message_ids() {
    let (mut a, mut b) = (Node::new(), Node::new());
    let (prepared, bytes) = content(&mut a, (3 << 20) + 5).await;
    b.fetch(&prepared);
    let (peer, _) = Peer::attach(&b);
    tokio::spawn(peer.serve(prepared, bytes.clone(), |_, _| ()));
    b.arrives(&bytes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_with_another_hash_is_refused_and_its_link_closed() {
    let (mut a, mut b) = (Node::new(), Node::new());
    let (mut prepared, bytes) = content(&mut a, 1 << 20).await;
    b.fetch(&prepared);
    let mut info = prepared.info.to_vec();
    let last = info.len() - 20;
    info[last] ^= 1;
    prepared.info = info.into();
    let (peer, at_b) = Peer::attach(&b);
    tokio::spawn(peer.serve(prepared, bytes, |_, _| ()));
    assert_eq!(b.closed(at_b).await, CloseReason::Corrupt);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_content_that_is_not_what_was_offered_fails_before_anything_touches_the_disk() {
    let mut a = Node::new();
    let (prepared, _) = content(&mut a, 1 << 20).await;
    let lies: [fn(&mut Fetch); 4] = [
        |fetch| fetch.name = "other.bin".into(),
        |fetch| fetch.size -= 1,
        |fetch| fetch.files = 2,
        |fetch| fetch.metadata_size += 1,
    ];
    for lie in lies {
        let mut b = Node::new();
        let mut offered = b.offered(&prepared);
        lie(&mut offered);
        b.engine.fetch(KEY, offered);
        join(&a, &b);
        assert_eq!(b.failed().await.code, codes::METADATA_MISMATCH);
        assert!(!b.destination().exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_metadata_with_the_right_hash_fails_the_fetch() {
    let mut b = Node::new();
    let info =
        b"d5:filesld6:lengthi5e4:pathl2:..4:evileee4:name1:x12:piece lengthi16384e6:pieces20:hhhhhhhhhhhhhhhhhhhhe";
    let info_hash: [u8; 20] =
        sha1::Digest::finalize(sha1::Digest::chain_update(<sha1::Sha1 as sha1::Digest>::new(), info)).into();
    let fetch = Fetch {
        owner: xbt_torrent::Group(1),
        info_hash,
        name: "x".into(),
        size: 5,
        files: 1,
        metadata_size: info.len() as u32,
        destination: b.destination(),
        partial_id: "t".into(),
        info: Some(bytes::Bytes::from_static(info)),
    };
    b.engine.fetch(KEY, fetch.clone());
    assert_eq!(b.failed().await.code, codes::BAD_METADATA);
    b.engine.fetch(xbt_torrent::ContentKey(2), Fetch { partial_id: "../x".into(), ..fetch });
    assert_eq!(b.failed().await.code, codes::BAD_NAME);
    assert!(!b.destination().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_requests_ends_the_link() {
    let mut a = Node::new();
    content(&mut a, 1 << 20).await;
    let (mut peer, at_a) = Peer::attach(&a);
    let request = [0u32, 0, 16384].map(u32::to_be_bytes).concat();
    let flood = async {
        // Asks and never reads.
        for _ in 0..20_000 {
            peer.send(6, &request).await;
        }
    };
    let (reason, ()) = tokio::join!(a.closed(at_a), flood);
    assert_eq!(reason, CloseReason::Protocol("too many requests are open"));
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_frames_and_impossible_messages_end_only_their_link() {
    let mut a = Node::new();
    let (prepared, bytes) = content(&mut a, 1 << 20).await;
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let frame = |id: u8, payload: &[u8]| [&(payload.len() as u32 + 1).to_be_bytes(), &[id][..], payload].concat();
    let cases = [
        vec![0xff; 8],
        frame(5, &vec![0; 300 << 10]),
        frame(7, &vec![0; 200 << 10]),
        frame(4, &words(&[99])),
        frame(5, &[0xff, 0xff]),
        frame(5, &[]),
        [frame(5, &[0xf0]), frame(5, &[0xf0])].concat(),
        frame(6, &words(&[0, 0, 200 << 10])),
        frame(6, &words(&[0, (256 << 10) - 1, 2])),
        frame(6, &words(&[4, 0, 1])),
        frame(6, &words(&[u32::MAX, u32::MAX, u32::MAX])),
        frame(6, &words(&[0, 0, 0])),
        frame(20, b""),
        frame(20, b"\0d1:m"),
        frame(20, &[b"\0".to_vec(), b"l".repeat(30_000)].concat()),
        frame(20, b"\x01d8:msg_typei1e5:piecei0eedata"),
        frame(20, b"\x01d8:msg_typei0e5:piecei-1ee"),
        noise(4096, 3),
    ];
    for bad in cases {
        let (mut peer, at_a) = Peer::attach(&a);
        let _ = peer.stream.write_all(&bad).await;
        let reason = a.closed(at_a).await;
        assert!(matches!(reason, CloseReason::Protocol(_)), "{reason:?} for {:?}", &bad[..bad.len().min(20)]);
    }
    let harmless = [
        frame(0, b""),
        frame(2, b""),
        frame(13, b"xxxx"),
        frame(14, b""),
        frame(99, b"?"),
        frame(20, b"\x63whatever"),
        vec![0; 4],
    ];
    let mut b = Node::new();
    b.fetch(&prepared);
    let (mut peer, _) = Peer::attach(&b);
    for message in harmless {
        peer.stream.write_all(&message).await.unwrap();
    }
    tokio::spawn(peer.serve(prepared, bytes.clone(), |_, _| ()));
    b.arrives(&bytes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_nobody_asked_for_is_not_kept_and_a_flood_of_it_ends_the_link() {
    let (mut a, mut b) = (Node::new(), Node::new());
    let (prepared, _) = content(&mut a, 1 << 20).await;
    b.fetch(&prepared);
    let (mut peer, at_b) = Peer::attach(&b);
    let flood = async {
        for _ in 0..4000 {
            peer.send(7, &vec![0; 8 + 16384]).await;
        }
    };
    let (reason, ()) = tokio::join!(b.closed(at_b), flood);
    assert_eq!(reason, CloseReason::Protocol("it sent data that was not requested"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_that_it_has_everything_again_and_again_is_heard_once() {
    let mut node = Node::new();
    content(&mut node, 700_000).await;
    let (mut peer, tag) = Peer::attach(&node);
    for _ in 0..1000 {
        peer.send(20, &[2]).await;
    }
    node.wait("it is heard", |event| matches!(event, Event::PeerDone { .. }).then_some(())).await;
    // A message that ends the link, so that all before it were read.
    peer.send(4, &[0xff; 4]).await;
    assert!(matches!(node.closed(tag).await, CloseReason::Protocol(_)));
    let heard = node.past.iter().filter(|event| matches!(event, Event::PeerDone { .. })).count();
    assert_eq!(heard, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_the_metadata_again_and_again_is_told_no_more() {
    let mut a = Node::new();
    content(&mut a, 1 << 20).await;
    let (mut peer, at_a) = Peer::attach(&a);
    peer.send(20, b"\0d1:md11:ut_metadatai7eee").await;
    for _ in 0..100 {
        peer.send(20, b"\x01d8:msg_typei0e5:piecei0ee").await;
    }
    let told = async {
        let mut told = 0;
        while let Some((id, payload)) = peer.receive().await {
            told += usize::from(id == 20 && payload[0] == 7);
        }
        told
    };
    let (reason, told) = tokio::join!(a.closed(at_a), told);
    assert_eq!(reason, CloseReason::Protocol("it requests the metadata again and again"));
    assert!(told <= 8, "{told}");
}
