//! Several links of one content: who gives what to whom. The clock stands still while anything is done.
#![allow(clippy::unwrap_used, clippy::panic)]
mod common;
use common::peer::{PIECE, Peer, block};
use common::*;

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use xbt_torrent::{CloseReason, Event};

#[tokio::test(start_paused = true)]
async fn a_slow_source_does_not_hold_up_the_end() {
    let (mut a, mut b) = (Node::limited(4 << 20, 0), Node::new());
    let bytes = noise(8 << 20, 1);
    let prepared = a.seed(&write(&a.path("f"), &bytes)).await;
    b.fetch(&prepared);
    let (mut slow, at_b) = Peer::attach(&b);
    let served = bytes.clone();
    tokio::spawn(async move {
        slow.send(5, &[0xff; 4]).await;
        slow.send(1, &[]).await;
        while let Some(request) = slow.request().await {
            // 40 KiB/s: what it was asked for at first would take half a minute.
            tokio::time::sleep(Duration::from_millis(400)).await;
            slow.give(&served, request).await;
        }
    });
    let begun = Instant::now();
    join(&a, &b);
    b.arrives(&bytes).await;
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    b.detach(at_b).await;
    assert!(b.downloaded() < prepared.size + (1 << 20), "nothing is fetched twice: {}", b.downloaded());
}

#[tokio::test(start_paused = true)]
async fn who_sent_the_wrong_block_of_a_shared_piece_is_found_and_dropped() {
    let (mut a, mut b) = (Node::new(), Node::new());
    let bytes = noise(PIECE, 3);
    let prepared = a.seed(&write(&a.path("f"), &bytes)).await;
    b.fetch_known(&prepared);
    let (mut liar, at_liar) = Peer::attach(&b);
    liar.greet(&prepared).await;
    for number in 0..5 {
        let mut data = block(&bytes, liar.request().await.unwrap());
        data[100] ^= u8::from(number == 2);
        liar.send(7, &data).await;
    }
    // It goes silent, so the rest comes from the honest one.
    let (_, at_honest) = join(&a, &b);
    b.arrives(&bytes).await;
    assert_eq!(b.closed(at_liar).await, CloseReason::Corrupt);
    let closed = |event: &Event| matches!(event, Event::LinkClosed { tag, .. } if *tag == at_honest);
    assert!(!b.past.iter().any(closed));
}

#[tokio::test(start_paused = true)]
async fn who_wants_data_is_served_in_turn_where_many_do() {
    let mut a = Node::new();
    a.seed(&write(&a.path("f"), &noise(1 << 20, 1))).await;
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    for number in 0..9 {
        let (mut peer, _) = Peer::attach(&a);
        let tell = tell.clone();
        peer.send(2, &[]).await;
        tokio::spawn(async move {
            while let Some((id, _)) = peer.receive().await {
                if id < 2 {
                    tell.send((number, id == 1)).unwrap();
                }
            }
        });
    }
    let mut served: HashMap<usize, bool> = HashMap::new();
    // Until who is served is settled: eight of them, and nothing changes for a second.
    while let Ok(Some((number, now))) = timeout(Duration::from_secs(1), told.recv()).await {
        served.insert(number, now);
    }
    let is_served = |served: &HashMap<usize, bool>, number| served.get(&number).copied().unwrap_or(false);
    let waiting: Vec<usize> = (0..9).filter(|number| !is_served(&served, *number)).collect();
    assert_eq!(waiting.len(), 1, "{served:?}");
    let turn = async {
        while !is_served(&served, waiting[0]) {
            let (number, now) = told.recv().await.unwrap();
            served.insert(number, now);
        }
    };
    timeout(Duration::from_secs(15), turn).await.expect("who waits has a turn");
    while served.values().filter(|now| **now).count() > 8 {
        let (number, now) = timeout(Duration::from_secs(1), told.recv()).await.expect("another waits now").unwrap();
        served.insert(number, now);
    }
}

#[tokio::test(start_paused = true)]
async fn one_to_many_sends_little_more_than_once() {
    let mut a = Node::limited(3 << 20, 0);
    let source = write(&a.path("f"), &noise(12 << 20, 7));
    let prepared = a.seed(&source).await;
    let mut receivers: Vec<Node> = (0..4).map(|_| Node::new()).collect();
    let mut links = Vec::new();
    for (number, receiver) in receivers.iter().enumerate() {
        receiver.fetch(&prepared);
        links.push(join(&a, receiver).0);
        for other in &receivers[..number] {
            join(other, receiver);
        }
    }
    for receiver in &mut receivers {
        receiver.arrives(&std::fs::read(&source).unwrap()).await;
    }
    for link in links {
        a.detach(link).await;
    }
    let sent = a.uploaded();
    println!("sent {sent} of {}", prepared.size);
    assert!(sent < prepared.size * 8 / 5, "sent {sent} of {}", prepared.size);
}

