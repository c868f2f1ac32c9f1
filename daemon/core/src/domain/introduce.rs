//! Introducing the receivers of one content to each other, at the sender.
//!
//! An introduction carries an address and a key, of devices that allow it, to devices that allow it; never a JID or a
//! name. A device that connects is introduced to a few of those who are there, to the least known first: in a large group each then knows
//! some, in a small one each knows all, and no device learns of more than [`INTRODUCED_PER_TRANSFER`] others.

use crate::domain::Domain;
use crate::domain::outbox::{Ask, Subject};
use crate::ids::{FullJid, InfoHash, TransferId};
use crate::limits::INTRODUCED_PER_TRANSFER;
use crate::signal::{Connect, Introduction, MAX_CANDIDATES, Request};
use crate::transfer::{Direction, Transfer};

/// Others to whom a device that connects is introduced: half of what each may know, so that there is always somebody
/// who may still be told of the next.
const INTRODUCED_AT_ONCE: usize = INTRODUCED_PER_TRANSFER / 2;

impl Domain {
    /// The receiver says whether others may learn its addresses. Its last word counts.
    pub(super) fn note_introducible(&mut self, id: TransferId, connect: &Connect) {
        if self.transfers.get(&id).is_some_and(|t| t.direction() == Direction::Out) {
            let told = connect.reach.candidates.iter().filter(|c| connect.introduce && c.is_tcp());
            self.live(id).introducible = told.take(MAX_CANDIDATES).copied().collect();
        }
    }

    /// Introduces the receiver of this send and others who receive the same to each other. Doing it twice does no harm.
    pub(super) fn introduce(&mut self, id: TransferId) {
        let Some(content) = self.introducible(id) else { return };
        let key = |id: &TransferId| self.transfers.get(id).and_then(Transfer::peer).map(|peer| peer.fingerprint);
        let known = |other: &TransferId| self.live.get(&id).is_some_and(|l| l.introduced_to.contains(other));
        let count = |id: &TransferId| self.live.get(id).map_or(0, |l| l.introduced_to.len());
        let fits = |other: &TransferId| self.introducible(*other) == Some(content) && key(other) != key(&id);
        let mut others: Vec<TransferId> = self.links.transfers().filter(|o| *o != id && fits(o)).collect();
        others.sort_by_cached_key(|other| (!known(other), count(other), *other));
        let (known, unknown): (Vec<TransferId>, Vec<TransferId>) = others.into_iter().partition(known);
        let room = |id: &TransferId| INTRODUCED_PER_TRANSFER.saturating_sub(count(id));
        let most = room(&id).min(INTRODUCED_AT_ONCE);
        let new: Vec<TransferId> = unknown.into_iter().filter(|other| room(other) > 0).take(most).collect();
        for other in &new {
            self.live(id).introduced_to.insert(*other);
            self.live(*other).introduced_to.insert(id);
        }
        for other in known.into_iter().chain(new) {
            self.tell_of(id, other);
            self.tell_of(other, id);
        }
    }

    /// What this send moves, if its receiver is being served and may be introduced.
    fn introducible(&self, id: TransferId) -> Option<InfoHash> {
        let transfer = self.transfers.get(&id).filter(|_| self.settings.introduce)?;
        let allowed = self.live.get(&id).is_some_and(|live| !live.introducible.is_empty());
        let served = transfer.direction() == Direction::Out && transfer.linked() && !transfer.paused.any();
        transfer.facts.as_ref().filter(|_| allowed && served).map(|facts| facts.info_hash)
    }

    fn tell_of(&mut self, to: TransferId, about: TransferId) {
        let device =
            self.transfers.get(&to).and_then(|t| Some(FullJid::new(t.contact.clone(), t.peer()?.resource.clone())));
        if let Some(device) = device.filter(|device| self.presence.runs_xbt(device)) {
            self.outbox.put(&device, Subject::Introduction(to, about), Ask::Introduce);
        }
    }

    /// The introduction as it is now, or none if either of the two is not served any more.
    pub(super) fn make_introduction(&self, device: &FullJid, to: TransferId, about: TransferId) -> Option<Request> {
        let info_hash = self.introducible(to).filter(|content| self.introducible(about) == Some(*content))?;
        let transfer = self.transfers.get(&to)?;
        if !self.is_proved(device, transfer.peer()?.fingerprint) {
            return None;
        }
        Some(Request::Introduce(Introduction {
            id: transfer.offer,
            info_hash,
            fingerprint: self.transfers.get(&about)?.peer()?.fingerprint,
            candidates: self.live.get(&about)?.introducible.clone(),
        }))
    }

    /// It is over: the others may be introduced to another device.
    pub(super) fn part_introduced(&mut self, id: TransferId) {
        let Some(live) = self.live.get_mut(&id) else { return };
        live.introducible.clear();
        for other in std::mem::take(&mut live.introduced_to) {
            if let Some(live) = self.live.get_mut(&other) {
                live.introduced_to.remove(&id);
            }
        }
    }
}
