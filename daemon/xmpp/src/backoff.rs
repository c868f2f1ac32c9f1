//! How long to wait before the next attempt to log in.

use std::time::{Duration, Instant};

/// First pause.
const FIRST: Duration = Duration::from_secs(1);
/// Longest pause while the loss is young: a restarted server is found again soon.
const LONGEST_AT_FIRST: Duration = Duration::from_secs(8);
/// How long a loss is young.
const YOUNG: Duration = Duration::from_secs(120);
/// Longest pause after that, and the pause after a failure that is unlikely to pass soon.
pub(super) const LONGEST: Duration = Duration::from_secs(60);
/// Longest pause after a refusal that may pass.
const LONGEST_REFUSED: Duration = Duration::from_secs(300);
/// A connection that held for so long counts as good: the next loss begins anew.
const GOOD: Duration = Duration::from_secs(30);

/// Pauses after refusals that may pass (a wrong certificate, say): double from 1 s to 5 minutes.
#[derive(Debug, Default)]
pub struct Refusals {
    last: Option<Duration>,
}

impl Refusals {
    /// The pause before the next attempt; `random` is uniform.
    pub fn next(&mut self, random: u32) -> Duration {
        let pause = self.last.map_or(FIRST, |last| last * 2).min(LONGEST_REFUSED);
        self.last = Some(pause);
        jittered(pause, random)
    }
}

/// Doubles from 1 s to 8 s for the first two minutes, then to 60 s; each pause is shortened by up to a half at random,
/// so that the clients of a restarted server do not come all at once.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    lost_at: Option<Instant>,
    last: Option<Duration>,
}

impl Backoff {
    /// A connection that stood since `since` was lost at `now`. One that broke at once does not reset the pause,
    /// whatever broke it (a conflict, an XML error): two devices that displace each other must slow down.
    pub(super) fn lost(&mut self, since: Instant, now: Instant) {
        if now.saturating_duration_since(since) >= GOOD {
            *self = Self::default();
        }
    }

    /// The pause before the next attempt; `random` is uniform.
    pub(super) fn next(&mut self, now: Instant, random: u32) -> Duration {
        let lost_at = *self.lost_at.get_or_insert(now);
        let cap = if now.saturating_duration_since(lost_at) < YOUNG { LONGEST_AT_FIRST } else { LONGEST };
        let pause = self.last.map_or(FIRST, |last| last * 2).min(cap);
        self.last = Some(pause);
        jittered(pause, random)
    }
}

/// Between half of `pause` and all of it.
pub(super) fn jittered(pause: Duration, random: u32) -> Duration {
    let share = f64::from(random) / f64::from(u32::MAX);
    pause.mul_f64(1.0 - share / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_eight_seconds_and_after_two_minutes_to_a_minute() {
        let mut backoff = Backoff::default();
        let mut now = Instant::now();
        let start = now;
        let mut pauses = Vec::new();
        while now < start + Duration::from_secs(1000) {
            let pause = backoff.next(now, 0);
            pauses.push(pause.as_secs());
            now += pause;
        }
        assert_eq!(pauses[..5], [1, 2, 4, 8, 8]);
        assert_eq!(pauses[pauses.len() - 1], 60);
    }

    #[test]
    fn pauses_after_refusals_grow_to_five_minutes() {
        let mut refusals = Refusals::default();
        let pauses: Vec<_> = (0..12).map(|_| refusals.next(0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    }

    #[test]
    fn a_pause_is_never_less_than_half() {
        assert_eq!(jittered(Duration::from_secs(8), u32::MAX), Duration::from_secs(4));
    }

    #[test]
    fn only_a_connection_that_held_resets_the_pause() {
        let mut backoff = Backoff::default();
        let now = Instant::now();
        for _ in 0..4 {
            backoff.next(now, 0);
        }
        backoff.lost(now, now + Duration::from_secs(2));
        assert_eq!(backoff.next(now, 0), Duration::from_secs(8));
        backoff.lost(now, now + Duration::from_secs(40));
        assert_eq!(backoff.next(now, 0), Duration::from_secs(1));
    }
}
