//! Fetches the metadata from one link at a time (BEP 9).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::jobs::{self, Done};
use super::pieces::Pieces;
use super::{Phase, Role, Swarm};
use crate::LinkTag;
use crate::bitfield::Bitfield;
use crate::content::Fetch;
use crate::error::EngineError;
use crate::event::{CloseReason, Event};
use crate::link::LinkCommand;
use crate::metadata_budget::MetadataClaim;
use crate::metainfo::{MAX_METADATA, Metainfo};

/// After this long another link is asked, if there is one.
const METADATA_TIMEOUT: Duration = Duration::from_secs(60);
/// Links of a content of which nothing has verified for this long are closed when others need its memory.
const USELESS: Duration = Duration::from_secs(60);

/// The memory of a content's metadata.
pub(super) enum Memory {
    None,
    /// Refused; asked for again from time to time.
    Awaited,
    Held(MetadataClaim),
}

impl Memory {
    pub(super) fn is_awaited(&self) -> bool {
        matches!(self, Self::Awaited)
    }

    pub(super) fn is_large(&self) -> bool {
        matches!(self, Self::Held(claim) if claim.is_large())
    }
}

impl Swarm {
    /// Asks a link for the metadata, if it is not known yet.
    pub(super) async fn seek_metadata(&mut self) {
        let Some(Role::Fetch(fetch)) = self.role.clone() else { return };
        if self.phase != Phase::Metadata || self.metadata_peer.is_some() {
            return;
        }
        if fetch.metadata_size == 0 || fetch.metadata_size as usize > MAX_METADATA {
            return self.fail(EngineError::mismatch("the offered size of its description is impossible")).await;
        }
        let sizes: Vec<(LinkTag, u32)> =
            self.peers.iter().filter_map(|(tag, peer)| Some((*tag, peer.metadata_size?))).collect();
        if let Some((tag, size)) = sizes.iter().find(|(_, size)| *size != fetch.metadata_size) {
            // One among several may lie; if there is no other, then the offer and its sender disagree.
            if self.peers.len() == 1 {
                let what = format!("its description has {size} bytes, not {}", fetch.metadata_size);
                return self.fail(EngineError::mismatch(what)).await;
            }
            self.close(*tag, CloseReason::Protocol("its metadata has another size than was offered"));
        }
        let metadata_peer =
            sizes.iter().find(|(tag, size)| *size == fetch.metadata_size && self.peers.contains_key(tag));
        if let Some((tag, size)) = metadata_peer.copied() {
            if !self.may_hold_metadata(&fetch) {
                return;
            }
            if let Some(peer) = self.peers.get(&tag) {
                self.metadata_peer = Some((tag, Instant::now()));
                let _ = peer.commands.send(LinkCommand::GetMetadata(size));
            }
        }
        if self.metadata_peer.is_none() {
            self.memory = Memory::None;
        }
    }

    /// Takes memory for the metadata. If there is none now, the next tick tries again.
    pub(super) fn may_hold_metadata(&mut self, fetch: &Fetch) -> bool {
        if matches!(self.memory, Memory::Held(_)) {
            return true;
        }
        self.memory = match self.shared.metadata.take(fetch.owner, fetch.metadata_size as usize) {
            Some(claim) => Memory::Held(claim),
            None => Memory::Awaited,
        };
        matches!(self.memory, Memory::Held(_))
    }

    /// Memory was refused before.
    pub(super) async fn try_for_memory(&mut self) {
        match self.phase {
            Phase::Metadata => self.seek_metadata().await,
            Phase::Checking => self.open(None),
            Phase::Dormant | Phase::Fetching | Phase::Finishing | Phase::Complete | Phase::Halted(_) => {
                self.memory = Memory::None;
            }
        }
    }

    /// Drops the metadata and all that was made of it from memory when there are no links; the next link reads it from disk
    /// again. Closes links that bring nothing while other contents need the memory.
    pub(super) async fn rest_if_idle(&mut self) {
        let wanted = self.is_memory_wanted();
        if wanted && self.progressed.elapsed() >= USELESS {
            let reason = CloseReason::Stopped("it brought nothing, and others need its memory".into());
            let tags: Vec<LinkTag> = self.peers.keys().copied().collect();
            tags.into_iter().for_each(|tag| self.close(tag, reason.clone()));
        }
        let idle = self.peers.is_empty() && self.jobs.is_empty() && self.unreported_progress().is_none();
        if !idle || !(wanted || self.no_links_since.elapsed() >= super::fetching::PARKED) {
            return;
        }
        if self.saving.unsaved > 0 {
            self.save_now().await;
            self.saving.reset();
        }
        self.phase = Phase::Dormant;
        self.drop_metadata();
        self.shared.budget.trim();
    }

    fn is_memory_wanted(&self) -> bool {
        matches!(&self.role, Some(Role::Fetch(fetch)) if self.shared.metadata.is_wanted_from(fetch.owner))
    }

    /// Frees what only a running content needs.
    pub(super) fn drop_metadata(&mut self) {
        self.awaits_memory = false;
        self.shared.budget.waits_no_more(self.key);
        self.view = None;
        self.pieces = Pieces::new(Bitfield::empty(0), 1);
        self.suspects = HashMap::new();
        self.memory = Memory::None;
    }

    /// Asks another link when one takes too long.
    pub(super) async fn metadata_overdue(&mut self) {
        if let Some((tag, since)) = self.metadata_peer
            && since.elapsed() >= METADATA_TIMEOUT
        {
            self.metadata_stalled(tag).await;
        }
    }

    /// Asks another link when one has stalled.
    pub(super) async fn metadata_stalled(&mut self, tag: LinkTag) {
        let others = self.peers.iter().any(|(other, peer)| *other != tag && peer.metadata_size.is_some());
        let asked = self.metadata_peer.is_some_and(|(metadata_peer, _)| metadata_peer == tag);
        if asked && !others && self.is_memory_wanted() {
            return self.close(tag, CloseReason::Stopped("it sends no metadata, and others need the memory".into()));
        }
        if others && self.metadata_peer.is_some_and(|(metadata_peer, _)| metadata_peer == tag) {
            if let Some(peer) = self.peers.get_mut(&tag) {
                peer.metadata_size = None;
            }
            self.metadata_peer = None;
            self.seek_metadata().await;
        }
    }

    /// Verifies received metadata in a job.
    pub(super) fn metadata_came(&mut self, tag: LinkTag, bytes: Vec<u8>) {
        if let (Phase::Metadata, Some(place)) = (&self.phase, self.place()) {
            self.jobs.spawn_blocking(move || Done::Metadata(tag, jobs::metadata(bytes, &place)));
        }
    }

    pub(super) async fn metadata_checked(&mut self, tag: LinkTag, result: Result<Arc<Metainfo>, Option<EngineError>>) {
        if self.phase != Phase::Metadata {
            return;
        }
        match result {
            Ok(meta) => {
                self.shared.emit(Event::Metadata { key: self.key }).await;
                self.metadata_peer = None;
                self.open(Some(meta));
            }
            Err(Some(error)) => self.fail(error).await,
            Err(None) => {
                self.culprits.strike(self.peers.get(&tag).and_then(|peer| peer.group));
                self.close(tag, CloseReason::Corrupt);
                self.metadata_peer = None;
                self.seek_metadata().await;
            }
        }
    }
}
