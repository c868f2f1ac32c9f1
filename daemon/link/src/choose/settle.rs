//! What time brings: choosing a link, dialling again, giving up.

use tokio::time::Instant;
use xbt_core::effect::LinkFor;

use super::room::{REMEMBERED, Room};
use crate::choose::exchange::{self, TalkError};
use crate::choose::parking::{Parked, State};
use crate::choose::requests::Wanted;
use crate::event::reason;
use crate::handshake::Handshake;
use crate::ways::target::way_to;
use crate::{LinkEvent, Way};

impl Room {
    /// Does everything whose time has come. Called after each event; cheap, since wants and parked links are few.
    pub(crate) fn settle(&mut self, now: Instant) {
        for parked in self.parking.take_expired(now) {
            self.parked_in_vain(parked);
        }
        for wanted in self.wants.take_expired(now) {
            self.give_up(wanted);
        }
        let wants = &self.wants;
        self.known.retain(|peer, last| wants.any(*peer) || *last + REMEMBERED > now);
        let purposes: Vec<LinkFor> = self.wants.0.keys().copied().collect();
        for purpose in purposes {
            if let Some((link, at)) = self.choice(purpose)
                && at <= now
            {
                self.speak(purpose, link);
            }
            if self.redial_at(purpose).is_some_and(|at| at <= now) {
                self.dial(purpose);
            }
        }
    }

    /// When [`Self::settle`] has something to do if nothing happens before.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        let wants = self.wants.0.iter().flat_map(|(purpose, wanted)| {
            let choice = self.choice(*purpose).map(|(_, at)| at);
            [Some(wanted.deadline), choice, self.redial_at(*purpose)]
        });
        let parked = self.parking.iter().map(|parked| parked.until);
        wants.flatten().chain(parked).min()
    }

    /// The link that we would take for a want, and when: at once if no better way can be hoped for, else after a
    /// short wait for one. None if it is not ours to choose, or there is nothing to choose from.
    fn choice(&self, purpose: LinkFor) -> Option<(u64, Instant)> {
        let wanted = self.wants.0.get(&purpose)?;
        let peer = wanted.want.peer;
        if wanted.talk.is_some() || !self.speaks_to(peer) {
            return None;
        }
        let is_of_use = |parked: &&Parked| matches!(parked.state, State::Waiting(_)) && wanted.takes(parked.info.way);
        let waiting = || self.parking.of_peer(peer).filter(is_of_use);
        let best = waiting().min_by_key(|parked| (parked.info.way, parked.id))?;
        let first = waiting().map(|parked| parked.since).min()?.max(wanted.since);
        let hoped_for = wanted.best_hoped_for().into_iter().chain(self.best_incoming(wanted)).min();
        let wait_is_vain = hoped_for.is_none_or(|hoped_for| best.info.way <= hoped_for);
        Some((best.id, if wait_is_vain { first } else { first + self.setup.times.better }))
    }

    /// The best way by which the other side may come to us: over IPv6 only if it has told an IPv6 address of its own,
    /// or none at all.
    fn best_incoming(&self, wanted: &Wanted) -> Option<Way> {
        let theirs = &wanted.want.theirs.candidates;
        let is_likely = |way: &Way| theirs.is_empty() || theirs.iter().any(|candidate| way_to(candidate) <= *way);
        self.setup.candidates.borrow().iter().map(way_to).filter(is_likely).filter(|way| wanted.takes(*way)).min()
    }

    fn speak(&mut self, purpose: LinkFor, link: u64) {
        let Some(info_hash) = self.wants.0.get(&purpose).map(|wanted| wanted.want.info_hash) else { return };
        if let Some(Parked { info, state: State::Waiting(stream), .. }) = self.parking.take(link) {
            let ours = Handshake::ours(info_hash, self.setup.peer_id);
            self.talk(purpose, info, exchange::speak(stream, ours, self.setup.times.answer));
        }
    }

    /// When a want dials again: not while a round or a talk is under way, nor while its peer has a link for each want.
    fn redial_at(&self, purpose: LinkFor) -> Option<Instant> {
        let wanted = self.wants.0.get(&purpose).filter(|wanted| wanted.round.is_none() && wanted.talk.is_none())?;
        let at = wanted.redial_at?;
        let peer = wanted.want.peer;
        let open = self.wants.of_peer(peer).filter(|wanted| wanted.talk.is_none()).count();
        (self.parking.of_peer(peer).count() < open).then_some(at)
    }

    fn give_up(&mut self, wanted: Wanted) {
        let (purpose, peer) = (wanted.want.purpose(), wanted.want.peer);
        let LinkFor { transfer, introduced } = purpose;
        let attempts = self.attempts(&wanted, wanted.want.better_than);
        if introduced.is_some() {
            tracing::debug!(%purpose, tried = attempts.len(), "no link with an introduced device in time");
        } else {
            tracing::info!(%transfer, %peer, tried = attempts.len(), "no link in time");
        }
        self.outbox.outcome(purpose, LinkEvent::Failed { transfer, introduced, attempts });
        self.close_unless_wanted(peer);
    }

    /// A parked link's time is up. Dropping it closes it.
    fn parked_in_vain(&mut self, parked: Parked) {
        match parked.state {
            State::Early(..) => self.refuse(&parked.info, reason::NOT_GRANTED),
            State::Heeding { .. } => self.lost(&parked.info, &TalkError::Silent(self.setup.times.parked)),
            // One that both sides dialled and nobody needed.
            State::Waiting(_) if self.known.contains_key(&parked.info.peer) => {}
            State::Waiting(_) => self.refuse(&parked.info, reason::UNKNOWN_DEVICE),
        }
    }
}
