//! Ways to find transfers without looking at all of them. Holds only rows of the configured account, unless it says otherwise.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use crate::ids::{BareJid, ContentId, TransferId};
use crate::transfer::{Direction, End, Incoming, Side, Transfer};

/// Sets of transfers by a key; empty sets are not kept.
#[derive(Debug)]
pub(super) struct Sets<K>(HashMap<K, BTreeSet<TransferId>>);

impl<K> Default for Sets<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Sets<K> {
    pub(super) fn insert(&mut self, key: K, id: TransferId) {
        self.0.entry(key).or_default().insert(id);
    }

    pub(super) fn remove(&mut self, key: &K, id: TransferId) {
        if let Some(set) = self.0.get_mut(key) {
            set.remove(&id);
            if set.is_empty() {
                self.0.remove(key);
            }
        }
    }

    pub(super) fn get(&self, key: &K) -> impl Iterator<Item = TransferId> {
        self.0.get(key).into_iter().flatten().copied()
    }

    pub(super) fn len(&self, key: &K) -> usize {
        self.0.get(key).map_or(0, BTreeSet::len)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// All transfers of a content.
    pub(super) content: Sets<ContentId>,
    /// The transfers with a contact that have not ended.
    pub(super) open: Sets<BareJid>,
    /// The offers of a contact that wait for an answer.
    pub(super) unanswered: Sets<BareJid>,
    /// The transfers from a contact that have not ended.
    pub(super) incoming: Sets<BareJid>,
    /// The transfers from a contact that came to nothing, without those that a person here declined.
    pub(super) vain: Sets<BareJid>,
    /// The sends to a contact that we gave up after a device had taken them, and of which that device has not yet said
    /// how they stand there: it may have had everything.
    pub(super) unsure: Sets<BareJid>,
    /// What has ended, of all accounts: only for lists, which show the last few.
    pub(super) over: BTreeSet<TransferId>,
}

impl Index {
    /// A row is new or came back at start.
    pub(super) fn add(&mut self, transfer: &Transfer) {
        self.content.insert(transfer.content, transfer.id);
        if transfer.end().is_none() {
            self.open.insert(transfer.contact.clone(), transfer.id);
            if transfer.direction() == Direction::In {
                self.incoming.insert(transfer.contact.clone(), transfer.id);
            }
        }
        self.note_over(transfer);
        self.note_vain(transfer);
        self.note_unsure(transfer);
        if matches!(transfer.side, Side::In { state: Incoming::Offered, .. }) {
            self.unanswered.insert(transfer.contact.clone(), transfer.id);
        }
    }

    /// The offer was accepted, or is over.
    pub(super) fn answered(&mut self, transfer: &Transfer) {
        self.unanswered.remove(&transfer.contact, transfer.id);
    }

    /// It is over.
    pub(super) fn ended(&mut self, transfer: &Transfer) {
        self.answered(transfer);
        self.open.remove(&transfer.contact, transfer.id);
        self.incoming.remove(&transfer.contact, transfer.id);
        self.note_over(transfer);
        self.note_vain(transfer);
        self.note_unsure(transfer);
    }

    /// Also when it is so no more.
    pub(super) fn note_unsure(&mut self, transfer: &Transfer) {
        if transfer.is_unsure() {
            self.unsure.insert(transfer.contact.clone(), transfer.id);
        } else {
            self.unsure.remove(&transfer.contact, transfer.id);
        }
    }

    /// Nothing else of a row of another account is noted.
    pub(super) fn note_over(&mut self, transfer: &Transfer) {
        if transfer.end().is_some() {
            self.over.insert(transfer.id);
        }
    }

    fn note_vain(&mut self, transfer: &Transfer) {
        let vain = match (&transfer.side, transfer.end()) {
            (Side::In { .. }, Some(end)) => match end {
                End::Cancelled | End::Expired | End::Elsewhere | End::Failed(_) => true,
                End::Done | End::Declined { .. } => false,
            },
            (Side::In { .. }, None) | (Side::Out { .. }, _) => false,
        };
        if vain {
            self.vain.insert(transfer.contact.clone(), transfer.id);
        }
    }

    /// The row is gone.
    pub(super) fn removed(&mut self, transfer: &Transfer) {
        self.ended(transfer);
        self.over.remove(&transfer.id);
        self.vain.remove(&transfer.contact, transfer.id);
        self.unsure.remove(&transfer.contact, transfer.id);
        self.content.remove(&transfer.content, transfer.id);
    }
}
