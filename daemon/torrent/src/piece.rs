//! A piece being received.
//!
//! Invariant: a piece being fetched has exactly one owner at any time: the link that fetches it, the swarm between
//! two links, or the job that verifies and writes it. So its bytes need no lock.

use crate::LinkTag;
use crate::budget::Buffer;
use crate::metainfo::BLOCK;

pub(crate) struct PieceBuf {
    pub(crate) index: u32,
    buffer: Buffer,
    /// The sender of each block.
    from: Vec<Option<LinkTag>>,
    missing: usize,
}

impl PieceBuf {
    /// An empty piece; the buffer has the piece's length.
    pub(crate) fn new(index: u32, buffer: Buffer) -> Self {
        let blocks = buffer.len().div_ceil(BLOCK);
        Self { index, buffer, from: vec![None; blocks], missing: blocks }
    }

    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    pub(crate) fn blocks(&self) -> usize {
        self.from.len()
    }

    /// The length of a block; the last one may be shorter.
    pub(crate) fn block_len(&self, block: usize) -> usize {
        self.len().saturating_sub(block * BLOCK).min(BLOCK)
    }

    pub(crate) fn has_block(&self, block: usize) -> bool {
        self.from.get(block).is_none_or(Option::is_some)
    }

    /// Writes `data` at `offset`; out of range is ignored.
    pub(crate) fn put(&mut self, offset: usize, data: &[u8]) {
        if let Some(slot) = self.buffer.get_mut(offset..offset + data.len()) {
            slot.copy_from_slice(data);
        }
    }

    /// Marks a block complete, with its sender.
    pub(crate) fn mark(&mut self, block: usize, from: LinkTag) {
        if let Some(by @ None) = self.from.get_mut(block) {
            *by = Some(from);
            self.missing -= 1;
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.missing == 0
    }

    /// See [`Buffer::moved`].
    pub(crate) fn moved(&self) {
        self.buffer.moved((self.from.len() - self.missing) * BLOCK);
    }

    /// See [`Buffer::complete`].
    pub(crate) fn complete(&self) {
        self.buffer.complete();
    }

    /// See [`Buffer::is_revoked`].
    pub(crate) fn is_revoked(&self) -> bool {
        self.buffer.is_revoked()
    }

    /// Nothing was received yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.missing == self.from.len()
    }

    /// The sender of each received block, in order.
    pub(crate) fn from(&self) -> impl Iterator<Item = LinkTag> + '_ {
        self.from.iter().copied().flatten()
    }

    pub(crate) fn each_block(&self) -> impl Iterator<Item = &[u8]> {
        self.buffer.chunks(BLOCK)
    }
}
