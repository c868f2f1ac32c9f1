//! Links as their swarm sees them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::choke::{SLOTS, Turn};
use super::showing::Shown;
use super::{Phase, Swarm};
use crate::Group;
use crate::bitfield::Bitfield;
use crate::event::CloseReason;
use crate::link::{self, Attach, Order, Start};

/// Links of one content at a time.
const MAX_LINKS: usize = 64;

/// A link as the swarm sees it.
pub(super) struct Peer {
    pub(super) group: Option<Group>,
    pub(super) orders: mpsc::UnboundedSender<Order>,
    pub(super) has: Option<Bitfield>,
    /// What it was shown of what we have; `None`: all.
    pub(super) shown: Option<Shown>,
    /// Bytes of pieces it could take.
    pub(super) hungry: usize,
    pub(super) rate: Arc<AtomicU64>,
    pub(super) turn: Turn,
    /// The size of the metadata it can tell.
    pub(super) can_tell: Option<u32>,
    /// It sent wrong data and is on its way out.
    pub(super) banned: bool,
    /// Not fed until then.
    pub(super) snubbed: Option<Instant>,
    pub(super) dropping: HashSet<u32>,
    /// Where its run of pieces goes on.
    pub(super) run: Option<u32>,
}

impl Peer {
    pub(super) fn rate(&self) -> u64 {
        self.rate.load(Ordering::Relaxed)
    }
}

impl Swarm {
    pub(super) async fn attach(&mut self, attach: Attach) {
        let refusal = match &self.phase {
            Phase::Halted(reason) => Some(reason.clone()),
            _ if self.culprits.is_banned(attach.group) => Some(CloseReason::Corrupt),
            _ if self.peers.len() + self.waiting.len() >= MAX_LINKS => Some(CloseReason::TooMany),
            Phase::Opening | Phase::Metadata | Phase::Fetching | Phase::Finishing | Phase::Complete => None,
        };
        if let Some(reason) = refusal {
            return self.shared.link_closed(self.key, attach.tag, reason).await;
        }
        // A seed is open in a moment, and then says in one message what it has. A fetch may have much to check.
        if self.phase == Phase::Opening && !self.is_fetch() {
            self.waiting.push(attach);
            return;
        }
        self.link(attach);
    }

    pub(super) fn link(&mut self, attach: Attach) {
        let (orders, receiver) = mpsc::unbounded_channel();
        let (have, shown) = self.first_shown();
        let peer = Peer {
            group: attach.group,
            orders,
            has: None,
            shown,
            hungry: 0,
            rate: Arc::default(),
            turn: Turn::new(self.peers.len() < SLOTS),
            can_tell: None,
            banned: false,
            snubbed: None,
            dropping: HashSet::new(),
            run: None,
        };
        let opened = self.phase != Phase::Opening;
        let start = Start {
            key: self.key,
            shared: self.shared.clone(),
            reports: self.reports.clone(),
            orders: receiver,
            ready: self.view.clone().filter(|_| opened).map(|view| (view, have)),
            fetching: self.is_fetch() && self.phase != Phase::Complete,
            serving: peer.turn.is_served(),
            rate: peer.rate.clone(),
            sending: peer.turn.sending(),
        };
        self.peers.insert(attach.tag, peer);
        tokio::spawn(link::run(attach, start));
        self.sweep();
    }
}
