//! Sending one content to several devices: each is shown other pieces, so that they have something to give each other
//! and the sender sends little more than once (BEP 16, in a gentler form).
//!
//! The first receiver is shown everything. Who comes while another is still incomplete is shown few pieces at a time,
//! those that the fewest have or were shown, and more as soon as it has taken most of them. So nobody ever waits for
//! another to pass something on, whether or not they know each other.

use std::time::Duration;

use tokio::time::Instant;

use super::levels::Levels;
use super::{Phase, Role, Swarm};
use crate::LinkTag;
use crate::bitfield::Bitfield;
use crate::link::Order;

/// Bytes shown to one and not yet taken, at most; and of a small content one part in so many, for all receivers together:
/// what is shown to one and taken late is, near the end, shown to another too, and sent twice.
const OPEN: (u64, u64) = (8 << 20, 16);
/// Who has taken nothing for so long is shown everything.
const SILENT: Duration = Duration::from_secs(5);
/// Pieces shown and not yet taken, at least.
const OPEN_PIECES: u64 = 2;

/// What a receiver has been shown.
pub(super) struct Shown {
    pieces: Bitfield,
    /// Shown and not taken.
    open: u64,
    /// Since when it has taken nothing.
    since: Instant,
}

impl Swarm {
    /// What a new link is told at first that we have, and whether that is all.
    pub(super) fn first_shown(&mut self) -> (Bitfield, Option<Shown>) {
        let all = self.pieces.have().clone();
        let seed = matches!(self.role, Some(Role::Seed(_))) && self.phase == Phase::Complete;
        if !seed || self.incomplete() == 0 {
            return (all, None);
        }
        let none = Bitfield::empty(all.len());
        if self.spread.is_none() {
            let mut spread = Levels::new(&none);
            self.peers.values().filter_map(|peer| peer.has.as_ref()).flat_map(Bitfield::iter).for_each(|piece| {
                spread.raise(piece);
            });
            self.spread = Some(spread);
        }
        (none.clone(), Some(Shown { pieces: none, open: 0, since: Instant::now() }))
    }

    fn incomplete(&self) -> usize {
        self.peers.values().filter(|peer| peer.has.as_ref().is_none_or(|has| !has.is_full())).count()
    }

    /// A receiver has these, which it had not before.
    pub(super) fn taken(&mut self, tag: LinkTag, pieces: &[u32]) {
        let (Some(spread), Some(peer)) = (&mut self.spread, self.peers.get_mut(&tag)) else { return };
        for piece in pieces {
            match &mut peer.shown {
                Some(shown) if shown.pieces.has(*piece) => shown.open = shown.open.saturating_sub(1),
                Some(_) | None => spread.raise(*piece),
            }
        }
        if let Some(shown) = &mut peer.shown {
            shown.since = Instant::now();
        }
        if peer.has.as_ref().is_some_and(Bitfield::is_full) {
            self.show_to_the_last();
        }
        self.show_more(tag);
    }

    /// A receiver is gone, and what it was shown with it.
    pub(super) fn untaken(&mut self, has: Option<&Bitfield>, shown: Option<&Shown>) {
        let Some(spread) = &mut self.spread else { return };
        let shown = shown.map(|shown| &shown.pieces);
        has.iter().flat_map(|has| has.iter()).for_each(|piece| spread.lower(piece));
        shown
            .iter()
            .flat_map(|shown| shown.iter())
            .filter(|piece| has.is_none_or(|has| !has.has(*piece)))
            .for_each(|piece| spread.lower(piece));
        self.show_to_the_last();
    }

    /// Shows a receiver further pieces, if it has taken most of what it was shown.
    pub(super) fn show_more(&mut self, tag: LinkTag) {
        let receivers = self.incomplete().max(1) as u64;
        let (Some(spread), Some(view), Some(peer)) = (&mut self.spread, &self.view, self.peers.get_mut(&tag)) else {
            return;
        };
        let (Some(shown), Some(has)) = (&mut peer.shown, &peer.has) else { return };
        let bytes = OPEN.0.min(view.meta.size / OPEN.1 / receivers);
        let most = (bytes / view.meta.piece_len(0).max(1) as u64).max(OPEN_PIECES);
        let mut state = self.shared.random() | 1;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 32
        };
        while shown.open < most {
            let new = |at: usize| !(has.word(at) | shown.pieces.word(at));
            let Some(piece) = spread.rarest(u32::MAX, &mut random, new) else { return };
            spread.raise(piece);
            shown.pieces.set(piece);
            shown.open += 1;
            let _ = peer.orders.send(Order::Have(piece));
        }
    }

    /// One receiver alone, or the last, is shown everything.
    fn show_to_the_last(&mut self) {
        if self.incomplete() <= 1 {
            self.show_all(|_, _| true);
            self.spread = None;
        }
    }

    pub(super) fn shows_partly(&self) -> bool {
        self.peers.values().any(|peer| peer.shown.is_some())
    }

    /// Some programs do not tell a sender what they have got: who seems to take nothing is shown everything.
    pub(super) fn show_to_the_silent(&mut self) {
        let now = Instant::now();
        self.show_all(|shown, served| served && now.duration_since(shown.since) >= SILENT);
    }

    fn show_all(&mut self, to: impl Fn(&Shown, bool) -> bool) {
        for peer in self.peers.values_mut() {
            let served = peer.turn.is_served();
            if let Some(shown) = peer.shown.take_if(|shown| to(shown, served)) {
                for piece in shown.pieces.iter().filter(|piece| peer.has.as_ref().is_none_or(|has| !has.has(*piece))) {
                    self.spread.iter_mut().for_each(|spread| spread.lower(piece));
                }
                let _ = peer.orders.send(Order::Show(self.pieces.have().clone(), shown.pieces));
            }
        }
    }
}
