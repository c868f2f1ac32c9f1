//! One honest source and one that is not: the content arrives all the same.
#![allow(clippy::unwrap_used, clippy::panic)]
mod common;
use common::peer::{Peer, block};
use common::*;

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::Instant;
use xbt_torrent::{CloseReason, Group, LinkTag, Prepared};

/// A fetch that has begun with the faulty source alone, so that nobody can say it was spared.
struct Trial {
    honest: Node,
    node: Node,
    prepared: Prepared,
    bytes: Vec<u8>,
    peer: Peer,
    link: LinkTag,
}

impl Trial {
    async fn new() -> Self {
        let (mut honest, node) = (Node::new(), Node::new());
        let bytes = noise(4 << 20, 11);
        let prepared = honest.seed(&write(&honest.path("f"), &bytes)).await;
        node.fetch_known(&prepared);
        let (mut peer, link) = Peer::attach(&node);
        peer.greet(&prepared).await;
        Self { honest, node, prepared, bytes, peer, link }
    }
}

/// The honest source comes, and everything with it.
async fn arrives(honest: &Node, node: &mut Node, bytes: &[u8]) {
    let (near, far) = tcp().await;
    honest.engine.attach(KEY, tag(), near, xbt_torrent::handshake::OUR_RESERVED);
    node.engine.attach(KEY, tag(), far, xbt_torrent::handshake::OUR_RESERVED);
    node.arrives(bytes).await;
}

