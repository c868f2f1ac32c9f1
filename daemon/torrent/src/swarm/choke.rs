//! Who is served, where more want data than can be served well at once (BEP 3, choking).
//!
//! Up to [`SLOTS`] links everybody is. Beyond that most slots go, every ten seconds, to the links that move most: while we
//! fetch, those that bring most; otherwise those that take most, because they pass it on soonest. One slot goes to who
//! has waited longest, whatever its rate, for half a minute: so everybody gets a start, and a turn.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Peer, Phase, Swarm};
use crate::LinkTag;
use crate::link::Order;
use crate::link::sending::Sending;

/// Links served at once.
pub(super) const SLOTS: usize = 8;
/// How long the slots that go by rate stay as they are.
const ROUND: Duration = Duration::from_secs(10);
/// How long the slot that goes by waiting stays with one link.
const TERM: Duration = Duration::from_secs(30);

/// When the slots were given.
#[derive(Default)]
pub(super) struct Slots {
    round: Option<Instant>,
    /// Who has the slot that goes by waiting, since when.
    waited: Option<(LinkTag, Instant)>,
}

/// A link's part in it.
pub(super) struct Turn {
    wants: bool,
    served: bool,
    /// Since when it is served, or waits.
    since: Instant,
    sending: Arc<Sending>,
    /// What had gone out at the last round, and what went out in it.
    sent: (u64, u64),
}

impl Turn {
    pub(super) fn new(served: bool) -> Self {
        Self { wants: false, served, since: Instant::now(), sending: Arc::default(), sent: (0, 0) }
    }

    pub(super) fn is_served(&self) -> bool {
        self.served
    }

    pub(super) fn sending(&self) -> Arc<Sending> {
        self.sending.clone()
    }

    pub(super) fn wants(&mut self, wants: bool) {
        if self.wants != wants && !self.served {
            self.since = Instant::now();
        }
        self.wants = wants;
    }
}

impl Peer {
    fn serve(&mut self, serve: bool) {
        if self.turn.served != serve {
            (self.turn.served, self.turn.since) = (serve, Instant::now());
            let _ = self.orders.send(Order::Serve(serve));
        }
    }
}

impl Swarm {
    /// Whether slots must go round.
    pub(super) fn is_crowded(&self) -> bool {
        self.peers.len() > SLOTS && self.peers.values().filter(|peer| peer.turn.wants).count() > SLOTS
    }

    /// Gives free slots to those who wait longest; called when interest changes and when a link goes.
    pub(super) fn fill_slots(&mut self) {
        if self.peers.len() <= SLOTS {
            self.peers.values_mut().for_each(|peer| peer.serve(true));
            return;
        }
        // Who wants nothing keeps no slot from anybody.
        let taken = self.peers.values().filter(|peer| peer.turn.served && peer.turn.wants).count();
        if taken > SLOTS {
            let mut served: Vec<(Instant, LinkTag)> = self
                .peers
                .iter()
                .filter(|(_, peer)| peer.turn.served && peer.turn.wants)
                .map(|(tag, peer)| (peer.turn.since, *tag))
                .collect();
            served.sort_unstable();
            let late: Vec<LinkTag> = served.split_off(SLOTS).into_iter().map(|(_, tag)| tag).collect();
            late.iter().for_each(|tag| self.serve(*tag, false));
        } else {
            let longest: Vec<LinkTag> = self.waiting_longest().into_iter().take(SLOTS - taken).collect();
            longest.iter().for_each(|tag| self.serve(*tag, true));
        }
    }

    /// Hands the slots on when it is time to.
    pub(super) fn next_round(&mut self) {
        let now = Instant::now();
        if !self.is_crowded() {
            self.slots = Slots::default();
            return;
        }
        let begun = *self.slots.round.get_or_insert(now);
        if now.duration_since(begun) < ROUND {
            return;
        }
        self.slots.round = Some(now);
        let fetching = self.phase == Phase::Fetching;
        for peer in self.peers.values_mut() {
            let sent = peer.turn.sending.uploaded();
            peer.turn.sent = (sent, sent - peer.turn.sent.0);
        }
        let waited = self.waited(now);
        let mut by_rate: Vec<(u64, LinkTag)> = self
            .peers
            .iter()
            .filter(|(tag, peer)| peer.turn.wants && peer.turn.served && Some(**tag) != waited)
            .map(|(tag, peer)| (if fetching { peer.rate() } else { peer.turn.sent.1 }, *tag))
            .collect();
        by_rate.sort_unstable_by(|a, b| b.cmp(a));
        by_rate.iter().skip(SLOTS - 1).for_each(|(_, tag)| self.serve(*tag, false));
        waited.iter().for_each(|tag| self.serve(*tag, true));
        self.fill_slots();
    }

    /// Who has the slot that goes by waiting from now on.
    fn waited(&mut self, now: Instant) -> Option<LinkTag> {
        let stays = |(tag, since): &(LinkTag, Instant)| {
            now.duration_since(*since) < TERM && self.peers.get(tag).is_some_and(|peer| peer.turn.wants)
        };
        if self.slots.waited.as_ref().is_none_or(|waited| !stays(waited)) {
            self.slots.waited = self.waiting_longest().first().map(|tag| (*tag, now));
        }
        self.slots.waited.map(|(tag, _)| tag)
    }

    fn waiting_longest(&self) -> Vec<LinkTag> {
        let waiting = self.peers.iter().filter(|(_, peer)| peer.turn.wants && !peer.turn.served);
        let mut waiting: Vec<(Instant, LinkTag)> = waiting.map(|(tag, peer)| (peer.turn.since, *tag)).collect();
        waiting.sort_unstable();
        waiting.into_iter().map(|(_, tag)| tag).collect()
    }

    fn serve(&mut self, tag: LinkTag, serve: bool) {
        if let Some(peer) = self.peers.get_mut(&tag) {
            peer.serve(serve);
        }
    }
}
