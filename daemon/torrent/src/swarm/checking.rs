//! Checks what is on the disk, before fetching or seeding begins.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use tokio::time::Instant;

use super::jobs::{self, Done, Opened, Place};
use super::pieces::Pieces;
use super::{Phase, Role, Swarm};
use crate::LinkTag;
use crate::bitfield::Bitfield;
use crate::error::EngineError;
use crate::event::{CloseReason, Event};
use crate::link::{LinkCommand, View};
use crate::metainfo::Metainfo;
use crate::store::Store;

/// Pieces that were requested on a link and not announced on it, of which we know.
const REQUESTED: usize = 256;
/// How many of them, the oldest, are hashed when the link has ended.
const SUSPECT: usize = 16;

impl Swarm {
    /// Starts the check; [`Done::Opened`] follows.
    pub(super) fn open(&mut self, known: Option<Arc<Metainfo>>) {
        self.phase = Phase::Checking;
        self.stop = Arc::new(AtomicBool::new(false));
        self.checked = Arc::new(AtomicU64::new(0));
        let (stop, checked) = (self.stop.clone(), self.checked.clone());
        let known = known.or_else(|| self.view.take().map(|view| view.meta)).or_else(|| self.known.clone());
        self.view = None;
        self.pieces = Pieces::new(Bitfield::empty(0), 1);
        match self.role.clone() {
            Some(Role::Seed(prepared)) => {
                self.jobs.spawn_blocking(move || Done::Opened(jobs::open_seed(&prepared, &stop)));
            }
            Some(Role::Fetch(fetch)) => {
                if !self.may_hold_metadata(&fetch) {
                    return;
                }
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
                        self.to_all(|| LinkCommand::Complete);
                    }
                    // Without metadata there is nothing to serve.
                    None => self.halt(CloseReason::Unknown).await,
                }
                self.completed(placed).await;
            }
            Ok(Opened::Ready(view, have, renamed)) => {
                if !renamed.is_empty() {
                    self.shared.emit(Event::Renamed { key: self.key, renamed }).await;
                }
                let fetch = self.is_fetch();
                self.phase = if fetch { Phase::Fetching } else { Phase::Complete };
                self.progressed = Instant::now();
                self.ready(view, have);
                std::mem::take(&mut self.waiting).into_iter().for_each(|attach| self.link(attach));
                if fetch {
                    self.report_progress();
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
        self.to_all(|| LinkCommand::Ready(view.clone(), have.clone()));
    }

    pub(super) fn to_all(&self, command: impl Fn() -> LinkCommand) {
        for peer in self.peers.values() {
            // Fails only for a link that has just ended.
            let _ = peer.commands.send(command());
        }
    }

    /// Ends one link.
    pub(super) fn close(&mut self, tag: LinkTag, reason: CloseReason) {
        if let Some(peer) = self.peers.get(&tag) {
            let _ = peer.commands.send(LinkCommand::Close(reason));
        }
    }

    /// Checks that all sources are unchanged, each time a link is attached.
    pub(super) fn check_sources(&mut self) {
        let Some(view) = self.view.clone() else { return };
        if !self.checking_sources && matches!(*view.store, Store::Source(_)) {
            self.checking_sources = true;
            let stop = self.stop.clone();
            self.jobs.spawn_blocking(move || match &*view.store {
                Store::Source(files) => Done::SourcesChecked(files.check_all(&stop)),
                Store::Partial(_) => Done::SourcesChecked(Ok(())),
            });
        }
    }

    /// A receiver begins to fetch a piece. For the second time: what it got may have been wrong.
    pub(super) fn requested(&mut self, tag: LinkTag, piece: u32) {
        let Some(peer) = self.peers.get_mut(&tag).filter(|_| self.phase == Phase::Complete) else { return };
        if peer.requested.contains(&piece) {
            return self.hash_again(vec![piece]);
        }
        if peer.requested.len() == REQUESTED {
            peer.requested.pop_front();
        }
        peer.requested.push_back(piece);
    }

    /// A link has ended: a receiver closes it when a piece was wrong, and never announces that one.
    pub(super) fn suspect(&mut self, requested: &VecDeque<u32>) {
        if !requested.is_empty() {
            self.hash_again(requested.iter().take(SUSPECT).copied().collect());
        }
    }

    /// Hashes pieces that receivers may have found wrong, one job at a time.
    fn hash_again(&mut self, pieces: Vec<u32>) {
        let Some(view) = self.view.clone().filter(|_| self.phase == Phase::Complete) else { return };
        if !std::mem::replace(&mut self.hashing_again, true) {
            self.jobs.spawn_blocking(move || Done::HashedAgain(jobs::hash_again(&view, &pieces)));
        }
    }
}
