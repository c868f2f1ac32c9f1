//! What a device's database would hold.

use std::collections::BTreeMap;

use crate::contact::{Contact, Device};
use crate::domain::Rows;
use crate::effect::{Counters, Persist};
use crate::ids::{BareJid, ContentId, Fingerprint, OfferId, TransferId};
use crate::login::Login;
use crate::transfer::{Content, Deletion, Direction, Tombstone, Transfer};

#[derive(Default)]
pub struct Store {
    pub transfers: BTreeMap<TransferId, Transfer>,
    pub tombstones: BTreeMap<(BareJid, OfferId, Direction), Tombstone>,
    pub contents: BTreeMap<ContentId, Content>,
    pub deletions: BTreeMap<ContentId, Deletion>,
    pub contacts: BTreeMap<BareJid, Contact>,
    pub devices: BTreeMap<(BareJid, Fingerprint), Device>,
    pub login: Option<Login>,
    pub counters: Counters,
}

impl Store {
    pub fn apply(&mut self, change: Persist) {
        match change {
            Persist::Transfer(row) => drop(self.transfers.insert(row.id, *row)),
            Persist::RemoveTransfer(id) => drop(self.transfers.remove(&id)),
            Persist::Tombstone(t) => drop(self.tombstones.insert((t.contact.clone(), t.offer, t.direction), t)),
            Persist::PruneTombstones(most) => self.prune(most),
            Persist::Content(row) => drop(self.contents.insert(row.id, row)),
            Persist::RemoveContent(id) => drop(self.contents.remove(&id)),
            Persist::Delete(row) => {
                assert!(self.contents.contains_key(&row.content), "the record of it is still there");
                self.deletions.insert(row.content, row);
            }
            Persist::Deleted(id) => drop(self.deletions.remove(&id)),
            Persist::Contact(row) => drop(self.contacts.insert(row.jid.clone(), row)),
            Persist::Device(row) => drop(self.devices.insert((row.contact.clone(), row.fingerprint), row)),
            Persist::Login(row) => self.login = Some(row),
            Persist::Counters(next) => {
                assert!(next.transfer >= self.counters.transfer && next.content >= self.counters.content);
                self.counters = next;
            }
        }
    }

    fn prune(&mut self, most: usize) {
        if self.tombstones.len() <= most {
            return;
        }
        let mut ages: Vec<_> = self.tombstones.iter().map(|(key, t)| (t.at, key.clone())).collect();
        ages.sort();
        let surplus = ages.len().saturating_sub(most);
        ages.into_iter().take(surplus).for_each(|(_, key)| drop(self.tombstones.remove(&key)));
    }

    pub fn rows(&self) -> Rows {
        Rows {
            transfers: self.transfers.values().cloned().collect(),
            tombstones: self.tombstones.values().cloned().collect(),
            contents: self.contents.values().cloned().collect(),
            deletions: self.deletions.values().cloned().collect(),
            contacts: self.contacts.values().cloned().collect(),
            devices: self.devices.values().cloned().collect(),
            logins: self.login.iter().cloned().collect(),
            counters: self.counters,
        }
    }
}
