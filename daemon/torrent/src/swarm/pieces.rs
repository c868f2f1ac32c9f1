//! Which piece comes next.
//!
//! One link: in order from a random place, which is kind to disks, and lets receivers of the same content have
//! different pieces to give each other. Several links: the rarest first. Among equals the one after the last picked,
//! from this link, because that run is ours alone, or else a random one: runs of several receivers then rarely meet, so a limited
//! sender rarely sends a piece twice.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::LinkTag;
use crate::bitfield::Bitfield;
use crate::budget;
use crate::piece::PieceBuf;

/// Unfinished pieces kept between two links, in bytes.
/// Half of what there is for pieces, so that what waits for a link that has it never keeps all others waiting.
const MAX_PARKED: usize = budget::LIMIT / 2;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    /// A link fetches it.
    Held,
    /// It is being verified and written, or is here.
    Here,
}

pub(super) struct Pieces {
    have: Bitfield,
    states: Vec<State>,
    /// How many links have each piece.
    counts: Vec<u16>,
    held: HashMap<u32, (LinkTag, Instant)>,
    /// Unfinished pieces whose link went away.
    parked: HashMap<u32, PieceBuf>,
    random: Random,
}

impl Pieces {
    pub(super) fn new(have: Bitfield, seed: u64) -> Self {
        let states = (0..have.len()).map(|piece| if have.has(piece) { State::Here } else { State::Free }).collect();
        let random = Random(seed | 1);
        let counts = vec![0; have.len() as usize];
        Self { have, states, counts, held: HashMap::new(), parked: HashMap::new(), random }
    }

    pub(super) fn have(&self) -> &Bitfield {
        &self.have
    }

    pub(super) fn counted(&mut self, theirs: impl Iterator<Item = u32>) {
        theirs.for_each(|piece| {
            if let Some(count) = self.counts.get_mut(piece as usize) {
                *count = count.saturating_add(1);
            }
        });
    }

    pub(super) fn uncounted(&mut self, theirs: &Bitfield) {
        theirs.iter().for_each(|piece| {
            if let Some(count) = self.counts.get_mut(piece as usize) {
                *count = count.saturating_sub(1);
            }
        });
    }

    /// The next piece for a link that has `theirs`, not yet assigned. `many`: there are other links. `run` is where
    /// this link's run of pieces goes on; the caller keeps it, `None` at first.
    pub(super) fn pick(&mut self, theirs: &Bitfield, many: bool, run: &mut Option<u32>) -> Option<u32> {
        if let Some(begun) = self.parked.keys().copied().find(|piece| theirs.has(*piece)) {
            return Some(begun);
        }
        let len = self.have.len().max(1);
        let start = match *run {
            Some(start) => start,
            None => (self.random.next() % u64::from(len)) as u32,
        };
        let picked = if many { self.rarest(theirs, start) } else { self.following(theirs, start) };
        *run = Some(picked.map_or(start, |piece| (piece + 1) % len));
        picked
    }

    fn is_free(&self, piece: u32) -> bool {
        self.states.get(piece as usize) == Some(&State::Free)
    }

    fn following(&self, theirs: &Bitfield, start: u32) -> Option<u32> {
        (start..self.have.len()).chain(0..start).find(|piece| self.is_free(*piece) && theirs.has(*piece))
    }

    fn rarest(&mut self, theirs: &Bitfield, start: u32) -> Option<u32> {
        let (mut best, mut best_count, mut ties) = (None, u16::MAX, 0u64);
        for piece in 0..self.have.len() {
            if !self.is_free(piece) || !theirs.has(piece) {
                continue;
            }
            let count = self.counts.get(piece as usize).copied().unwrap_or(0);
            if best.is_none() || count < best_count {
                (best, best_count, ties) = (Some(piece), count, 1);
            } else if count == best_count {
                ties += 1;
                // The next in the run is sure to stay; otherwise each has the same chance.
                if piece == start || (best != Some(start) && self.random.next().is_multiple_of(ties)) {
                    best = Some(piece);
                }
            }
        }
        best
    }

    /// Takes what was begun of a piece, if anything.
    pub(super) fn unpark(&mut self, piece: u32) -> Option<PieceBuf> {
        self.parked.remove(&piece)
    }

    pub(super) fn assign(&mut self, piece: u32, to: LinkTag) {
        self.set(piece, State::Held);
        self.held.insert(piece, (to, Instant::now()));
    }

