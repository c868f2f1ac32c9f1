//! Timer-driven work.

use std::collections::BTreeSet;

use crate::domain::Domain;
use crate::ids::{BareJid, FullJid, TransferId};
use crate::time::Mono;

/// What to check. An outdated timer does no harm: its handler looks at the state first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Try again to get a link.
    Seek(TransferId),
    /// Look for a better way than the one in use.
    Better(TransferId),
    /// Try again to get links with introduced devices.
    Introduced(TransferId),
    /// The offer may have expired.
    Expire(TransferId),
    /// The contact has had time to show an xbt device.
    Courtesy(TransferId),
    /// Sync with this device once more.
    Confirm(FullJid),
    /// Requests to this device were put off.
    Outbox(FullJid),
    /// Notices of this contact may have been held back.
    Notices(BareJid),
    /// Another schedule may hold.
    Schedule,
}

/// The timers in the order of their moments.
#[derive(Default)]
pub(super) struct Timers(BTreeSet<(Mono, Timer)>);

impl Timers {
    pub(super) fn next(&self) -> Option<Mono> {
        self.0.first().map(|(at, _)| *at)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn set(&mut self, at: Mono, timer: Timer) {
        self.0.insert((at, timer));
    }

    fn due(&mut self, now: Mono) -> Option<Timer> {
        let due = self.0.first().is_some_and(|(at, _)| *at <= now);
        if due { self.0.pop_first().map(|(_, timer)| timer) } else { None }
    }
}

/// Longest wait for a moment on the wall clock without reading that clock again, in milliseconds.
pub(super) const WALL_CHECK: i64 = 3_600_000;

impl Domain {
    pub(super) fn run_timers(&mut self) {
        while let Some(timer) = self.timers.due(self.now.mono) {
            match timer {
                Timer::Seek(id) => self.seek_when_due(id),
                Timer::Better(id) => self.better_when_due(id),
                Timer::Introduced(id) => self.introduced_when_due(id),
                Timer::Expire(id) => self.expire_when_due(id),
                Timer::Courtesy(id) => self.courtesy_when_due(id),
                Timer::Confirm(device) => self.confirm_when_due(&device),
                Timer::Outbox(device) => self.outbox_when_due(&device),
                Timer::Notices(contact) => self.notices_when_due(contact),
                Timer::Schedule => self.schedule_when_due(),
            }
        }
    }

    /// Sets the timer for an offer's end. The wall clock may jump, so it is read again at least every hour.
    pub(super) fn watch_expiry(&mut self, id: TransferId) {
        let Some(expires) = self.transfers.get(&id).and_then(|t| t.expires) else { return };
        let wait = (expires.0 - self.now.wall.0).clamp(1, WALL_CHECK);
        self.timers.set(self.now.mono.after(wait.unsigned_abs()), Timer::Expire(id));
    }
}
