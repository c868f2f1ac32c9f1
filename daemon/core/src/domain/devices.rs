//! The keys of contacts' devices: which are known, from which resource each spoke last, and which are blocked.
//!
//! A resource belongs to the key that it last showed: no other key is looked for there. A blocked key does not take the
//! place of a trusted one; it only blocks the resource for as long as it is there. (A device that only receives shows
//! its key to those who offer it something, and would never get anything again.)

use std::collections::{BTreeMap, BTreeSet};

use crate::contact::{Device, Trust};
use crate::ids::{BareJid, Fingerprint, FullJid};

/// See the module.
#[derive(Default)]
pub(super) struct Devices {
    rows: BTreeMap<(BareJid, Fingerprint), Device>,
    /// Resources at which a blocked key speaks in place of a trusted one, until it goes offline.
    impersonated: BTreeSet<FullJid>,
}

impl Devices {
    /// Takes the rows of this account.
    pub(super) fn new(account: &BareJid, rows: Vec<Device>) -> Self {
        let ours = rows.into_iter().filter(|d| d.account == *account);
        let rows = ours.map(|d| ((d.contact.clone(), d.fingerprint), d)).collect();
        Self { rows, impersonated: BTreeSet::new() }
    }

    pub(super) fn get(&self, contact: &BareJid, fingerprint: Fingerprint) -> Option<&Device> {
        self.rows.get(&(contact.clone(), fingerprint))
    }

    /// The known devices of a contact.
    pub(super) fn of(&self, contact: &BareJid) -> impl Iterator<Item = &Device> {
        let first = (contact.clone(), Fingerprint([0; 32]));
        self.rows.range(first..).take_while(move |((of, _), _)| of == contact).map(|(_, device)| device)
    }

    pub(super) fn add(&mut self, row: Device) {
        self.rows.insert((row.contact.clone(), row.fingerprint), row);
    }

    /// A known key speaks from this resource. Returns the rows that this changes.
    pub(super) fn speaks_from(&mut self, device: &FullJid, fingerprint: Fingerprint) -> Vec<Device> {
        let mut changed = Vec::new();
        let Some(row) = self.rows.get_mut(&(device.bare.clone(), fingerprint)) else { return changed };
        if row.resource != device.resource {
            row.resource.clone_from(&device.resource);
            changed.push(row.clone());
        }
        let blocked = row.trust == Trust::Blocked;
        if blocked && self.has_trusted_key(device) {
            self.impersonated.insert(device.clone());
        } else {
            self.impersonated.remove(device);
        }
        let others = self.of(&device.bare);
        let others = others.filter(|d| d.resource == device.resource && d.fingerprint != fingerprint);
        let others = others.filter(|d| !blocked || d.trust == Trust::Blocked);
        let keys: Vec<Fingerprint> = others.map(|d| d.fingerprint).collect();
        for key in keys {
            if let Some(other) = self.rows.get_mut(&(device.bare.clone(), key)) {
                other.resource.clear();
                changed.push(other.clone());
            }
        }
        changed
    }

    /// The resource is free: the next key that speaks from it is judged on its own.
    pub(super) fn vacated(&mut self, device: &FullJid) {
        self.impersonated.remove(device);
    }

    /// All resources are free.
    pub(super) fn all_vacated(&mut self) {
        self.impersonated.clear();
    }

    /// The key that the device last showed is one that the person has to verify first.
    pub(super) fn is_blocked(&self, device: &FullJid) -> bool {
        let blocked = |d: &Device| d.resource == device.resource && d.trust == Trust::Blocked;
        self.of(&device.bare).any(blocked) && (self.impersonated.contains(device) || !self.has_trusted_key(device))
    }

    pub(super) fn has_trusted_key(&self, device: &FullJid) -> bool {
        self.of(&device.bare).any(|d| d.resource == device.resource && d.trust != Trust::Blocked)
    }

    /// The key is blocked as that of any contact's device.
    pub(super) fn is_key_blocked(&self, key: Fingerprint) -> bool {
        self.rows.values().any(|d| d.fingerprint == key && d.trust == Trust::Blocked)
    }

    /// The person compared the safety number. Returns the row.
    pub(super) fn verify(&mut self, contact: &BareJid, fingerprint: Fingerprint) -> Option<Device> {
        let row = self.rows.get_mut(&(contact.clone(), fingerprint))?;
        row.trust = Trust::Verified;
        row.unseen = false;
        self.impersonated.remove(&FullJid::new(contact.clone(), row.resource.clone()));
        Some(row.clone())
    }

    /// The person has looked at the keys of a contact. Returns the rows that this changes.
    pub(super) fn mark_seen(&mut self, contact: &BareJid) -> Vec<Device> {
        let of_contact = self.rows.values_mut().filter(|d| d.contact == *contact && d.unseen);
        of_contact
            .map(|row| {
                row.unseen = false;
                row.clone()
            })
            .collect()
    }

    /// Contacts with keys that the person has not looked at, and that came after others were known.
    pub(super) fn unseen(&self) -> Vec<BareJid> {
        let mut contacts: Vec<_> = self.rows.values().filter(|d| d.unseen).map(|d| d.contact.clone()).collect();
        contacts.dedup();
        contacts
    }
}
