//! The last things that happened, for everybody who watches.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use xbt_api::{Event, EventKind, Events, Transfer};

/// How many events are kept: about a minute of a busy daemon, and some 2 MiB.
const KEPT: usize = 2_048;

/// Most events in one answer.
const MAX_ANSWER: usize = 512;

/// A bounded ring of events. Whoever is slower than the ring is told so (`lagged`), and nobody else waits for it.
#[derive(Debug)]
pub struct EventRing {
    kept: Mutex<VecDeque<Event>>,
    /// The number of the newest event.
    newest: watch::Sender<u64>,
}

impl EventRing {
    /// An empty ring. `start` should be above every number that an earlier run of the daemon gave, so that watchers
    /// notice the restart; Unix time in milliseconds does that.
    pub fn new(start: u64) -> Self {
        Self { kept: Mutex::new(VecDeque::new()), newest: watch::Sender::new(start) }
    }

    /// Adds an event that happened at `at` (RFC 3339 in UTC), wakes everybody who waits, and returns its number.
    pub fn push(&self, at: String, kind: EventKind, transfer: Option<Transfer>, text: String) -> u64 {
        let mut kept = self.lock();
        let seq = self.newest.borrow().saturating_add(1);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Event { seq, at, kind, transfer, text });
        // Under the lock, so that a number is never told before its event can be read.
        self.newest.send_replace(seq);
        seq
    }

    /// The events after `after_seq`, waiting up to `max_wait` for the first. Without `after_seq`: where to begin.
    pub async fn after(&self, after_seq: Option<u64>, max_wait: Duration) -> Events {
        let Some(after) = after_seq else {
            return Events { seq: *self.newest.borrow(), lagged: false, events: Vec::new() };
        };
        let mut newest = self.newest.subscribe();
        // Ends early only if something is there; an error is impossible while `self` holds the sender.
        let _ = timeout(max_wait, newest.wait_for(|seq| *seq != after)).await;
        self.take(after)
    }

    fn take(&self, after: u64) -> Events {
        let kept = self.lock();
        let newest = *self.newest.borrow();
        if after > newest {
            // A number of another run of the daemon.
            return Events { seq: newest, lagged: true, events: Vec::new() };
        }
        let oldest = kept.front().map_or(newest.saturating_add(1), |event| event.seq);
        let lagged = after.saturating_add(1) < oldest;
        let events: Vec<Event> = kept.iter().filter(|event| event.seq > after).take(MAX_ANSWER).cloned().collect();
        let seq = events.last().map_or(newest, |event| event.seq);
        Events { seq, lagged, events }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Event>> {
        // Nothing in here can be left half done, so a panic of another holder does not matter.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn push(ring: &EventRing) -> u64 {
        ring.push("2026-01-31T12:00:00Z".into(), EventKind::Notice, None, "hello".into())
    }

    #[tokio::test]
    async fn without_a_number_only_the_beginning_is_told() {
        let ring = EventRing::new(100);
        push(&ring);
        assert_eq!(ring.after(None, LONG).await, Events { seq: 101, lagged: false, events: vec![] });
    }

    #[tokio::test]
    async fn a_waiter_is_woken_by_the_next_event() {
        let ring = Arc::new(EventRing::new(100));
        let waiting = tokio::spawn({
            let ring = ring.clone();
            async move { ring.after(Some(100), LONG).await }
        });
        tokio::task::yield_now().await;
        push(&ring);
        let events = waiting.await.unwrap();
        assert_eq!((events.seq, events.lagged, events.events.len()), (101, false, 1));
    }

    #[tokio::test]
    async fn waiting_ends_when_nothing_happens() {
        let ring = EventRing::new(100);
        assert_eq!(
            ring.after(Some(100), Duration::from_millis(1)).await,
            Events { seq: 100, lagged: false, events: vec![] }
        );
    }

    #[tokio::test]
    async fn the_slow_are_told_and_get_what_is_left_in_portions() {
        let ring = EventRing::new(0);
        for _ in 0..KEPT + 10 {
            push(&ring);
        }
        let mut events = ring.after(Some(0), LONG).await;
        assert!(events.lagged);
        assert_eq!(events.events[0].seq, 11);
        let mut got = events.events.len();
        while got < KEPT {
            events = ring.after(Some(events.seq), LONG).await;
            assert!(!events.lagged);
            got += events.events.len();
        }
        assert_eq!((got, events.seq), (KEPT, KEPT as u64 + 10));
    }

    #[tokio::test]
    async fn numbers_of_another_run_count_as_lagged() {
        let ring = EventRing::new(100);
        assert!(ring.after(Some(7), LONG).await.lagged);
        assert!(ring.after(Some(700), LONG).await.lagged);
    }
}
