//! A token bucket shared by all links, one per direction.
//!
//! Payment first runs into debt and then waits until the debt is paid: so every rate from 1 B/s up makes
//! progress, and a changed rate counts at once for those who wait already.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// The largest slice moved at once under a limit.
const MAX_SLICE: u64 = 64 << 10;

pub(crate) struct Limiter {
    bucket: Mutex<Bucket>,
    changed: watch::Sender<()>,
}

struct Bucket {
    /// Bytes per second; 0: no limit.
    rate: u64,
    /// Bytes that may go now; negative while in debt.
    tokens: f64,
    at: Instant,
}

impl Limiter {
    pub(crate) fn new(rate: u64) -> Self {
        Self { bucket: Mutex::new(Bucket { rate, tokens: 0.0, at: Instant::now() }), changed: watch::Sender::new(()) }
    }

    pub(crate) fn set(&self, rate: u64) {
        {
            let mut bucket = self.lock();
            bucket.refill();
            bucket.rate = rate;
            bucket.tokens = bucket.tokens.max(0.0).min(rate as f64 / 8.0);
        }
        self.changed.send_replace(());
    }

    /// How much to move before paying again; `None`: no limit.
    pub(crate) fn slice(&self) -> Option<usize> {
        match self.lock().rate {
            0 => None,
            rate => Some((rate / 8).clamp(1, MAX_SLICE) as usize),
        }
    }

    /// Notes that `bytes` moved or are about to; true if [`Self::settled`] should be awaited before more do.
    pub(crate) fn charge(&self, bytes: usize) -> bool {
        let mut bucket = self.lock();
        if bucket.rate == 0 {
            return false;
        }
        bucket.refill();
        bucket.tokens -= bytes as f64;
        bucket.tokens < 0.0
    }

    /// Waits until nothing is owed. Cancel-safe.
    pub(crate) async fn settled(&self) {
        let mut changed = self.changed.subscribe();
        loop {
            let wait = {
                let mut bucket = self.lock();
                bucket.refill();
                if bucket.rate == 0 || bucket.tokens >= 0.0 {
                    return;
                }
                Duration::from_secs_f64((-bucket.tokens / bucket.rate as f64).clamp(0.001, 3600.0))
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
        // An eighth of a second may be saved up, so that a pause does not become a burst.
        self.tokens = (self.tokens + earned).min((self.rate as f64 / 8.0).max(1.0));
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
                let slice = limiter.slice().unwrap().min(left);
                limiter.charge(slice);
                limiter.settled().await;
                left -= slice;
            }
            let ideal = bytes as f64 / rate as f64;
            let took = start.elapsed().as_secs_f64();
            assert!((took - ideal).abs() <= ideal * 0.1 + 0.3, "{rate} B/s: {took} s instead of {ideal} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_counts_at_once_for_those_who_wait() {
        let limiter = std::sync::Arc::new(Limiter::new(1));
        limiter.charge(1 << 20);
        let waiting = tokio::spawn({
            let limiter = limiter.clone();
            async move { limiter.settled().await }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        let start = Instant::now();
        limiter.set(0);
        waiting.await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(1));
        assert_eq!(limiter.slice(), None);
    }
}
