//! Sets of transfers by a key.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use crate::ids::TransferId;

/// Sets of transfers by a key; empty sets are not kept.
#[derive(Debug)]
pub(super) struct Sets<K>(HashMap<K, BTreeSet<TransferId>>);

impl<K> Default for Sets<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Sets<K> {
    /// Whether it is new in this set.
    pub(super) fn insert(&mut self, key: K, id: TransferId) -> bool {
        self.0.entry(key).or_default().insert(id)
    }

    pub(super) fn remove(&mut self, key: &K, id: TransferId) {
        if let Some(set) = self.0.get_mut(key) {
            set.remove(&id);
            if set.is_empty() {
                self.0.remove(key);
            }
        }
    }

    pub(super) fn get<'a>(&'a self, key: &K) -> impl Iterator<Item = TransferId> + use<'a, K> {
        self.0.get(key).into_iter().flatten().copied()
    }

    pub(super) fn len(&self, key: &K) -> usize {
        self.0.get(key).map_or(0, BTreeSet::len)
    }
}

impl<K: Eq + Hash + Clone> Sets<K> {
    /// Puts a transfer into the set of this key, or takes it out.
    pub(super) fn place(&mut self, key: &K, id: TransferId, belongs: bool) {
        if belongs {
            self.insert(key.clone(), id);
        } else {
            self.remove(key, id);
        }
    }
}
