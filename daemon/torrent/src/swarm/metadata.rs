//! Fetches the metadata from one link at a time (BEP 9).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::jobs::{self, Done};
use super::{Phase, Role, Swarm};
use crate::LinkTag;
use crate::error::EngineError;
use crate::event::{CloseReason, Event};
use crate::link::LinkCommand;
use crate::metainfo::{MAX_METADATA, Metainfo};

/// After this long another link is asked, if there is one.
const METADATA_TIMEOUT: Duration = Duration::from_secs(60);

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
        if let Some((tag, size)) = metadata_peer
            && let Some(peer) = self.peers.get(tag)
        {
            self.metadata_peer = Some((*tag, Instant::now()));
            let _ = peer.commands.send(LinkCommand::GetMetadata(*size));
        }
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
        if let (Phase::Metadata, Some(Role::Fetch(fetch))) = (&self.phase, self.role.clone()) {
            self.jobs.spawn_blocking(move || Done::Metadata(tag, jobs::metadata(bytes, &fetch)));
        }
    }

    pub(super) async fn metadata_checked(&mut self, tag: LinkTag, result: Result<Arc<Metainfo>, Option<EngineError>>) {
        if self.phase != Phase::Metadata {
            return;
        }
        match result {
            Ok(meta) => {
                self.shared.emit(Event::Metadata { key: self.key, info: meta.info.clone() }).await;
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
