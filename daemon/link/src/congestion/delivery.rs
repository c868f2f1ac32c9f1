//! How fast packets arrive (draft-cheng-iccrg-delivery-rate-estimation).
//!
//! A rate is measured over the time from the state that a packet was sent in to its acknowledgement: at least a round trip.
//! Over the time between two acknowledgements, which is what quinn's own BBR takes, it would be noise.

use std::collections::VecDeque;
use std::time::Duration;

/// Packets that nobody has acknowledged this long after later ones are lost, and need no record.
const KEPT: Duration = Duration::from_secs(2);

/// Records that are kept at most.
const MOST: usize = 8192;

/// The state that packets were sent in.
#[derive(Clone, Debug)]
struct Burst {
    sent: Duration,
    /// Bytes that had arrived, and when the last of them were acknowledged.
    delivered: u64,
    delivered_at: Duration,
    /// When the packet was sent whose acknowledgement was the last one then.
    first_sent: Duration,
    /// There was less to send than the window allowed.
    app_limited: bool,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    bursts: VecDeque<Burst>,
    delivered: u64,
    delivered_at: Duration,
    first_sent: Duration,
    /// Nothing is under way, so that the time from now on counts and not the pause before.
    idle: bool,
    /// What is sent until so much has arrived fills the line no more than the application does.
    app_limited_until: u64,
    /// What the acknowledgements of this batch tell.
    newest: Option<Burst>,
    acked: u64,
    round_trip: Option<Duration>,
}

/// What one batch of acknowledgements tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    /// Bytes per second.
    pub rate: f64,
    /// The application sent less than it might, so the line may be faster.
    pub app_limited: bool,
    /// The shortest time from a packet to its acknowledgement.
    pub round_trip: Duration,
    /// Bytes in it.
    pub acked: u64,
    /// Bytes that had arrived when the newest packet in it was sent.
    pub delivered_before: u64,
}

impl Delivery {
    pub fn new() -> Self {
        Self {
            bursts: VecDeque::new(),
            delivered: 0,
            delivered_at: Duration::ZERO,
            first_sent: Duration::ZERO,
            idle: true,
            app_limited_until: 0,
            newest: None,
            acked: 0,
            round_trip: None,
        }
    }

    /// Bytes that have arrived.
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Packets were sent.
    pub fn sent(&mut self, now: Duration) {
        if std::mem::take(&mut self.idle) {
            self.first_sent = now;
            self.delivered_at = now;
        }
        if self.bursts.back().is_some_and(|last| last.sent == now) {
            return;
        }
        if self.bursts.len() >= MOST {
            self.bursts.pop_front();
        }
        self.bursts.push_back(Burst {
            sent: now,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent: self.first_sent,
            app_limited: self.delivered < self.app_limited_until,
        });
    }

    /// A packet that was sent at `sent` has arrived.
    pub fn acked(&mut self, now: Duration, sent: Duration, bytes: u64) {
        self.delivered += bytes;
        self.acked += bytes;
        let round_trip = now.saturating_sub(sent);
        self.round_trip = Some(self.round_trip.map_or(round_trip, |shortest| shortest.min(round_trip)));
        let after = self.bursts.partition_point(|burst| burst.sent <= sent);
        let burst = after.checked_sub(1).and_then(|at| self.bursts.get(at)).filter(|burst| burst.sent == sent);
        if let Some(burst) = burst
            && self.newest.as_ref().is_none_or(|newest| newest.sent < burst.sent)
        {
            self.newest = Some(burst.clone());
        }
    }

    /// The batch is complete. `in_flight`: bytes that are still under way.
    pub fn sample(&mut self, now: Duration, in_flight: u64, app_limited: bool) -> Option<Sample> {
        if in_flight == 0 {
            self.idle = true;
        }
        if app_limited {
            self.app_limited_until = self.delivered + in_flight;
        }
        let (acked, round_trip) = (std::mem::take(&mut self.acked), self.round_trip.take());
        let newest = self.newest.take()?;
        self.delivered_at = now;
        self.first_sent = newest.sent;
        while self.bursts.front().is_some_and(|burst| burst.sent + KEPT < newest.sent) {
            self.bursts.pop_front();
        }
        let received_in = now.saturating_sub(newest.delivered_at);
        let sent_in = newest.sent.saturating_sub(newest.first_sent);
        let interval = received_in.max(sent_in).as_secs_f64();
        let rate = if interval > 0.0 { (self.delivered - newest.delivered) as f64 / interval } else { 0.0 };
        Some(Sample {
            rate,
            app_limited: newest.app_limited,
            round_trip: round_trip?,
            acked,
            delivered_before: newest.delivered,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_rate_is_that_of_the_line_however_acknowledgements_are_bunched() {
        let mut delivery = Delivery::new();
        // A packet of 1000 bytes each ms, a round trip of 50 ms; acknowledgements come ten at a time.
        let mut rates = Vec::new();
        for now in 0..300 {
            delivery.sent(ms(now));
            if now >= 60 && now % 10 == 0 {
                (now - 60..now - 50).for_each(|sent| delivery.acked(ms(now), ms(sent), 1000));
                rates.extend(delivery.sample(ms(now), 50_000, false).map(|sample| sample.rate));
            }
        }
        let settled = &rates[10..];
        assert!(settled.iter().all(|rate| (0.9e6..1.1e6).contains(rate)), "1 MB/s: {rates:?}");
    }

    #[test]
    fn a_pause_of_the_application_does_not_count_as_a_slow_line() {
        let mut delivery = Delivery::new();
        delivery.sent(ms(0));
        delivery.acked(ms(50), ms(0), 1000);
        assert!(delivery.sample(ms(50), 0, true).is_some());
        delivery.sent(ms(10_000));
        delivery.acked(ms(10_050), ms(10_000), 1000);
        let sample = delivery.sample(ms(10_050), 0, true).unwrap();
        assert_eq!((sample.rate, sample.round_trip), (20_000.0, ms(50)));
    }

    #[test]
    fn what_was_sent_while_there_was_little_to_send_is_marked() {
        let mut delivery = Delivery::new();
        delivery.sent(ms(0));
        delivery.sent(ms(1));
        delivery.acked(ms(50), ms(0), 1000);
        assert!(!delivery.sample(ms(50), 1000, true).unwrap().app_limited);
        delivery.sent(ms(51));
        delivery.acked(ms(51), ms(1), 1000);
        delivery.sample(ms(51), 1000, false);
        delivery.sent(ms(60));
        delivery.acked(ms(101), ms(51), 1000);
        assert!(delivery.sample(ms(101), 1000, false).unwrap().app_limited);
        delivery.acked(ms(110), ms(60), 1000);
        assert!(!delivery.sample(ms(110), 0, false).unwrap().app_limited);
    }
}
