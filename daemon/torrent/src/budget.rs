//! Owns the memory of pieces being received.
//!
//! Invariant: buffers handed out and kept for reuse never exceed [`LIMIT`] bytes together, except that one buffer is
//! always granted when none is out. A piece holds its buffer from its assignment to a link until it is verified and
//! written, or until it is revoked for another content (`claims.rs`). Buffers are reused, because fresh memory
//! costs a page fault for every 4 KiB.
//!
//! They are mapped, not allocated: the C library keeps a heap for each thread that allocates and frees buffers of some
//! MiB. With those, a content of 10 GiB took 165 MiB, and most of that stayed.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memmap2::MmapMut;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::{ContentKey, Group};

mod claims;

pub(crate) use claims::Claimant;

use claims::{Claims, Progress};

/// Bytes of piece buffers in all contents together.
pub(crate) const LIMIT: usize = 32 << 20;

pub(crate) struct Budget {
    pool: Mutex<Pool>,
    begun: Instant,
    freed: watch::Sender<u64>,
    revoked: watch::Sender<u64>,
}

#[derive(Default)]
struct Pool {
    claims: Claims,
    /// Bytes of the buffers that are out.
    used: usize,
    spare: Vec<Memory>,
    /// Bytes of those.
    spare_bytes: usize,
}

impl Pool {
    /// `None` if the limit does not leave `reserved` bytes beside it.
    fn memory(&mut self, len: usize, reserved: usize) -> Option<Memory> {
        let fits = |spare: &Memory| spare.len() >= len && spare.len() <= len * 2;
        let Some(at) = self.spare.iter().position(fits) else {
            return self.make_room(len, reserved).then(|| Memory::new(len));
        };
        let memory = self.spare.swap_remove(at);
        self.spare_bytes -= memory.len();
        // It may be a little too large for what is left.
        (self.used == 0 || self.used + memory.len() + reserved <= LIMIT).then_some(memory)
    }

    /// Makes room for `len` further bytes. Spare buffers of a size that is not in demand go first.
    fn make_room(&mut self, len: usize, reserved: usize) -> bool {
        if self.used > 0 && self.used + len + reserved > LIMIT {
            return false;
        }
        while self.used + self.spare_bytes + len > LIMIT
            && let Some(memory) = self.spare.pop()
        {
            self.spare_bytes -= memory.len();
        }
        true
    }
}

