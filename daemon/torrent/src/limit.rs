//! A rate limit for one direction.
//!
//! A token bucket with tickets: a link takes a ticket for the bytes it moves and waits until all bytes up to its ticket
//! are paid for. So every rate from 1 B/s up makes progress, a changed rate applies to those who wait already, and they
//! are released in order: with equal slices each has an equal share.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// The largest slice moved at once under a limit.
pub(crate) const MAX_SLICE: u64 = 64 << 10;

pub(crate) struct Limiter {
    bucket: Mutex<Bucket>,
    changed: watch::Sender<()>,
}

struct Bucket {
    /// Bytes per second; 0: no limit.
    rate: u64,
    /// Bytes for which tickets were given, since the start.
    issued: f64,
    /// Bytes that are paid for, since the start; ahead of `issued` after a pause.
    paid: f64,
    at: Instant,
}

/// The right to go on once this many bytes are paid for.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) struct Ticket(f64);

impl Limiter {
    pub(crate) fn new(rate: u64) -> Self {
        let bucket = Bucket { rate, issued: 0.0, paid: 0.0, at: Instant::now() };
        Self { bucket: Mutex::new(bucket), changed: watch::Sender::new(()) }
    }

    pub(crate) fn set(&self, rate: u64) {
        {
            let mut bucket = self.lock();
            bucket.refill();
            bucket.rate = rate;
            // Neither a debt nor a burst is carried over from a high rate to a low one.
            let (least, most) = match rate {
                0 => (bucket.issued, bucket.issued),
                _ => (bucket.issued - bucket.burst(), bucket.issued + bucket.burst()),
            };
            bucket.paid = bucket.paid.clamp(least, most);
        }
        self.changed.send_replace(());
    }

    pub(crate) fn is_set(&self) -> bool {
        self.lock().rate > 0
    }

    /// How much to move before taking the next ticket; `None`: no limit.
    pub(crate) fn slice(&self) -> Option<u64> {
        match self.lock().rate {
            0 => None,
            // Small, so that turns are short where many links share a low rate.
            rate => Some((rate / 16).clamp(1, MAX_SLICE)),
        }
    }

    /// Notes that `bytes` moved or are about to. `None`: nothing need be waited for.
    pub(crate) fn charge(&self, bytes: usize) -> Option<Ticket> {
        let mut bucket = self.lock();
        if bucket.rate == 0 {
            return None;
        }
        bucket.refill();
        bucket.issued += bytes as f64;
        (bucket.paid < bucket.issued).then_some(Ticket(bucket.issued))
    }

    /// Waits until a ticket is paid for. Cancel-safe.
    pub(crate) async fn settled(&self, ticket: Ticket) {
        let mut changed = self.changed.subscribe();
        loop {
            let wait = {
                let mut bucket = self.lock();
                bucket.refill();
                if bucket.rate == 0 || bucket.paid >= ticket.0 {
                    return;
                }
                Duration::from_secs_f64(((ticket.0 - bucket.paid) / bucket.rate as f64).clamp(0.001, 3600.0))
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = changed.changed() => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bucket {
    fn refill(&mut self) {
        let now = Instant::now();
        let earned = now.duration_since(self.at).as_secs_f64() * self.rate as f64;
        self.at = now;
        self.paid = (self.paid + earned).min(self.issued + self.burst());
    }

    /// An eighth of a second may be saved up, so that a pause does not become a burst.
    fn burst(&self) -> f64 {
        (self.rate as f64 / 8.0).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rate_holds_over_time_even_one_byte_a_second() {
        for (rate, bytes) in [(1u64, 5usize), (1000, 10_000), (10 << 20, 64 << 20)] {
            let limiter = Limiter::new(rate);
            let start = Instant::now();
            let mut left = bytes;
            while left > 0 {
                let slice = (limiter.slice().unwrap() as usize).min(left);
                if let Some(ticket) = limiter.charge(slice) {
                    limiter.settled(ticket).await;
                }
                left -= slice;
            }
            let ideal = bytes as f64 / rate as f64;
            let took = start.elapsed().as_secs_f64();
            assert!((took - ideal).abs() <= ideal * 0.1 + 0.3, "{rate} B/s: {took} s instead of {ideal} s");
        }
    }

    /// Bytes that one mover gets through in some seconds of a clock that the test moves.
    async fn moved(limiter: &Limiter, time: Duration) -> u64 {
        let (start, mut moved) = (Instant::now(), 0);
        while start.elapsed() < time {
            let slice = limiter.slice().unwrap();
            if let Some(ticket) = limiter.charge(slice as usize) {
                limiter.settled(ticket).await;
            }
            moved += slice;
        }
        moved
    }

    #[tokio::test(start_paused = true)]
    async fn from_1_kib_a_second_to_a_fast_line_the_bytes_are_those_of_the_limit_to_within_2_percent() {
        for rate in [1 << 10, 1_000, 100 << 10, 1 << 20, 12_345_678, 100 << 20, 1 << 30, 10 << 30] {
            let limiter = Limiter::new(rate);
            let bytes = moved(&limiter, Duration::from_secs(20)).await;
            assert!(bytes.abs_diff(rate * 20) <= rate * 20 / 50, "{bytes} at {rate}");
            // After a pause there is a burst of an eighth of a second, and no more.
            tokio::time::sleep(Duration::from_secs(3600)).await;
            let bytes = moved(&limiter, Duration::from_secs(10)).await;
            assert!(bytes.abs_diff(rate * 10) <= rate / 4, "{bytes} at {rate} after a pause");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_counts_at_once_for_those_who_wait() {
        let limiter = std::sync::Arc::new(Limiter::new(1));
        let ticket = limiter.charge(1 << 20).unwrap();
        let waiting = tokio::spawn({
            let limiter = limiter.clone();
            async move { limiter.settled(ticket).await }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        let start = Instant::now();
        limiter.set(0);
        waiting.await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(1));
        assert_eq!(limiter.slice(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_have_equal_parts_whatever_the_rate() {
        for rate in [1 << 10, 1 << 20, 100 << 20] {
            let limiter = std::sync::Arc::new(Limiter::new(rate));
            let movers: Vec<_> = (0..5)
                .map(|_| {
                    let (limiter, moved) = (limiter.clone(), std::sync::Arc::new(std::sync::Mutex::new(0)));
                    let count = moved.clone();
                    let task = tokio::spawn(async move {
                        loop {
                            let slice = limiter.slice().unwrap();
                            if let Some(ticket) = limiter.charge(slice as usize) {
                                limiter.settled(ticket).await;
                            }
                            *count.lock().unwrap() += slice;
                        }
                    });
                    (task, moved)
                })
                .collect();
            tokio::time::sleep(Duration::from_secs(20)).await;
            let moved: Vec<u64> = movers.iter().map(|(_, moved)| *moved.lock().unwrap()).collect();
            movers.iter().for_each(|(task, _)| task.abort());
            let all: u64 = moved.iter().sum();
            assert!(all.abs_diff(rate * 20) <= rate, "{moved:?} at {rate}");
            assert!(moved.iter().all(|one| one.abs_diff(rate * 4) <= rate / 3), "{moved:?} at {rate}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lower_rate_does_not_wait_for_what_a_high_one_took_on() {
        let limiter = Limiter::new(100 << 20);
        let ticket = limiter.charge(64 << 10).unwrap();
        limiter.set(1 << 10);
        let start = Instant::now();
        limiter.settled(ticket).await;
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    }
}
