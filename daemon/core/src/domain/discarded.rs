//! How many stanzas could not be read, by their sender: something that a server sends again at each login should not
//! stay a riddle. And how many requests and answers were not signed by the device that they say they come from.

use std::collections::BTreeMap;

use crate::domain::Domain;
use crate::effect::{Effect, Event};
use crate::ids::BareJid;
use crate::limits::DISCARDED_SENDERS;

/// Counts since the daemon started.
#[derive(Debug, Default)]
pub(super) struct Discarded {
    /// At most [`DISCARDED_SENDERS`] of them; what further senders sent counts as of an unknown one.
    unreadable: BTreeMap<Option<BareJid>, u64>,
    /// Bounded alike.
    unproved: BTreeMap<Option<BareJid>, u64>,
}

/// Counts a stanza. Returns its sender if this was the first one.
fn count(by: &mut BTreeMap<Option<BareJid>, u64>, from: Option<BareJid>) -> Option<Option<BareJid>> {
    let known = by.contains_key(&from) || by.len() < DISCARDED_SENDERS;
    let from = from.filter(|_| known);
    let count = by.entry(from.clone()).or_default();
    *count = count.saturating_add(1);
    (*count == 1).then_some(from)
}

impl Domain {
    pub(super) fn stanza_discarded(&mut self, from: Option<BareJid>) {
        if let Some(from) = count(&mut self.discarded.unreadable, from) {
            self.push(Effect::Emit(Event::Discarded(from)));
        }
    }

    /// Something that should decide was not signed as it must be, or had come before: it decides nothing.
    pub(super) fn unproved(&mut self, from: &BareJid) {
        if let Some(Some(from)) = count(&mut self.discarded.unproved, Some(from.clone())) {
            self.push(Effect::Emit(Event::Unproved(from)));
        }
    }

    /// Senders of stanzas that could not be read, and how many; none where the address could not be read.
    pub fn discarded(&self) -> impl Iterator<Item = (Option<&BareJid>, u64)> {
        self.discarded.unreadable.iter().map(|(from, count)| (from.as_ref(), *count))
    }

    /// From whom requests and answers came that were not signed as they must be, and how many; none: from all others.
    pub fn unproved_stanzas(&self) -> impl Iterator<Item = (Option<&BareJid>, u64)> {
        self.discarded.unproved.iter().map(|(from, count)| (from.as_ref(), *count))
    }
}
