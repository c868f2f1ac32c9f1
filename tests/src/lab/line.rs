//! A long line: what it does to packets, without sockets or clocks. `src/bin/line.rs` puts one between two devices.
//!
//! Machines for tests have no netem, so a program of ours delays, paces, drops and reorders.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::content::Noise;

/// A line between a side and the public network. Both directions are alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Megabits per second that pass.
    pub rate: f64,
    /// What a packet takes from one end to the other once it is on the line, in milliseconds.
    pub delay: f64,
    /// Packets that are lost on the way, in percent.
    pub loss: f64,
    /// How much may wait for its turn, in milliseconds at `rate`; what comes on top is dropped (drop-tail).
    pub queue: f64,
    /// Packets that arrive late, behind those sent after them, in percent.
    pub reorder: f64,
}

/// How late a reordered packet is at most.
const LATE: Duration = Duration::from_millis(10);

impl Line {
    /// A line without loss, and a queue of half a second.
    pub const fn new(rate: f64, delay: f64) -> Self {
        Self { rate, delay, loss: 0.0, queue: 500.0, reorder: 0.0 }
    }

    /// Loses packets, in percent.
    pub const fn losing(self, loss: f64) -> Self {
        Self { loss, ..self }
    }
}

/// `rate,delay[,loss[,queue[,reorder]]]`, as on the command line of `make lab`.
impl FromStr for Line {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let usage = || format!("{text:?} is no line: rate,delay[,loss[,queue[,reorder]]] in Mbit/s, ms, %, ms, %");
        let numbers: Vec<f64> = text.split(',').map(str::parse).collect::<Result<_, _>>().map_err(|_| usage())?;
        if !(2..=5).contains(&numbers.len())
            || numbers[0] <= 0.0
            || numbers.iter().any(|number| number.is_nan() || *number < 0.0)
        {
            return Err(usage());
        }
        let plain = Self::new(numbers[0], numbers[1]);
        let or = |at: usize, usual| numbers.get(at).copied().unwrap_or(usual);
        Ok(Self { loss: or(2, 0.0), queue: or(3, plain.queue), reorder: or(4, 0.0), ..plain })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rate, delay, loss, queue, reorder } = self;
        write!(f, "{rate},{delay},{loss},{queue},{reorder}")
    }
}

/// What one direction has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that arrived.
    pub delivered: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Packets that were lost on the way.
    pub lost: u64,
    /// Packets that found the queue full.
    pub dropped: u64,
}

/// A packet under way: when it arrives, its place among those that arrive at the same time, and its bytes.
type Flying = Reverse<(Duration, u64, Vec<u8>)>;

/// One direction of a line. Times are since any moment that stays the same.
#[derive(Debug)]
pub struct Direction {
    line: Line,
    noise: Noise,
    /// When the last packet has left the queue.
    busy_until: Duration,
    flying: BinaryHeap<Flying>,
    taken: u64,
    counts: Counts,
}

impl Direction {
    /// An empty one; the same seed loses the same packets.
    pub fn new(line: Line, seed: u64) -> Self {
        let (noise, flying) = (Noise::new(seed), BinaryHeap::new());
        Self { line, noise, busy_until: Duration::ZERO, flying, taken: 0, counts: Counts::default() }
    }

    /// A packet comes to this end.
    pub fn take(&mut self, packet: &[u8], now: Duration) {
        let starts = self.busy_until.max(now);
        let ends = starts + Duration::from_secs_f64(packet.len() as f64 * 8.0 / (self.line.rate * 1e6));
        if ends - now > millis(self.line.queue) + (ends - starts) {
            self.counts.dropped += 1;
            return;
        }
        self.busy_until = ends;
        if self.happens(self.line.loss) {
            self.counts.lost += 1;
            return;
        }
        let late = if self.happens(self.line.reorder) { LATE.mul_f64(self.share()) } else { Duration::ZERO };
        self.taken += 1;
        self.flying.push(Reverse((ends + millis(self.line.delay) + late, self.taken, packet.to_vec())));
    }

