//! Trust on first use until verification: as long as the person has not compared a safety number with a contact, new keys
//! are accepted and announced; from then on an unknown key is blocked, in both directions.

use crate::contact::{Device, Trust};
use crate::domain::Domain;
use crate::effect::{Effect, Event, Persist, Reply};
use crate::fault::Fault;
use crate::ids::{BareJid, Fingerprint, FullJid};
use crate::limits::DEVICES_PER_CONTACT;
use crate::transfer::Transfer;

/// Whether a device may take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Trusted,
    Blocked,
    /// The key belongs to another contact.
    Claimed,
}

impl Domain {
    /// A device has proved this key. A new one is remembered and announced.
    pub(super) fn meet(&mut self, device: &FullJid, fingerprint: Fingerprint) -> Verdict {
        if fingerprint == self.settings.fingerprint {
            return Verdict::Blocked; // no other device has our key
        }
        if let Some(known) = self.devices.get(&device.bare, fingerprint) {
            let trust = known.trust;
            self.speaks_from(device, fingerprint);
            return verdict(trust);
        }
        if self.claims(&device.bare, fingerprint) {
            return Verdict::Claimed;
        }
        let blocked = self.roster.is_verified(&device.bare);
        let known = self.devices.of(&device.bare).count();
        if known >= DEVICES_PER_CONTACT {
            return Verdict::Blocked;
        }
        // The first key of a contact is no cause for alarm: there was none to compare it with.
        let another = known > 0 || blocked;
        let row = Device {
            account: self.settings.account.clone(),
            contact: device.bare.clone(),
            fingerprint,
            resource: device.resource.clone(),
            first_seen: self.now.wall,
            trust: if blocked { Trust::Blocked } else { Trust::Unverified },
            unseen: another,
        };
        let trust = row.trust;
        self.persist(Persist::Device(row.clone()));
        self.devices.add(row);
        self.push(Effect::Emit(Event::NewDevice { contact: device.bare.clone(), fingerprint, another, blocked }));
        verdict(trust)
    }

    /// A known key speaks from another resource than before: what it has taken or offered is sought there.
    fn speaks_from(&mut self, device: &FullJid, fingerprint: Fingerprint) {
        let Some(row) = self.devices.speaks_from(device, fingerprint) else { return };
        self.persist(Persist::Device(row));
        for id in self.transfers.open_with(&device.bare).collect::<Vec<_>>() {
            let Some(peer) = self.transfers.get(&id).and_then(Transfer::peer) else { continue };
            if peer.fingerprint == fingerprint
                && peer.resource != device.resource
                && let Some(peer) = self.transfers.change(id).and_then(Transfer::peer_mut)
            {
                peer.resource.clone_from(&device.resource);
            }
        }
    }

    /// Whether the key is that of another contact's device, or of our own other ones; tells the person if so. It is free
    /// again once that contact is off the roster: somebody who has moved to another address has the same device there.
    pub(super) fn claims(&mut self, contact: &BareJid, key: Fingerprint) -> bool {
        let owner = self.devices.owners(key).find(|owner| *owner != contact && self.hears(owner)).cloned();
        let Some(owner) = owner else { return false };
        if self.devices.claimed(contact, key) {
            self.push(Effect::Emit(Event::KeyClaimed { contact: contact.clone(), owner, fingerprint: key }));
        }
        true
    }

    /// The device has proved a key that may not take part.
    pub(super) fn is_blocked(&self, device: &FullJid) -> bool {
        self.proofs.key_of(device).is_some_and(|key| !self.devices.is_trusted(&device.bare, key))
    }

    /// The device has proved this key, and it may take part.
    pub(super) fn is_proved(&self, device: &FullJid, key: Fingerprint) -> bool {
        self.proofs.key_of(device) == Some(key) && self.devices.is_trusted(&device.bare, key)
    }

    /// The person has looked at the contact's keys: they are no longer announced as new.
    pub(super) fn devices_seen(&mut self, contact: &BareJid) -> Reply {
        let seen = self.devices.mark_seen(contact);
        if !seen.is_empty() {
            self.push(Effect::Emit(Event::Contact(contact.clone())));
        }
        for row in seen {
            self.persist(Persist::Device(row));
        }
        Reply::Done
    }

    /// Contacts with keys that the person has not looked at, and that came after others were known.
    pub fn unseen_keys(&self) -> Vec<BareJid> {
        self.devices.unseen()
    }

    pub(super) fn device_verified(&mut self, contact: BareJid, fingerprint: Fingerprint) -> Result<Reply, Fault> {
        let Some(row) = self.devices.verify(&contact, fingerprint) else {
            let hint = "a device is known once it and this one have been online at the same time";
            return Err(Fault::new("no-device", format!("{contact} has no device with this key"), hint));
        };
        let place = self.proofs.device_with(&contact, fingerprint).cloned();
        self.persist(Persist::Device(row));
        let mut known = self.roster.known(&contact);
        known.verified = true;
        self.save_contact(known);
        self.push(Effect::Emit(Event::Contact(contact)));
        if let Some(place) = place.filter(|place| self.presence.runs_xbt(place)) {
            self.appeared(&place); // what was withheld from it
        }
        Ok(Reply::Done)
    }
}

fn verdict(trust: Trust) -> Verdict {
    match trust {
        Trust::Unverified | Trust::Verified => Verdict::Trusted,
        Trust::Blocked => Verdict::Blocked,
    }
}
