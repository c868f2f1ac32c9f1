//! Contents marked open: whoever knows the info-hash and reaches our port may read them, with any BitTorrent program.
//!
//! A content is open while it is marked so and one of its sends has been prepared, has not ended and is not paused here.
//! The engine and the link room are told after each input, and anew at every start.

use std::collections::BTreeSet;

use crate::domain::Domain;
use crate::effect::{Effect, LinkCommand, TorrentCommand};
use crate::fault::Fault;
use crate::ids::{ContentId, InfoHash, TransferId};
use crate::magnet::Magnet;
use crate::signal::CandidateKind;
use crate::transfer::{Side, Transfer};

impl Domain {
    /// The open content with this info-hash, if there is one, and its size in bytes.
    pub fn open_content(&self, info_hash: InfoHash) -> Option<(ContentId, u64)> {
        let content = self.open.iter().find(|(_, open)| **open == info_hash).map(|(content, _)| *content)?;
        let keeper = self.transfers_of(content, |t| self.keeps_open(t)).first().copied();
        let facts = keeper.and_then(|id| self.transfers.get(&id)).and_then(|t| t.facts.as_ref());
        facts.map(|facts| (content, facts.size))
    }

    fn is_read_openly(&self, info_hash: InfoHash) -> bool {
        self.open.values().any(|open| *open == info_hash)
    }

    /// How many contents are open.
    pub fn open_contents(&self) -> usize {
        self.open.len()
    }

    /// By what link other programs fetch a send that is open now, with the addresses at which we may be reached.
    pub fn magnet(&self, transfer: &Transfer) -> Option<Magnet> {
        let facts = transfer.facts.as_ref().filter(|_| self.keeps_open(transfer))?;
        let dialled = |kind: CandidateKind| match kind {
            CandidateKind::Host | CandidateKind::Mapped => true,
            // Over UDP, which only links go through.
            CandidateKind::Reflexive => false,
        };
        let peers = self.candidates.iter().filter(|candidate| dialled(candidate.kind));
        Some(Magnet {
            info_hash: facts.info_hash,
            name: Some(transfer.name.clone()),
            size: Some(facts.size),
            peers: peers.map(|candidate| candidate.address).collect(),
        })
    }

    /// Nobody could fetch what is open if nothing is listened on.
    pub(super) fn can_be_reached(&self) -> Result<(), Fault> {
        if self.settings.ways.direct || self.settings.ways.mapped {
            return Ok(());
        }
        Err(Fault::new(
            "not-reachable",
            "the configuration allows relays only, so other programs could not fetch open content",
            "send it without --open, or add \"direct\" to the ways",
        ))
    }

    /// Whether its content is open because of this transfer.
    pub(super) fn keeps_open(&self, transfer: &Transfer) -> bool {
        let is_send = match transfer.side {
            Side::Out { .. } => true,
            Side::In { .. } => false,
        };
        is_send
            && transfer.facts.is_some()
            && transfer.end().is_none()
            && !transfer.paused.by_us
            && self.contents.get(&transfer.content).is_some_and(|content| content.open)
    }

    /// A new engine and a new link room know of nothing.
    pub(super) fn open_at_start(&mut self) {
        let marked: Vec<ContentId> = self.contents.values().filter(|c| c.open).map(|c| c.id).collect();
        marked.into_iter().for_each(|content| self.open_or_shut(content));
    }

    /// Follows what the input has changed.
    pub(super) fn open_and_shut(&mut self) {
        let of = |id: &TransferId| self.transfers.get(id).map(|t| t.content);
        let is_marked = |id: &ContentId| self.contents.get(id).is_some_and(|content| content.open);
        let touched: BTreeSet<ContentId> = self.dirty.keys().filter_map(of).filter(is_marked).collect();
        touched.into_iter().for_each(|content| self.open_or_shut(content));
    }

    fn open_or_shut(&mut self, content: ContentId) {
        let keeper = self.transfers_of(content, |t| self.keeps_open(t)).first().copied();
        let hash_of = |id: TransferId| self.transfers.get(&id).and_then(|t| t.facts.as_ref()).map(|f| f.info_hash);
        match (keeper, self.open.get(&content).copied()) {
            (Some(keeper), None) => {
                let Some(info_hash) = hash_of(keeper) else { return };
                let first = !self.is_read_openly(info_hash);
                self.open.insert(content, info_hash);
                self.push(Effect::Torrent(TorrentCommand::Seed(content)));
                self.limit_content(keeper);
                if first {
                    self.push(Effect::Link(LinkCommand::Open(info_hash)));
                }
            }
            (None, Some(info_hash)) => {
                self.open.remove(&content);
                // The same may be sent twice.
                if !self.is_read_openly(info_hash) {
                    self.push(Effect::Link(LinkCommand::Shut(info_hash)));
                }
                self.release_content(content);
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
}
