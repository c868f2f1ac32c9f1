//! The transfers, and what outlives them: rows by number and by offer, what has changed, tombstones.
//!
//! Rows of other accounts are listed and never acted upon: [`Transfers::change`] and [`Transfers::find`] yield only
//! rows of the configured account, and so does every index but the one of what has ended.

mod index;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;

use crate::ids::{BareJid, ContentId, OfferId, TransferId};
use crate::limits::{TOMBSTONES, VAIN_PER_CONTACT};
use crate::transfer::{Direction, Tombstone, Transfer};

use index::Index;

/// Identifies an offer: the other side, the id on the wire, and the direction (between two devices of one account both
/// directions have the same bare JID).
type OfferKey = (BareJid, OfferId, Direction);

/// See the module.
pub(super) struct Transfers {
    account: BareJid,
    rows: BTreeMap<TransferId, Transfer>,
    offers: HashMap<OfferKey, TransferId>,
    index: Index,
    /// Rows that may have changed, as they were before; nothing for a new one.
    touched: BTreeMap<TransferId, Option<Box<Transfer>>>,
    /// Contacts one of whose transfers has just ended.
    to_prune: BTreeSet<BareJid>,
    tombstones: HashMap<OfferKey, Tombstone>,
    /// Their keys, oldest first.
    by_age: VecDeque<OfferKey>,
}

impl Transfers {
    pub(super) fn new(account: BareJid, rows: Vec<Transfer>, tombstones: Vec<Tombstone>) -> Self {
        let mut index = Index::default();
        let ours = |row: &&Transfer| row.account == account;
        rows.iter().filter(ours).for_each(|row| index.file(row));
        rows.iter().for_each(|row| index.note_over(row));
        let offers = rows.iter().filter(ours).map(|row| (key_of(row), row.id)).collect();
        let mut tombstones: Vec<_> = tombstones.into_iter().filter(|t| t.account == account).collect();
        tombstones.sort_by_key(|t| t.at);
        Self {
            account,
            offers,
            index,
            touched: BTreeMap::new(),
            to_prune: BTreeSet::new(),
            by_age: tombstones.iter().map(tombstone_key).collect(),
            tombstones: tombstones.into_iter().map(|t| (tombstone_key(&t), t)).collect(),
            rows: rows.into_iter().map(|row| (row.id, row)).collect(),
        }
    }

    /// One row, of whatever account.
    pub(super) fn get(&self, id: &TransferId) -> Option<&Transfer> {
        self.rows.get(id)
    }