impl Budget {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            pool: Mutex::default(),
            begun: Instant::now(),
            freed: watch::Sender::new(0),
            revoked: watch::Sender::new(0),
        })
    }

    /// A buffer of `len` bytes with any content for a piece. `None`: the content waits for it from now on, until it has
    /// one or [`Self::waits_no_more`].
    pub(crate) fn take(self: &Arc<Self>, by: Claimant, piece: u32, len: usize) -> Option<Buffer> {
        let now = self.now();
        let mut pool = self.lock();
        let reserved = pool.claims.reserved(by, now);
        let Some(memory) = reserved.and_then(|reserved| pool.memory(len, reserved)) else {
            pool.claims.waits(by, len, now);
            return None;
        };
        pool.used += memory.len();
        let (claim, progress) = pool.claims.granted(by, piece, memory.len(), now);
        drop(pool);
        Some(Buffer { memory, len, budget: self.clone(), claim, progress })
    }

    pub(crate) fn waits_no_more(&self, content: ContentKey) {
        self.lock().claims.waits_no_more(content);
    }

    /// Revokes buffers of others for a content that waits; called a few times per second while it does.
    pub(crate) fn reclaim(&self, content: ContentKey) {
        let now = self.now();
        let mut pool = self.lock();
        let free = LIMIT.saturating_sub(pool.used);
        if pool.claims.revoke_for(content, free, now) {
            drop(pool);
            self.revoked.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// Changes whenever buffers are revoked; [`Self::to_give_back`] returns their pieces.
    pub(crate) fn revoked(&self) -> watch::Receiver<u64> {
        self.revoked.subscribe()
    }

    /// Pieces of the content whose buffers were revoked, each once.
    pub(crate) fn to_give_back(&self, content: ContentKey) -> Vec<u32> {
        self.lock().claims.revoked(content)
    }

    /// A piece of the content has verified.
    pub(crate) fn verified(&self, content: ContentKey) {
        self.lock().claims.verified(content);
    }

    /// Bytes of one owner.
    pub(crate) fn held_by(&self, owner: Group) -> usize {
        self.lock().claims.held_by(owner)
    }

    /// The content is gone.
    pub(crate) fn forget(&self, content: ContentKey) {
        self.lock().claims.forget(content);
    }

    fn now(&self) -> u64 {
        self.begun.elapsed().as_millis() as u64
    }

    /// Changes whenever a buffer comes back.
    pub(crate) fn freed(&self) -> watch::Receiver<u64> {
        self.freed.subscribe()
    }

    /// Frees the buffers kept for reuse, when none is out.
    pub(crate) fn trim(&self) {
        let mut pool = self.lock();
        if pool.used == 0 {
            pool.spare = Vec::new();
            pool.spare_bytes = 0;
        }
    }

    fn give_back(&self, memory: Memory, claim: u64) {
        let mut pool = self.lock();
        pool.claims.ended(claim);
        pool.used -= memory.len();
        if pool.used + pool.spare_bytes + memory.len() <= LIMIT {
            pool.spare_bytes += memory.len();
            pool.spare.push(memory);
        }
        drop(pool);
        self.freed.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See the module.
enum Memory {
    Mapped(MmapMut),
    /// Where the system maps nothing more, and nothing at all while a buffer is given back.
    Allocated(Vec<u8>),
}

impl Memory {
    fn new(len: usize) -> Self {
        MmapMut::map_anon(len).map_or_else(|_| Self::Allocated(vec![0; len]), Self::Mapped)
    }

    fn len(&self) -> usize {
        match self {
            Self::Mapped(bytes) => bytes.len(),
            Self::Allocated(bytes) => bytes.len(),
        }
    }
}

/// Bytes that count against the budget until dropped.
pub(crate) struct Buffer {
    memory: Memory,
    len: usize,
    budget: Arc<Budget>,
    claim: u64,
    progress: Arc<Progress>,
}

impl Buffer {
    /// Keeps the claim: another whole block has arrived, of `filled` bytes in all, or our own limit delays it.
    pub(crate) fn moved(&self, filled: usize) {
        self.progress.moved(self.budget.now(), filled);
    }

    /// Every block has arrived: the buffer is not revoked any more.
    pub(crate) fn complete(&self) {
        self.progress.complete();
    }

    /// It was revoked and must be dropped.
    pub(crate) fn is_revoked(&self) -> bool {
        self.progress.is_revoked()
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        let bytes: &[u8] = match &self.memory {
            Memory::Mapped(bytes) => bytes,
            Memory::Allocated(bytes) => bytes,
        };
        bytes.get(..self.len).unwrap_or_default()
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        let bytes: &mut [u8] = match &mut self.memory {
            Memory::Mapped(bytes) => bytes,
            Memory::Allocated(bytes) => bytes,
        };
        bytes.get_mut(..self.len).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let memory = std::mem::replace(&mut self.memory, Memory::Allocated(Vec::new()));
        self.budget.give_back(memory, self.claim);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    const BY: Claimant = Claimant { owner: Group(1), content: ContentKey(1) };

    #[test]
    fn the_limit_holds_but_one_buffer_is_always_granted() {
        let budget = Budget::new();
        let huge = budget.take(BY, 0, LIMIT + 1).unwrap();
        assert!(budget.take(BY, 0, 1).is_none());
        drop(huge);
        let half: Vec<_> = (0..2).map(|_| budget.take(BY, 0, LIMIT / 2).unwrap()).collect();
        assert!(budget.take(BY, 0, 1).is_none());
        let mut freed = budget.freed();
        drop(half);
        assert!(freed.has_changed().unwrap());
        freed.mark_unchanged();
        assert_eq!(budget.take(BY, 0, 100).unwrap().len(), 100);
    }

    #[test]
    fn what_is_kept_for_reuse_counts_and_makes_way_for_other_sizes() {
        const MIB: usize = 1 << 20;
        let budget = Budget::new();
        let kept = || budget.lock().spare_bytes;
        drop((0..8).map(|_| budget.take(BY, 0, 4 * MIB).unwrap()).collect::<Vec<_>>());
        assert_eq!(kept(), LIMIT);
        let last = budget.take(BY, 0, 3 * MIB).unwrap();
        assert_eq!((last.len(), kept()), (3 * MIB, LIMIT - 4 * MIB), "one that is little larger does");
        let small: Vec<_> = (0..28).map(|_| budget.take(BY, 0, MIB).unwrap()).collect();
        assert_eq!((kept(), budget.take(BY, 0, 1).is_none()), (0, true));
        drop((last, small));
        assert_eq!(kept(), LIMIT);
        budget.trim();
        assert_eq!(kept(), 0);
    }
}
