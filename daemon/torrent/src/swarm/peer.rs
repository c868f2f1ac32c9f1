//! Links as their swarm sees them.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::choke::{Choking, SLOTS};
use super::super_seeding::Advertised;
use super::{Phase, Swarm};
use crate::Group;
use crate::bitfield::Bitfield;
use crate::event::CloseReason;
use crate::link::{self, Attach, LinkCommand, Start};

/// Links of one content at a time.
const MAX_LINKS: usize = 64;

/// A link as the swarm sees it.
pub(super) struct Peer {
    pub(super) group: Option<Group>,
    pub(super) commands: mpsc::UnboundedSender<LinkCommand>,
    pub(super) has: Option<Bitfield>,
    /// Set while super-seeding: the pieces advertised to it. `None`: all.
    pub(super) advertised: Option<Advertised>,
    /// Bytes of further pieces it could take.
    pub(super) capacity: usize,
    pub(super) rate: Arc<AtomicU64>,
    pub(super) choking: Choking,
    /// The size of the metadata it offers.
    pub(super) metadata_size: Option<u32>,
    /// It sent wrong data and is being closed.
    pub(super) banned: bool,
    /// Gets no pieces until then.
    pub(super) snubbed: Option<Instant>,
    pub(super) releasing: HashSet<u32>,
    /// Pieces that it requested and has not announced, the oldest first.
    pub(super) requested: VecDeque<u32>,
    /// The next piece of its sequential run.
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
            Phase::Checking
            | Phase::Metadata
            | Phase::Dormant
            | Phase::Fetching
            | Phase::Finishing
            | Phase::Complete => None,
        };
        if let Some(reason) = refusal {
            return self.shared.link_closed(self.key, attach.tag, reason).await;
        }
        // A seed is checked in a moment and then announces its pieces in one bitfield. A fetch may take longer.
        if self.phase == Phase::Checking && !self.is_fetch() {
            self.waiting.push(attach);
            return;
        }
        self.link(attach);
        if self.phase == Phase::Dormant {
            self.open(None);
        }
    }

    pub(super) fn link(&mut self, attach: Attach) {
        let (commands, receiver) = mpsc::unbounded_channel();
        let (have, advertised) = self.initial_pieces();
        let peer = Peer {
            group: attach.group,
            commands,
            has: None,
            advertised,
            capacity: 0,
            rate: Arc::default(),
            choking: Choking::new(self.peers.len() < SLOTS),
            metadata_size: None,
            banned: false,
            snubbed: None,
            releasing: HashSet::new(),
            requested: VecDeque::new(),
            run: None,
        };
        let opened = self.phase != Phase::Checking;
        let start = Start {
            key: self.key,
            shared: self.shared.clone(),
            reports: self.reports.clone(),
            commands: receiver,
            ready: self.view.clone().filter(|_| opened).map(|view| (view, have)),
            fetching: self.is_fetch() && self.phase != Phase::Complete,
            unchoked: peer.choking.is_unchoked(),
            rate: peer.rate.clone(),
            sending: peer.choking.sending(),
        };
        self.peers.insert(attach.tag, peer);
        tokio::spawn(link::run(attach, start));
        self.check_sources();
    }
}
