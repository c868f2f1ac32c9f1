//! How much a link requests ahead: what comes within a few round trips.

use std::time::Duration;

use tokio::time::Instant;

const START: usize = 1 << 20;
const MIN: usize = 128 << 10;
/// Enough for 300 Mbit/s at a round trip of 300 ms, twice; three quarters of the pieces that may be on their way in.
pub(super) const MAX: usize = 24 << 20;

/// Round trips that it lasts: two while nothing is lost. TCP and QUIC deliver in order, so that one lost packet holds
/// everything back for a round trip more, each time that it is lost.
const ROUND_TRIPS: f64 = 4.0;
/// A round trip of more than this in all is a sender that waits, not a line.
const MOST_TIME: f64 = 2.0;

/// On a short line, whose ends need time to read and write, it lasts for as long as this but holds no more than that. More
/// would only claim pieces that another link could bring.
const SHORT_TIME: f64 = 0.4;
const SHORT_MAX: usize = 8 << 20;

/// Measurements in a row that must call for less before it shrinks: lines begin slowly, and stall.
const PATIENCE: u32 = 8;

/// See the module.
pub(super) struct Window {
    bytes: usize,
    rate: Rate,
    /// The shortest time from a request to data, measured while nothing else was requested.
    round_trip: Duration,
    /// Measurements in a row that called for less.
    low: u32,
    /// It has not shrunk yet.
    starting: bool,
}

impl Window {
    pub(super) fn new(now: Instant) -> Self {
        let rate = Rate { bytes: 0, since: now, per_second: None };
        Self { bytes: START, rate, round_trip: Duration::from_secs(1), low: 0, starting: true }
    }

    /// Bytes that may be requested.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes per second, as far as known.
    pub(super) fn rate(&self) -> u64 {
        self.rate.per_second.unwrap_or(0)
    }

    /// Data came.
    pub(super) fn received(&mut self, bytes: usize) {
        self.rate.bytes += bytes as u64;
        if self.starting && self.bytes < SHORT_MAX {
            // Doubles with each round trip, as what TCP and QUIC have under way does.
            self.bytes = (self.bytes + bytes).min(SHORT_MAX);
        }
    }

    /// Data came that long after it was requested.
    pub(super) fn answered(&mut self, after: Duration) {
        self.round_trip = self.round_trip.min(after);
    }

    /// Whether anything came since the last measurement.
    pub(super) fn has_news(&self) -> bool {
        self.rate.bytes > 0
    }

    /// Nothing was requested until now: that was a pause, not a slow line.
    pub(super) fn paused(&mut self, now: Instant) {
        if self.rate.bytes == 0 {
            self.rate.since = now;
        }
    }

    /// Follows the rate; called a few times per second.
    pub(super) fn follow(&mut self, now: Instant) {
        let Some(rate) = self.rate.measure(now) else { return };
        let short = ((rate * SHORT_TIME) as usize).min(SHORT_MAX);
        let long = (rate * (ROUND_TRIPS * self.round_trip.as_secs_f64()).min(MOST_TIME)) as usize;
        let wanted = short.max(long).clamp(MIN, MAX);
        if wanted >= self.bytes {
            self.low = 0;
            self.bytes = wanted.min(self.bytes * 2);
            return;
        }
        self.low += 1;
        if self.low == PATIENCE {
            self.low = 0;
            self.starting = false;
            self.bytes = wanted.max(self.bytes / 2);
        }
    }
}

/// A smoothed rate.
struct Rate {
    bytes: u64,
    since: Instant,
    per_second: Option<u64>,
}

impl Rate {
    /// The last rate or the smoothed one, whichever is higher: a line that becomes faster is followed at once.
    fn measure(&mut self, now: Instant) -> Option<f64> {
        let elapsed = now.duration_since(self.since).as_secs_f64();
        if elapsed < 0.2 {
            return None;
        }
        let sample = (self.bytes as f64 / elapsed) as u64;
        self.per_second = match self.per_second {
            // Nothing measured before the first byte: the start window stands until then.
            None if self.bytes == 0 => None,
            None => Some(sample),
            Some(old) => Some((old * 3 + sample) / 4),
        };
        self.bytes = 0;
        self.since = now;
        self.per_second.map(|smoothed| smoothed.max(sample) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(250);
    const MIB: f64 = (1 << 20) as f64;

    /// A line that brings at most `rate` MiB/s and what is requested after a round trip, which TCP takes a second to fill.
    fn after(seconds: u32, rate: f64, round_trip: Duration) -> Window {
        let begun = Instant::now();
        let mut window = Window::new(begun);
        window.answered(round_trip);
        for tick in 1..=seconds * 4 {
            let filled = f64::from(tick).min(4.0).powi(3) / 64.0;
            let per_second = (rate * MIB * filled).min(window.bytes() as f64 / round_trip.as_secs_f64());
            window.received((per_second * TICK.as_secs_f64()) as usize);
            window.follow(begun + TICK * tick);
        }
        window
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn it_holds_twice_what_fits_on_a_long_line_at_least() {
        for (rate, round_trip) in [(12.0, 100), (60.0, 100), (36.0, 300), (6.0, 40)] {
            let fits = rate * MIB * ms(round_trip).as_secs_f64();
            let window = after(3, rate, ms(round_trip)).bytes() as f64;
            assert!(window >= fits * 2.0, "{rate} MiB/s, {round_trip} ms: {:.1} of {:.1}", window / MIB, fits / MIB);
        }
    }

    #[test]
    fn a_slow_beginning_does_not_shrink_it() {
        assert!(after(1, 12.0, ms(100)).bytes() >= START);
    }

    #[test]
    fn on_a_fast_short_line_it_stays_small_and_on_a_slow_one_it_becomes_so() {
        assert_eq!(after(10, 500.0, ms(1)).bytes(), SHORT_MAX);
        assert_eq!(after(30, 0.1, ms(20)).bytes(), MIN);
    }

    #[test]
    fn it_shrinks_when_a_line_stays_slower_but_not_for_a_stall() {
        let mut window = after(10, 60.0, ms(100));
        let (before, now) = (window.bytes(), window.rate.since);
        (1..PATIENCE).for_each(|tick| window.follow(now + TICK * tick));
        assert_eq!(window.bytes(), before);
        (PATIENCE..PATIENCE * 10).for_each(|tick| window.follow(now + TICK * tick));
        assert!(window.bytes() < before / 4);
    }
}
