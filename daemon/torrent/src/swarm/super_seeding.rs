//! Super-seeding (a gentler form of BEP 16): each receiver is advertised different pieces, so that receivers have pieces
//! to exchange and the sender uploads little more than one copy.
//!
//! The first receiver is advertised everything. One that comes while another is incomplete is advertised a few pieces at
//! a time, the rarest first, and more as soon as it has most of them. So no receiver ever waits for another to pass
//! pieces on, whether or not they are connected.

use std::time::Duration;

use tokio::time::Instant;

use super::availability::Availability;
use super::{Phase, Role, Swarm};
use crate::LinkTag;
use crate::bitfield::Bitfield;
use crate::link::LinkCommand;

/// Most bytes advertised to a receiver that it does not have yet; and the part of a small content, for all receivers
/// together. Near the end, pieces that one receiver is slow to fetch are advertised to another too and so sent twice.
const OUTSTANDING: (u64, u64) = (8 << 20, 16);
/// A receiver that has announced no new piece for this long is advertised everything.
const SILENT: Duration = Duration::from_secs(5);
/// At least this many pieces are advertised ahead.
const OUTSTANDING_PIECES: u64 = 2;

/// What was advertised to a receiver.
pub(super) struct Advertised {
    pieces: Bitfield,
    /// Advertised pieces that it does not have yet.
    outstanding: u64,
    /// When it last announced a piece.
    since: Instant,
}

impl Swarm {
    /// The pieces announced to a new link at first, and whether super-seeding holds back others.
    pub(super) fn initial_pieces(&mut self) -> (Bitfield, Option<Advertised>) {
        let all = self.pieces.have().clone();
        let seed = matches!(self.role, Some(Role::Seed(_))) && self.phase == Phase::Complete;
        if !seed || self.incomplete() == 0 {
            return (all, None);
        }
        let none = Bitfield::empty(all.len());
        if self.availability.is_none() {
            let mut availability = Availability::new(&none);
            self.peers.values().filter_map(|peer| peer.has.as_ref()).flat_map(Bitfield::iter).for_each(|piece| {
                availability.increment(piece);
            });
            self.availability = Some(availability);
        }
        (none.clone(), Some(Advertised { pieces: none, outstanding: 0, since: Instant::now() }))
    }

    fn incomplete(&self) -> usize {
        self.peers.values().filter(|peer| peer.has.as_ref().is_none_or(|has| !has.is_full())).count()
    }

    /// A receiver announced new pieces.
    pub(super) fn receiver_has(&mut self, tag: LinkTag, pieces: &[u32]) {
        let (Some(availability), Some(peer)) = (&mut self.availability, self.peers.get_mut(&tag)) else { return };
        for piece in pieces {
            match &mut peer.advertised {
                Some(advertised) if advertised.pieces.has(*piece) => {
                    advertised.outstanding = advertised.outstanding.saturating_sub(1)
                }
                Some(_) | None => availability.increment(*piece),
            }
        }
        if let Some(advertised) = &mut peer.advertised {
            advertised.since = Instant::now();
        }
        if peer.has.as_ref().is_some_and(Bitfield::is_full) {
            self.advertise_all_to_last();
        }
        self.advertise_more(tag);
    }

    /// Forgets a receiver that is gone and what was advertised to it.
    pub(super) fn receiver_gone(&mut self, has: Option<&Bitfield>, advertised: Option<&Advertised>) {
        let Some(availability) = &mut self.availability else { return };
        let advertised = advertised.map(|advertised| &advertised.pieces);
        has.iter().flat_map(|has| has.iter()).for_each(|piece| availability.decrement(piece));
        advertised
            .iter()
            .flat_map(|advertised| advertised.iter())
            .filter(|piece| has.is_none_or(|has| !has.has(*piece)))
            .for_each(|piece| availability.decrement(piece));
        self.advertise_all_to_last();
    }

    /// Advertises further pieces to a receiver that has most of the last ones.
    pub(super) fn advertise_more(&mut self, tag: LinkTag) {
        let receivers = self.incomplete().max(1) as u64;
        let (Some(availability), Some(view), Some(peer)) =
            (&mut self.availability, &self.view, self.peers.get_mut(&tag))
        else {
            return;
        };
        let (Some(advertised), Some(has)) = (&mut peer.advertised, &peer.has) else { return };
        let bytes = OUTSTANDING.0.min(view.meta.size / OUTSTANDING.1 / receivers);
        let most = (bytes / view.meta.piece_len(0).max(1) as u64).max(OUTSTANDING_PIECES);
        let mut state = self.shared.random() | 1;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 32
        };
        while advertised.outstanding < most {
            let new = |at: usize| !(has.word(at) | advertised.pieces.word(at));
            let Some(piece) = availability.rarest(u32::MAX, &mut random, new) else { return };
            availability.increment(piece);
            advertised.pieces.set(piece);
            advertised.outstanding += 1;
            let _ = peer.commands.send(LinkCommand::Have(piece));
        }
    }

    /// Ends super-seeding when at most one receiver is incomplete.
    fn advertise_all_to_last(&mut self) {
        if self.incomplete() <= 1 {
            self.advertise_all_if(|_, _| true);
            self.availability = None;
        }
    }

    pub(super) fn is_super_seeding(&self) -> bool {
        self.peers.values().any(|peer| peer.advertised.is_some())
    }

    /// Some programs do not announce their pieces to a seed, and would be advertised no more.
    pub(super) fn advertise_all_to_silent(&mut self) {
        let now = Instant::now();
        self.advertise_all_if(|advertised, unchoked| unchoked && now.duration_since(advertised.since) >= SILENT);
    }

    fn advertise_all_if(&mut self, to: impl Fn(&Advertised, bool) -> bool) {
        for peer in self.peers.values_mut() {
            let unchoked = peer.choking.is_unchoked();
            if let Some(advertised) = peer.advertised.take_if(|advertised| to(advertised, unchoked)) {
                for piece in
                    advertised.pieces.iter().filter(|piece| peer.has.as_ref().is_none_or(|has| !has.has(*piece)))
                {
                    self.availability.iter_mut().for_each(|availability| availability.decrement(piece));
                }
                let _ = peer.commands.send(LinkCommand::HaveAll(self.pieces.have().clone(), advertised.pieces));
            }
        }
    }
}
