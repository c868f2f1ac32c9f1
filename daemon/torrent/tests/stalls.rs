//! Links that bring nothing, and links that take each other's place. The clock stands still while anything is done, so a
//! slow machine changes nothing.
#![allow(clippy::unwrap_used, clippy::panic)]
mod common;
use common::peer::Peer;
use common::*;

use std::time::Duration;

use tokio::time::{Instant, timeout};
use xbt_torrent::{Event, LinkTag};

/// Waits for the word that a link stalls.
async fn stalled(node: &mut Node, link: LinkTag) {
    node.wait("a stall", |event| matches!(event, Event::LinkStalled { tag, .. } if *tag == link).then_some(())).await;
}

/// How often a stall was told within some time.
async fn stalls_within(node: &mut Node, time: Duration) -> usize {
    let mut count = 0;
    let all = async {
        while let Some(event) = node.events.recv().await {
            count += usize::from(matches!(event, Event::LinkStalled { .. }));
        }
    };
    let _ = timeout(time, all).await;
    count
}

#[tokio::test(start_paused = true)]
async fn silence_after_a_request_is_told_once_and_again_only_after_data() {
    let (mut a, mut b) = (Node::new(), Node::new());
    let bytes = noise(1 << 20, 1);
    let prepared = a.prepare(&[write(&a.path("f"), &bytes)]).await.unwrap();
    b.fetch_known(&prepared);
    let (mut peer, at_b) = Peer::attach(&b);
    peer.greet(&prepared).await;
    let request = peer.request().await.unwrap();
    let asked = Instant::now();
    stalled(&mut b, at_b).await;
    assert!(asked.elapsed() > Duration::from_millis(3500), "{:?}", asked.elapsed());
    assert_eq!(stalls_within(&mut b, Duration::from_secs(5)).await, 0, "the same stall");
    peer.give(&bytes, request).await;
    stalled(&mut b, at_b).await;
}

#[tokio::test(start_paused = true)]
async fn silence_while_metadata_is_awaited_is_told() {
    let (mut a, mut b) = (Node::new(), Node::new());
    let prepared = a.prepare(&[write(&a.path("f"), &noise(1 << 20, 1))]).await.unwrap();
    b.fetch(&prepared);
    let (mut peer, at_b) = Peer::attach(&b);
    peer.greet(&prepared).await;
    stalled(&mut b, at_b).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_takes_no_byte_is_told_to_the_sender() {
    let mut a = Node::new();
    a.seed(&write(&a.path("f"), &noise(4 << 20, 1))).await;
    let (mut peer, at_a) = Peer::attach(&a);
    for block in 0..160u32 {
        let request = [block / 16, block % 16 * 16384, 16384].map(u32::to_be_bytes).concat();
        peer.send(6, &request).await;
    }
    // It reads nothing: the stream is full after 1 MiB.
    stalled(&mut a, at_a).await;
}

#[tokio::test(start_paused = true)]
async fn no_stall_is_told_while_the_contact_chokes_or_a_limit_of_our_own_holds_it_up() {
    let (mut a, mut choked) = (Node::limited(600, 0), Node::new());
    let prepared = a.seed(&write(&a.path("f"), &noise(1 << 20, 1))).await;
    choked.fetch(&prepared);
    let (mut peer, _) = Peer::attach(&choked);
    let mut limited = Node::limited(0, 100);
    limited.fetch(&prepared);
    join(&a, &limited);
    let mut told = Box::pin(async {
        let time = Duration::from_secs(8);
        tokio::join!(stalls_within(&mut choked, time), stalls_within(&mut limited, time), stalls_within(&mut a, time))
    });
    peer.send(0, &[]).await;
    assert_eq!(told.as_mut().await, (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_a_silent_link_was_asked_for_comes_over_another_one() {
    let (mut a, mut b) = (Node::new(), Node::new());
    let bytes = noise(4 << 20, 8);
    let prepared = a.seed(&write(&a.path("f"), &bytes)).await;
    b.fetch_known(&prepared);
    let (mut silent, _) = Peer::attach(&b);
    silent.greet(&prepared).await;
    silent.request().await.unwrap();
    let begun = Instant::now();
    join(&a, &b);
    b.arrives(&bytes).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_link_takes_over_from_another_one_to_the_same_device_without_loss() {
    let (mut a, mut b) = (Node::limited(2 << 20, 0), Node::new());
    let bytes = noise(8 << 20, 6);
    let prepared = a.seed(&write(&a.path("f"), &bytes)).await;
    b.fetch(&prepared);
    let (_, relayed) = join(&a, &b);
    b.verified(2 << 20).await;
    let (_, better) = join(&a, &b);
    b.detach(relayed).await;
    a.engine.set_limits(0, 0);
    let begun = Instant::now();
    b.arrives(&bytes).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "nothing waited for the old link: {:?}", begun.elapsed());
    b.detach(better).await;
    // What was under way on the old link when it went: less than its window of a second or two.
    assert!(b.downloaded() <= prepared.size + (1 << 20), "{} of {}", b.downloaded(), prepared.size);
}

#[tokio::test(start_paused = true)]
async fn blocks_of_a_half_done_piece_are_not_asked_for_again_on_the_next_link() {
    let (mut a, mut b) = (Node::new(), Node::new());
    let bytes = noise(peer::PIECE, 9);
    let prepared = a.prepare(&[write(&a.path("f"), &bytes)]).await.unwrap();
    b.fetch_known(&prepared);
    let (mut old, at_b) = Peer::attach(&b);
    old.greet(&prepared).await;
    let mut given = Vec::new();
    for _ in 0..5 {
        let request = old.request().await.unwrap();
        old.give(&bytes, request).await;
        given.push(request[1]);
    }
    let downloaded = |event: &Event| match event {
        Event::PeerProgress { downloaded, .. } => (*downloaded >= 5 * 16384).then_some(()),
        _ => None,
    };
    b.wait("five blocks", downloaded).await;
    let (mut new, _) = Peer::attach(&b);
    new.greet(&prepared).await;
    b.engine.detach(at_b);
    let mut asked = Vec::new();
    let begun = Instant::now();
    while asked.len() < 11 {
        asked.push(new.request().await.unwrap()[1]);
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(asked.iter().all(|begin| !given.contains(begin)), "{asked:?} after {given:?}");
}
