//! The links of one contact hold the memory of pieces and deliver nothing; contents of others arrive all the same. The
//! clock is paused, so a slow machine changes nothing.
#![allow(clippy::unwrap_used, clippy::panic)]
mod common;
use common::*;

use std::time::Duration;

use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::sleep;
use xbt_torrent::handshake::OUR_RESERVED;
use xbt_torrent::{ContentKey, Fetch, Group};

/// The largest that is accepted.
const PIECE: usize = 16 << 20;
const BLOCK: usize = 16 << 10;
const EVE: Group = Group(66);

/// A file of two of the largest pieces, with its bytes.
fn of_two_large_pieces(node: &Node, key: u64) -> (Fetch, Vec<u8>) {
    let bytes = noise(2 * PIECE, key);
    let hashes: Vec<u8> = bytes.chunks(PIECE).flat_map(Sha1::digest).collect();
    let head = format!("d6:lengthi{}e4:name1:{}12:piece lengthi{PIECE}e6:pieces40:", bytes.len(), key % 10);
    let info = [head.as_bytes(), &hashes, b"e"].concat();
    let fetch = Fetch {
        owner: EVE,
        info_hash: Sha1::digest(&info).into(),
        name: (key % 10).to_string(),
        size: bytes.len() as u64,
        files: 1,
        metadata_size: info.len() as u32,
        destination: node.path(&format!("in-{key}")),
        partial_id: key.to_string(),
        info: Some(info.into()),
    };
    (fetch, bytes)
}

/// What a hostile device does once it has been asked for blocks.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// Nothing but keep-alives.
    Silent,
    /// A part of a block each second, which makes no block.
    Trickle,
    /// A whole block each second.
    Drip,
    /// All that is asked for.
    Serve,
}

async fn hold(mut stream: DuplexStream, bytes: Vec<u8>, way: Way) {
    let message = |id: u8, payload: &[u8]| [&(payload.len() as u32 + 1).to_be_bytes()[..], &[id], payload].concat();
    let mut asked = Vec::new();
    let hello = [message(5, &[0xC0]), message(1, &[])].concat();
    stream.write_all(&hello).await.unwrap();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (sender, mut requests) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok(length) = reader.read_u32().await {
            let mut message = vec![0; length as usize];
            reader.read_exact(&mut message).await.unwrap();
            if message.first() == Some(&6) {
                let word = |at: usize| u32::from_be_bytes(message[at..at + 4].try_into().unwrap()) as usize;
                sender.send((word(1), word(5))).unwrap();
            }
        }
    });
    let mut begun = Vec::new();
    loop {
        sleep(Duration::from_secs(1)).await;
        while let Ok(request) = requests.try_recv() {
            asked.push(request);
        }
        let block = |(piece, begin): (usize, usize)| {
            let at = piece * PIECE + begin;
            message(7, &[&(piece as u32).to_be_bytes(), &(begin as u32).to_be_bytes(), &bytes[at..at + BLOCK]].concat())
        };
        let out = match way {
            Way::Silent => vec![0; 4],
            Way::Trickle => {
                if begun.is_empty()
                    && let Some(request) = asked.first()
                {
                    begun = block(*request);
                }
                if begun.is_empty() { vec![0; 4] } else { vec![begun.remove(0)] }
            }
            Way::Drip if asked.is_empty() => vec![0; 4],
            Way::Drip => block(asked.remove(0)),
            Way::Serve => asked.drain(..).flat_map(block).collect(),
        };
        if writer.write_all(&out).await.is_err() {
            return;
        }
    }
}

/// Lets a contact hold what it can, each content by one link; then one more content comes from `owner`.
async fn arrives_beside(way: Way, owners: [Group; 2], owner: Group) {
    let (mut a, mut b) = (Node::new(), Node::new());
    for (key, hostile) in [71, 72].into_iter().zip(owners) {
        let (fetch, bytes) = of_two_large_pieces(&b, key);
        b.engine.fetch(ContentKey(key), Fetch { owner: hostile, ..fetch });
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        b.engine.attach(ContentKey(key), tag(), ours, OUR_RESERVED);
        tokio::spawn(hold(theirs, bytes, way));
    }
    // Until they hold what they can.
    sleep(Duration::from_secs(3)).await;
    let bytes = noise(8 << 20, 5);
    let prepared = a.seed(&write(&a.path("f"), &bytes)).await;
    b.engine.fetch(KEY, Fetch { owner, ..b.offered(&prepared) });
    join(&a, &b);
    b.arrives(&bytes).await;
}

#[tokio::test(start_paused = true)]
async fn contents_that_bring_nothing_but_keep_alives_do_not_keep_others_waiting() {
    arrives_beside(Way::Silent, [EVE, EVE], Group(1)).await;
}

#[tokio::test(start_paused = true)]
async fn bytes_that_make_no_block_do_not_keep_a_claim() {
    arrives_beside(Way::Trickle, [EVE, EVE], Group(1)).await;
}

#[tokio::test(start_paused = true)]
async fn blocks_that_drip_keep_no_more_than_the_share_of_their_contact() {
    arrives_beside(Way::Drip, [EVE, EVE], Group(1)).await;
}

#[tokio::test(start_paused = true)]
async fn two_contacts_that_drip_together_do_not_keep_a_third_waiting() {
    arrives_beside(Way::Drip, [EVE, Group(67)], Group(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_content_of_the_same_contact_gets_a_share_too() {
    arrives_beside(Way::Silent, [EVE, EVE], EVE).await;
    arrives_beside(Way::Drip, [EVE, EVE], EVE).await;
}

/// A content that lost a claim goes on once a device delivers.
#[tokio::test(start_paused = true)]
async fn what_was_taken_back_comes_later() {
    let (mut a, mut b) = (Node::new(), Node::new());
    let (fetch, large) = of_two_large_pieces(&b, 71);
    b.engine.fetch(ContentKey(71), fetch);
    let link = |way| {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        b.engine.attach(ContentKey(71), tag(), ours, OUR_RESERVED);
        tokio::spawn(hold(theirs, large.clone(), way))
    };
    let silent = link(Way::Silent);
    sleep(Duration::from_secs(3)).await;
    let small = noise(8 << 20, 5);
    let prepared = a.seed(&write(&a.path("f"), &small)).await;
    b.engine.fetch(KEY, Fetch { owner: Group(1), ..b.offered(&prepared) });
    join(&a, &b);
    silent.abort();
    drop(link(Way::Serve));
    for _ in 0..2 {
        let there = std::fs::read(b.completed().await).unwrap();
        assert!(there == small || there == large, "other bytes than were sent");
    }
}
