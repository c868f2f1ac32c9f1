//! Pieces from request assignment through verification to completion.

use std::time::Duration;

use tokio::sync::mpsc::error::SendError;
use tokio::time::Instant;

use super::jobs::{self, Done, Outcome, Placed, Written};
use super::{Phase, Role, Swarm};
use crate::LinkTag;
use crate::budget::Claimant;
use crate::event::{CloseReason, Event};
use crate::link::LinkCommand;
use crate::piece::PieceBuf;
use crate::store::Store;

/// The resume state is saved after this many newly verified bytes, but no sooner than [`SAVE_APART`], or after
/// [`SAVE_EVERY`].
const SAVE_BYTES: usize = 8 << 20;
const SAVE_APART: Duration = Duration::from_millis(100);
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// How often the resume state is made to survive a power cut, which costs the disk more than a write.
const DURABLE_EVERY: Duration = Duration::from_secs(20);
/// Bounds of a quarter of the content, after which data is flushed, so that the end is not one long wait.
const FLUSH_BYTES: (u64, u64) = (4 << 20, 128 << 20);
/// Failed pieces of several senders whose blocks are remembered.
const MAX_SUSPECT: usize = 64;
/// A stalled link gets no pieces for this long, while there are others.
const SNUB: Duration = Duration::from_secs(30);
/// Unfinished pieces, and what is needed to fetch, stay in memory this long without any link.
pub(super) const PARKED: Duration = Duration::from_secs(30);

impl Swarm {
    /// Assigns pieces to a link, up to its capacity.
    pub(super) fn assign_pieces(&mut self, tag: LinkTag) {
        let many = self.peers.len() > 1;
        let others = self.peers.iter().any(|(other, peer)| {
            *other != tag && peer.snubbed.is_none() && (peer.capacity > 0 || self.pieces.is_holder(*other))
        });
        let Some(by) = self.claimant() else { return };
        let (Phase::Fetching, Some(view)) = (&self.phase, &self.view) else { return };
        let Some(peer) = self.peers.get_mut(&tag) else { return };
        if peer.snubbed.is_some() && others {
            return;
        }
        let Some(has) = peer.has.as_ref().filter(|_| !peer.banned) else { return };
        let mut assigned = Vec::new();
        while peer.capacity > 0
            && let Some(index) = self.pieces.pick(has, many, &mut peer.run)
        {
            let piece = match self.pieces.unpark(index) {
                Some(piece) => piece,
                None => match self.shared.budget.take(by, index, view.meta.piece_len(index)) {
                    Some(buffer) => PieceBuf::new(index, buffer),
                    None => {
                        self.awaits_memory = true;
                        break;
                    }
                },
            };
            self.pieces.assign(index, tag);
            peer.capacity = peer.capacity.saturating_sub(piece.len());
            assigned.push(piece);
        }
        if !assigned.is_empty() {
            peer.capacity = 0;
            // Fails only for a link that has just ended.
            if let Err(SendError(LinkCommand::Download(assigned))) = peer.commands.send(LinkCommand::Download(assigned))
            {
                assigned.into_iter().for_each(|piece| self.pieces.release(piece));
            }
        }
    }

    /// Assigns pieces to all links, the fastest first.
    pub(super) fn assign_all(&mut self) {
        self.awaits_memory = false;
        let mut capacity: Vec<(u64, LinkTag)> =
            self.peers.iter().filter(|(_, peer)| peer.capacity > 0).map(|(tag, peer)| (peer.rate(), *tag)).collect();
        capacity.sort_unstable_by(|a, b| b.cmp(a));
        for (_, tag) in capacity {
            self.assign_pieces(tag);
        }
        if !self.awaits_memory {
            self.shared.budget.waits_no_more(self.key);
        }
    }

    /// To whom the memory of pieces is charged.
    fn claimant(&self) -> Option<Claimant> {
        match &self.role {
            Some(Role::Fetch(fetch)) => Some(Claimant { owner: fetch.owner, content: self.key }),
            Some(Role::Seed(_)) | None => None,
        }
    }

