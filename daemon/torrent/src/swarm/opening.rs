//! From an offer to something that can be fetched: what is on the disk, and the metadata.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use tokio::time::Instant;

use super::jobs::{self, Done, Opened, Place};
use super::pieces::Pieces;
use super::{Phase, Role, Swarm};
use crate::LinkTag;
use crate::bitfield::Bitfield;
use crate::error::EngineError;
use crate::event::{CloseReason, Event};
use crate::link::{Order, View};
use crate::metainfo::{MAX_METADATA, Metainfo};
use crate::store::Store;

/// After this another link is asked for the metadata, if there is one.
const TELLING: Duration = Duration::from_secs(60);

impl Swarm {
    /// Looks at what is on the disk; [`Done::Opened`] follows.
    pub(super) fn open(&mut self, known: Option<Arc<Metainfo>>) {
        self.phase = Phase::Opening;
        self.stop = Arc::new(AtomicBool::new(false));
        self.checked = Arc::new(AtomicU64::new(0));
        let (stop, checked) = (self.stop.clone(), self.checked.clone());
        let known = known.or_else(|| self.view.take().map(|view| view.meta));
        self.view = None;
        self.pieces = Pieces::new(Bitfield::empty(0), 1);
        match self.role.clone() {
            Some(Role::Seed(prepared)) => {
                self.jobs.spawn_blocking(move || Done::Opened(jobs::open_seed(&prepared)));
            }
            Some(Role::Fetch(_)) => {
                let Some(place) = self.place() else { return };
                self.jobs.spawn_blocking(move || Done::Opened(jobs::open_fetch(&place, known, &stop, &checked)));
            }
            None => {}
        }
    }

    pub(super) fn place(&self) -> Option<Place> {
        let Some(Role::Fetch(fetch)) = &self.role else { return None };
        Some(Place { state_dir: self.shared.state_dir.clone(), key: self.key, fetch: fetch.clone() })
    }

    pub(super) async fn opened(&mut self, opened: Result<Opened, EngineError>) {
        match opened {
            Err(error) => self.fail(error).await,
            Ok(Opened::NoMetadata) => {
                self.phase = Phase::Metadata;
                self.seek_metadata().await;
            }
            Ok(Opened::Placed(placed, view)) => {
                self.phase = Phase::Complete;
                match view {
                    Some(view) => {
                        let have = Bitfield::full(view.meta.pieces());
                        self.ready(view, have);
                        self.to_all(|| Order::Complete);
                    }
                    // Without metadata there is nothing to serve.
                    None => self.halt(CloseReason::Unknown).await,
                }
                self.completed(placed).await;
            }
            Ok(Opened::Ready(view, have)) => {
                let fetch = self.is_fetch();
                self.phase = if fetch { Phase::Fetching } else { Phase::Complete };
                self.ready(view, have);
                std::mem::take(&mut self.waiting).into_iter().for_each(|attach| self.link(attach));
                if fetch {
                    self.tell_progress();
                    // An empty content is complete as soon as it is known.
                    self.saving.unsaved = 1;
                    self.try_finish();
                }
            }
        }
    }

    /// The metadata is known: from here on pieces can move.
    fn ready(&mut self, view: View, have: Bitfield) {
        let peer_seed = self.shared.random();
        self.pieces = Pieces::new(have.clone(), peer_seed);
        self.view = Some(view.clone());
        self.to_all(|| Order::Ready(view.clone(), have.clone()));
    }

    pub(super) fn to_all(&self, order: impl Fn() -> Order) {
        for peer in self.peers.values() {
            // Fails only for a link that has just ended.
            let _ = peer.orders.send(order());
        }
    }

    /// Asks one link for the metadata, if that is what is missing.
    pub(super) async fn seek_metadata(&mut self) {
        let Some(Role::Fetch(fetch)) = self.role.clone() else { return };
        if self.phase != Phase::Metadata || self.teller.is_some() {
            return;
        }
        if fetch.metadata_size == 0 || fetch.metadata_size as usize > MAX_METADATA {
            return self.fail(EngineError::mismatch("the offered size of its description is impossible")).await;
        }
        let told: Vec<(LinkTag, u32)> =
            self.peers.iter().filter_map(|(tag, peer)| Some((*tag, peer.can_tell?))).collect();
        if let Some((tag, size)) = told.iter().find(|(_, size)| *size != fetch.metadata_size) {
            // One among several may lie; if there is no other, then the offer and its sender disagree.
            if self.peers.len() == 1 {
                let what = format!("its description has {size} bytes, not {}", fetch.metadata_size);
                return self.fail(EngineError::mismatch(what)).await;
            }
            self.close(*tag, CloseReason::Protocol("its metadata has another size than was offered"));
        }
        let teller = told.iter().find(|(tag, size)| *size == fetch.metadata_size && self.peers.contains_key(tag));
        if let Some((tag, size)) = teller
            && let Some(peer) = self.peers.get(tag)
        {
            self.teller = Some((*tag, Instant::now()));
            let _ = peer.orders.send(Order::GetMetadata(*size));
        }
    }

    /// Moves on to another link when one takes too long.
    pub(super) async fn metadata_overdue(&mut self) {
        if let Some((tag, since)) = self.teller
            && since.elapsed() >= TELLING
        {
            self.metadata_stalled(tag).await;
        }
    }

    /// A link brings no metadata: another may.
    pub(super) async fn metadata_stalled(&mut self, tag: LinkTag) {
        let others = self.peers.iter().any(|(other, peer)| *other != tag && peer.can_tell.is_some());
        if others && self.teller.is_some_and(|(teller, _)| teller == tag) {
            if let Some(peer) = self.peers.get_mut(&tag) {
                peer.can_tell = None;
            }
            self.teller = None;
            self.seek_metadata().await;
        }
    }

    /// Checks what a link said.
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
                self.teller = None;
                self.open(Some(meta));
            }
            Err(Some(error)) => self.fail(error).await,
            Err(None) => {
                self.culprits.strike(self.peers.get(&tag).and_then(|peer| peer.group));
                self.close(tag, CloseReason::Corrupt);
                self.teller = None;
                self.seek_metadata().await;
            }
        }
    }

    /// Ends one link.
    pub(super) fn close(&mut self, tag: LinkTag, reason: CloseReason) {
        if let Some(peer) = self.peers.get(&tag) {
            let _ = peer.orders.send(Order::Close(reason));
        }
    }

    /// Before each session of reading: do all sources still exist as they were?
    pub(super) fn sweep(&mut self) {
        let Some(view) = self.view.clone() else { return };
        if !self.sweeping && matches!(*view.store, Store::Source(_)) {
            self.sweeping = true;
            self.jobs.spawn_blocking(move || match &*view.store {
                Store::Source(files) => Done::Swept(files.check_all()),
                Store::Partial(_) => Done::Swept(Ok(())),
            });
        }
    }
}
