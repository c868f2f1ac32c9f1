//! How much may be under way.
//!
//! Three numbers describe a line: the rate at which it delivers (the highest of the last rounds), its round trip without a queue
//! (the shortest of the last five seconds), and the share of the packets that it loses whatever is sent (the smallest of the
//! last rounds). A round is the time in which all that is under way at its start arrives.
//!
//! Rate × round trip fits on the line. In turns the window is a quarter above that, to see whether more arrives (`Up`), below,
//! so that the queue which may have come of it empties (`Down`), and for six rounds slightly above (`Cruise`). quinn paces
//! by the window: a quarter faster than a window per round trip.
//!
//! Loss counts as congestion only if it exceeds by [`EXCESS`] what the line loses anyway: then the window is bounded below
//! what was under way, and the bound is raised again as long as that goes well.

use std::time::Duration;

use super::delivery::{Delivery, Sample};
use super::filter::Largest;

/// Packets at the start, as widespread senders have it; quinn spreads them over a round trip.
const INITIAL: u64 = 64;

/// Packets that may always be under way.
const LEAST: u64 = 4;

/// The rate is the highest of so many rounds: one cycle of the phases and a little.
const RATE_ROUNDS: u64 = 10;

/// The usual loss is the smallest of so many rounds: two cycles.
const LOSS_ROUNDS: u64 = 20;

/// Loss beyond the usual share that counts as congestion. Fewer packets may be chance, and so may be this many standard
/// deviations.
const EXCESS: f64 = 0.05;
const CHANCE: u64 = 8;
const DEVIATIONS: f64 = 1.5;

/// What is left of the window on congestion.
const BACK_OFF: f64 = 0.85;

/// Startup doubles the window each round, and never holds more than this many times what fits: the smallest factor that
/// allows doubling (2 / ln 2).
const STARTUP_GAIN: f64 = 2.885;

/// Startup ends when the rate has grown by less than this in each of some rounds.
const GROWTH: f64 = 1.25;
const ROUNDS_WITHOUT_GROWTH: u32 = 3;

/// A rate that has grown by this in a probe is probed again at once.
const WORTHWHILE: f64 = 1.1;

const UP_GAIN: f64 = 1.25;
const CRUISE_GAIN: f64 = 1.1;
const DOWN_GAIN: f64 = 0.9;
const CRUISE_ROUNDS: u64 = 6;

/// A round trip is measured anew if none as short has been seen for this time: with half a window for a while.
const ROUND_TRIP_LIFE: Duration = Duration::from_secs(5);
const ROUND_TRIP_PROBE: Duration = Duration::from_millis(200);

/// A round trip that has become longer by this is that of another route.
const LONGER: f64 = 1.5;

/// Timers and threads are late by some milliseconds.
const SLACK: Duration = Duration::from_millis(2);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Faster each round, until the rate stops growing.
    Startup {
        /// The highest rate so far, and for how many rounds it has hardly grown.
        best: f64,
        stalled: u32,
    },
    /// The queue that startup has left empties.
    Drain,
    Up {
        /// The rate before.
        before: f64,
        since: u64,
    },
    Down {
        before: f64,
        since: u64,
    },
    Cruise {
        since: u64,
    },
    /// Little under way, so that the round trip without a queue can be seen.
    RoundTrip {
        until: Duration,
        since: u64,
    },
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Model {
    mtu: u64,
    phase: Phase,
    delivery: Delivery,
    rate: Largest,
    /// The shortest round trip, and when one about as short was last seen.
    round_trip: Option<Duration>,
    seen: Duration,
    /// The shortest since then.
    since_seen: Option<Duration>,
    round: u64,
    /// The round ends when what is sent after so much has arrived is acknowledged.
    round_ends: u64,
    losses: Losses,
    bunches: Bunches,
    bound: Option<u64>,
    window: u64,
    /// The largest window of this round and of the one before, in which what this round loses was sent.
    largest: [u64; 2],
}

impl Model {
    pub fn new(mtu: u64) -> Self {
        Self {
            mtu,
            phase: Phase::Startup { best: 0.0, stalled: 0 },
            delivery: Delivery::new(),
            rate: Largest::of_last(RATE_ROUNDS),
            round_trip: None,
            seen: Duration::ZERO,
            since_seen: None,
            round: 0,
            round_ends: 0,
            losses: Losses::new(),
            bunches: Bunches::new(),
            bound: None,
            window: INITIAL * mtu,
            largest: [0; 2],
        }
    }

    pub fn window(&self) -> u64 {
        self.window
    }

    pub fn initial_window(&self) -> u64 {
        INITIAL * self.mtu
    }

    pub fn set_mtu(&mut self, mtu: u64) {
        self.mtu = mtu;
        self.window = self.window.max(LEAST * mtu);
    }