/// The same in a few seconds, by a clock that stands still while anything is done.
async fn arrives_soon(honest: &Node, node: &mut Node, bytes: &[u8]) {
    let begun = Instant::now();
    join(honest, node);
    node.arrives(bytes).await;
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_source_that_stalls_in_the_middle() {
    let mut trial = Trial::new().await;
    for _ in 0..40 {
        let request = trial.peer.request().await.unwrap();
        trial.peer.give(&trial.bytes, request).await;
    }
    arrives_soon(&trial.honest, &mut trial.node, &trial.bytes).await;
    trial.node.engine.detach(trial.link);
    trial.node.closed(trial.link).await;
    assert!(trial.node.downloaded() <= trial.prepared.size, "what it sent is kept");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_trickles() {
    let Trial { honest, mut node, mut peer, bytes, .. } = Trial::new().await;
    let request = peer.request().await.unwrap();
    tokio::spawn(async move {
        let head = [16384u32 + 9, 0x0700_0000 | request[0] >> 8].map(u32::to_be_bytes).concat();
        let rest = [&[request[0] as u8][..], &request[1].to_be_bytes()].concat();
        peer.stream.write_all(&[head, rest].concat()).await.unwrap();
        // A byte now and then: never silent, and never done.
        while peer.stream.write_all(&[1]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    });
    arrives_soon(&honest, &mut node, &bytes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_floods() {
    let Trial { honest, mut node, mut peer, link, bytes, .. } = Trial::new().await;
    tokio::spawn(async move {
        for number in 0u32.. {
            // Never what it was asked for: block bounds that no request has.
            let block = [&(number % 16).to_be_bytes()[..], &1u32.to_be_bytes(), &[0; 16384]].concat();
            peer.send(7, &block).await;
            peer.send(4, &(number % 16).to_be_bytes()).await;
        }
    });
    assert_eq!(node.closed(link).await, CloseReason::Protocol("it sent data that was not requested"));
    arrives(&honest, &mut node, &bytes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_lies_about_what_it_has() {
    let Trial { honest, mut node, mut peer, bytes, .. } = Trial::new().await;
    tokio::spawn(async move {
        // It said that it has everything, and has nothing: it chokes whenever it is asked, and lures again.
        while peer.request().await.is_some() {
            peer.send(0, &[]).await;
            peer.send(1, &[]).await;
        }
    });
    arrives(&honest, &mut node, &bytes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_sends_corrupt_blocks() {
    let mut trial = Trial::new().await;
    loop {
        let Some(request) = trial.peer.request().await else { break };
        let mut block = block(&trial.bytes, request);
        block[100] ^= u8::from(request[0] == 3 && request[1] == 0);
        trial.peer.send(7, &block).await;
    }
    assert_eq!(trial.node.closed(trial.link).await, CloseReason::Corrupt);
    arrives(&trial.honest, &mut trial.node, &trial.bytes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_drops_in_mid_block() {
    let Trial { honest, mut node, mut peer, link, bytes, .. } = Trial::new().await;
    let block = block(&bytes, peer.request().await.unwrap());
    let head = (block.len() as u32 + 1).to_be_bytes();
    let sent = [&head[..], &[7], &block[..block.len() / 2]].concat();
    peer.stream.write_all(&sent).await.unwrap();
    drop(peer);
    assert!(matches!(node.closed(link).await, CloseReason::Ended | CloseReason::Io(_)));
    arrives(&honest, &mut node, &bytes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_floods_with_messages_that_say_nothing() {
    let Trial { honest, mut node, mut peer, bytes, .. } = Trial::new().await;
    tokio::spawn(async move {
        for number in 0u32.. {
            // A piece that it has said it has, interest and none, a message nobody knows, a keep-alive.
            let messages: [(u8, &[u8]); 4] = [
                (4, &(number % 16).to_be_bytes()),
                (2 + (number % 2) as u8, &[]),
                (200, &[0; 1024]),
                (20, b"\x63noise"),
            ];
            for (id, payload) in messages {
                peer.send(id, payload).await;
            }
            if peer.stream.write_all(&[0; 4]).await.is_err() {
                break;
            }
        }
    });
    arrives(&honest, &mut node, &bytes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_floods_with_requests() {
    let Trial { honest, mut node, mut peer, link, bytes, .. } = Trial::new().await;
    tokio::spawn(async move {
        for number in 0u32.. {
            // Of what is here and what is not, and it never reads an answer.
            let request = [number % 16, number / 16 % 16 * 16384, 16384].map(u32::to_be_bytes).concat();
            peer.send(6, &request).await;
        }
    });
    arrives(&honest, &mut node, &bytes).await;
    assert!(matches!(node.closed(link).await, CloseReason::Protocol(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_comes_back_with_corrupt_blocks_is_banned_for_the_content_until_a_person_resumes() {
    let Trial { honest, mut node, prepared, bytes, .. } = Trial::new().await;
    let liar = Group(666);
    for strike in 1..=4 {
        let (peer, link) = Peer::attach_in(liar, &node);
        let lies = |_: u32, block: &mut Vec<u8>| block[7] ^= 1;
        let serving = tokio::spawn(peer.serve(prepared.clone(), bytes.clone(), lies));
        assert_eq!(node.closed(link).await, CloseReason::Corrupt, "{strike}");
        serving.await.unwrap();
    }
    let before = node.downloaded();
    let (mut peer, link) = Peer::attach_in(liar, &node);
    assert_eq!(node.closed(link).await, CloseReason::Corrupt);
    assert_eq!(peer.receive().await, None, "it is not even greeted");
    assert_eq!(node.downloaded(), before);
    let (mut other, _) = Peer::attach_in(Group(1), &node);
    assert!(other.receive().await.is_some(), "others are");
    node.engine.resume(KEY);
    let (mut peer, _) = Peer::attach_in(liar, &node);
    assert!(peer.receive().await.is_some());
    drop((peer, other));
    arrives(&honest, &mut node, &bytes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_of_an_introduced_source_are_held_against_it_and_not_against_who_introduced_it() {
    let Trial { honest, mut node, prepared, bytes, .. } = Trial::new().await;
    let (contact, liar) = (Group(1), Group(666));
    for strike in 1..=4 {
        let (peer, link) = Peer::attach_introduced(contact, liar, &node);
        let lies = |_: u32, block: &mut Vec<u8>| block[7] ^= 1;
        let serving = tokio::spawn(peer.serve(prepared.clone(), bytes.clone(), lies));
        assert_eq!(node.closed(link).await, CloseReason::Corrupt, "{strike}");
        serving.await.unwrap();
    }
    let (mut peer, link) = Peer::attach_introduced(contact, liar, &node);
    assert_eq!(node.closed(link).await, CloseReason::Corrupt);
    assert_eq!(peer.receive().await, None, "it is not even greeted, whoever introduces it");
    let (mut other, _) = Peer::attach_introduced(contact, Group(2), &node);
    assert!(other.receive().await.is_some(), "another that the contact introduces is");
    let (mut sender, _) = Peer::attach_in(contact, &node);
    assert!(sender.receive().await.is_some(), "and so is the contact");
    drop((other, sender));
    arrives(&honest, &mut node, &bytes).await;
}