#[tokio::test(start_paused = true)]
async fn receivers_who_do_not_know_each_other_each_get_everything() {
    let mut a = Node::new();
    let source = write(&a.path("f"), &noise(4 << 20, 7));
    let prepared = a.seed(&source).await;
    let mut receivers: Vec<Node> = (0..10).map(|_| Node::new()).collect();
    for receiver in &receivers {
        receiver.fetch(&prepared);
        join(&a, receiver);
    }
    for receiver in &mut receivers {
        receiver.arrives(&std::fs::read(&source).unwrap()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_incomplete_peer_is_not_told_of_pieces_that_it_has_until_all_are_here() {
    let (mut a, mut b) = (Node::new(), Node::new());
    let prepared = a.seed(&write(&a.path("f"), &noise(2 << 20, 1))).await;
    b.fetch_known(&prepared);
    let (mut peer, _) = Peer::attach(&b);
    peer.send(5, &[0xf0]).await;
    peer.send(2, &[]).await;
    // Its extension handshake, and that it has nothing, have been taken in once it says that it is interested.
    while peer.receive().await.unwrap().0 != 2 {}
    join(&a, &b);
    let mut told = Vec::new();
    loop {
        match peer.receive().await.unwrap() {
            (4, piece) => told.push(piece[3]),
            (3, _) => break,
            _ => {}
        }
    }
    b.completed().await;
    told[..4].sort_unstable();
    assert_eq!(told[..4], [4, 5, 6, 7], "first what it lacks");
    assert_eq!(told.len(), 8, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_taken_over_from_a_silent_source_at_the_end_is_cancelled_there() {
    let (mut a, mut b) = (Node::new(), Node::new());
    let bytes = noise(2 << 20, 1);
    let prepared = a.seed(&write(&a.path("f"), &bytes)).await;
    let mut fetch = b.offered(&prepared);
    fetch.info = Some(prepared.info.clone());
    b.engine.fetch(KEY, fetch);
    let (mut silent, _) = Peer::attach(&b);
    silent.greet(&prepared).await;
    let first = silent.request().await.unwrap();
    join(&a, &b);
    assert!(std::fs::read(b.completed().await).unwrap() == bytes);
    let (mut asked, mut cancelled) = (vec![first], Vec::new());
    let word = |payload: &[u8], at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
    let mut listen = async || {
        while cancelled.len() < asked.len() {
            match silent.receive().await.unwrap() {
                (6, p) => asked.push([word(&p, 0), word(&p, 4), word(&p, 8)]),
                (8, p) => cancelled.push([word(&p, 0), word(&p, 4), word(&p, 8)]),
                _ => {}
            }
        }
    };
    timeout(Duration::from_secs(10), listen()).await.expect("everything is taken back");
    asked.sort_unstable();
    cancelled.sort_unstable();
    assert_eq!(asked, cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_seed_shows_everything_to_the_first_receiver_and_a_few_pieces_at_a_time_to_the_next() {
    let mut a = Node::new();
    let bytes = noise(16 << 20, 1);
    a.seed(&write(&a.path("f"), &bytes)).await;
    let (mut first, _) = Peer::attach(&a);
    loop {
        let (id, payload) = first.receive().await.unwrap();
        if id == 5 {
            assert_eq!(payload, [0xff; 8]);
            break;
        }
    }
    let (mut second, _) = Peer::attach(&a);
    second.send(2, &[]).await;
    let mut shown = Vec::new();
    // What is shown at once, then nothing more for a second.
    while let Ok(Some((id, payload))) = timeout(Duration::from_secs(1), second.receive()).await {
        assert_ne!(id, 5, "everything is shown");
        if id == 4 {
            shown.push(u32::from_be_bytes(payload[..4].try_into().unwrap()));
        }
    }
    assert!((2..=8).contains(&shown.len()), "{shown:?}");
    // It has taken them: it is shown others.
    for piece in &shown {
        second.send(4, &piece.to_be_bytes()).await;
    }
    let next = async {
        loop {
            if let (4, payload) = second.receive().await.unwrap() {
                return u32::from_be_bytes(payload[..4].try_into().unwrap());
            }
        }
    };
    let next = timeout(Duration::from_secs(4), next).await.expect("more is shown");
    assert!(!shown.contains(&next));
}
