//! How many requests one contact may make in a time.
//!
//! Most requests cost a write to the disk and a line in the log, so their number over a day must have a bound, not only
//! the number of those that wait. A contact over the limit hears "ask again", which costs nothing here.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use xbt_core::ids::BareJid;

/// In the long run a contact may make one request in this time: 50 in a second.
const EACH: Duration = Duration::from_millis(20);

/// Burst: this many at once, and again after 20 s of quiet.
const AT_ONCE: u32 = 1_000;

/// Beyond this many contacts, forget those whose allowance is whole.
const KEPT: usize = 1_024;

/// When each contact's allowance is whole again.
#[derive(Debug, Default)]
pub(super) struct RateLimiter(HashMap<BareJid, Instant>);

impl RateLimiter {
    /// Whether a request may come in; it is counted if so.
    pub(super) fn admit(&mut self, contact: &BareJid, now: Instant) -> bool {
        if self.0.len() >= KEPT {
            self.0.retain(|_, whole| *whole > now);
        }
        let whole = self.0.get(contact).copied().filter(|whole| *whole > now).unwrap_or(now) + EACH;
        let may = whole.duration_since(now) <= EACH * AT_ONCE;
        if may {
            self.0.insert(contact.clone(), whole);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_to_the_rate_and_others_are_not_touched() {
        let (mut limiter, start) = (RateLimiter::default(), Instant::now());
        let [bob, eve] = ["bob@b", "eve@e"].map(BareJid::from_normalised);
        let admitted = (0..10_000).filter(|_| limiter.admit(&eve, start)).count();
        assert_eq!(admitted, 1_000);
        let later = start + Duration::from_secs(10);
        assert!(limiter.admit(&bob, start));
        assert_eq!((0..10_000).filter(|_| limiter.admit(&eve, later)).count(), 500);
    }

    #[test]
    fn who_has_used_up_nothing_is_forgotten() {
        let (mut limiter, start) = (RateLimiter::default(), Instant::now());
        for number in 0..10 * KEPT as u64 {
            let who = BareJid::from_normalised(format!("{number}@b"));
            assert!(limiter.admit(&who, start + Duration::from_secs(number)));
        }
        assert!(limiter.0.len() <= KEPT);
    }
}
