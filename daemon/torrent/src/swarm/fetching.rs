//! Pieces on their way: from links, through verification, to the end.

use std::time::Duration;

use tokio::sync::mpsc::error::SendError;
use tokio::time::Instant;

use super::jobs::{self, Done, Outcome, Placed, Written};
use super::{Phase, Role, Swarm};
use crate::LinkTag;
use crate::event::{CloseReason, Event};
use crate::link::Order;
use crate::piece::PieceBuf;
use crate::store::Store;

/// The state is saved after this many newly verified bytes, though not sooner than [`SAVE_APART`], or after
/// [`SAVE_EVERY`].
const SAVE_BYTES: usize = 8 << 20;
const SAVE_APART: Duration = Duration::from_millis(100);
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// The state is made to survive a power cut this often: it costs the disk more than a write.
const DURABLE_EVERY: Duration = Duration::from_secs(20);
/// The disk is made to write after a quarter of a content, within these bytes, so that the end is not one long wait.
const FLUSH_BYTES: (u64, u64) = (4 << 20, 128 << 20);
/// Wrong pieces of several senders whose blocks are remembered.
const MAX_SUSPECT: usize = 64;
/// A link that stalled is not given pieces for this long, while there are others.
const SNUB: Duration = Duration::from_secs(30);
/// Unfinished pieces are kept this long without any link.
const PARKED: Duration = Duration::from_secs(30);

impl Swarm {
    /// Gives pieces to a link that asked for some.
    pub(super) fn feed(&mut self, tag: LinkTag) {
        let many = self.peers.len() > 1;
        let others = self.peers.iter().any(|(other, peer)| {
            *other != tag && peer.snubbed.is_none() && (peer.hungry > 0 || self.pieces.is_holder(*other))
        });
        let (Phase::Fetching, Some(view)) = (&self.phase, &self.view) else { return };
        let Some(peer) = self.peers.get_mut(&tag) else { return };
        if peer.snubbed.is_some() && others {
            return;
        }
        let Some(has) = peer.has.as_ref().filter(|_| !peer.banned) else { return };
        let mut meal = Vec::new();
        while peer.hungry > 0
            && let Some(index) = self.pieces.pick(has, many, &mut peer.run)
        {
            let piece = match self.pieces.unpark(index) {
                Some(piece) => piece,
                None => match self.shared.budget.take(view.meta.piece_len(index)) {
                    Some(buffer) => PieceBuf::new(index, buffer),
                    None => {
                        self.starving = true;
                        break;
                    }
                },
            };
            self.pieces.assign(index, tag);
            peer.hungry = peer.hungry.saturating_sub(piece.len());
            meal.push(piece);
        }
        if !meal.is_empty() {
            peer.hungry = 0;
            // A link that has just ended takes none any more.
            if let Err(SendError(Order::Fetch(meal))) = peer.orders.send(Order::Fetch(meal)) {
                meal.into_iter().for_each(|piece| self.pieces.give_back(piece));
            }
        }
    }

    /// The fastest first.
    pub(super) fn feed_all(&mut self) {
        self.starving = false;
        let mut hungry: Vec<(u64, LinkTag)> =
            self.peers.iter().filter(|(_, peer)| peer.hungry > 0).map(|(tag, peer)| (peer.rate(), *tag)).collect();
        hungry.sort_unstable_by(|a, b| b.cmp(a));
        for (_, tag) in hungry {
            self.feed(tag);
        }
    }

    /// A link is gone with its pieces.
    pub(super) fn reclaim(&mut self, tag: LinkTag) {
        for piece in self.pieces.held_by(tag) {
            self.pieces.lost(piece);
        }
    }

    /// Nothing came for a while: let others try what this link holds, as far as they have it.
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
                if peer.dropping.insert(piece) {
                    let _ = peer.orders.send(Order::Drop(piece));
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
        let shared = self.shared.clone();
        let suspects = self.suspects.get(&piece.index).cloned();
        self.jobs.spawn(async move {
            let (index, len) = (piece.index, piece.len());
            let _turn = shared.disk.acquire().await;
            match tokio::task::spawn_blocking(move || jobs::verify(&view, piece, suspects.as_ref())).await {
                Ok(written) => Done::Written(written),
                // The job was lost with its bytes: as good as a wrong piece that nobody is to blame for.
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
            Done::Swept(result) => {
                self.sweeping = false;
                if let Err(error) = result {
                    self.unreadable(error).await;
                }
            }
            Done::Finished(Ok(placed)) => {
                self.phase = Phase::Complete;
                self.completed(placed).await;
                // After our own caller: a sender that hears it may end the link at once.
                self.to_all(|| Order::Complete);
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
                self.to_all(|| Order::Have(piece));
                // The end has a record of its own, and would wait for this one.
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
                self.feed_all();
            }
            Outcome::Failed(error) => {
                self.pieces.wrong(written.piece);
                self.fail(error).await;
            }
        }
    }

    /// Notes a good piece.
    pub(super) fn count(&mut self, written: &Written) {
        if matches!(written.outcome, Outcome::Good) {
            self.pieces.verified(written.piece);
            self.saving.unsaved += written.len;
            self.saving.unflushed += written.len;
        }
    }

    /// A stream hands over what was sent: whose data is wrong has sent it wrong.
    fn drop_guilty(&mut self, guilty: &[LinkTag]) {
        for tag in guilty {
            if let Some(peer) = self.peers.get_mut(tag) {
                if !peer.banned {
                    self.culprits.strike(peer.group);
                }
                (peer.hungry, peer.banned) = (0, true);
                self.close(*tag, CloseReason::Corrupt);
            }
        }
    }

    /// Four times a second while something is under way.
    pub(super) async fn look_after(&mut self) {
        if self.saving.unsaved > 0 && self.saving.last.elapsed() >= SAVE_EVERY {
            self.save();
        }
        if self.peers.is_empty() {
            if self.alone.elapsed() >= PARKED {
                self.pieces.drop_parked();
            }
            return;
        }
        let now = Instant::now();
        self.peers.values_mut().for_each(|peer| peer.snubbed = peer.snubbed.filter(|until| now < *until));
        self.feed_all();
        self.share_the_rest();
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

    /// Starts the end once every piece is verified and no save runs that could overwrite the end's own record.
    pub(super) fn try_finish(&mut self) {
        if self.phase != Phase::Fetching || self.saving.running || !self.pieces.have().is_full() {
            return;
        }
        if let (Some(place), Some(view)) = (self.place(), self.view.clone()) {
            self.phase = Phase::Finishing;
            self.jobs.spawn_blocking(move || Done::Finished(jobs::finish(&place, &view)));
        }
    }

    /// The last word of a fetch.
    pub(super) async fn completed(&mut self, Placed { path, received }: Placed) {
        if let Some(Role::Fetch(fetch)) = &self.role {
            self.shared.emit(Event::Progress { key: self.key, verified: fetch.size }).await;
        }
        self.shared.emit(Event::Completed { key: self.key, path, received }).await;
    }
}
