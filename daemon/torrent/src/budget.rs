//! The one place that owns the memory for pieces on their way in.
//!
//! Invariant: buffers handed out and not yet dropped never exceed [`LIMIT`] bytes together, except that one
//! buffer is always granted when none is out. A piece holds its buffer from its assignment to a link until it is
//! verified and written. Buffers are reused, because fresh memory costs a page fault for every 4 KiB.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Bytes of piece buffers in all contents together.
pub(crate) const LIMIT: usize = 32 << 20;
/// Bytes kept for reuse while nothing needs them.
const SPARE: usize = 12 << 20;

pub(crate) struct Budget {
    pool: Mutex<Pool>,
    freed: watch::Sender<u64>,
}

#[derive(Default)]
struct Pool {
    used: usize,
    spare: Vec<Vec<u8>>,
    spare_bytes: usize,
}

impl Budget {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { pool: Mutex::default(), freed: watch::Sender::new(0) })
    }

    /// A buffer of `len` bytes with any content, or `None` when it would exceed the limit.
    pub(crate) fn take(self: &Arc<Self>, len: usize) -> Option<Buffer> {
        let mut pool = self.lock();
        if pool.used > 0 && pool.used + len > LIMIT {
            return None;
        }
        pool.used += len;
        let reused = pool.spare.iter().position(|spare| spare.capacity() >= len && spare.capacity() <= len * 2);
        let mut bytes = match reused {
            Some(at) => pool.spare.swap_remove(at),
            None => Vec::new(),
        };
        pool.spare_bytes -= bytes.capacity();
        drop(pool);
        bytes.resize(len, 0);
        Some(Buffer { bytes, budget: self.clone() })
    }

    /// Changes whenever a buffer comes back.
    pub(crate) fn freed(&self) -> watch::Receiver<u64> {
        self.freed.subscribe()
    }

    /// Lets go of the buffers kept for reuse, when nothing moves.
    pub(crate) fn trim(&self) {
        let mut pool = self.lock();
        if pool.used == 0 {
            pool.spare = Vec::new();
            pool.spare_bytes = 0;
        }
    }

    fn give_back(&self, bytes: Vec<u8>) {
        let mut pool = self.lock();
        pool.used -= bytes.len();
        if pool.spare_bytes + bytes.capacity() <= SPARE {
            pool.spare_bytes += bytes.capacity();
            pool.spare.push(bytes);
        }
        drop(pool);
        self.freed.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that count against the budget until dropped.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    budget: Arc<Budget>,
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.budget.give_back(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_limit_holds_but_one_buffer_is_always_granted() {
        let budget = Budget::new();
        let huge = budget.take(LIMIT + 1).unwrap();
        assert!(budget.take(1).is_none());
        drop(huge);
        let half: Vec<_> = (0..2).map(|_| budget.take(LIMIT / 2).unwrap()).collect();
        assert!(budget.take(1).is_none());
        let mut freed = budget.freed();
        drop(half);
        assert!(freed.has_changed().unwrap());
        freed.mark_unchanged();
        assert_eq!(budget.take(100).unwrap().len(), 100);
    }
}