    /// All blocks came. False: the piece is not wanted (any more).
    pub(super) fn full(&mut self, piece: u32) -> bool {
        self.held.remove(&piece);
        let wanted = self.states.get(piece as usize).is_some_and(|state| *state != State::Here);
        if wanted {
            self.set(piece, State::Here);
        }
        wanted
    }

    pub(super) fn verified(&mut self, piece: u32) {
        self.have.set(piece);
    }

    pub(super) fn wrong(&mut self, piece: u32) {
        self.set(piece, State::Free);
    }

    /// An unfinished piece comes back from a link; what was received of it is kept within bounds.
    pub(super) fn give_back(&mut self, piece: PieceBuf) {
        let index = piece.index;
        if self.held.remove(&index).is_none() {
            return;
        }
        self.set(index, State::Free);
        let parked: usize = self.parked.values().map(PieceBuf::len).sum();
        if !piece.is_empty() && parked + piece.len() <= MAX_PARKED.max(piece.len()) {
            self.parked.insert(index, piece);
        }
    }

    /// A piece went away with its link, and what was received of it.
    pub(super) fn lost(&mut self, piece: u32) {
        if self.held.remove(&piece).is_some() {
            self.set(piece, State::Free);
        }
    }

    /// Frees the memory of unfinished pieces.
    pub(super) fn drop_parked(&mut self) {
        self.parked.clear();
    }

    /// The pieces a link holds.
    pub(super) fn held_by(&self, tag: LinkTag) -> Vec<u32> {
        self.held.iter().filter(|(_, (holder, _))| *holder == tag).map(|(piece, _)| *piece).collect()
    }

    pub(super) fn is_holder(&self, tag: LinkTag) -> bool {
        self.held.values().any(|(holder, _)| *holder == tag)
    }

    /// Links hold pieces, or unfinished ones wait for a link.
    pub(super) fn under_way(&self) -> bool {
        !self.held.is_empty() || !self.parked.is_empty()
    }

    /// Near the end: the piece that another link has held longest, and for longer than `age`.
    pub(super) fn overdue(&self, theirs: &Bitfield, not: LinkTag, age: Duration) -> Option<(LinkTag, u32)> {
        let held = self
            .held
            .iter()
            .filter(|(piece, (tag, since))| *tag != not && since.elapsed() >= age && theirs.has(**piece));
        held.min_by_key(|(_, (_, since))| *since).map(|(piece, (tag, _))| (*tag, *piece))
    }

    fn set(&mut self, piece: u32, state: State) {
        if let Some(slot) = self.states.get_mut(piece as usize) {
            *slot = state;
        }
    }
}

/// xorshift64: ties need no secrets.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::budget::Budget;

    #[test]
    fn the_rarest_piece_comes_first_and_every_piece_once() {
        let mut pieces = Pieces::new(Bitfield::empty(20), 42);
        let all = Bitfield::full(20);
        pieces.counted(all.iter());
        pieces.counted((0..20).filter(|piece| *piece != 13));
        assert_eq!(pieces.pick(&all, true, &mut None), Some(13));
        let (mut seen, mut run) = (Vec::new(), None);
        while let Some(piece) = pieces.pick(&all, seen.len() % 2 == 0, &mut run) {
            pieces.assign(piece, LinkTag(1));
            seen.push(piece);
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn a_begun_piece_is_continued_first() {
        let mut pieces = Pieces::new(Bitfield::empty(20), 7);
        let all = Bitfield::full(20);
        pieces.assign(5, LinkTag(1));
        let mut begun = PieceBuf::new(5, Budget::new().take(40_000).unwrap());
        begun.mark(0, LinkTag(1));
        pieces.give_back(begun);
        assert_eq!(pieces.pick(&all, false, &mut None), Some(5));
        assert!(pieces.unpark(5).unwrap().has_block(0));
        pieces.assign(5, LinkTag(2));
        assert_eq!(pieces.overdue(&all, LinkTag(1), Duration::ZERO), Some((LinkTag(2), 5)));
        assert_eq!(pieces.overdue(&all, LinkTag(2), Duration::ZERO), None);
        assert!(pieces.full(5) && !pieces.full(5));
        pieces.verified(5);
        assert_ne!(pieces.pick(&all, true, &mut Some(5)), Some(5));
    }
}
