//! Who is online: our own connection to the server, and the resources whose presence we have.

use std::collections::BTreeMap;

use crate::ids::{BareJid, FullJid};
use crate::limits::DEVICES_PER_CONTACT;
use crate::session::Connection;
use crate::time::Mono;

/// See the module.
pub(super) struct Presence {
    connection: Connection,
    /// When `connection` was reported.
    since: Mono,
    /// Available resources, and whether they run xbt; at most [`DEVICES_PER_CONTACT`] of each contact.
    resources: BTreeMap<FullJid, bool>,
    /// When what waits for a resource was last retried because it sent its presence again.
    retried: BTreeMap<FullJid, Mono>,
}

/// Milliseconds between two retries because of a presence: a contact may repeat it as often as its server allows.
const RETRY_PAUSE: u64 = 5_000;

impl Default for Presence {
    fn default() -> Self {
        Self {
            connection: Connection::Connecting,
            since: Mono::default(),
            resources: BTreeMap::new(),
            retried: BTreeMap::new(),
        }
    }
}

/// What the presence of a resource changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It was not there before.
    New,
    /// It was there; whether it ran xbt then.
    Known(bool),
    /// One too many of its contact.
    Ignored,
}

impl Presence {
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// When the connection was reported as it is.
    pub(super) fn since(&self) -> Mono {
        self.since
    }

    pub(super) fn connection_changed(&mut self, connection: Connection, now: Mono) {
        self.connection = connection;
        self.since = now;
    }

    pub(super) fn is_online(&self) -> bool {
        matches!(self.connection, Connection::Online { .. })
    }

    /// The device runs xbt and is online, as far as we know: requests to it may wait in its queue.
    pub(super) fn runs_xbt(&self, device: &FullJid) -> bool {
        self.resources.get(device) == Some(&true)
    }

    /// A request can be sent to the device now.
    pub(super) fn is_reachable(&self, device: &FullJid) -> bool {
        self.is_online() && self.runs_xbt(device)
    }

    /// The available resources of a contact, and whether they run xbt.
    pub(super) fn of(&self, contact: &BareJid) -> impl Iterator<Item = (&FullJid, bool)> {
        let first = FullJid::new(contact.clone(), "");
        let all = self.resources.range(first..).map(|(device, xbt)| (device, *xbt));
        all.take_while(move |(device, _)| device.bare == *contact)
    }

    /// All devices of a contact (or our own other ones) that run xbt and are available.
    pub(super) fn xbt_devices(&self, contact: &BareJid) -> Vec<FullJid> {
        self.of(contact).filter(|(_, xbt)| *xbt).map(|(device, _)| device.clone()).collect()
    }

    /// Whether a repeated presence of an available resource may have everything retried now; counts if so.
    pub(super) fn may_retry(&mut self, device: &FullJid, now: Mono) -> bool {
        let soon = self.retried.get(device).is_some_and(|last| now.since(*last) < RETRY_PAUSE);
        if !soon {
            self.retried.insert(device.clone(), now);
        }
        !soon
    }

    /// A resource is available.
    pub(super) fn arrived(&mut self, device: &FullJid, xbt: bool) -> Arrival {
        let full = self.of(&device.bare).count() >= DEVICES_PER_CONTACT;
        if full && !self.resources.contains_key(device) {
            return Arrival::Ignored;
        }
        self.resources.insert(device.clone(), xbt).map_or(Arrival::New, Arrival::Known)
    }

    /// A resource has gone; false if it was not there.
    pub(super) fn left(&mut self, device: &FullJid) -> bool {
        self.retried.remove(device);
        self.resources.remove(device).is_some()
    }

    /// Forgets all resources; returns the contacts of which there were some, one entry for each resource.
    pub(super) fn clear(&mut self) -> Vec<BareJid> {
        self.retried.clear();
        std::mem::take(&mut self.resources).into_keys().map(|device| device.bare).collect()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.resources.len()
    }
}
