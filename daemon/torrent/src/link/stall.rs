//! Detects links that stall while data is awaited.

use std::time::Duration;

use tokio::time::Instant;

use super::{Link, Report};
use crate::event::Event;

/// A link stalls after this long without awaited data.
const STALL: Duration = Duration::from_secs(4);

/// One for each direction.
#[derive(Default)]
pub(super) struct Stall {
    receiving: Awaited,
    sending: Awaited,
    /// Not reported to the caller yet.
    unreported: bool,
}

/// A counter that should grow.
#[derive(Default)]
struct Awaited {
    amount: u64,
    /// Since when it has been awaited without growing; `None` while nothing is.
    since: Option<Instant>,
    /// Reported, and has not grown since.
    told: bool,
}

impl Awaited {
    /// True once for each stall.
    fn look(&mut self, now: Instant, awaited: bool, amount: u64) -> bool {
        if amount != self.amount {
            (self.amount, self.told, self.since) = (amount, false, None);
        }
        if !awaited {
            self.since = None;
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let stalled = !self.told && now.duration_since(since) >= STALL;
        self.told |= stalled;
        stalled
    }
}

impl Stall {
    /// We do not read at the moment.
    pub(super) fn held_up(&mut self, now: Instant) {
        if let Some(since) = &mut self.receiving.since {
            *since = now;
        }
    }
}

impl Link {
    /// Whether the timer has work.
    pub(super) fn is_busy(&self) -> bool {
        self.is_waiting() || self.downloads.is_busy() || self.send_queue.is_busy() || self.progress() != self.told
    }

    fn is_waiting(&self) -> bool {
        self.downloads.is_open() || self.incoming.as_ref().is_some_and(super::metadata::Incoming::is_open)
    }

    /// Reports a stall to the swarm, which may use another link, and to the caller, who may find another way.
    pub(super) fn watch(&mut self, now: Instant) {
        let received = self.downloads.heard + self.metadata_blocks;
        if self.stall.receiving.look(now, self.is_waiting(), received) {
            self.stall.unreported = true;
            self.pending.push(Report::Stalled);
        }
        self.stall.unreported |= self.stall.sending.look(now, self.sending.is_writing(), self.sending.accepted());
        // If the caller is behind, it is reported later, provided it is still true.
        self.stall.unreported &= self.stall.receiving.told || self.stall.sending.told;
        if self.stall.unreported && self.shared.try_emit(Event::LinkStalled { key: self.key, tag: self.tag }) {
            self.stall.unreported = false;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stall_is_seen_once_and_again_only_after_something_came() {
        let (mut awaited, start) = (Awaited::default(), Instant::now());
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
        assert!(!awaited.look(at(0.0), false, 0) && !awaited.look(at(9.0), false, 0), "nothing is awaited");
        assert!(!awaited.look(at(10.0), true, 0) && !awaited.look(at(13.9), true, 0));
        assert!(awaited.look(at(14.0), true, 0) && !awaited.look(at(30.0), true, 0));
        assert!(!awaited.look(at(31.0), false, 0), "asked for elsewhere");
        assert!(!awaited.look(at(32.0), true, 0) && !awaited.look(at(40.0), true, 0), "still the same stall");
        assert!(!awaited.look(at(41.0), true, 1) && !awaited.look(at(44.9), true, 1));
        assert!(awaited.look(at(45.0), true, 1));
    }
}
