//! How many stanzas could not be read, by their sender: something that a server sends again at each login should not
//! stay a riddle.

use std::collections::BTreeMap;

use crate::domain::Domain;
use crate::effect::{Effect, Event};
use crate::ids::BareJid;
use crate::limits::DISCARDED_SENDERS;

/// Counts since the daemon started.
#[derive(Debug, Default)]
pub(super) struct Discarded {
    /// At most [`DISCARDED_SENDERS`] of them; what further senders sent counts as of an unknown one.
    by: BTreeMap<Option<BareJid>, u64>,
}

impl Discarded {
    /// Counts a stanza. Returns its sender if this was the first one.
    fn count(&mut self, from: Option<BareJid>) -> Option<Option<BareJid>> {
        let known = self.by.contains_key(&from) || self.by.len() < DISCARDED_SENDERS;
        let from = from.filter(|_| known);
        let count = self.by.entry(from.clone()).or_default();
        *count = count.saturating_add(1);
        (*count == 1).then_some(from)
    }
}

impl Domain {
    pub(super) fn stanza_discarded(&mut self, from: Option<BareJid>) {
        if let Some(from) = self.discarded.count(from) {
            self.push(Effect::Emit(Event::Discarded(from)));
        }
    }

    /// Senders of stanzas that could not be read, and how many; none where the address could not be read.
    pub fn discarded(&self) -> impl Iterator<Item = (Option<&BareJid>, u64)> {
        self.discarded.by.iter().map(|(from, count)| (from.as_ref(), *count))
    }
}
