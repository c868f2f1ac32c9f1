//! Piece availability: finds the rarest piece that a link can provide without looking at every piece.
//!
//! A bucket for each availability holds one bit per piece; a search covers 64 pieces at a step. A content of 100,000
//! pieces costs 12.5 KB for each bucket in use, and a search that finds nothing some 1,600 steps for each.

use crate::bitfield::Bitfield;

/// Random probes before a bucket is searched in order.
const PROBES: usize = 8;

/// Pieces that may be picked, each in the bucket of its count.
pub(super) struct Availability {
    len: u32,
    counts: Vec<u16>,
    /// All that may be picked.
    all: Bucket,
    /// By count. An empty bucket takes no memory.
    buckets: Vec<Bucket>,
}

#[derive(Clone, Default)]
struct Bucket {
    words: Vec<u64>,
    count: u32,
}

impl Availability {
    /// Every piece that is not in `without` may be picked; no count yet.
    pub(super) fn new(without: &Bitfield) -> Self {
        let len = without.len();
        let mut buckets =
            Self { len, counts: vec![0; len as usize], all: Bucket::default(), buckets: vec![Bucket::default()] };
        (0..len).filter(|piece| !without.has(*piece)).for_each(|piece| buckets.insert(piece));
        buckets
    }

    /// Whether a piece may be picked.
    pub(super) fn contains(&self, piece: u32) -> bool {
        piece < self.len && self.all.has(piece)
    }

    /// Makes a piece available for picking.
    pub(super) fn insert(&mut self, piece: u32) {
        if piece < self.len && !self.all.has(piece) {
            let (bucket, len) = (self.count(piece), self.len);
            self.all.set(piece, len);
            self.bucket(bucket).set(piece, len);
        }
    }

    /// Excludes a piece from picking.
    pub(super) fn remove(&mut self, piece: u32) {
        if self.contains(piece) {
            let bucket = self.count(piece);
            self.all.clear(piece);
            self.bucket(bucket).clear(piece);
        }
    }

    /// One more peer has it.
    pub(super) fn increment(&mut self, piece: u32) {
        self.change(piece, |count| count.saturating_add(1));
    }

    /// One peer less has it.
    pub(super) fn decrement(&mut self, piece: u32) {
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
        for bucket in self.buckets.iter().filter(|bucket| bucket.count > 0) {
            if bucket.has(preferred) && of(preferred as usize / 64) & bit(preferred) != 0 {
                return Some(preferred);
            }
            let len = u64::from(self.len.max(1));
            for _ in 0..PROBES {
                let piece = (random() % len) as u32;
                if bucket.has(piece) && of(piece as usize / 64) & bit(piece) != 0 {
                    return Some(piece);
                }
            }
            let found = bucket.following((random() % len) as u32, self.len, &of);
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
            self.bucket(before).clear(piece);
            self.bucket(after).set(piece, len);
        }
    }

    fn count(&self, piece: u32) -> usize {
        self.counts.get(piece as usize).copied().map_or(0, usize::from)
    }

    fn bucket(&mut self, count: usize) -> &mut Bucket {
        if self.buckets.len() <= count {
            self.buckets.resize(count + 1, Bucket::default());
        }
        &mut self.buckets[count]
    }
}

fn bit(piece: u32) -> u64 {
    1 << (63 - piece % 64)
}

impl Bucket {
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
        let mut buckets = Availability::new(&Bitfield::empty(130));
        let all = Bitfield::full(130);
        let word = |at| all.word(at);
        (0..130).filter(|piece| *piece != 70).for_each(|piece| buckets.increment(piece));
        assert_eq!(buckets.rarest(5, || 3, word), Some(70));
        buckets.remove(70);
        assert!(!buckets.contains(70));
        assert_eq!(buckets.rarest(5, || 3, word), Some(5), "the preferred among equals");
        buckets.increment(70);
        buckets.increment(70);
        buckets.insert(70);
        buckets.increment(5);
        assert_eq!(buckets.rarest(5, || 9, word), Some(9));
        assert_eq!(buckets.following(129, |at| word(at) & !(u64::MAX * u64::from(at == 2))), Some(0));
        assert_eq!(buckets.following(71, |at| if at == 1 { 1 << (63 - 6) } else { 0 }), Some(70), "around the ring");
        buckets.decrement(5);
        assert_eq!(buckets.rarest(200, || 129, word), Some(129));
    }

    #[test]
    fn all_of_100_000_pieces_are_picked_in_a_moment_however_few_have_each() {
        let count = 100_000;
        let mut buckets = Availability::new(&Bitfield::empty(count));
        let mut sparse = Bitfield::empty(count);
        (0..count).step_by(97).for_each(|piece| assert!(sparse.set(piece)));
        let all = Bitfield::full(count);
        for _ in 0..3 {
            (0..count).for_each(|piece| buckets.increment(piece));
        }
        (0..count).step_by(7).for_each(|piece| buckets.increment(piece));
        let (begun, mut random, mut picked) = (Instant::now(), 1u64, 0);
        for field in [&sparse, &all] {
            let next = || {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                random >> 33
            };
            let mut next = next;
            while let Some(piece) = buckets.rarest(u32::MAX, &mut next, |at| field.word(at)) {
                buckets.remove(piece);
                picked += 1;
            }
        }
        assert_eq!(picked, count);
        // A look at every piece for each would be 10^10 steps.
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}
