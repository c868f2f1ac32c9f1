//! Who sent which block of a piece that failed verification, and who did so repeatedly.

use std::collections::HashMap;

use sha1::{Digest, Sha1};

use crate::piece::PieceBuf;
use crate::{Group, LinkTag};

/// The senders of a failed piece's blocks, with a digest of each block.
#[derive(Clone)]
pub(super) struct Suspects(Vec<(LinkTag, u64)>);

impl Suspects {
    /// `None`: one link sent all of it, so the culprit is known.
    pub(super) fn of(piece: &PieceBuf) -> Option<Self> {
        let first = piece.from().next()?;
        piece.from().any(|tag| tag != first).then(|| Self(piece.from().zip(piece.each_block().map(digest)).collect()))
    }

    /// Whose blocks differ from those of the right piece.
    pub(super) fn guilty(&self, right: &PieceBuf) -> Vec<LinkTag> {
        let blocks = self.0.iter().zip(right.each_block().map(digest));
        let mut guilty: Vec<LinkTag> = blocks.filter(|((_, was), is)| was != is).map(|((tag, _), _)| *tag).collect();
        guilty.sort_unstable();
        guilty.dedup();
        guilty
    }
}

/// How often a group's links may send wrong data. More than once: a bit may flip in memory.
const STRIKES: u32 = 3;
/// Most groups remembered; a content has far fewer.
const MOST: usize = 1024;

/// Whose links were closed for wrong data, and how often.
#[derive(Default)]
pub(super) struct Culprits(HashMap<Group, u32>);

impl Culprits {
    pub(super) fn strike(&mut self, group: Option<Group>) {
        if let Some(group) = group.filter(|group| self.0.len() < MOST || self.0.contains_key(group)) {
            *self.0.entry(group).or_default() += 1;
        }
    }

    pub(super) fn is_banned(&self, group: Option<Group>) -> bool {
        group.and_then(|group| self.0.get(&group)).is_some_and(|strikes| *strikes >= STRIKES)
    }

    pub(super) fn forgive(&mut self) {
        self.0.clear();
    }
}

fn digest(block: &[u8]) -> u64 {
    let digest: [u8; 20] = Sha1::digest(block).into();
    digest.first_chunk().map_or(0, |start| u64::from_be_bytes(*start))
}
