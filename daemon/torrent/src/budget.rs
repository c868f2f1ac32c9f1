//! Owns the memory of pieces being received.
//!
//! Invariant: buffers handed out and kept for reuse never exceed [`LIMIT`] bytes together, except that one buffer is
//! always granted when none is out. A piece holds its buffer from its assignment to a link until it is verified and
//! written. Buffers are reused, because fresh memory costs a page fault for every 4 KiB.
//!
//! They are mapped, not allocated: the C library keeps a heap for each thread that allocates and frees buffers of some
//! MiB. With those, a content of 10 GiB took 165 MiB, and most of that stayed.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memmap2::MmapMut;
use tokio::sync::watch;

/// Bytes of piece buffers in all contents together.
pub(crate) const LIMIT: usize = 32 << 20;

pub(crate) struct Budget {
    pool: Mutex<Pool>,
    freed: watch::Sender<u64>,
}

#[derive(Default)]
struct Pool {
    /// Bytes of the buffers that are out.
    used: usize,
    spare: Vec<Memory>,
    /// Bytes of those.
    spare_bytes: usize,
}

impl Pool {
    /// Makes room for `len` further bytes. Spare buffers of a size that is not in demand go first.
    fn make_room(&mut self, len: usize) -> bool {
        if self.used > 0 && self.used + len > LIMIT {
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
        Arc::new(Self { pool: Mutex::default(), freed: watch::Sender::new(0) })
    }

    /// A buffer of `len` bytes with any content, or `None` when it would exceed the limit.
    pub(crate) fn take(self: &Arc<Self>, len: usize) -> Option<Buffer> {
        let mut pool = self.lock();
        let fits = |spare: &Memory| spare.len() >= len && spare.len() <= len * 2;
        let reused = pool.spare.iter().position(fits).map(|at| pool.spare.swap_remove(at));
        let memory = match reused {
            Some(memory) => {
                pool.spare_bytes -= memory.len();
                if pool.used > 0 && pool.used + memory.len() > LIMIT {
                    // A little too large for what is left.
                    return None;
                }
                memory
            }
            None if pool.make_room(len) => Memory::new(len),
            None => return None,
        };
        pool.used += memory.len();
        drop(pool);
        Some(Buffer { memory, len, budget: self.clone() })
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

    fn give_back(&self, memory: Memory) {
        let mut pool = self.lock();
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
        self.budget.give_back(std::mem::replace(&mut self.memory, Memory::Allocated(Vec::new())));
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

    #[test]
    fn what_is_kept_for_reuse_counts_and_makes_way_for_other_sizes() {
        const MIB: usize = 1 << 20;
        let budget = Budget::new();
        let kept = || budget.lock().spare_bytes;
        drop((0..8).map(|_| budget.take(4 * MIB).unwrap()).collect::<Vec<_>>());
        assert_eq!(kept(), LIMIT);
        let last = budget.take(3 * MIB).unwrap();
        assert_eq!((last.len(), kept()), (3 * MIB, LIMIT - 4 * MIB), "one that is little larger does");
        let small: Vec<_> = (0..28).map(|_| budget.take(MIB).unwrap()).collect();
        assert_eq!((kept(), budget.take(1).is_none()), (0, true));
        drop((last, small));
        assert_eq!(kept(), LIMIT);
        budget.trim();
        assert_eq!(kept(), 0);
    }
}
