//! What is known of a transfer only while the daemon runs: progress, link, rate, retries.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::turns::Pair;
use crate::effect::LinkTag;
use crate::ids::{Fingerprint, TransferId};
use crate::input::Attempt;
use crate::limits::{RETRY_FIRST, RETRY_MAX};
use crate::signal::{Candidate, Reach};
use crate::time::Mono;
use crate::way::Way;

/// Exponential backoff.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Counts a failure and says how long to wait: 1 s, 2 s, 4 s … 60 s.
    pub(super) fn fail(&mut self) -> u64 {
        self.fail_up_to(RETRY_MAX)
    }

    /// The same up to another longest wait, in milliseconds.
    pub(super) fn fail_up_to(&mut self, most: u64) -> u64 {
        let wait = RETRY_FIRST.saturating_mul(1 << self.failures.min(16)).min(most);
        self.failures = self.failures.saturating_add(1);
        wait
    }

    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Bytes per second, averaged over some seconds.
#[derive(Clone, Copy, Debug, Default)]
struct Meter {
    last: Option<(Mono, u64)>,
    rate: f64,
}

/// Shortest span over which a rate is measured, in milliseconds.
const SPAN: u64 = 200;
/// No rate in the first second, in milliseconds: the first pieces complete in a burst.
const FIRST: u64 = 1_000;
/// Without progress for this long the rate is 0, in milliseconds.
const STALE: u64 = 3_000;
/// Time constant of the moving average, in milliseconds.
const SMOOTH: f64 = 1_500.0;

impl Meter {
    fn feed(&mut self, now: Mono, bytes: u64) {
        let Some((then, before)) = self.last.filter(|(_, before)| *before <= bytes) else {
            self.last = Some((now, bytes));
            return;
        };
        let span = now.since(then);
        if span < if self.rate == 0.0 { FIRST } else { SPAN } {
            return;
        }
        let current = (bytes - before) as f64 * 1000.0 / span as f64;
        let weight = if self.rate == 0.0 { 1.0 } else { 1.0 - (-(span as f64) / SMOOTH).exp() };
        self.rate += (current - self.rate) * weight;
        self.last = Some((now, bytes));
    }

    fn rate(&self, now: Mono) -> u64 {
        match self.last {
            Some((then, _)) if now.since(then) <= STALE => self.rate as u64,
            Some(_) | None => 0,
        }
    }
}

/// Why we look for another link while there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seeking {
    /// The present one is a fallback path.
    Better,
    /// The present one seems dead: any way will do.
    Replacement,
}

/// The search for a better way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Looking {
    /// Unsuccessful searches since the link came up.
    pub(super) times: u32,
    /// The next search.
    pub(super) at: Option<Mono>,
}

/// Requests in a burst. We dial the addresses that a request names, which must not become an attack on others.
const BURST: u64 = 16;

/// One more request is admitted each time this has passed, in milliseconds. Honest devices ask far more rarely.
const REFILL: u64 = 2_000;

/// Limits how often the other side may ask us for something.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RateLimiter {
    /// When the whole burst is available again.
    full_at: Mono,
}

