//! The keys of contacts' devices: which are known, to whom they belong, and from which resource each spoke last.
//!
//! A key belongs to one contact. What a device may do follows from the key that it has proved, see [`super::proofs`]; the
//! resource is for people, and tells where to look for a device that has taken something.

use std::collections::{BTreeMap, BTreeSet};

use crate::contact::{Device, Trust};
use crate::ids::{BareJid, Fingerprint, FullJid};

/// Maximum number of remembered claims; further ones are not reported.
const CLAIMS: usize = 256;

/// See the module.
#[derive(Default)]
pub(super) struct Devices {
    rows: BTreeMap<(BareJid, Fingerprint), Device>,
    /// Contacts that claim a key of somebody else, at most [`CLAIMS`]: each is reported once.
    claims: BTreeSet<(BareJid, Fingerprint)>,
}

impl Devices {
    /// Takes the rows of this account.
    pub(super) fn new(account: &BareJid, rows: Vec<Device>) -> Self {
        let ours = rows.into_iter().filter(|d| d.account == *account);
        let rows = ours.map(|d| ((d.contact.clone(), d.fingerprint), d)).collect();
        Self { rows, claims: BTreeSet::new() }
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

    /// A known key speaks from this resource. Returns the row if that is news.
    pub(super) fn speaks_from(&mut self, device: &FullJid, fingerprint: Fingerprint) -> Option<Device> {
        let row = self.rows.get_mut(&(device.bare.clone(), fingerprint))?;
        if row.resource == device.resource {
            return None;
        }
        row.resource.clone_from(&device.resource);
        Some(row.clone())
    }

    /// The key is one of this contact's, and not blocked.
    pub(super) fn is_trusted(&self, contact: &BareJid, key: Fingerprint) -> bool {
        self.get(contact, key).is_some_and(|device| device.trust != Trust::Blocked)
    }

    /// Those whose key this is.
    pub(super) fn owners(&self, key: Fingerprint) -> impl Iterator<Item = &BareJid> {
        self.rows.values().filter(move |device| device.fingerprint == key).map(|device| &device.contact)
    }

    /// A contact claims somebody else's key. Whether that is news.
    pub(super) fn claimed(&mut self, by: &BareJid, key: Fingerprint) -> bool {
        self.claims.len() < CLAIMS && self.claims.insert((by.clone(), key))
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
