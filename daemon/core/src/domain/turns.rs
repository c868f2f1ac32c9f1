//! The turns of a device pair: at most [`LINKS_PER_DEVICE`] links, the others wait in the order of their numbers.
//!
//! Every link needs a grant on both sides. The device with the smaller fingerprint counts what it has asked for and
//! not yet got as well, so it alone keeps the bound, and crossed `connect`s neither exceed it nor block each other.

use crate::domain::Domain;
use crate::domain::sets::Sets;
use crate::ids::{BareJid, Fingerprint, FullJid, TransferId};
use crate::limits::LINKS_PER_DEVICE;
use crate::transfer::{Peer, Transfer};

/// Two devices, by the contact and the key of the other one. Not by the key alone: a device that claims another's key
/// must not use up that one's turns.
pub(super) type Pair = (BareJid, Fingerprint);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Turns {
    granted: Sets<Pair>,
    waiting: Sets<Pair>,
}

impl Domain {
    /// Whether the transfer may have one of the [`LINKS_PER_DEVICE`] links; one that has a link keeps it.
    pub(super) fn has_turn(&self, id: TransferId, contact: &BareJid, peer: &Peer) -> bool {
        let pair = (contact.clone(), peer.fingerprint);
        let granted = self.turns.granted.get(&pair).filter(|other| *other != id).count();
        if granted >= LINKS_PER_DEVICE || self.settings.fingerprint > peer.fingerprint {
            return granted < LINKS_PER_DEVICE;
        }
        let device = FullJid::new(contact.clone(), peer.resource.clone());
        let is_new = |other: &TransferId| *other != id && self.live.get(other).is_none_or(|l| l.granted.is_none());
        granted + self.outbox.connecting(&device).filter(is_new).count() < LINKS_PER_DEVICE
    }

    /// xbt-link has a dial request for the transfer.
    pub(super) fn grant(&mut self, id: TransferId, peer: Fingerprint) {
        self.take_back(id);
        let Some(contact) = self.transfers.get(&id).map(|t| t.contact.clone()) else { return };
        let pair = (contact, peer);
        self.live(id).granted = Some(pair.clone());
        self.turns.granted.insert(pair, id);
    }

    /// There is no dial request any more. Returns whether there was one.
    pub(super) fn ungrant(&mut self, id: TransferId) -> bool {
        if let Some(live) = self.live.get_mut(&id) {
            live.stream_id = None;
        }
        let ahead = self.live.get_mut(&id).and_then(|live| live.ahead.take());
        self.take_back(id) || ahead.is_some()
    }

    fn take_back(&mut self, id: TransferId) -> bool {
        let Some(peer) = self.live.get_mut(&id).and_then(|l| l.granted.take()) else { return false };
        self.turns.granted.remove(&peer, id);
        true
    }

    /// It waits until a link of the pair is free.
    pub(super) fn await_turn(&mut self, id: TransferId) {
        self.leave_line(id);
        let Some(pair) = self.transfers.get(&id).and_then(pair) else { return };
        self.live(id).turn = Some(pair.clone());
        self.turns.waiting.insert(pair, id);
    }

    /// It does not wait for a turn (any more).
    pub(super) fn leave_line(&mut self, id: TransferId) {
        if let Some(peer) = self.live.get_mut(&id).and_then(|l| l.turn.take()) {
            self.turns.waiting.remove(&peer, id);
        }
    }

    /// A link of the pair may be free: the oldest transfer that waits for one asks for it.
    pub(super) fn next_turn(&mut self, freed: TransferId) {
        let Some(pair) = self.transfers.get(&freed).and_then(pair) else { return };
        let next = self.turns.waiting.get(&pair).find(|id| *id != freed);
        if let Some(next) = next {
            self.seek_link(next);
        }
    }
}

fn pair(transfer: &Transfer) -> Option<Pair> {
    transfer.peer().map(|peer| (transfer.contact.clone(), peer.fingerprint))
}
