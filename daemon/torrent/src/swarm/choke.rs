//! Choking (BEP 3): who is unchoked, where more links are interested than can be served well at once.
//!
//! Up to [`SLOTS`] links all are. Beyond that most slots go, every ten seconds, to the fastest links: by download rate while
//! we fetch, by upload rate otherwise, because those pass pieces on soonest. The optimistic slot goes to the link that has
//! waited longest, whatever its rate, for half a minute, so that every link gets a start.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Peer, Phase, Swarm};
use crate::LinkTag;
use crate::link::LinkCommand;
use crate::link::sending::Sending;

/// Links unchoked at once.
pub(super) const SLOTS: usize = 8;
/// How often the slots by rate are reassigned.
const RECHOKE_EVERY: Duration = Duration::from_secs(10);
/// How long a link keeps the optimistic slot.
const OPTIMISTIC_EVERY: Duration = Duration::from_secs(30);

/// The unchoke slots.
#[derive(Default)]
pub(super) struct Slots {
    round: Option<Instant>,
    /// Holder of the optimistic slot, and since when.
    optimistic: Option<(LinkTag, Instant)>,
}

/// The choke state of a link.
pub(super) struct Choking {
    interested: bool,
    unchoked: bool,
    /// Since when it has been unchoked or waiting.
    since: Instant,
    sending: Arc<Sending>,
    /// Bytes uploaded until the last round, and during it.
    sent: (u64, u64),
}

impl Choking {
    pub(super) fn new(unchoked: bool) -> Self {
        Self { interested: false, unchoked, since: Instant::now(), sending: Arc::default(), sent: (0, 0) }
    }

    pub(super) fn is_unchoked(&self) -> bool {
        self.unchoked
    }

    pub(super) fn sending(&self) -> Arc<Sending> {
        self.sending.clone()
    }

    pub(super) fn interested(&mut self, interested: bool) {
        if self.interested != interested && !self.unchoked {
            self.since = Instant::now();
        }
        self.interested = interested;
    }
}

impl Peer {
    fn set_unchoked(&mut self, unchoked: bool) {
        if self.choking.unchoked != unchoked {
            (self.choking.unchoked, self.choking.since) = (unchoked, Instant::now());
            let _ = self.commands.send(LinkCommand::Unchoke(unchoked));
        }
    }
}

impl Swarm {
    /// Whether more links are interested than there are slots.
    pub(super) fn slots_contended(&self) -> bool {
        self.peers.len() > SLOTS && self.peers.values().filter(|peer| peer.choking.interested).count() > SLOTS
    }

    /// Gives free slots to the links that wait longest. Called when interest changes and when a link goes.
    pub(super) fn fill_unchoke_slots(&mut self) {
        if self.peers.len() <= SLOTS {
            self.peers.values_mut().for_each(|peer| peer.set_unchoked(true));
            return;
        }
        // A link that is not interested occupies no slot.
        let taken = self.peers.values().filter(|peer| peer.choking.unchoked && peer.choking.interested).count();
        if taken > SLOTS {
            let mut unchoked: Vec<(Instant, LinkTag)> = self
                .peers
                .iter()
                .filter(|(_, peer)| peer.choking.unchoked && peer.choking.interested)
                .map(|(tag, peer)| (peer.choking.since, *tag))
                .collect();
            unchoked.sort_unstable();
            let late: Vec<LinkTag> = unchoked.split_off(SLOTS).into_iter().map(|(_, tag)| tag).collect();
            late.iter().for_each(|tag| self.set_unchoked(*tag, false));
        } else {
            let longest: Vec<LinkTag> = self.longest_waiting().into_iter().take(SLOTS - taken).collect();
            longest.iter().for_each(|tag| self.set_unchoked(*tag, true));
        }
    }

    /// Reassigns the slots when due.
    pub(super) fn rechoke(&mut self) {
        let now = Instant::now();
        if !self.slots_contended() {
            self.slots = Slots::default();
            return;
        }
        let begun = *self.slots.round.get_or_insert(now);
        if now.duration_since(begun) < RECHOKE_EVERY {
            return;
        }
        self.slots.round = Some(now);
        let fetching = self.phase == Phase::Fetching;
        for peer in self.peers.values_mut() {
            let sent = peer.choking.sending.uploaded();
            peer.choking.sent = (sent, sent - peer.choking.sent.0);
        }
        let optimistic = self.optimistic(now);
        let mut by_rate: Vec<(u64, LinkTag)> = self
            .peers
            .iter()
            .filter(|(tag, peer)| peer.choking.interested && peer.choking.unchoked && Some(**tag) != optimistic)
            .map(|(tag, peer)| (if fetching { peer.rate() } else { peer.choking.sent.1 }, *tag))
            .collect();
        by_rate.sort_unstable_by(|a, b| b.cmp(a));
        by_rate.iter().skip(SLOTS - 1).for_each(|(_, tag)| self.set_unchoked(*tag, false));
        optimistic.iter().for_each(|tag| self.set_unchoked(*tag, true));
        self.fill_unchoke_slots();
    }

    /// The holder of the optimistic slot for this round.
    fn optimistic(&mut self, now: Instant) -> Option<LinkTag> {
        let stays = |(tag, since): &(LinkTag, Instant)| {
            now.duration_since(*since) < OPTIMISTIC_EVERY
                && self.peers.get(tag).is_some_and(|peer| peer.choking.interested)
        };
        if self.slots.optimistic.as_ref().is_none_or(|optimistic| !stays(optimistic)) {
            self.slots.optimistic = self.longest_waiting().first().map(|tag| (*tag, now));
        }
        self.slots.optimistic.map(|(tag, _)| tag)
    }

    fn longest_waiting(&self) -> Vec<LinkTag> {
        let waiting = self.peers.iter().filter(|(_, peer)| peer.choking.interested && !peer.choking.unchoked);
        let mut waiting: Vec<(Instant, LinkTag)> = waiting.map(|(tag, peer)| (peer.choking.since, *tag)).collect();
        waiting.sort_unstable();
        waiting.into_iter().map(|(_, tag)| tag).collect()
    }

    fn set_unchoked(&mut self, tag: LinkTag, unchoked: bool) {
        if let Some(peer) = self.peers.get_mut(&tag) {
            peer.set_unchoked(unchoked);
        }
    }
}