impl RateLimiter {
    /// Counts a request; false: one too many.
    pub(super) fn admit(&mut self, now: Mono) -> bool {
        let admitted = self.full_at.since(now) <= (BURST - 1) * REFILL;
        if admitted {
            self.full_at = self.full_at.max(now).after(REFILL);
        }
        admitted
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// Bytes hashed (preparing), that the contact has (outgoing) or that are verified here (incoming).
    pub(super) done_bytes: u64,
    meter: Meter,
    /// The link that the engine has for it.
    pub(super) link: Option<LinkTag>,
    /// How it goes, or last went.
    pub(super) way: Option<Way>,
    /// Who relays it.
    pub(super) relay: Option<String>,
    /// xbt-link has a dial request for a device with this key: it counts as one of the links of the pair.
    pub(super) granted: Option<Pair>,
    /// xbt-link admits a device with this key although it has not answered our `connect` yet. It counts as one of the links
    /// of the pair only when there is a link, so that it holds up no other request.
    pub(super) ahead: Option<Fingerprint>,
    /// The dial request is for a link that will replace the present one, whose end we have not noticed yet.
    pub(super) renewed: bool,
    /// Failed attempts, for the present or the next link.
    pub(super) attempts: Vec<Attempt>,
    /// We look for another link while there is one.
    pub(super) seeking: Option<Seeking>,
    /// Nothing has come over the present link for some seconds although something is awaited.
    pub(super) stalled: bool,
    /// For the next look for a better way.
    pub(super) better: Looking,
    /// Names the bytestreams that we open: the same until there is a link or no grant any more, so that crossed
    /// `connect`s speak of the same ones.
    pub(super) stream_id: Option<String>,
    /// The addresses in our last `connect`. The link is dialed with these, so that both sides derive the same targets even
    /// if our addresses change before the answer.
    pub(super) sent_reach: Option<Reach>,
    /// What the other side of the search under way knows of ours.
    pub(super) known_reach: Option<Reach>,
    /// For the next try to get a link.
    pub(super) backoff: Backoff,
    /// When that is.
    pub(super) seek_at: Option<Mono>,
    /// The disk that it goes to, if it was accepted since the daemon started.
    pub(super) disk: Option<u64>,
    /// For requests for a link.
    pub(super) connects: RateLimiter,
    /// Why the other side refused the offer or the link, most recently.
    pub(super) refusal: Option<String>,
    /// It waits for its turn among the links with the device that has this key.
    pub(super) turn: Option<Pair>,
    /// The receiver's addresses that we may pass on to other receivers of the same content.
    pub(super) introducible: Vec<Candidate>,
    /// Other sends of ours whose receivers were introduced to this one's.
    pub(super) introduced_to: BTreeSet<TransferId>,
    /// Devices that were introduced to us, at most [`INTRODUCED_PER_TRANSFER`](crate::limits::INTRODUCED_PER_TRANSFER).
    pub(super) introduced: BTreeMap<Fingerprint, Introduced>,
    /// For introductions.
    pub(super) introductions: RateLimiter,
    /// Payload bytes over earlier links, sent and received.
    past: (u64, u64),
    /// Payload bytes over the present link.
    present: (u64, u64),
}

/// A device that was introduced to us.
#[derive(Debug, Default)]
pub(super) struct Introduced {
    /// Where it may be reached.
    pub(super) candidates: Vec<Candidate>,
    /// A dial request for it is pending.
    pub(super) wanted: bool,
    /// The link that the engine has.
    pub(super) link: Option<LinkTag>,
    /// Failed or lost links since the last one that carried data.
    pub(super) failures: u32,
    /// For the next try to get a link.
    pub(super) seek_at: Option<Mono>,
    /// Payload bytes over the present link, sent and received.
    pub(super) present: (u64, u64),
}

impl Live {
    /// Progress from the engine.
    pub(super) fn progress(&mut self, now: Mono, bytes: u64) {
        self.done_bytes = bytes;
        self.meter.feed(now, bytes);
    }

    /// Counters of the present link.
    pub(super) fn moved(&mut self, uploaded: u64, downloaded: u64) {
        self.stalled &= self.present == (uploaded, downloaded);
        self.present = (uploaded, downloaded);
    }

    /// Bytes went over a link with an introduced device.
    pub(super) fn moved_beside(&mut self, uploaded: u64, downloaded: u64) {
        self.past.0 += uploaded;
        self.past.1 += downloaded;
    }

    /// The present link is gone.
    pub(super) fn unlink(&mut self) {
        self.link = None;
        self.seeking = None;
        self.stalled = false;
        self.better = Looking::default();
        self.past.0 += self.present.0;
        self.past.1 += self.present.1;
        self.present = (0, 0);
        self.meter = Meter::default();
    }

    pub(super) fn view(&self, now: Mono) -> LiveView {
        LiveView {
            done_bytes: self.done_bytes,
            rate: self.meter.rate(now),
            way: self.way.filter(|_| self.link.is_some()),
            relay: self.relay.clone().filter(|_| self.link.is_some()),
            attempts: self.attempts.clone(),
            uploaded: self.past.0 + self.present.0,
            downloaded: self.past.1 + self.present.1,
            introduced: self.introduced.values().filter(|known| known.link.is_some()).count(),
        }
    }
}

/// What people see of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveView {
    /// Bytes hashed (preparing), that the contact has (outgoing) or that are verified here (incoming).
    pub done_bytes: u64,
    /// Bytes per second.
    pub rate: u64,
    /// The way in use.
    pub way: Option<Way>,
    /// The JID of the proxy that relays it, where one does.
    pub relay: Option<String>,
    /// Failed attempts, for the present or the next link.
    pub attempts: Vec<Attempt>,
    /// Payload bytes sent since the daemon started.
    pub uploaded: u64,
    /// Payload bytes received since the daemon started.
    pub downloaded: u64,
    /// Links with other recipients, as the sender has introduced them to us.
    pub introduced: usize,
}
