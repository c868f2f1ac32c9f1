//! Numbers of pieces by how many others have each: the rarest that somebody can give is found without a look at every
//! piece.
//!
//! One bit for each piece and level in use; a search goes through 64 pieces at a step. So a content of 100,000 pieces
//! costs 12.5 KB for each level, and a search that finds nothing some 1,600 steps for each.

use crate::bitfield::Bitfield;

/// Tries at a random place before a level is gone through in order.
const PROBES: usize = 8;

/// Pieces that may be picked, each on the level of its count.
pub(super) struct Levels {
    len: u32,
    counts: Vec<u16>,
    /// All that may be picked.
    all: Level,
    /// By count. What is empty takes no memory.
    levels: Vec<Level>,
}

#[derive(Clone, Default)]
struct Level {
    words: Vec<u64>,
    count: u32,
}

impl Levels {
    /// Every piece that is not in `without` may be picked; no count yet.
    pub(super) fn new(without: &Bitfield) -> Self {
        let len = without.len();
        let mut levels =
            Self { len, counts: vec![0; len as usize], all: Level::default(), levels: vec![Level::default()] };
        (0..len).filter(|piece| !without.has(*piece)).for_each(|piece| levels.insert(piece));
        levels
    }

    /// Whether a piece may be picked.
    pub(super) fn contains(&self, piece: u32) -> bool {
        piece < self.len && self.all.has(piece)
    }

    /// From now on it may be picked.
    pub(super) fn insert(&mut self, piece: u32) {
        if piece < self.len && !self.all.has(piece) {
            let (level, len) = (self.count(piece), self.len);
            self.all.set(piece, len);
            self.level(level).set(piece, len);
        }
    }

    /// From now on it may not be picked.
    pub(super) fn remove(&mut self, piece: u32) {
        if self.contains(piece) {
            let level = self.count(piece);
            self.all.clear(piece);
            self.level(level).clear(piece);
        }
    }

    /// One more has it.
    pub(super) fn raise(&mut self, piece: u32) {
        self.change(piece, |count| count.saturating_add(1));
    }

    /// One less has it.
    pub(super) fn lower(&mut self, piece: u32) {
        self.change(piece, |count| count.saturating_sub(1));
    }

    /// The next after `start`, in a ring, of those in `of`.
    pub(super) fn following(&self, start: u32, of: impl Fn(usize) -> u64) -> Option<u32> {
        self.all.following(start, self.len, &of)
    }

    /// One of the rarest in `of`: `preferred` if it is one of them, any otherwise.
    pub(super) fn rarest(
        &self,
        preferred: u32,
        mut random: impl FnMut() -> u64,
        of: impl Fn(usize) -> u64,
    ) -> Option<u32> {
        for level in self.levels.iter().filter(|level| level.count > 0) {
            if level.has(preferred) && of(preferred as usize / 64) & bit(preferred) != 0 {
                return Some(preferred);
            }
            let len = u64::from(self.len.max(1));
            for _ in 0..PROBES {
                let piece = (random() % len) as u32;
                if level.has(piece) && of(piece as usize / 64) & bit(piece) != 0 {
                    return Some(piece);
                }
            }
            let found = level.following((random() % len) as u32, self.len, &of);
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn change(&mut self, piece: u32, change: impl FnOnce(u16) -> u16) {
        let Some(count) = self.counts.get_mut(piece as usize) else { return };
        let before = usize::from(*count);
        *count = change(*count);
        let after = usize::from(*count);
        let len = self.len;
        if before != after && self.all.has(piece) {
            self.level(before).clear(piece);
            self.level(after).set(piece, len);
        }
    }

    fn count(&self, piece: u32) -> usize {
        self.counts.get(piece as usize).copied().map_or(0, usize::from)
    }

    fn level(&mut self, count: usize) -> &mut Level {
        if self.levels.len() <= count {
            self.levels.resize(count + 1, Level::default());
        }
        &mut self.levels[count]
    }
}

fn bit(piece: u32) -> u64 {
    1 << (63 - piece % 64)
}

impl Level {
    fn has(&self, piece: u32) -> bool {
        self.words.get(piece as usize / 64).is_some_and(|word| word & bit(piece) != 0)
    }

    /// Sets a bit that is not set.
    fn set(&mut self, piece: u32, len: u32) {
        if self.words.is_empty() {
            self.words = vec![0; len.div_ceil(64) as usize];
        }
        if let Some(word) = self.words.get_mut(piece as usize / 64) {
            *word |= bit(piece);
            self.count += 1;
        }
    }

    /// Clears a bit that is set.
    fn clear(&mut self, piece: u32) {
        if let Some(word) = self.words.get_mut(piece as usize / 64) {
            *word &= !bit(piece);
            self.count -= 1;
        }
        if self.count == 0 {
            self.words = Vec::new();
        }
    }

    fn following(&self, start: u32, len: u32, of: &impl Fn(usize) -> u64) -> Option<u32> {
        let (first, words) = (start as usize / 64, len.div_ceil(64) as usize);
        // From `start` on, in its own word too; at last what comes before it there.
        let from = u64::MAX >> (start % 64);
        let masked = |word: usize, mask: u64| {
            let bits = self.words.get(word)? & of(word) & mask;
            (bits != 0).then(|| word as u32 * 64 + bits.leading_zeros())
        };
        masked(first, from)
            .or_else(|| (first + 1..words).chain(0..first).find_map(|word| masked(word, u64::MAX)))
            .or_else(|| masked(first, !from))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn levels_follow_the_counts_and_only_what_is_in_is_picked() {
        let mut levels = Levels::new(&Bitfield::empty(130));
        let all = Bitfield::full(130);
        let word = |at| all.word(at);
        (0..130).filter(|piece| *piece != 70).for_each(|piece| levels.raise(piece));
        assert_eq!(levels.rarest(5, || 3, word), Some(70));
        levels.remove(70);
        assert!(!levels.contains(70));
        assert_eq!(levels.rarest(5, || 3, word), Some(5), "the preferred among equals");
        levels.raise(70);
        levels.raise(70);
        levels.insert(70);
        levels.raise(5);
        assert_eq!(levels.rarest(5, || 9, word), Some(9));
        assert_eq!(levels.following(129, |at| word(at) & !(u64::MAX * u64::from(at == 2))), Some(0));
        assert_eq!(levels.following(71, |at| if at == 1 { 1 << (63 - 6) } else { 0 }), Some(70), "around the ring");
        levels.lower(5);
        assert_eq!(levels.rarest(200, || 129, word), Some(129));
    }

    #[test]
    fn all_of_100_000_pieces_are_picked_in_a_moment_however_few_have_each() {
        let count = 100_000;
        let mut levels = Levels::new(&Bitfield::empty(count));
        let mut sparse = Bitfield::empty(count);
        (0..count).step_by(97).for_each(|piece| assert!(sparse.set(piece)));
        let all = Bitfield::full(count);
        for _ in 0..3 {
            (0..count).for_each(|piece| levels.raise(piece));
        }
        (0..count).step_by(7).for_each(|piece| levels.raise(piece));
        let (begun, mut random, mut picked) = (Instant::now(), 1u64, 0);
        for field in [&sparse, &all] {
            let next = || {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                random >> 33
            };
            let mut next = next;
            while let Some(piece) = levels.rarest(u32::MAX, &mut next, |at| field.word(at)) {
                levels.remove(piece);
                picked += 1;
            }
        }
        assert_eq!(picked, count);
        // A look at every piece for each would be 10^10 steps.
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}