    /// Packets were sent.
    pub fn sent(&mut self, now: Duration) {
        self.delivery.sent(now);
    }

    /// A packet that was sent at `sent` was acknowledged.
    pub fn acked(&mut self, now: Duration, sent: Duration, bytes: u64) {
        self.delivery.acked(now, sent, bytes);
    }

    /// Packets did not arrive.
    pub fn lost(&mut self, bytes: u64) {
        self.losses.lost += bytes;
    }

    /// A router marked packets instead of dropping them (ECN).
    pub fn marked(&mut self) {
        self.losses.marked = true;
    }

    /// Nothing has arrived for so long that what is known may not hold any more.
    pub fn restart(&mut self) {
        self.phase = Phase::Startup { best: 0.0, stalled: 0 };
        self.rate.clear();
        self.bound = None;
        self.window = LEAST * self.mtu;
    }

    /// All acknowledgements of a packet have been taken.
    pub fn update(&mut self, now: Duration, in_flight: u64, app_limited: bool) {
        let Some(sample) = self.delivery.sample(now, in_flight, app_limited) else { return };
        self.losses.acked += sample.acked;
        let is_new_round = sample.delivered_before >= self.round_ends;
        if is_new_round {
            self.round += 1;
            self.round_ends = self.delivery.delivered();
        }
        self.measure(now, &sample);
        let is_congested = is_new_round && self.losses.round_over(self.round, self.mtu);
        if is_congested {
            self.back_off();
        }
        if is_new_round {
            self.largest = [self.window, self.largest[0]];
        }
        self.advance(now, in_flight, is_new_round, sample.app_limited, is_congested);
        self.set_window(sample.acked);
    }

    fn measure(&mut self, now: Duration, sample: &Sample) {
        if !sample.app_limited || self.rate.get().is_none_or(|rate| sample.rate > rate) {
            self.rate.add(self.round, sample.rate);
        }
        let bunch = self.rate.get().map_or(0.0, |rate| self.bunches.bunched(now, sample.acked, rate));
        self.bunches.largest.add(self.round, bunch);
        let nearly = |shortest: Duration| sample.round_trip <= shortest + shortest / 50 + SLACK / 4;
        self.since_seen = Some(self.since_seen.map_or(sample.round_trip, |least| least.min(sample.round_trip)));
        match self.round_trip {
            Some(shortest) if !nearly(shortest) => {}
            shortest => {
                self.round_trip = Some(shortest.map_or(sample.round_trip, |least| least.min(sample.round_trip)));
                self.seen = now;
                self.since_seen = None;
            }
        }
    }

    /// Congestion: less than was under way from now on.
    fn back_off(&mut self) {
        let left = (self.largest[1] as f64 * BACK_OFF) as u64;
        self.bound = Some(left.max(LEAST * self.mtu));
    }

    fn advance(&mut self, now: Duration, in_flight: u64, is_new_round: bool, app_limited: bool, is_congested: bool) {
        let rate = self.rate.get().unwrap_or(0.0);
        let round = self.round;
        let drained = in_flight <= self.fits(1.0).max(LEAST * self.mtu);
        let down = |before| Phase::Down { before, since: round };
        self.phase = match self.phase {
            Phase::Startup { .. } if is_congested => Phase::Drain,
            Phase::Startup { best, stalled } if is_new_round && !app_limited => {
                if rate >= best * GROWTH {
                    Phase::Startup { best: rate, stalled: 0 }
                } else if stalled + 1 < ROUNDS_WITHOUT_GROWTH {
                    Phase::Startup { best, stalled: stalled + 1 }
                } else {
                    Phase::Drain
                }
            }
            Phase::Drain if drained => Phase::Cruise { since: round },
            Phase::Up { before, .. } if is_congested => down(before),
            Phase::Up { before, since } if round > since => {
                self.raise_bound();
                down(before)
            }
            Phase::Down { before, since } if round > since && drained => {
                if rate >= before * WORTHWHILE && !is_congested {
                    Phase::Up { before: rate, since: round }
                } else {
                    Phase::Cruise { since: round }
                }
            }
            Phase::Cruise { .. } if now.saturating_sub(self.seen) > ROUND_TRIP_LIFE => {
                self.since_seen = None;
                Phase::RoundTrip { until: now + ROUND_TRIP_PROBE, since: round }
            }
            Phase::Cruise { since } if round >= since + CRUISE_ROUNDS => Phase::Up { before: rate, since: round },
            Phase::RoundTrip { until, since } if now >= until && round > since => self.round_trip_seen(now),
            phase @ (Phase::Startup { .. }
            | Phase::Drain
            | Phase::Up { .. }
            | Phase::Down { .. }
            | Phase::Cruise { .. }
            | Phase::RoundTrip { .. }) => phase,
        };
    }

