//! The contents: what is sent and received, and which of it is open.

use std::collections::BTreeMap;

use crate::ids::{ContentId, InfoHash};
use crate::transfer::Content;

/// See the module.
#[derive(Default)]
pub(super) struct Contents {
    rows: BTreeMap<ContentId, Content>,
    /// Those that xbt-link serves to any BitTorrent program now.
    open: BTreeMap<ContentId, InfoHash>,
}

impl Contents {
    pub(super) fn new(rows: Vec<Content>) -> Self {
        Self { rows: rows.into_iter().map(|c| (c.id, c)).collect(), open: BTreeMap::new() }
    }

    pub(super) fn get(&self, id: ContentId) -> Option<&Content> {
        self.rows.get(&id)
    }

    pub(super) fn add(&mut self, content: Content) {
        self.rows.insert(content.id, content);
    }

    pub(super) fn remove(&mut self, id: ContentId) {
        self.rows.remove(&id);
    }

    /// The person marked it open; whether it is depends on its transfers.
    pub(super) fn is_marked_open(&self, id: ContentId) -> bool {
        self.rows.get(&id).is_some_and(|content| content.open)
    }

    /// All that are marked open.
    pub(super) fn marked_open(&self) -> Vec<ContentId> {
        self.rows.values().filter(|content| content.open).map(|content| content.id).collect()
    }

    /// The info-hash under which it is open now.
    pub(super) fn open_as(&self, id: ContentId) -> Option<InfoHash> {
        self.open.get(&id).copied()
    }

    /// The open content with this info-hash; the same may be sent twice.
    pub(super) fn open_with(&self, info_hash: InfoHash) -> Option<ContentId> {
        self.open.iter().find(|(_, open)| **open == info_hash).map(|(content, _)| *content)
    }

    /// How many are open.
    pub(super) fn count_open(&self) -> usize {
        self.open.len()
    }

    /// Opens it. True: nothing else with this info-hash is open.
    pub(super) fn open(&mut self, id: ContentId, info_hash: InfoHash) -> bool {
        let first = self.open_with(info_hash).is_none();
        self.open.insert(id, info_hash);
        first
    }

    /// Shuts it. True: nothing else with its info-hash is open.
    pub(super) fn shut(&mut self, id: ContentId) -> bool {
        self.open.remove(&id).is_some_and(|info_hash| self.open_with(info_hash).is_none())
    }
}