    /// Gives back memory that was revoked for another content.
    pub(super) fn give_back(&mut self) {
        for piece in self.shared.budget.to_give_back(self.key) {
            if self.pieces.unpark(piece).is_some() {
                continue;
            }
            let holder = self.pieces.holder(piece).and_then(|tag| self.peers.get_mut(&tag));
            if let Some(peer) = holder
                && peer.releasing.insert(piece)
            {
                let _ = peer.commands.send(LinkCommand::Release(piece));
            }
        }
    }

    /// Frees the pieces of a link that is gone.
    pub(super) fn reclaim(&mut self, tag: LinkTag) {
        for piece in self.pieces.held_by(tag) {
            self.pieces.lost(piece);
        }
    }

    /// A link has stalled: its pieces go to others that have them.
    pub(super) fn stalled(&mut self, tag: LinkTag) {
        let others = |piece: &u32| {
            self.peers.iter().any(|(other, peer)| {
                *other != tag && peer.snubbed.is_none() && peer.has.as_ref().is_some_and(|has| has.has(*piece))
            })
        };
        let elsewhere: Vec<u32> = self.pieces.held_by(tag).into_iter().filter(others).collect();
        if elsewhere.is_empty() {
            return;
        }
        if let Some(peer) = self.peers.get_mut(&tag) {
            peer.snubbed = Some(Instant::now() + SNUB);
            for piece in elsewhere {
                if peer.releasing.insert(piece) {
                    let _ = peer.commands.send(LinkCommand::Release(piece));
                }
            }
        }
    }

    /// Verification and writing, away from the network; the budget bounds how many wait, the semaphore how many run.
    pub(super) fn verify(&mut self, piece: PieceBuf) {
        let Some(view) = self.view.clone() else { return };
        if !self.pieces.full(piece.index) {
            return;
        }
        piece.complete();
        let shared = self.shared.clone();
        let suspects = self.suspects.get(&piece.index).cloned();
        self.jobs.spawn(async move {
            let (index, len) = (piece.index, piece.len());
            let _turn = shared.disk.acquire().await;
            match tokio::task::spawn_blocking(move || jobs::verify(&view, piece, suspects.as_ref())).await {
                Ok(written) => Done::Written(written),
                // The job panicked and its bytes are lost: treated as a wrong piece without a culprit.
                Err(_) => {
                    Done::Written(Written { piece: index, len, guilty: Vec::new(), outcome: Outcome::Wrong(None) })
                }
            }
        });
    }

    pub(super) async fn done(&mut self, done: Done) {
        match done {
            Done::Opened(opened) => self.opened(opened).await,
            Done::Metadata(tag, result) => self.metadata_checked(tag, result).await,
            Done::Written(written) => self.written(written).await,
            Done::Saved(result) => {
                self.saving.running = false;
                if let Err(error) = result {
                    tracing::warn!(key = self.key.0, %error, "the state of a fetch could not be saved");
                }
                self.try_finish();
            }
            Done::Flushed => self.saving.flushing = false,
            Done::SourcesChecked(result) => {
                self.checking_sources = false;
                if let Err(error) = result {
                    self.unreadable(error).await;
                }
            }
            Done::HashedAgain(result) => {
                self.hashing_again = false;
                if let Err(error) = result {
                    self.unreadable(error).await;
                }
            }
            Done::Finished(Ok(placed)) => {
                self.phase = Phase::Complete;
                self.completed(placed).await;
                // After our own caller: the sender may close the link as soon as it knows.
                self.to_all(|| LinkCommand::Complete);
            }
            Done::Finished(Err(error)) => self.fail(error).await,
        }
    }

    async fn written(&mut self, written: Written) {
        self.count(&written);
        self.drop_guilty(&written.guilty);
        match written.outcome {
            Outcome::Good => {
                let piece = written.piece;
                self.suspects.remove(&piece);
                self.to_all(|| LinkCommand::Have(piece));
                // Finishing writes its own record, and would have to wait for this one.
                let ends = self.pieces.have().is_full();
                if self.saving.unsaved >= SAVE_BYTES && self.saving.last.elapsed() >= SAVE_APART && !ends {
                    self.save();
                }
                self.flush();
                self.try_finish();
            }
            Outcome::Wrong(suspects) => {
                self.pieces.wrong(written.piece);
                if let Some(suspects) = suspects.filter(|_| self.suspects.len() < MAX_SUSPECT) {
                    self.suspects.insert(written.piece, suspects);
                }
                self.assign_all();
            }
            Outcome::Failed(error) => {
                self.pieces.wrong(written.piece);
                self.fail(error).await;
            }
        }
    }

