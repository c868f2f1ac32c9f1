//! Timer-driven work: choosing a link, dialing again, giving up.

use tokio::time::Instant;
use xbt_core::way::Way;

use super::exchange::{self, ExchangeError};
use super::parking::{Parked, State};
use super::requests::Search;
use super::room::{REMEMBERED, Room};
use crate::event::LinkEvent;
use crate::handshake::Handshake;
use crate::rejection::Rejection;
use crate::ways::target::way_to;
use xbt_core::effect::LinkId;

impl Room {
    /// Does everything that is due. Called after each event; cheap, since requests and parked links are few.
    pub(super) fn settle(&mut self, now: Instant) {
        for parked in self.parking.take_expired(now) {
            self.expired(parked);
        }
        for search in self.requests.take_expired(now) {
            self.give_up(search);
        }
        let requests = &self.requests;
        self.known.retain(|peer, last| requests.any(*peer) || *last + REMEMBERED > now);
        let ids: Vec<LinkId> = self.requests.0.keys().copied().collect();
        for id in ids {
            if let Some((link, at)) = self.choice(id)
                && at <= now
            {
                self.choose(id, link);
            }
            if self.redial_at(id).is_some_and(|at| at <= now) {
                self.dial(id);
            }
        }
    }

    /// When [`Self::settle`] has something to do if nothing happens before.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        let requests = self.requests.0.iter().flat_map(|(id, search)| {
            let choice = self.choice(*id).map(|(_, at)| at);
            [Some(search.deadline), choice, self.redial_at(*id)]
        });
        let parked = self.parking.iter().map(|parked| parked.until);
        requests.flatten().chain(parked).min()
    }

    /// The link that we would choose for a request, and when: at once if no better way can be hoped for, else after a
    /// short wait for one. None if it is not ours to choose, or there is nothing to choose from.
    fn choice(&self, id: LinkId) -> Option<(u64, Instant)> {
        let search = self.requests.0.get(&id)?;
        let peer = search.request.peer;
        if search.exchange.is_some() || !self.chooses(peer) {
            return None;
        }
        let is_of_use = |parked: &&Parked| matches!(parked.state, State::Waiting(_)) && search.accepts(parked.info.way);
        let waiting = || self.parking.of_peer(peer).filter(is_of_use);
        let best = waiting().min_by_key(|parked| (parked.info.way, parked.id))?;
        let first = waiting().map(|parked| parked.since).min()?.max(search.since);
        let hoped_for = search.best_hoped_for().into_iter().chain(self.best_incoming(search)).min();
        let is_best = hoped_for.is_none_or(|hoped_for| best.info.way <= hoped_for);
        let times = &self.setup.times;
        let patience = if hoped_for.is_some_and(Way::is_variant) { times.quic } else { times.better_way };
        Some((best.id, if is_best { first } else { first + patience }))
    }

    /// The best way by which the other side may come to us: over IPv6 only if it has named an IPv6 address of its own, or
    /// none at all.
    fn best_incoming(&self, search: &Search) -> Option<Way> {
        let theirs = &search.request.theirs.candidates;
        let is_likely = |way: &Way| theirs.is_empty() || theirs.iter().any(|candidate| way_to(candidate) <= *way);
        self.setup.candidates.borrow().iter().map(way_to).filter(is_likely).filter(|way| search.accepts(*way)).min()
    }

    fn choose(&mut self, id: LinkId, link: u64) {
        let Some(info_hash) = self.requests.0.get(&id).map(|search| search.request.info_hash) else { return };
        if let Some(Parked { info, state: State::Waiting(stream), .. }) = self.parking.take(link) {
            let ours = Handshake::ours(info_hash, self.setup.peer_id);
            self.exchange(id, info, exchange::initiate(stream, ours, self.setup.times.answer));
        }
    }

    /// When a request dials again: not during a round or an exchange, nor while its peer has a link for each request.
    fn redial_at(&self, id: LinkId) -> Option<Instant> {
        let search = self.requests.0.get(&id).filter(|search| search.round.is_none() && search.exchange.is_none())?;
        let at = search.redial_at?;
        let peer = search.request.peer;
        let open = self.requests.of_peer(peer).filter(|search| search.exchange.is_none()).count();
        (self.parking.of_peer(peer).count() < open).then_some(at)
    }

    fn give_up(&mut self, search: Search) {
        let (id, peer) = (search.request.link_id(), search.request.peer);
        let LinkId { transfer, introduced } = id;
        let attempts = self.attempts(&search, search.request.better_than);
        if introduced.is_some() {
            tracing::debug!(%id, tried = attempts.len(), "no link with an introduced device in time");
        } else {
            tracing::info!(%transfer, %peer, tried = attempts.len(), "no link in time");
        }
        self.pending.outcome(id, LinkEvent::Failed { transfer, introduced, attempts });
        self.close_unless_expected(peer);
    }

    /// A parked link's time is up. Dropping it closes it.
    fn expired(&mut self, parked: Parked) {
        match parked.state {
            State::Early(..) => self.reject(&parked.info, Rejection::NotGranted),
            State::Receiving { .. } => self.lost(&parked.info, &ExchangeError::Silent(self.setup.times.parked)),
            // Both sides dialed, and this link was not needed.
            State::Waiting(_) if self.known.contains_key(&parked.info.peer) => {}
            State::Waiting(_) => self.reject(&parked.info, Rejection::UnknownDevice),
        }
    }
}
