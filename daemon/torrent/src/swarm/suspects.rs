//! Who sent what of a piece that was wrong.

use sha1::{Digest, Sha1};

use crate::LinkTag;
use crate::piece::PieceBuf;

/// The senders of a wrong piece's blocks, and what each sent, in short.
#[derive(Clone)]
pub(super) struct Suspects(Vec<(LinkTag, u64)>);

impl Suspects {
    /// `None`: one link sent all of it, so there is nothing to find out.
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

fn digest(block: &[u8]) -> u64 {
    let digest: [u8; 20] = Sha1::digest(block).into();
    digest.first_chunk().map_or(0, |start| u64::from_be_bytes(*start))
}