    /// The round trip has been seen without a queue of ours.
    fn round_trip_seen(&mut self, now: Duration) -> Phase {
        let before = self.round_trip;
        self.round_trip = self.since_seen.take().or(before);
        self.seen = now;
        let is_longer = |(now, before): (Duration, Duration)| now > before.mul_f64(LONGER);
        if self.round_trip.zip(before).is_some_and(is_longer) {
            // The window was far too small for a while, and with it the rate.
            Phase::Startup { best: 0.0, stalled: 0 }
        } else {
            Phase::Cruise { since: self.round }
        }
    }

    /// A probe went well: the bound was too tight by as much.
    fn raise_bound(&mut self) {
        let far = self.fits(2.0);
        self.bound = self.bound.map(|bound| (bound as f64 * UP_GAIN) as u64).filter(|bound| *bound < far);
    }

    /// Bytes under way at this multiple of what fits on the line.
    fn fits(&self, gain: f64) -> u64 {
        let (Some(rate), Some(round_trip)) = (self.rate.get(), self.round_trip) else { return INITIAL * self.mtu };
        (rate * round_trip.as_secs_f64() * gain) as u64
    }

    fn set_window(&mut self, acked: u64) {
        let rate = self.rate.get().unwrap_or(0.0);
        let late = (rate * SLACK.as_secs_f64()).max(self.bunches.largest.get().unwrap_or(0.0)) as u64;
        let (target, bound_gain) = match self.phase {
            Phase::Startup { .. } => ((self.fits(STARTUP_GAIN) + late).max(INITIAL * self.mtu), 1.0),
            Phase::Drain => (self.fits(DOWN_GAIN), 1.0),
            Phase::Up { .. } => (self.fits(UP_GAIN) + late, UP_GAIN),
            Phase::Down { .. } => (self.fits(DOWN_GAIN) + late, 1.0),
            Phase::Cruise { .. } => (self.fits(CRUISE_GAIN) + late, 1.0),
            Phase::RoundTrip { .. } => (self.fits(0.5), 1.0),
        };
        let bound = self.bound.map_or(u64::MAX, |bound| (bound as f64 * bound_gain) as u64);
        self.window = target.min(self.window + acked).min(bound).max(LEAST * self.mtu);
        self.largest[0] = self.largest[0].max(self.window);
    }
}

/// What a round lost.
#[derive(Clone, Debug)]
struct Losses {
    acked: u64,
    lost: u64,
    marked: bool,
    /// The largest share that arrived.
    arrives: Largest,
}

impl Losses {
    fn new() -> Self {
        Self { acked: 0, lost: 0, marked: false, arrives: Largest::of_last(LOSS_ROUNDS) }
    }

    /// Whether it lost so much more than usual that a queue must have overflowed, or a router said so.
    fn round_over(&mut self, round: u64, mtu: u64) -> bool {
        let (acked, lost) = (std::mem::take(&mut self.acked), std::mem::take(&mut self.lost));
        let marked = std::mem::take(&mut self.marked);
        if acked + lost == 0 {
            return marked;
        }
        let arrived = acked as f64 / (acked + lost) as f64;
        let usual = self.arrives.get().unwrap_or(1.0);
        // A round of few packets says nothing about what is usual.
        if acked + lost >= INITIAL * mtu {
            self.arrives.add(round, arrived);
        }
        let packets = ((acked + lost) / mtu).max(1) as f64;
        let chance = DEVIATIONS * ((1.0 - arrived) / packets).sqrt();
        marked || (lost >= CHANCE * mtu && usual - arrived > EXCESS + chance)
    }
}

/// Acknowledgements that come bunched, as over Wi-Fi: between two bunches the window must not run out.
#[derive(Clone, Debug)]
struct Bunches {
    since: Duration,
    acked: u64,
    largest: Largest,
}

impl Bunches {
    fn new() -> Self {
        Self { since: Duration::ZERO, acked: 0, largest: Largest::of_last(RATE_ROUNDS) }
    }

    /// Bytes that have been acknowledged ahead of the rate.
    fn bunched(&mut self, now: Duration, acked: u64, rate: f64) -> f64 {
        let due = |since: Duration| now.saturating_sub(since).as_secs_f64() * rate;
        if self.acked as f64 <= due(self.since) {
            self.since = now;
            self.acked = 0;
        }
        self.acked += acked;
        (self.acked as f64 - due(self.since)).clamp(0.0, rate * MOST_BUNCHED.as_secs_f64())
    }
}

/// Longer than any radio holds acknowledgements back on purpose.
const MOST_BUNCHED: Duration = Duration::from_millis(30);
