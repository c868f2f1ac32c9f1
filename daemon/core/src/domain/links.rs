//! The links that the engine has, by their tags.

use std::collections::{HashMap, VecDeque};

use crate::effect::{LinkId, LinkTag};
use crate::ids::{Fingerprint, TransferId};

/// Far more links than can begin at one moment.
const ENDED_EARLY: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Links {
    of: HashMap<LinkTag, LinkId>,
    /// The last links that ended before they were known: the engine reports the end, xbt-link the beginning.
    ended_early: VecDeque<LinkTag>,
}

impl Links {
    /// A transfer's own link, or one with a device that was introduced for it.
    pub(super) fn add(&mut self, tag: LinkTag, link: LinkId) {
        self.of.insert(tag, link);
    }

    /// The link ended before it was known.
    pub(super) fn has_ended(&self, tag: LinkTag) -> bool {
        self.ended_early.contains(&tag)
    }

    /// Which link this is, as long as it counts.
    pub(super) fn get(&self, tag: LinkTag) -> Option<LinkId> {
        self.of.get(&tag).copied()
    }

    /// The transfer whose own link this is.
    pub(super) fn own(&self, tag: LinkTag) -> Option<TransferId> {
        self.get(tag).filter(|link| link.introduced.is_none()).map(|link| link.transfer)
    }

    /// The transfer that this link serves beside its own, and the device on the other end.
    pub(super) fn introduced(&self, tag: LinkTag) -> Option<(TransferId, Fingerprint)> {
        let link = self.get(tag)?;
        Some((link.transfer, link.introduced?))
    }

    /// The transfers that have a link of their own.
    pub(super) fn transfers(&self) -> impl Iterator<Item = TransferId> {
        self.of.values().filter(|link| link.introduced.is_none()).map(|link| link.transfer)
    }

    /// The link does not count any more, whether it has ended or not.
    pub(super) fn remove(&mut self, tag: LinkTag) {
        self.of.remove(&tag);
    }

    /// The link has ended. Returns which it was; one that is not known yet is remembered.
    pub(super) fn ended(&mut self, tag: LinkTag) -> Option<LinkId> {
        let known = self.of.remove(&tag);
        if known.is_none() {
            if self.ended_early.len() >= ENDED_EARLY {
                self.ended_early.pop_front();
            }
            self.ended_early.push_back(tag);
        }
        known
    }
}