    /// Counts a verified piece.
    pub(super) fn count(&mut self, written: &Written) {
        if matches!(written.outcome, Outcome::Good) {
            self.pieces.verified(written.piece);
            self.shared.budget.verified(self.key);
            self.progressed = Instant::now();
            self.saving.unsaved += written.len;
            self.saving.unflushed += written.len;
        }
    }

    /// Streams do not corrupt data: a link whose data is wrong was sent wrong data.
    fn drop_guilty(&mut self, guilty: &[LinkTag]) {
        for tag in guilty {
            if let Some(peer) = self.peers.get_mut(tag) {
                if !peer.banned {
                    self.culprits.strike(peer.group);
                }
                (peer.capacity, peer.banned) = (0, true);
                self.close(*tag, CloseReason::Corrupt);
            }
        }
    }

    /// Called four times a second while fetching.
    pub(super) async fn look_after(&mut self) {
        if self.saving.unsaved > 0 && self.saving.last.elapsed() >= SAVE_EVERY {
            self.save();
        }
        if self.peers.is_empty() {
            return self.rest_if_idle().await;
        }
        self.rest_if_idle().await;
        let now = Instant::now();
        self.peers.values_mut().for_each(|peer| peer.snubbed = peer.snubbed.filter(|until| now < *until));
        self.assign_all();
        if self.awaits_memory {
            self.shared.budget.reclaim(self.key);
        }
        self.endgame();
    }

    fn save(&mut self) {
        let (Some(place), Some(view)) = (self.place(), self.view.clone()) else { return };
        if self.saving.running || self.phase != Phase::Fetching {
            return;
        }
        (self.saving.running, self.saving.unsaved, self.saving.last) = (true, 0, Instant::now());
        let durably = self.saving.durable.elapsed() >= DURABLE_EVERY;
        if durably {
            self.saving.durable = self.saving.last;
        }
        let have = self.pieces.have().clone();
        self.jobs.spawn_blocking(move || Done::Saved(jobs::save(&place, &view, &have, durably)));
    }

    /// At a halt, when no job runs any more.
    pub(super) async fn save_now(&mut self) {
        let (Some(place), Some(view)) = (self.place(), self.view.clone()) else { return };
        let have = self.pieces.have().clone();
        let saved = tokio::task::spawn_blocking(move || jobs::save(&place, &view, &have, true)).await;
        if !matches!(saved, Ok(Ok(()))) {
            tracing::warn!(key = self.key.0, "the state of a fetch could not be saved");
        }
    }

    fn flush(&mut self) {
        let Some(view) = self.view.clone() else { return };
        let enough = (view.meta.size / 4).clamp(FLUSH_BYTES.0, FLUSH_BYTES.1);
        if self.saving.flushing || (self.saving.unflushed as u64) < enough {
            return;
        }
        (self.saving.flushing, self.saving.unflushed) = (true, 0);
        self.jobs.spawn_blocking(move || {
            if let Store::Partial(files) = &*view.store {
                files.flush();
            }
            Done::Flushed
        });
    }

    /// Finishes once every piece is verified and no save runs that could overwrite the final record.
    pub(super) fn try_finish(&mut self) {
        if self.phase != Phase::Fetching || self.saving.running || !self.pieces.have().is_full() {
            return;
        }
        if let (Some(place), Some(view)) = (self.place(), self.view.clone()) {
            self.phase = Phase::Finishing;
            self.jobs.spawn_blocking(move || Done::Finished(jobs::finish(&place, &view)));
        }
    }

    /// Reports the completion of a fetch.
    pub(super) async fn completed(&mut self, Placed { path, received }: Placed) {
        if let Some(Role::Fetch(fetch)) = &self.role {
            self.shared.emit(Event::Progress { key: self.key, verified: fetch.size }).await;
        }
        self.shared.emit(Event::Completed { key: self.key, path, received }).await;
    }
}
