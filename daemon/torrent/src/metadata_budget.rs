//! Owns the memory of metadata of contents being received.
//!
//! It counts the bytes of info dictionaries, which take about two and a half times as much in memory. Each owner has
//! [`GUARANTEED`] bytes that others cannot use up, and all of them share [`COMMON`] bytes beyond that. Metadata that is
//! larger than both is admitted only while there is no other. A content that was refused tries again; others then give
//! up what they need least ([`MetadataBudget::is_wanted_from`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::Group;

/// Bytes of metadata that each owner may have in memory whatever others do.
const GUARANTEED: usize = 4 << 20;
/// Bytes that owners share beyond that.
const COMMON: usize = 16 << 20;
/// How long a refusal counts; a content that waits asks again several times per second.
const WANTED: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(crate) struct MetadataBudget(Mutex<State>);

#[derive(Default)]
struct State {
    owners: HashMap<Group, usize>,
    refused: Option<Instant>,
}

impl State {
    fn common(&self) -> usize {
        self.owners.values().map(|bytes| bytes.saturating_sub(GUARANTEED)).sum()
    }
}

/// Bytes of metadata in memory; counted until dropped.
pub(crate) struct MetadataClaim {
    budget: Arc<MetadataBudget>,
    owner: Group,
    bytes: usize,
}

impl MetadataBudget {
    /// `None` if there is no room now.
    pub(crate) fn take(self: &Arc<Self>, owner: Group, bytes: usize) -> Option<MetadataClaim> {
        let mut state = self.lock();
        let held = state.owners.get(&owner).copied().unwrap_or(0);
        let more = (held + bytes).saturating_sub(GUARANTEED) - held.saturating_sub(GUARANTEED);
        if more > 0 && !state.owners.is_empty() && state.common() + more > COMMON {
            state.refused = Some(Instant::now());
            return None;
        }
        *state.owners.entry(owner).or_default() += bytes;
        Some(MetadataClaim { budget: self.clone(), owner, bytes })
    }

    /// A content waits for memory of which this owner has more than is guaranteed.
    pub(crate) fn is_wanted_from(&self, owner: Group) -> bool {
        let state = self.lock();
        state.owners.get(&owner).is_some_and(|held| *held > GUARANTEED)
            && state.refused.is_some_and(|at| at.elapsed() < WANTED)
    }

    /// Bytes of one owner.
    pub(crate) fn held_by(&self, owner: Group) -> usize {
        self.lock().owners.get(&owner).copied().unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MetadataClaim {
    /// Worth looking after while others wait.
    pub(crate) fn is_large(&self) -> bool {
        self.bytes > GUARANTEED / 16
    }
}

impl Drop for MetadataClaim {
    fn drop(&mut self) {
        let mut state = self.budget.lock();
        if let Some(held) = state.owners.get_mut(&self.owner) {
            *held -= self.bytes;
            if *held == 0 {
                state.owners.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn each_owner_keeps_a_part_that_others_cannot_use_up() {
        let budget = Arc::new(MetadataBudget::default());
        let all = budget.take(Group(1), GUARANTEED + COMMON).unwrap();
        assert!(!budget.is_wanted_from(Group(1)) && budget.take(Group(1), 1).is_none());
        assert!(budget.is_wanted_from(Group(1)) && !budget.is_wanted_from(Group(2)));
        let own = budget.take(Group(2), GUARANTEED).unwrap();
        assert!(budget.take(Group(2), 1).is_none());
        assert_eq!((budget.held_by(Group(1)), budget.held_by(Group(2))), (GUARANTEED + COMMON, GUARANTEED));
        drop(all);
        assert!(budget.take(Group(2), COMMON).is_some());
        drop(own);
        assert_eq!(budget.held_by(Group(2)), 0);
    }

    #[test]
    fn the_largest_metadata_is_taken_alone() {
        let budget = Arc::new(MetadataBudget::default());
        let small = budget.take(Group(1), 1).unwrap();
        assert!(budget.take(Group(2), crate::MAX_METADATA).is_none());
        drop(small);
        assert!(budget.take(Group(2), crate::MAX_METADATA).is_some());
    }
}
