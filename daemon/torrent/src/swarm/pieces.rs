//! Which piece comes next.
//!
//! The first few come first and in order: they are what a person looks at, and what can be passed on at once. Then, with
//! one link: in order from a random place, which is kind to disks, and gives receivers of the same content different
//! pieces to exchange. Several links: the rarest first. Among equals the one after the last picked,
//! from this link, because that run is ours alone, or else a random one: runs of several receivers then rarely meet, so
//! a limited sender rarely sends a piece twice.

use std::collections::HashMap;

use tokio::time::Instant;

use crate::LinkTag;
use crate::bitfield::Bitfield;
use crate::budget;
use crate::piece::PieceBuf;

use super::availability::Availability;

/// Bytes of unfinished pieces kept between two links: half of the budget, so that pieces waiting for a link that has
/// them never block all others.
const MAX_PARKED: usize = budget::LIMIT / 2;

/// Pieces at the start that come in order: at most the first number, and one in the second of a small content.
const IN_ORDER: (u32, u32) = (4, 16);

pub(super) struct Pieces {
    have: Bitfield,
    /// Pieces that are neither here nor assigned, by how many links have them.
    free: Availability,
    /// Verified, or being verified and written.
    here: Bitfield,
    held: HashMap<u32, Hold>,
    /// Unfinished pieces whose link went away.
    parked: HashMap<u32, PieceBuf>,
    random: Random,
}

/// A piece assigned to a link.
#[derive(Clone, Copy)]
pub(super) struct Hold {
    pub(super) tag: LinkTag,
    pub(super) since: Instant,
}

impl Pieces {
    pub(super) fn new(have: Bitfield, seed: u64) -> Self {
        Self {
            free: Availability::new(&have),
            here: have.clone(),
            have,
            held: HashMap::new(),
            parked: HashMap::new(),
            random: Random(seed | 1),
        }
    }

    pub(super) fn have(&self) -> &Bitfield {
        &self.have
    }

    pub(super) fn add_availability(&mut self, theirs: impl Iterator<Item = u32>) {
        theirs.for_each(|piece| self.free.increment(piece));
    }

    pub(super) fn remove_availability(&mut self, theirs: &Bitfield) {
        theirs.iter().for_each(|piece| self.free.decrement(piece));
    }

    /// The next piece for a link that has `theirs`, not yet assigned. `many`: there are other links. `run` is where
    /// this link's run of pieces goes on; the caller keeps it, `None` at first.
    pub(super) fn pick(&mut self, theirs: &Bitfield, many: bool, run: &mut Option<u32>) -> Option<u32> {
        if let Some(begun) = self.parked.keys().copied().find(|piece| theirs.has(*piece)) {
            return Some(begun);
        }
        let len = self.have.len().max(1);
        let first = IN_ORDER.0.min(len / IN_ORDER.1);
        if let Some(piece) = (0..first).find(|piece| self.free.contains(*piece) && theirs.has(*piece)) {
            return Some(piece);
        }
        let start = match *run {
            Some(start) => start,
            None => (self.random.next() % u64::from(len)) as u32,
        };
        let word = |at| theirs.word(at);
        let picked =
            if many { self.free.rarest(start, || self.random.next(), word) } else { self.free.following(start, word) };
        *run = Some(picked.map_or(start, |piece| (piece + 1) % len));
        picked
    }

    /// Takes a parked piece.
    pub(super) fn unpark(&mut self, piece: u32) -> Option<PieceBuf> {
        self.parked.remove(&piece)
    }

    pub(super) fn assign(&mut self, piece: u32, to: LinkTag) {
        self.free.remove(piece);
        self.held.insert(piece, Hold { tag: to, since: Instant::now() });
    }

    /// All blocks came. `false`: the piece is not needed any more.
    pub(super) fn full(&mut self, piece: u32) -> bool {
        self.held.remove(&piece);
        self.free.remove(piece);
        self.here.set(piece)
    }

    pub(super) fn verified(&mut self, piece: u32) {
        self.have.set(piece);
    }

    pub(super) fn wrong(&mut self, piece: u32) {
        self.here.unset(piece);
        self.free.insert(piece);
    }

    /// A link releases an unfinished piece; what was received of it is kept within bounds.
    pub(super) fn release(&mut self, piece: PieceBuf) {
        let index = piece.index;
        if self.held.remove(&index).is_none() {
            return;
        }
        self.free.insert(index);
        let parked: usize = self.parked.values().map(PieceBuf::len).sum();
        if !piece.is_empty() && !piece.is_revoked() && parked + piece.len() <= MAX_PARKED.max(piece.len()) {
            self.parked.insert(index, piece);
        }
    }

