//! Replacing links: a better way in place of a fallback path, and another link in place of one that seems dead.
//!
//! The present link stays until the new one is up, so the transfer goes on meanwhile and loses no piece.

use crate::domain::Domain;
use crate::domain::clock::Timer;
use crate::domain::live::Seeking;
use crate::domain::outbox::{Ask, Subject};
use crate::domain::view::bytes;
use crate::effect::{Effect, Event, LinkTag};
use crate::ids::{FullJid, TransferId};
use crate::input::Attempt;
use crate::limits::{ATTEMPTS, RETRY_MAX};
use crate::session::ServerServices;
use crate::signal::Candidate;
use crate::transfer::{Direction, Transfer};
use crate::way::Way;

/// First search for a better way, in milliseconds after the link came up; the interval doubles each time.
const FIRST_LOOK: u64 = 10_000;

/// Longest interval between two searches, in milliseconds. A new address on either side starts one at once.
const LAST_LOOK: u64 = 300_000;

/// Debounce, in milliseconds: addresses change in bursts, so search this long after the last change.
const SETTLED: u64 = 500;

impl Domain {
    /// The way of the present link.
    pub(super) fn in_use(&self, id: TransferId) -> Option<Way> {
        self.live.get(&id).filter(|live| live.link.is_some()).and_then(|live| live.way)
    }

    /// The way of the present link, if only a better one is sought.
    pub(super) fn wants_better_than(&self, id: TransferId) -> Option<Way> {
        self.live.get(&id).filter(|live| live.seeking == Some(Seeking::Better)).and(self.in_use(id))
    }

    /// Whether a link, or another one than the present, is sought.
    pub(super) fn wants_link(&self, transfer: &Transfer) -> bool {
        !transfer.linked() || self.live.get(&transfer.id).is_some_and(|live| live.seeking.is_some())
    }

    /// Our own addresses have changed: what goes by a fallback path, or by no link at all, tries again.
    pub(super) fn candidates_changed(&mut self, candidates: Vec<Candidate>) {
        if self.reach.candidates_changed(candidates) {
            self.try_all_again();
            self.outbox.hurry_all();
        }
    }

    /// What our server does for links is known, or has changed.
    pub(super) fn server_offers(&mut self, services: ServerServices) {
        if self.reach.server_changed(services) {
            self.try_all_again();
        }
    }

    fn try_all_again(&mut self) {
        let agreed = self.transfers.ours().filter(|t| t.agreed());
        let agreed: Vec<(TransferId, bool)> = agreed.map(|t| (t.id, t.linked())).collect();
        for (id, linked) in agreed {
            if linked {
                self.live(id).better.times = 0;
                self.look_after(id, SETTLED);
            } else if self.live(id).granted.is_none() {
                self.live(id).backoff.reset();
                self.seek_after(id, SETTLED);
            } else if self.has_news(id) {
                // The search begins anew with it, less and less often where addresses come and go.
                let wait = self.live(id).backoff.fail() / 2;
                self.seek_after(id, wait.max(SETTLED));
            }
        }
    }

    /// Schedules the next search for a better way. The receiver searches periodically; the sender only when its addresses
    /// change.
    pub(super) fn look_for_better(&mut self, id: TransferId) {
        let incoming = self.transfers.get(&id).is_some_and(|t| t.direction() == Direction::In);
        if incoming {
            let wait = FIRST_LOOK.saturating_mul(1 << self.live(id).better.times.min(16)).min(LAST_LOOK);
            self.look_after(id, wait);
        }
    }

    fn look_after(&mut self, id: TransferId, wait: u64) {
        let better = |way: Way| Way::ALL.into_iter().any(|other| other < way && self.settings.ways.allows(other));
        let dead = self.live.get(&id).is_some_and(|live| live.stalled);
        if self.in_use(id).is_some_and(|way| dead || way.is_fallback() && better(way)) {
            let at = self.now.mono.after(wait);
            self.live(id).better.at = Some(at);
            self.timers.set(at, Timer::Better(id));
        }
    }

    pub(super) fn better_when_due(&mut self, id: TransferId) {
        let Some(live) = self.live.get_mut(&id) else { return };
        if live.better.at.is_none_or(|at| at > self.now.mono) {
            return;
        }
        live.better.at = None;
        live.better.times = live.better.times.saturating_add(1);
        let stalled = live.stalled;
        self.seek_other(id, if stalled { Seeking::Replacement } else { Seeking::Better });
        // In case the request remains without any outcome.
        if stalled { self.look_after(id, RETRY_MAX) } else { self.look_for_better(id) }
    }

    /// A link delivers nothing although we wait for data.
    pub(super) fn link_stalled(&mut self, link: LinkTag) {
        let Some(id) = self.links.own(link) else { return };
        self.live(id).stalled = true;
        self.seek_other(id, Seeking::Replacement);
        self.look_after(id, RETRY_MAX);
    }

    /// Asks for another link while there is one.
    fn seek_other(&mut self, id: TransferId, seeking: Seeking) {
        let Some(transfer) = self.transfers.our(id) else { return };
        if !transfer.linked() || transfer.paused.any() || self.live.get(&id).is_none_or(|live| live.renewed) {
            return;
        }
        let Some(peer) = transfer.peer() else { return };
        let device = FullJid::new(transfer.contact.clone(), peer.resource.clone());
        if self.presence.runs_xbt(&device) && !self.is_blocked(&device) {
            self.live(id).seeking = Some(seeking);
            self.outbox.put(&device, Subject::Transfer(id), Ask::Connect);
        }
    }

    /// The present link stays.
    pub(super) fn nothing_better(&mut self, id: TransferId, attempts: Vec<Attempt>) {
        let in_use = self.in_use(id);
        let Some(live) = self.live.get_mut(&id) else { return };
        live.renewed = false;
        live.seeking = None;
        live.stream_id = None;
        let again = if live.stalled { live.backoff.fail() } else { 0 };
        if !attempts.is_empty() {
            live.attempts = attempts.into_iter().filter(|attempt| in_use.is_none_or(|way| attempt.way < way)).collect();
            self.push(Effect::Emit(Event::Transfer(id)));
        }
        if again > 0 {
            self.look_after(id, again);
        }
    }

    /// The failed attempts, bounded, with the reasons that only the rules know.
    pub(super) fn explained(&self, id: TransferId, mut attempts: Vec<Attempt>) -> Vec<Attempt> {
        let size = self.transfers.get(&id).and_then(|t| t.facts.as_ref()).map_or(0, |facts| facts.size);
        let limit = self.settings.in_band_max_size;
        if self.settings.ways.in_band && size > limit {
            let (size, limit) = (bytes(size), bytes(limit));
            let reason = format!("{size} are too much to go through the XMPP server (in_band_max_size is {limit})");
            attempts.retain(|attempt| attempt.way != Way::InBand);
            attempts.truncate(ATTEMPTS - 1);
            attempts.push(Attempt { way: Way::InBand, reason });
        }
        attempts.truncate(ATTEMPTS);
        attempts
    }
}
