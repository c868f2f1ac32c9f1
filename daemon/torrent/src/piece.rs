//! A piece on its way in.
//!
//! Invariant: a piece being fetched has exactly one owner at any time: the link that fetches it, the swarm between
//! two links, or the job that verifies and writes it. So its bytes need no lock.

use crate::LinkTag;
use crate::budget::Buffer;
use crate::metainfo::BLOCK;

pub(crate) struct PieceBuf {
    pub(crate) index: u32,
    buffer: Buffer,
    got: Vec<bool>,
    missing: usize,
    from: Vec<LinkTag>,
}

impl PieceBuf {
    /// An empty piece; the buffer has the piece's length.
    pub(crate) fn new(index: u32, buffer: Buffer) -> Self {
        let blocks = buffer.len().div_ceil(BLOCK);
        Self { index, buffer, got: vec![false; blocks], missing: blocks, from: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    pub(crate) fn blocks(&self) -> usize {
        self.got.len()
    }

    /// The length of a block; the last one may be shorter.
    pub(crate) fn block_len(&self, block: usize) -> usize {
        self.len().saturating_sub(block * BLOCK).min(BLOCK)
    }

    pub(crate) fn has_block(&self, block: usize) -> bool {
        self.got.get(block).copied().unwrap_or(true)
    }

    /// Where `data` goes; out of range is ignored.
    pub(crate) fn put(&mut self, offset: usize, data: &[u8]) {
        if let Some(slot) = self.buffer.get_mut(offset..offset + data.len()) {
            slot.copy_from_slice(data);
        }
    }

    /// A block is complete, and who sent it.
    pub(crate) fn mark(&mut self, block: usize, from: LinkTag) {
        if let Some(got @ false) = self.got.get_mut(block) {
            *got = true;
            self.missing -= 1;
            if !self.from.contains(&from) {
                self.from.push(from);
            }
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.missing == 0
    }

    /// Nothing was received yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.missing == self.got.len()
    }

    /// Who sent the blocks.
    pub(crate) fn from(&self) -> &[LinkTag] {
        &self.from
    }
}
