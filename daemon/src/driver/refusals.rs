//! Who was turned away, counted and told.
//!
//! Anybody on the Internet can knock at the port for links, a thousand times in a second. Each knock is counted; the log
//! has one line for each reason in a minute, or the disk would fill.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Between two lines about the same reason.
const QUIET: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct Count {
    total: u64,
    /// When the log was told, and how many there were then.
    told: Option<(Instant, u64)>,
}

/// By reason; the reasons are few and our own.
#[derive(Debug, Default)]
pub(super) struct Refusals(HashMap<&'static str, Count>);

impl Refusals {
    /// Counts one. `Some`: it is time for a line in the log, about so many since the last.
    pub(super) fn count(&mut self, reason: &'static str, now: Instant) -> Option<u64> {
        let count = self.0.entry(reason).or_default();
        count.total += 1;
        let (at, before) = count.told.map_or((None, 0), |(at, before)| (Some(at), before));
        if at.is_some_and(|at| now.duration_since(at) < QUIET) {
            return None;
        }
        count.told = Some((now, count.total));
        Some(count.total - before)
    }

    /// How many there were for each reason since the start.
    pub(super) fn totals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(reason, count)| (*reason, count.total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_strangers_is_counted_in_full_and_told_once_a_minute() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        let told: Vec<u64> =
            (0..120_000).filter_map(|ms| refusals.count("bad-tls", start + Duration::from_millis(ms))).collect();
        assert_eq!(told, [1, 60_000]);
        assert_eq!(refusals.count("too-slow", start), Some(1), "another reason has lines of its own");
        assert!(refusals.totals().any(|total| total == ("bad-tls", 120_000)));
    }
}
