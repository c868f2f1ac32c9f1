#![allow(clippy::unwrap_used, clippy::panic)]
use std::time::Duration;

use super::*;
use crate::budget::{Budget, Claimant};
use crate::{ContentKey, Group};

const BY: Claimant = Claimant { owner: Group(1), content: ContentKey(1) };

fn piece(index: u32, len: usize) -> PieceBuf {
    PieceBuf::new(index, Budget::new().take(BY, index, len).unwrap())
}

fn start(len: usize) -> Downloads {
    let mut downloads = Downloads::new(LinkTag(1));
    downloads.unchoke();
    downloads.add(piece(3, len));
    assert!(downloads.fill(&mut BytesMut::new()));
    downloads
}

fn block(begin: usize, len: usize) -> Block {
    Block { piece: 3, begin: begin as u32, len: len as u32 }
}

#[test]
fn a_piece_is_complete_when_its_last_slice_came() {
    let mut downloads = start(BLOCK + 10);
    assert!(downloads.data(block(BLOCK, 10), 0, &[2; 10]).unwrap().is_none());
    assert!(downloads.data(block(0, BLOCK), 0, &[1; 100]).unwrap().is_none());
    let full = downloads.data(block(0, BLOCK), 100, &[1; BLOCK - 100]).unwrap().unwrap();
    assert_eq!(full.bytes()[BLOCK - 1..BLOCK + 1], [1, 2]);
    assert_eq!((downloads.outstanding, downloads.waiting), (0, 0));
}

#[test]
fn what_nobody_asked_for_is_dropped_and_too_much_of_it_ends_the_link() {
    let mut downloads = start(BLOCK);
    for wrong in [block(0, 5), block(1, BLOCK), block(BLOCK, BLOCK)] {
        assert!(downloads.data(wrong, 0, &[0; 5]).unwrap().is_none());
    }
    let flood = (0..200).find_map(|_| downloads.data(block(BLOCK, BLOCK), 0, &[0; BLOCK]).err());
    assert!(flood.is_some());
}

#[test]
fn a_given_up_piece_keeps_its_blocks_and_goes_on_elsewhere() {
    let mut downloads = start(3 * BLOCK);
    downloads.data(block(BLOCK, BLOCK), 0, &[7; BLOCK]).unwrap();
    let mut out = BytesMut::new();
    let piece = downloads.give_up(3, &mut out).unwrap();
    assert_eq!(out.len(), 2 * 17);
    assert_eq!((downloads.outstanding, downloads.waiting), (0, 0));
    let mut other = Downloads::new(LinkTag(2));
    other.unchoke();
    other.add(piece);
    let mut out = BytesMut::new();
    other.fill(&mut out);
    assert_eq!(out.len(), 2 * 17);
    other.data(block(0, BLOCK), 0, &[7; BLOCK]).unwrap();
    let full = other.data(block(2 * BLOCK, BLOCK), 0, &[7; BLOCK]).unwrap().unwrap();
    assert_eq!(full.from().collect::<Vec<_>>(), [LinkTag(2), LinkTag(1), LinkTag(2)]);
    assert!(full.bytes().iter().all(|byte| *byte == 7));
}

#[test]
fn the_rest_of_a_block_does_not_pass_for_a_whole_one_when_its_piece_came_back() {
    let mut downloads = start(BLOCK);
    downloads.data(block(0, BLOCK), 0, &[7; 100]).unwrap();
    downloads.give_up(3, &mut BytesMut::new()).unwrap();
    downloads.add(piece(3, BLOCK));
    downloads.fill(&mut BytesMut::new());
    assert!(downloads.data(block(0, BLOCK), 100, &[7; BLOCK - 100]).unwrap().is_none());
    let full = downloads.data(block(0, BLOCK), 0, &[7; BLOCK]).unwrap().unwrap();
    assert!(full.bytes().iter().all(|byte| *byte == 7));
}

#[test]
fn a_choke_gives_everything_back_and_nothing_is_wanted_until_it_ends() {
    let mut downloads = start(3 * BLOCK);
    assert_eq!(downloads.choke().len(), 1);
    assert_eq!(downloads.capacity(), None);
    downloads.unchoke();
    assert_eq!(downloads.capacity(), Some(1 << 20));
    assert_eq!(downloads.capacity(), None, "told once");
}

/// Bytes asked for at most at once, after a link has shown its rate for some seconds.
async fn window_at(per_second: usize, round_trip: Duration) -> usize {
    let mut downloads = Downloads::new(LinkTag(1));
    downloads.unchoke();
    downloads.accepts(usize::MAX);
    let (mut most, mut index, budget) = (0, 0, Budget::new());
    let steps = per_second.div_ceil(10).div_ceil(BLOCK);
    for _ in 0..80 {
        let mut out = BytesMut::new();
        while downloads.capacity().is_some() {
            downloads.answered();
            downloads.add(PieceBuf::new(index, budget.take(BY, index, BLOCK).unwrap()));
            index += 1;
        }
        downloads.fill(&mut out);
        most = downloads.outstanding;
        tokio::time::advance(round_trip.max(Duration::from_millis(100))).await;
        for _ in 0..steps {
            let Some(first) = downloads.active.front().map(|active| active.block(0)) else { break };
            downloads.data(first, 0, &[0; BLOCK]).unwrap();
        }
        downloads.tick(Instant::now());
    }
    most
}

#[tokio::test(start_paused = true)]
async fn the_window_follows_the_rate_of_the_link() {
    let near = Duration::from_millis(1);
    let (slow, fast) = (window_at(200 << 10, near).await, window_at(10 << 20, near).await);
    assert!(slow <= 256 << 10, "{slow}");
    assert!((3 << 20..=6 << 20).contains(&fast), "{fast}");
}
