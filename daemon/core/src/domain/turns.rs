//! The turns of a device pair: at most [`LINKS_PER_DEVICE`] links, the others wait in the order of their numbers.
//!
//! Every link needs a grant on both sides. The device with the smaller fingerprint counts what it has asked for and
//! not yet got as well, so it alone keeps the bound, and crossed `connect`s neither exceed it nor block each other.

use crate::domain::Domain;
use crate::domain::index::Sets;
use crate::ids::{Fingerprint, FullJid, TransferId};
use crate::limits::LINKS_PER_DEVICE;
use crate::transfer::{Peer, Transfer};

/// By the key of the other device.
#[derive(Debug, Default)]
pub(super) struct Turns {
    granted: Sets<Fingerprint>,
    waiting: Sets<Fingerprint>,
}

impl Domain {
    /// At most so many links between two devices; a transfer that has one keeps it.
    pub(super) fn has_turn(&self, id: TransferId, contact: &crate::ids::BareJid, peer: &Peer) -> bool {
        let granted = self.turns.granted.get(&peer.fingerprint).filter(|other| *other != id).count();
        if granted >= LINKS_PER_DEVICE || self.settings.fingerprint > peer.fingerprint {
            return granted < LINKS_PER_DEVICE;
        }
        let device = FullJid::new(contact.clone(), peer.resource.clone());
        let is_new = |other: &TransferId| *other != id && self.live.get(other).is_none_or(|l| l.granted.is_none());
        granted + self.outbox.connecting(&device).filter(is_new).count() < LINKS_PER_DEVICE
    }

    /// A grant stands in the link room.
    pub(super) fn grant(&mut self, id: TransferId, peer: Fingerprint) {
        self.ungrant(id);
        self.live(id).granted = Some(peer);
        self.turns.granted.insert(peer, id);
    }

    /// No grant stands any more. Says whether one did.
    pub(super) fn ungrant(&mut self, id: TransferId) -> bool {
        let Some(peer) = self.live.get_mut(&id).and_then(|l| l.granted.take()) else { return false };
        self.turns.granted.remove(&peer, id);
        true
    }

    /// It asks when a link of the pair comes free.
    pub(super) fn await_turn(&mut self, id: TransferId) {
        self.leave_line(id);
        let Some(peer) = self.transfers.get(&id).and_then(Transfer::peer).map(|p| p.fingerprint) else { return };
        self.live(id).turn = Some(peer);
        self.turns.waiting.insert(peer, id);
    }

    /// It does not wait for a turn (any more).
    pub(super) fn leave_line(&mut self, id: TransferId) {
        if let Some(peer) = self.live.get_mut(&id).and_then(|l| l.turn.take()) {
            self.turns.waiting.remove(&peer, id);
        }
    }

    /// A link of the pair may have come free: the oldest that waits for one asks.
    pub(super) fn next_turn(&mut self, freed: TransferId) {
        let Some(peer) = self.transfers.get(&freed).and_then(Transfer::peer).map(|p| p.fingerprint) else { return };
        let next = self.turns.waiting.get(&peer).find(|id| *id != freed);
        if let Some(next) = next {
            self.seek_link(next);
        }
    }
}