    /// A piece was lost with its link, with all that was received of it.
    pub(super) fn lost(&mut self, piece: u32) {
        if self.held.remove(&piece).is_some() {
            self.free.insert(piece);
        }
    }

    /// Frees the memory of unfinished pieces.
    pub(super) fn drop_parked(&mut self) {
        self.parked.clear();
    }

    /// The pieces a link holds.
    pub(super) fn held_by(&self, tag: LinkTag) -> Vec<u32> {
        self.held.iter().filter(|(_, hold)| hold.tag == tag).map(|(piece, _)| *piece).collect()
    }

    pub(super) fn is_holder(&self, tag: LinkTag) -> bool {
        self.held.values().any(|hold| hold.tag == tag)
    }

    /// Who fetches a piece.
    pub(super) fn holder(&self, piece: u32) -> Option<LinkTag> {
        self.held.get(&piece).map(|hold| hold.tag)
    }

    /// Links hold pieces, or unfinished ones wait for a link.
    pub(super) fn under_way(&self) -> bool {
        !self.held.is_empty() || !self.parked.is_empty()
    }

    /// All that links fetch.
    pub(super) fn held(&self) -> impl Iterator<Item = (u32, Hold)> + '_ {
        self.held.iter().map(|(piece, hold)| (*piece, *hold))
    }
}

/// xorshift64: breaking ties needs no secrets.
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
    use crate::budget::{Budget, Claimant};
    use crate::{ContentKey, Group};

    #[test]
    fn the_rarest_piece_comes_first_and_every_piece_once() {
        let mut pieces = Pieces::new(Bitfield::empty(15), 42);
        let all = Bitfield::full(15);
        pieces.add_availability(all.iter());
        pieces.add_availability((0..15).filter(|piece| *piece != 13));
        assert_eq!(pieces.pick(&all, true, &mut None), Some(13));
        let (mut seen, mut run) = (Vec::new(), None);
        while let Some(piece) = pieces.pick(&all, seen.len() % 2 == 0, &mut run) {
            pieces.assign(piece, LinkTag(1));
            seen.push(piece);
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..15).collect::<Vec<_>>());
    }

    #[test]
    fn among_equally_rare_pieces_chance_decides() {
        let all = Bitfield::full(200);
        let picked: std::collections::HashSet<u32> = (1..20)
            .map(|seed| {
                let mut pieces = Pieces::new(Bitfield::empty(200), seed * 7919);
                pieces.add_availability(all.iter());
                // Twenty are rarer than the others, and the first ones are here.
                pieces.add_availability((0..200).filter(|piece| piece % 10 != 7));
                (0..4).for_each(|piece| pieces.assign(piece, LinkTag(9)));
                pieces.pick(&all, true, &mut None).unwrap()
            })
            .collect();
        assert!(picked.iter().all(|piece| piece % 10 == 7), "{picked:?}");
        assert!(picked.len() > 5, "{picked:?}");
    }

    #[test]
    fn the_first_pieces_come_in_order_and_then_a_run_from_anywhere() {
        let all = Bitfield::full(200);
        let starts: std::collections::HashSet<u32> = (1..20)
            .map(|seed| {
                let (mut pieces, mut run) = (Pieces::new(Bitfield::empty(200), seed * 7919), None);
                let mut next = || {
                    let piece = pieces.pick(&all, false, &mut run).unwrap();
                    pieces.assign(piece, LinkTag(1));
                    piece
                };
                assert_eq!([next(), next(), next(), next()], [0, 1, 2, 3]);
                let start = next();
                assert!(next() == start + 1 || start == 199);
                start
            })
            .collect();
        assert!(starts.len() > 5, "{starts:?}");
    }

    #[test]
    fn a_begun_piece_is_continued_first() {
        let mut pieces = Pieces::new(Bitfield::empty(20), 7);
        let all = Bitfield::full(20);
        pieces.assign(5, LinkTag(1));
        let by = Claimant { owner: Group(1), content: ContentKey(1) };
        let mut begun = PieceBuf::new(5, Budget::new().take(by, 5, 40_000).unwrap());
        begun.mark(0, LinkTag(1));
        pieces.release(begun);
        assert_eq!(pieces.pick(&all, false, &mut None), Some(5));
        assert!(pieces.unpark(5).unwrap().has_block(0));
        pieces.assign(5, LinkTag(2));
        assert_eq!(pieces.held_by(LinkTag(2)), [5]);
        assert!(pieces.full(5) && !pieces.full(5));
        pieces.verified(5);
        assert_ne!(pieces.pick(&all, true, &mut Some(5)), Some(5));
    }
}
