//! Trust: blind before verification. Until the person has compared a safety number with a contact, new keys
//! are accepted and announced; from then on an unknown key blocks, in both directions.

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
            return Verdict::Blocked; // nobody else has our key
        }
        let key = (device.bare.clone(), fingerprint);
        if let Some(known) = self.devices.get_mut(&key) {
            let trust = known.trust;
            if known.resource != device.resource {
                known.resource.clone_from(&device.resource);
                let row = known.clone();
                self.persist(Persist::Device(row));
            }
            self.speaks_from(device, fingerprint, trust);
            return verdict(trust);
        }
        let blocked = self.contacts.get(&device.bare).is_some_and(|c| c.verified);
        let known = self.devices_of(&device.bare).count();
        if known >= DEVICES_PER_CONTACT {
            return Verdict::Blocked;
        }
        // The first key of a contact is nothing to be alarmed at: there was nothing to compare it with.
        let another = known > 0 || blocked;
        let row = Device {
            account: self.settings.account.clone(),
            contact: device.bare.clone(),
            fingerprint,
            resource: device.resource.clone(),
            first_seen: self.now.wall,
            trust: if blocked { Trust::Blocked } else { Trust::Blind },
            unseen: another,
        };
        let trust = row.trust;
        self.persist(Persist::Device(row.clone()));
        self.devices.insert(key, row);
        self.speaks_from(device, fingerprint, trust);
        self.push(Effect::Emit(Event::NewDevice { contact: device.bare.clone(), fingerprint, another, blocked }));
        verdict(trust)
    }

    /// The known devices of a contact.
    pub(super) fn devices_of(&self, contact: &BareJid) -> impl Iterator<Item = &Device> {
        let first = (contact.clone(), Fingerprint([0; 32]));
        self.devices.range(first..).take_while(move |((of, _), _)| of == contact).map(|(_, device)| device)
    }

    /// A resource belongs to the key that it last showed: no other key is looked for there. A blocked key does not
    /// take the place of a trusted one: it only holds the resource up for as long as it is there. (A device that only
    /// receives shows its key to those who offer it something, and would never get anything again.)
    fn speaks_from(&mut self, device: &FullJid, fingerprint: Fingerprint, trust: Trust) {
        let blocked = trust == Trust::Blocked;
        if blocked && self.has_trusted_key(device) {
            // Bounded by the known devices.
            self.seized.insert(device.clone());
        } else {
            self.seized.remove(device);
        }
        let others = self.devices_of(&device.bare);
        let others = others.filter(|d| d.resource == device.resource && d.fingerprint != fingerprint);
        let others = others.filter(|d| !blocked || d.trust == Trust::Blocked);
        let keys: Vec<Fingerprint> = others.map(|d| d.fingerprint).collect();
        for key in keys {
            if let Some(other) = self.devices.get_mut(&(device.bare.clone(), key)) {
                other.resource.clear();
                let row = other.clone();
                self.persist(Persist::Device(row));
            }
        }
    }

    /// The device's last key is one that the person has to verify first.
    pub(super) fn is_blocked(&self, device: &FullJid) -> bool {
        let blocked = |d: &Device| d.resource == device.resource && d.trust == Trust::Blocked;
        self.devices_of(&device.bare).any(blocked) && (self.seized.contains(device) || !self.has_trusted_key(device))
    }

    /// Whether a key that may take part was last shown at this resource.
    fn has_trusted_key(&self, device: &FullJid) -> bool {
        self.devices_of(&device.bare).any(|d| d.resource == device.resource && d.trust != Trust::Blocked)
    }

    /// Whether a device may end what no device has taken yet. Once the contact is verified a device whose key was
    /// never seen may not: it could have any key.
    pub(super) fn has_say(&self, device: &FullJid) -> bool {
        let verified = self.contacts.get(&device.bare).is_some_and(|c| c.verified);
        !self.is_blocked(device) && (!verified || self.has_trusted_key(device))
    }

    /// The resource is free: whoever comes next shows its own key.
    pub(super) fn left(&mut self, device: &FullJid) {
        self.seized.remove(device);
    }

    /// The person has looked at the contact's keys; compared or not, they are no news any more.
    pub(super) fn devices_seen(&mut self, contact: &BareJid) -> Reply {
        let unseen: Vec<Device> = self.devices_of(contact).filter(|d| d.unseen).cloned().collect();
        if !unseen.is_empty() {
            self.push(Effect::Emit(Event::Contact(contact.clone())));
        }
        for device in unseen {
            let row = Device { unseen: false, ..device };
            self.devices.insert((contact.clone(), row.fingerprint), row.clone());
            self.persist(Persist::Device(row));
        }
        Reply::Done
    }

    /// Contacts with keys that the person has not looked at, and that came after others were known.
    pub fn unseen_keys(&self) -> Vec<BareJid> {
        let mut contacts: Vec<_> = self.devices.values().filter(|d| d.unseen).map(|d| d.contact.clone()).collect();
        contacts.dedup();
        contacts
    }

    pub(super) fn device_verified(&mut self, contact: BareJid, fingerprint: Fingerprint) -> Result<Reply, Fault> {
        let Some(device) = self.devices.get_mut(&(contact.clone(), fingerprint)) else {
            let hint = "a device is known once it has offered or taken something";
            return Err(Fault::new("no-device", format!("{contact} has no device with this key"), hint));
        };
        device.trust = Trust::Verified;
        device.unseen = false;
        let row = device.clone();
        let place = FullJid::new(contact.clone(), row.resource.clone());
        self.seized.remove(&place);
        self.persist(Persist::Device(row));
        let mut known = self.contact(&contact);
        known.verified = true;
        self.save_contact(known);
        self.push(Effect::Emit(Event::Contact(contact)));
        if self.present(&place) {
            self.appeared(&place); // what was held back from it
        }
        Ok(Reply::Done)
    }
}

fn verdict(trust: Trust) -> Verdict {
    match trust {
        Trust::Blind | Trust::Verified => Verdict::Trusted,
        Trust::Blocked => Verdict::Blocked,
    }
}