    /// All rows in the order of their numbers, also those of other accounts.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Transfer> {
        self.rows.values()
    }

    /// The rows of this account.
    pub(super) fn ours(&self) -> impl Iterator<Item = &Transfer> {
        self.rows.values().filter(|row| row.account == self.account)
    }

    /// One row of this account.
    pub(super) fn our(&self, id: TransferId) -> Option<&Transfer> {
        self.rows.get(&id).filter(|row| row.account == self.account)
    }

    /// Rows of all accounts with higher numbers than this one.
    pub(super) fn after(&self, id: TransferId) -> impl Iterator<Item = &Transfer> {
        self.rows.range((Bound::Excluded(id), Bound::Unbounded)).map(|(_, row)| row)
    }

    /// Rows of all accounts that have ended.
    pub(super) fn ended(&self) -> impl DoubleEndedIterator<Item = &Transfer> {
        self.index.over.iter().filter_map(|id| self.rows.get(id))
    }

    /// The transfer behind an offer.
    pub(super) fn find(&self, contact: &BareJid, offer: OfferId, direction: Direction) -> Option<TransferId> {
        self.offers.get(&(contact.clone(), offer, direction)).copied()
    }

    /// What is left of an offer whose transfer was removed.
    pub(super) fn tombstone(&self, contact: &BareJid, offer: OfferId, direction: Direction) -> Option<&Tombstone> {
        self.tombstones.get(&(contact.clone(), offer, direction))
    }

    /// The transfers of a content.
    pub(super) fn of_content(&self, content: ContentId) -> impl Iterator<Item = &Transfer> {
        self.index.content.get(&content).filter_map(|id| self.rows.get(&id))
    }

    /// The transfers with a contact that have not ended.
    pub(super) fn open_with(&self, contact: &BareJid) -> impl Iterator<Item = TransferId> {
        self.index.open.get(contact)
    }

    /// Whether there are some.
    pub(super) fn any_open_with(&self, contact: &BareJid) -> bool {
        self.index.open.len(contact) > 0
    }

    /// How many transfers from a contact have not ended.
    pub(super) fn incoming_from(&self, contact: &BareJid) -> usize {
        self.index.incoming.len(contact)
    }

    /// How many offers of a contact wait for an answer.
    pub(super) fn unanswered_from(&self, contact: &BareJid) -> usize {
        self.index.unanswered.len(contact)
    }

    /// The sends to a contact that ended here without a word from the device that had taken them.
    pub(super) fn unsure_with(&self, contact: &BareJid) -> impl Iterator<Item = TransferId> {
        self.index.unsure.get(contact)
    }

    /// Adds a row.
    pub(super) fn add(&mut self, transfer: Transfer) {
        self.offers.insert(key_of(&transfer), transfer.id);
        self.index.file(&transfer);
        self.touched.insert(transfer.id, None);
        self.rows.insert(transfer.id, transfer);
    }

    /// A row of this account, to be changed; the change is written once the input has been handled. A change after which
    /// the row belongs elsewhere in the indexes is followed by [`Self::refile`].
    pub(super) fn change(&mut self, id: TransferId) -> Option<&mut Transfer> {
        let row = self.rows.get_mut(&id).filter(|row| row.account == self.account)?;
        self.touched.entry(id).or_insert_with(|| Some(Box::new(row.clone())));
        Some(row)
    }

    /// Brings the indexes up to date: the transfer was answered, has ended, or is settled with the other side.
    pub(super) fn refile(&mut self, id: TransferId) {
        let Some(row) = self.rows.get(&id).filter(|row| row.account == self.account) else { return };
        self.index.file(row);
        if row.end().is_some() {
            self.to_prune.insert(row.contact.clone());
        }
    }

    /// Rows that the present input has added or may have changed.
    pub(super) fn touched(&self) -> impl Iterator<Item = &Transfer> {
        self.touched.keys().filter_map(|id| self.rows.get(id))
    }

    /// The rows that have changed since this was last asked.
    pub(super) fn take_changed(&mut self) -> Vec<Transfer> {
        let touched = std::mem::take(&mut self.touched);
        let differs = |(id, before): (TransferId, Option<Box<Transfer>>)| {
            self.rows.get(&id).filter(|now| before.as_deref() != Some(*now)).cloned()
        };
        touched.into_iter().filter_map(differs).collect()
    }

    /// Takes an ended transfer out.
    pub(super) fn remove(&mut self, id: TransferId) -> Option<Transfer> {
        self.rows.get(&id).filter(|row| row.end().is_some())?;
        let row = self.rows.remove(&id)?;
        self.offers.remove(&key_of(&row));
        self.index.remove(&row);
        Some(row)
    }

    /// Remembers what was removed, so that a replay of its offer does not bring it back.
    pub(super) fn add_tombstone(&mut self, tombstone: Tombstone) {
        let key = tombstone_key(&tombstone);
        self.tombstones.insert(key.clone(), tombstone);
        self.by_age.push_back(key);
    }

    /// Keeps the newest [`TOMBSTONES`].
    pub(super) fn prune_tombstones(&mut self) {
        while self.by_age.len() > TOMBSTONES {
            if let Some(key) = self.by_age.pop_front() {
                self.tombstones.remove(&key);
            }
        }
    }

    /// The oldest transfers that came to nothing, of each contact that now has more than [`VAIN_PER_CONTACT`] of them.
    pub(super) fn take_surplus(&mut self) -> Vec<TransferId> {
        let surplus = |contact: BareJid| {
            let many = self.index.vain.len(&contact).saturating_sub(VAIN_PER_CONTACT);
            self.index.vain.get(&contact).take(many).collect::<Vec<_>>()
        };
        std::mem::take(&mut self.to_prune).into_iter().flat_map(surplus).collect()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    #[cfg(test)]
    pub(super) fn tombstones(&self) -> usize {
        self.tombstones.len()
    }
}

fn key_of(transfer: &Transfer) -> OfferKey {
    (transfer.contact.clone(), transfer.offer, transfer.direction())
}

fn tombstone_key(tombstone: &Tombstone) -> OfferKey {
    (tombstone.contact.clone(), tombstone.offer, tombstone.direction)
}
