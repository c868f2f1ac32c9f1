//! When a link on which something is awaited brings nothing.

use std::time::Duration;

use tokio::time::Instant;

use super::{Link, Report};
use crate::event::Event;

/// After so long without a byte of what is awaited a link is said to stall.
const STALL: Duration = Duration::from_secs(4);

/// One for each direction.
#[derive(Default)]
pub(super) struct Stall {
    receiving: Awaited,
    sending: Awaited,
    /// The caller is still to be told.
    untold: bool,
}

/// Something that ought to grow.
#[derive(Default)]
struct Awaited {
    amount: u64,
    /// Since when it has been awaited without growing; `None` while nothing is.
    since: Option<Instant>,
    /// It was told, and has not grown since.
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
    /// It is we who do not read.
    pub(super) fn held_up(&mut self, now: Instant) {
        if let Some(since) = &mut self.receiving.since {
            *since = now;
        }
    }
}

impl Link {
    /// Whether there is anything to look at from time to time.
    pub(super) fn is_busy(&self) -> bool {
        self.awaits() || self.downloads.is_busy() || self.outbox.is_busy() || self.progress() != self.told
    }

    fn awaits(&self) -> bool {
        self.downloads.is_open() || self.incoming.as_ref().is_some_and(super::metadata::Incoming::is_open)
    }

    /// Notes a stall, for the swarm, which may have another link, and for the caller, who may find another way.
    pub(super) fn watch(&mut self, now: Instant) {
        let received = self.downloads.heard + self.metadata_blocks;
        if self.stall.receiving.look(now, self.awaits(), received) {
            self.stall.untold = true;
            self.pending.push(Report::Stalled);
        }
        self.stall.untold |= self.stall.sending.look(now, self.sending.is_writing(), self.sending.accepted());
        // A caller who is behind hears of it later, if it is still true.
        self.stall.untold &= self.stall.receiving.told || self.stall.sending.told;
        if self.stall.untold && self.shared.try_emit(Event::LinkStalled { key: self.key, tag: self.tag }) {
            self.stall.untold = false;
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
