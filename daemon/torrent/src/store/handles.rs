//! A cache of open files.
//!
//! Invariant: at most a quarter of what the system allows the process, and [`MAX_OPEN`], are kept in the whole process,
//! however many contents and files there are, because the limit on open files is one for the process. The least recently used are closed first, a quarter at once,
//! and with a content all of its own.

use std::any::Any;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use rustix::process::{Resource, getrlimit};

const MAX_OPEN: usize = 256;

/// How many are kept. The limit is raised, if at all, before the first file is opened.
static MOST_OPEN: LazyLock<usize> = LazyLock::new(|| {
    let allowed = getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok());
    allowed.map_or(MAX_OPEN, |allowed| (allowed / 4).clamp(8, MAX_OPEN))
});

static POOL: LazyLock<Mutex<Pool>> = LazyLock::new(Mutex::default);
static STORES: AtomicU64 = AtomicU64::new(0);

#[derive(Default)]
struct Pool {
    /// By store and number of the file; with the time of the last use, as a count of uses.
    open: HashMap<(u64, usize), (Handle, u64)>,
    uses: u64,
}

type Handle = Arc<dyn Any + Send + Sync>;

impl Pool {
    /// Takes out the least recently used quarter if there are too many: finding a single one costs as much as opening it.
    fn take_excess(&mut self) -> Vec<Handle> {
        let most = *MOST_OPEN;
        if self.open.len() <= most {
            return Vec::new();
        }
        let mut uses: Vec<u64> = self.open.values().map(|(_, used)| *used).collect();
        let (_, bound, _) = uses.select_nth_unstable(most / 4);
        let bound = *bound;
        self.open.extract_if(|_, (_, used)| *used <= bound).map(|(_, (handle, _))| handle).collect()
    }
}

/// One store's open files, of type `T`.
pub(super) struct Handles<T> {
    store: u64,
    kind: PhantomData<T>,
}

impl<T> Default for Handles<T> {
    fn default() -> Self {
        Self { store: STORES.fetch_add(1, Ordering::Relaxed), kind: PhantomData }
    }
}

impl<T: Send + Sync + 'static> Handles<T> {
    pub(super) fn get(&self, index: usize) -> Option<Arc<T>> {
        let mut pool = pool();
        pool.uses += 1;
        let now = pool.uses;
        let (handle, used) = pool.open.get_mut(&(self.store, index))?;
        *used = now;
        handle.clone().downcast().ok()
    }

    pub(super) fn remove(&self, index: usize) {
        let handle = pool().open.remove(&(self.store, index));
        drop(handle);
    }

    pub(super) fn put(&self, index: usize, handle: Arc<T>) {
        let mut pool = pool();
        pool.uses += 1;
        let now = pool.uses;
        let before = pool.open.insert((self.store, index), (handle, now));
        let excess = pool.take_excess();
        // Closing a file may take a while: not under the lock.
        drop(pool);
        drop((before, excess));
    }
}

impl<T> Drop for Handles<T> {
    fn drop(&mut self) {
        let ours: Vec<_> = pool().open.extract_if(|(store, _), _| *store == self.store).collect();
        drop(ours);
    }
}

fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_longest_unused_goes_first_and_a_store_takes_its_own_with_it() {
        let (one, two) = (Handles::<usize>::default(), Handles::<usize>::default());
        one.put(7, Arc::new(1));
        (0..MAX_OPEN / 2).for_each(|index| two.put(index, Arc::new(index)));
        assert_eq!(one.get(7).as_deref(), Some(&1));
        (MAX_OPEN / 2..MAX_OPEN).for_each(|index| two.put(index, Arc::new(index)));
        assert_eq!(one.get(7).as_deref(), Some(&1), "it was used");
        assert_eq!(two.get(0), None);
        assert!(pool().open.len() <= MAX_OPEN);
        let store = two.store;
        drop(two);
        assert!(pool().open.keys().all(|(held, _)| *held != store));
    }
}
