//! The contacts, on the roster or remembered, and the strangers who ask to see our presence.

use std::collections::{BTreeMap, BTreeSet};

use crate::contact::Contact;
use crate::ids::BareJid;

/// Subscription requests that are remembered until the person answers.
const MAX_ASKING: usize = 256;

/// See the module.
pub(super) struct Roster {
    account: BareJid,
    contacts: BTreeMap<BareJid, Contact>,
    /// Subscription requests that wait for the person, at most [`MAX_ASKING`].
    asking: BTreeSet<BareJid>,
}

impl Roster {
    pub(super) fn new(account: BareJid, rows: Vec<Contact>) -> Self {
        let ours = rows.into_iter().filter(|c| c.account == account);
        let contacts = ours.map(|c| (c.jid.clone(), c)).collect();
        Self { account, contacts, asking: BTreeSet::new() }
    }

    pub(super) fn get(&self, jid: &BareJid) -> Option<&Contact> {
        self.contacts.get(jid)
    }

    /// The contact as it is known, or a new one.
    pub(super) fn known(&self, jid: &BareJid) -> Contact {
        let known = self.contacts.get(jid).cloned();
        known.unwrap_or_else(|| Contact::new(self.account.clone(), jid.clone()))
    }

    /// All contacts, also those that were taken off the roster.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Contact> {
        self.contacts.values()
    }

    /// The contacts on the roster.
    pub(super) fn listed(&self) -> impl Iterator<Item = &Contact> {
        self.contacts.values().filter(|c| c.listed)
    }

    pub(super) fn is_listed(&self, jid: &BareJid) -> bool {
        self.contacts.get(jid).is_some_and(|c| c.listed)
    }

    /// The person has compared a safety number with this contact.
    pub(super) fn is_verified(&self, jid: &BareJid) -> bool {
        self.contacts.get(jid).is_some_and(|c| c.verified)
    }

    /// Adds or replaces a contact; false if that changes nothing.
    pub(super) fn save(&mut self, contact: &Contact) -> bool {
        let changed = self.contacts.get(&contact.jid) != Some(contact);
        if changed {
            self.contacts.insert(contact.jid.clone(), contact.clone());
        }
        changed
    }

    /// Remembers a subscription request; false if it is known already or there are too many.
    pub(super) fn ask(&mut self, jid: &BareJid) -> bool {
        self.asking.len() < MAX_ASKING && self.asking.insert(jid.clone())
    }

    /// The request is answered; false if there was none.
    pub(super) fn answer(&mut self, jid: &BareJid) -> bool {
        self.asking.remove(jid)
    }

    pub(super) fn asks(&self, jid: &BareJid) -> bool {
        self.asking.contains(jid)
    }

    pub(super) fn asking(&self) -> impl Iterator<Item = &BareJid> {
        self.asking.iter()
    }
}
