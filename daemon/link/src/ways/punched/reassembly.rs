//! Puts what arrives of a stream into order.
//!
//! quinn can do so too, but ends a connection whose stream has more than 1024 gaps, which a queue that overflows once on a
//! fast long line makes; and it lets the other side send no more than a window beyond a gap.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Buf, Bytes};

/// Bytes beyond gaps in all streams of a connection from which on it reads slowly: what a fast long line brings in the
/// time that it takes to send one packet three times.
const MANY: usize = 24 << 20;

/// Nobody who sends only what was requested comes that far.
const TOO_MANY: usize = 2 * MANY;

/// Bytes that wait, of all streams of a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting(Arc<AtomicUsize>);

/// How much waits beyond gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Amount {
    Little,
    /// Only what fills gaps is welcome.
    Many,
    TooMany,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Reassembly {
    /// The first byte that was not taken yet.
    next: u64,
    /// By their first byte; they do not overlap.
    chunks: BTreeMap<u64, Bytes>,
    waiting: Waiting,
    /// Our share of `waiting`.
    held: usize,
}

impl Reassembly {
    pub fn new(waiting: Waiting) -> Self {
        Self { next: 0, chunks: BTreeMap::new(), waiting, held: 0 }
    }

    /// Takes in a chunk that is new from the first byte to the last.
    pub fn insert(&mut self, offset: u64, bytes: Bytes) {
        if !bytes.is_empty() {
            self.hold(self.held + bytes.len());
            self.chunks.insert(offset, bytes);
        }
    }

    /// Copies what comes next into `buffer`, as far as it is there. Returns how much that was.
    pub fn take(&mut self, buffer: &mut (impl bytes::BufMut + ?Sized)) -> usize {
        let before = self.next;
        while buffer.has_remaining_mut()
            && let Some(chunk) = self.chunks.first_entry().filter(|chunk| *chunk.key() == self.next)
        {
            let length = chunk.get().len().min(buffer.remaining_mut());
            buffer.put_slice(chunk.get().get(..length).unwrap_or_default());
            self.next += length as u64;
            if length == chunk.get().len() {
                chunk.remove();
            } else {
                let mut rest = chunk.remove();
                rest.advance(length);
                self.chunks.insert(self.next, rest);
            }
        }
        let taken = self.next - before;
        self.hold(self.held.saturating_sub(usize::try_from(taken).unwrap_or(usize::MAX)));
        usize::try_from(taken).unwrap_or(usize::MAX)
    }

    pub fn amount(&self) -> Amount {
        match self.waiting.0.load(Ordering::Relaxed) {
            TOO_MANY.. => Amount::TooMany,
            MANY.. => Amount::Many,
            _ => Amount::Little,
        }
    }

    fn hold(&mut self, held: usize) {
        self.waiting.0.fetch_add(held, Ordering::Relaxed);
        self.waiting.0.fetch_sub(std::mem::replace(&mut self.held, held), Ordering::Relaxed);
    }
}

impl Drop for Reassembly {
    fn drop(&mut self) {
        self.hold(0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_beyond_a_gap_is_given_and_everything_once_it_is_filled() {
        let mut order = Reassembly::new(Waiting::default());
        let mut buffer = Vec::new();
        order.insert(3, Bytes::from_static(b"lo "));
        order.insert(6, Bytes::from_static(b"world"));
        assert_eq!(order.take(&mut buffer), 0);
        order.insert(0, Bytes::from_static(b"hel"));
        assert_eq!((order.take(&mut buffer), buffer.as_slice()), (11, &b"hello world"[..]));
        assert_eq!(order.held, 0);
    }

    #[test]
    fn what_waits_counts_for_the_whole_connection_until_it_is_taken_or_dropped() {
        let waiting = Waiting::default();
        let mut orders = [(); 2].map(|()| Reassembly::new(waiting.clone()));
        let half = Bytes::from(vec![0; MANY / 2]);
        orders[0].insert(1, half.clone());
        assert_eq!(orders[0].amount(), Amount::Little);
        orders[1].insert(1, half.clone());
        assert_eq!(orders[0].amount(), Amount::Many);
        orders[1].insert(1 + MANY as u64, Bytes::from(vec![0; MANY]));
        assert_eq!(orders[0].amount(), Amount::TooMany);
        let [mut first, second] = orders;
        drop(second);
        assert_eq!(first.amount(), Amount::Little);
        first.insert(0, Bytes::from_static(b"."));
        assert_eq!(first.take(&mut Vec::new()), 1 + MANY / 2);
        assert_eq!(waiting.0.load(Ordering::Relaxed), 0);
    }

    proptest! {
        #[test]
        fn any_order_of_arrival_and_any_buffers_give_the_same_bytes(
            chunks in prop::collection::vec(1..50_usize, 1..40),
            order in prop::collection::vec(any::<prop::sample::Index>(), 40),
            buffers in prop::collection::vec(1..70_usize, 1..20),
        ) {
            let bytes: Vec<u8> = (0..chunks.iter().sum::<usize>()).map(|byte| (byte % 251) as u8).collect();
            let mut at = 0;
            let mut left: Vec<(usize, usize)> = chunks.iter().map(|len| { at += len; (at - len, at) }).collect();
            let (mut reassembly, mut got) = (Reassembly::new(Waiting::default()), Vec::new());
            let mut sizes = buffers.iter().cycle();
            for index in order.iter().cycle() {
                if left.is_empty() { break }
                let (from, to) = left.swap_remove(index.index(left.len()));
                reassembly.insert(from as u64, Bytes::copy_from_slice(&bytes[from..to]));
                loop {
                    let mut buffer = vec![0; *sizes.next().unwrap()];
                    let taken = reassembly.take(&mut buffer.as_mut_slice());
                    if taken == 0 { break }
                    got.extend_from_slice(&buffer[..taken]);
                }
            }
            prop_assert_eq!(got, bytes);
        }
    }
}
