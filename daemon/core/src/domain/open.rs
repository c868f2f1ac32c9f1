//! Contents marked open: any BitTorrent program that knows the info-hash and reaches our port may read them.
//!
//! A content is open while it is marked so and one of its sends has been prepared, has not ended and is not paused here.
//! The engine and xbt-link learn of changes after each input, and of everything at every start.

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
        let content = self.contents.open_with(info_hash)?;
        let keeper = self.transfers_of(content, |t| self.keeps_open(t)).first().copied();
        let facts = keeper.and_then(|id| self.transfers.get(&id)).and_then(|t| t.facts.as_ref());
        facts.map(|facts| (content, facts.size))
    }

    /// How many contents are open.
    pub fn open_contents(&self) -> usize {
        self.contents.count_open()
    }

    /// By what link other programs fetch a send that is open now, with the addresses at which we may be reached.
    pub fn magnet(&self, transfer: &Transfer) -> Option<Magnet> {
        let facts = transfer.facts.as_ref().filter(|_| self.keeps_open(transfer))?;
        let dialled = |kind: CandidateKind| match kind {
            CandidateKind::Host | CandidateKind::Mapped => true,
            // Over UDP, which only links go through.
            CandidateKind::Reflexive => false,
        };
        let peers = self.reach.candidates().iter().filter(|candidate| dialled(candidate.kind));
        Some(Magnet {
            info_hash: facts.info_hash,
            name: Some(transfer.name.clone()),
            size: Some(facts.size),
            peers: peers.map(|candidate| candidate.address).collect(),
        })
    }

    /// An open content can be fetched only if we listen on a port.
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
            && self.contents.is_marked_open(transfer.content)
    }

    /// A new engine and a new xbt-link serve nothing yet.
    pub(super) fn open_at_start(&mut self) {
        self.contents.marked_open().into_iter().for_each(|content| self.open_or_shut(content));
    }

    /// Follows what the input has changed.
    pub(super) fn open_and_shut(&mut self) {
        let is_marked = |id: &ContentId| self.contents.is_marked_open(*id);
        let touched: BTreeSet<ContentId> = self.transfers.touched().map(|t| t.content).filter(is_marked).collect();
        touched.into_iter().for_each(|content| self.open_or_shut(content));
    }

    fn open_or_shut(&mut self, content: ContentId) {
        let keeper = self.transfers_of(content, |t| self.keeps_open(t)).first().copied();
        let hash_of = |id: TransferId| self.transfers.get(&id).and_then(|t| t.facts.as_ref()).map(|f| f.info_hash);
        match (keeper, self.contents.open_as(content)) {
            (Some(keeper), None) => {
                let Some(info_hash) = hash_of(keeper) else { return };
                let first = self.contents.open(content, info_hash);
                self.push(Effect::Torrent(TorrentCommand::Seed(content)));
                self.limit_content(keeper);
                if first {
                    self.push(Effect::Link(LinkCommand::Open(info_hash)));
                }
            }
            (None, Some(info_hash)) => {
                if self.contents.shut(content) {
                    self.push(Effect::Link(LinkCommand::Shut(info_hash)));
                }
                self.release_content(content);
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
}