    /// When the next packet arrives, if one is under way.
    pub fn next(&self) -> Option<Duration> {
        self.flying.peek().map(|Reverse((due, ..))| *due)
    }

    /// The next packet that has arrived.
    pub fn give(&mut self, now: Duration) -> Option<Vec<u8>> {
        self.next().filter(|due| *due <= now)?;
        let Reverse((.., packet)) = self.flying.pop()?;
        self.counts.delivered += 1;
        self.counts.bytes += packet.len() as u64;
        Some(packet)
    }

    /// What it has done so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Uniform, from 0 to 1.
    fn share(&mut self) -> f64 {
        (self.noise.number() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn happens(&mut self, percent: f64) -> bool {
        percent > 0.0 && self.share() * 100.0 < percent
    }
}

fn millis(number: f64) -> Duration {
    Duration::from_secs_f64(number / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: [u8; 1250] = [7; 1250]; // 10,000 bits: 1 ms at 10 Mbit/s

    fn arrivals(direction: &mut Direction) -> Vec<Duration> {
        std::iter::from_fn(|| {
            let due = direction.next()?;
            direction.give(due).map(|_| due)
        })
        .collect()
    }

    #[test]
    fn packets_leave_at_the_rate_and_arrive_after_the_delay() {
        let mut direction = Direction::new(Line::new(10.0, 50.0), 1);
        (0..3).for_each(|_| direction.take(&PACKET, Duration::ZERO));
        assert!(direction.give(Duration::from_micros(50_999)).is_none());
        assert_eq!(arrivals(&mut direction), [51, 52, 53].map(Duration::from_millis));
        assert_eq!(direction.counts(), Counts { delivered: 3, bytes: 3750, lost: 0, dropped: 0 });
    }

    #[test]
    fn what_finds_the_queue_full_is_dropped_and_there_is_room_again_later() {
        let mut direction = Direction::new(Line { queue: 5.0, ..Line::new(10.0, 0.0) }, 1);
        (0..10).for_each(|_| direction.take(&PACKET, Duration::ZERO));
        assert_eq!(direction.counts().dropped, 4, "one on the line and five in the queue");
        direction.take(&PACKET, Duration::from_millis(3));
        assert_eq!((direction.counts().dropped, arrivals(&mut direction).len()), (4, 7));
    }

    #[test]
    fn a_share_of_the_packets_is_lost_and_the_same_with_the_same_seed() {
        let lost = |seed| {
            let mut direction = Direction::new(Line::new(1e6, 1.0).losing(2.0), seed);
            (0..100_000).for_each(|_| direction.take(&PACKET, Duration::ZERO));
            direction.counts().lost
        };
        assert!((1_800..2_200).contains(&lost(1)), "{}", lost(1));
        assert_eq!((lost(7), lost(8) == lost(7)), (lost(7), false));
    }

    #[test]
    fn a_reordered_packet_arrives_behind_the_next_one() {
        let mut direction = Direction::new(Line { reorder: 50.0, ..Line::new(1000.0, 20.0) }, 3);
        for number in 0..100u8 {
            direction.take(&[number; 100], Duration::ZERO);
        }
        let order: Vec<u8> = std::iter::from_fn(|| direction.give(Duration::from_secs(1))).map(|p| p[0]).collect();
        assert_eq!(order.len(), 100);
        assert!(!order.is_sorted());
    }

    #[test]
    fn a_line_is_written_as_it_is_read() {
        let line: Line = "100,50,0.1".parse().unwrap();
        assert_eq!(line, Line::new(100.0, 50.0).losing(0.1));
        assert_eq!(line.to_string().parse(), Ok(line));
        for wrong in ["", "100", "0,1", "1,2,3,4,5,6", "1,-2", "1,x", "1,NaN"] {
            assert!(wrong.parse::<Line>().is_err(), "{wrong}");
        }
    }
}
