//! Trust on first use until verification: as long as the person has not compared a safety number with a contact, new keys
//! are accepted and announced; from then on an unknown key is blocked, in both directions.

use crate::contact::{Device, Trust};
use crate::domain::Domain;
use crate::effect::{Effect, Event, Persist, Reply};
use crate::fault::Fault;
use crate::ids::{BareJid, Fingerprint, FullJid};
use crate::limits::DEVICES_PER_CONTACT;

/// Whether a device may take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Trusted,
    Blocked,
}

impl Domain {
    /// A device showed this key. A new one is remembered and announced.
    pub(super) fn meet(&mut self, device: &FullJid, fingerprint: Fingerprint) -> Verdict {
        if fingerprint == self.settings.fingerprint {
            return Verdict::Blocked; // no other device has our key
        }
        if let Some(known) = self.devices.get(&device.bare, fingerprint) {
            let trust = known.trust;
            self.speaks_from(device, fingerprint);
            return verdict(trust);
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
        self.speaks_from(device, fingerprint);
        self.push(Effect::Emit(Event::NewDevice { contact: device.bare.clone(), fingerprint, another, blocked }));
        verdict(trust)
    }

    fn speaks_from(&mut self, device: &FullJid, fingerprint: Fingerprint) {
        for row in self.devices.speaks_from(device, fingerprint) {
            self.persist(Persist::Device(row));
        }
    }

    /// Whether a device may end what no device has taken yet. Once the contact is verified, a device that has never shown
    /// its key may not: it could have any.
    pub(super) fn has_say(&self, device: &FullJid) -> bool {
        let verified = self.roster.is_verified(&device.bare);
        !self.devices.is_blocked(device) && (!verified || self.devices.has_trusted_key(device))
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
            let hint = "a device is known once it has offered or taken something";
            return Err(Fault::new("no-device", format!("{contact} has no device with this key"), hint));
        };
        let place = FullJid::new(contact.clone(), row.resource.clone());
        self.persist(Persist::Device(row));
        let mut known = self.roster.known(&contact);
        known.verified = true;
        self.save_contact(known);
        self.push(Effect::Emit(Event::Contact(contact)));
        if self.presence.runs_xbt(&place) {
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
