//! One content: a task that owns everything known about it.
//!
//! Invariants. Only this task changes a content's state; links and jobs report to it. It waits only for the caller to
//! take events, so a link never waits long for the inbox. After
//! `Completed` no `Failed` follows.

mod availability;
mod checking;
mod choke;
mod cleanup;
mod endgame;
mod fetching;
mod jobs;
mod metadata;
mod moving;
mod peer;
mod pieces;
mod reports;
mod super_seeding;
mod suspects;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::bitfield::Bitfield;
use crate::content::{Data, Fetch};
use crate::error::EngineError;
use crate::event::{CloseReason, Event};
use crate::link::{Attach, LinkCommand, Report, View};
use crate::metainfo::Metainfo;
use crate::prepared::Prepared;
use crate::shared::Shared;
use crate::{ContentKey, LinkTag, PROGRESS_EVERY};

use availability::Availability;
use choke::Slots;
use jobs::Done;
use metadata::Memory;
use peer::Peer;
use pieces::Pieces;
use suspects::{Culprits, Suspects};

/// Reports that may wait.
const INBOX: usize = 256;

/// From the engine's caller to a content.
pub(crate) enum Command {
    Seed(Box<Prepared>),
    /// What [`Prepared::to_bytes`] wrote.
    SeedStored(Vec<u8>),
    Fetch(Box<Fetch>),
    Attach(Attach),
    Pause,
    Resume,
    Forget(Data),
    Shutdown(oneshot::Sender<()>),
}

#[derive(Clone)]
enum Role {
    Seed(Arc<Prepared>),
    Fetch(Arc<Fetch>),
}

/// Where a content stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// A job checks what is on the disk.
    Checking,
    /// The metadata is not known yet.
    Metadata,
    /// There is no link, and what is needed to fetch is on the disk only.
    Dormant,
    Fetching,
    /// Everything is verified and is being moved into place.
    Finishing,
    /// Everything is here.
    Complete,
    /// Links are refused for this reason until the caller says otherwise.
    Halted(CloseReason),
}

struct Swarm {
    key: ContentKey,
    shared: Arc<Shared>,
    role: Option<Role>,
    phase: Phase,
    /// The content and its open files; none while nothing is served or fetched, so that its disk can be unmounted.
    view: Option<View>,
    /// The description, where it was known before a halt.
    known: Option<Arc<Metainfo>>,
    pieces: Pieces,
    peers: HashMap<LinkTag, Peer>,
    reports: mpsc::Sender<(LinkTag, Report)>,
    jobs: JoinSet<Done>,
    /// Ends a running check early.
    stop: Arc<AtomicBool>,
    /// Bytes verified by the running check.
    checked: Arc<AtomicU64>,
    /// Verified bytes as last reported.
    reported: Option<u64>,
    /// Set while super-seeding: how many receivers have each piece or were advertised it.
    availability: Option<Availability>,
    /// Who is unchoked, where not all can be.
    slots: Slots,
    /// Links could take pieces, but the budget is used up.
    awaits_memory: bool,
    freed: watch::Receiver<u64>,
    revoked: watch::Receiver<u64>,
    /// The link asked for the metadata, and since when.
    metadata_peer: Option<(LinkTag, Instant)>,
    /// Senders of pieces that failed verification and have not passed since.
    suspects: HashMap<u32, Suspects>,
    culprits: Culprits,
    saving: jobs::Saving,
    checking_sources: bool,
    /// Pieces that may be wrong are being hashed.
    hashing_again: bool,
    /// Links that came while a seed was being checked.
    waiting: Vec<Attach>,
    /// When the last link went.
    no_links_since: Instant,
    memory: Memory,
    /// When a piece last verified.
    progressed: Instant,
}

/// Runs a content until it is forgotten and `ended` agrees that no command is left.
pub(crate) async fn run(
    shared: Arc<Shared>,
    key: ContentKey,
    mut commands: mpsc::UnboundedReceiver<Command>,
    ended: impl Fn(&mpsc::UnboundedReceiver<Command>) -> bool,
) {
    let (reports, mut inbox) = mpsc::channel(INBOX);
    let mut swarm = Swarm::new(shared, key, reports);
    let mut tick = interval(PROGRESS_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let busy = swarm.is_busy();
        tokio::select! {
            command = commands.recv() => {
                // The engine was dropped.
                let Some(command) = command else {
                    swarm.halt(CloseReason::Shutdown).await;
                    break;
                };
                swarm.on_command(command).await;
                if swarm.role.is_none() && ended(&commands) {
                    break;
                }
            }
            Some((tag, report)) = inbox.recv() => swarm.on_report(tag, report).await,
            Some(ended) = swarm.jobs.join_next() => swarm.job_ended(ended).await,
            _ = swarm.freed.changed(), if swarm.awaits_memory => swarm.assign_all(),
            _ = swarm.revoked.changed(), if swarm.pieces.under_way() => swarm.give_back(),
            _ = tick.tick(), if busy => swarm.tick().await,
        }
    }
}

impl Swarm {
    fn new(shared: Arc<Shared>, key: ContentKey, reports: mpsc::Sender<(LinkTag, Report)>) -> Self {
        let (freed, revoked) = (shared.budget.freed(), shared.budget.revoked());
        Self {
            key,
            shared,
            role: None,
            phase: Phase::Halted(CloseReason::Unknown),
            view: None,
            known: None,
            pieces: Pieces::new(Bitfield::empty(0), 1),
            peers: HashMap::new(),
            reports,
            jobs: JoinSet::new(),
            stop: Arc::default(),
            checked: Arc::default(),
            reported: None,
            availability: None,
            slots: Slots::default(),
            awaits_memory: false,
            freed,
            revoked,
            metadata_peer: None,
            suspects: HashMap::new(),
            culprits: Culprits::default(),
            saving: jobs::Saving::default(),
            checking_sources: false,
            hashing_again: false,
            waiting: Vec::new(),
            no_links_since: Instant::now(),
            memory: Memory::None,
            progressed: Instant::now(),
        }
    }

    /// Whether the timer has work; an idle content costs nothing.
    fn is_busy(&self) -> bool {
        if self.slots_contended() || self.is_super_seeding() {
            return true;
        }
        match self.phase {
            Phase::Checking => true,
            Phase::Metadata => self.metadata_peer.is_some() || self.memory.is_awaited(),
            Phase::Fetching => {
                self.peers.is_empty()
                    || self.memory.is_large()
                    || self.pieces.under_way()
                    || self.awaits_memory
                    || self.saving.unsaved > 0
                    || self.unreported_progress().is_some()
                    || self.peers.values().any(|peer| peer.snubbed.is_some())
            }
            Phase::Finishing => self.unreported_progress().is_some(),
            Phase::Dormant | Phase::Complete | Phase::Halted(_) => false,
        }
    }

    fn is_fetch(&self) -> bool {
        matches!(self.role, Some(Role::Fetch(_)))
    }

    async fn on_command(&mut self, command: Command) {
        match command {
            Command::Seed(prepared) => self.seed(*prepared).await,
            Command::SeedStored(stored) => {
                match tokio::task::spawn_blocking(move || Prepared::from_bytes(&stored)).await {
                    Ok(Ok(prepared)) => self.seed(prepared).await,
                    Ok(Err(error)) => self.shared.emit(Event::Failed { key: self.key, error }).await,
                    Err(_) => {
                        let error = EngineError::lost_job("send it again");
                        self.shared.emit(Event::Failed { key: self.key, error }).await;
                    }
                }
            }
            Command::Fetch(fetch) => {
                // After a halt the caller may have another destination in mind.
                let replaces = self.role.is_none() || matches!(self.phase, Phase::Halted(_));
                self.begin(replaces, || Role::Fetch(Arc::new(*fetch))).await;
            }
            Command::Attach(attach) => self.attach(attach).await,
            Command::Pause => self.halt(CloseReason::Paused).await,
            Command::Resume => {
                self.culprits.forgive();
                if matches!(self.phase, Phase::Halted(_)) && self.role.is_some() {
                    self.open(None);
                }
            }
            Command::Forget(data) => self.forget(data).await,
            Command::Shutdown(done) => {
                self.halt(CloseReason::Shutdown).await;
                // The caller may have given up waiting.
                let _ = done.send(());
            }
        }
    }

    async fn seed(&mut self, prepared: Prepared) {
        let replaces = match &self.role {
            None => true,
            Some(Role::Seed(old)) => **old != prepared,
            Some(Role::Fetch(_)) => self.phase == Phase::Complete,
        };
        self.begin(replaces, || Role::Seed(Arc::new(prepared))).await;
    }

    /// Starts, or retries after a halt; a running content is left alone.
    async fn begin(&mut self, replaces: bool, role: impl FnOnce() -> Role) {
        if replaces {
            if self.role.is_some() {
                self.halt(CloseReason::Unknown).await;
            }
            let role = role();
            let hash = match &role {
                Role::Seed(prepared) => prepared.info_hash,
                Role::Fetch(fetch) => fetch.info_hash,
            };
            // Metadata that was learned before a halt need not be learned again.
            self.known = self.known.take().filter(|meta| meta.info_hash == hash);
            self.role = Some(role);
            self.open(None);
        } else if matches!(self.phase, Phase::Halted(_)) {
            self.open(None);
        }
    }

    /// The content cannot be served or fetched any more. After `Completed` that is no failure: seeding just ends.
    async fn unreadable(&mut self, error: EngineError) {
        if self.is_fetch() && self.phase == Phase::Complete {
            tracing::info!(key = self.key.0, %error, "a completed content is no longer served");
            self.halt(CloseReason::Stopped(error.message)).await;
        } else {
            self.fail(error).await;
        }
    }

    /// Stops and reports why, once per failure. All data is kept.
    async fn fail(&mut self, error: EngineError) {
        if matches!(self.phase, Phase::Halted(_)) {
            return;
        }
        tracing::info!(key = self.key.0, code = error.code, %error, "content stopped");
        self.halt(CloseReason::Stopped(error.message.clone())).await;
        self.shared.emit(Event::Failed { key: self.key, error }).await;
    }

    /// A job that panicked leaves its outcome unknown: the content stops, so that nothing waits for that outcome.
    async fn job_ended(&mut self, ended: Result<Done, JoinError>) {
        match ended {
            Ok(done) => self.done(done).await,
            Err(error) => {
                tracing::error!(key = self.key.0, %error, "a background job failed");
                self.unreadable(EngineError::lost_job("resume it")).await;
            }
        }
    }

    /// Closes the links, waits for the jobs, saves.
    async fn halt(&mut self, reason: CloseReason) {
        let was = std::mem::replace(&mut self.phase, Phase::Halted(reason.clone()));
        self.stop.store(true, Ordering::Relaxed);
        for (_, peer) in self.peers.drain() {
            // Fails only for a link that has just ended.
            let _ = peer.commands.send(LinkCommand::Close(reason.clone()));
        }
        self.metadata_peer = None;
        let mut completed = None;
        while let Some(done) = self.jobs.join_next().await {
            match done {
                Ok(Done::Written(written)) => self.count(&written),
                Ok(Done::Finished(Ok(placed))) => completed = Some(placed),
                Ok(
                    Done::Opened(_)
                    | Done::Metadata(..)
                    | Done::Saved(_)
                    | Done::SourcesChecked(_)
                    | Done::HashedAgain(_)
                    | Done::Flushed
                    | Done::Finished(Err(_)),
                )
                | Err(_) => {}
            }
        }
        (self.checking_sources, self.hashing_again) = (false, false);
        self.pieces.drop_parked();
        self.suspects.clear();
        self.availability = None;
        if matches!(was, Phase::Fetching | Phase::Finishing) && completed.is_none() {
            self.save_now().await;
        }
        self.saving.reset();
        if let Some(View { meta, store }) = self.view.take() {
            self.known = Some(meta);
            // Closing files may take a while, on a network drive for example.
            let _ = tokio::task::spawn_blocking(move || drop(store)).await;
        }
        for attach in std::mem::take(&mut self.waiting) {
            self.shared.link_closed(self.key, attach.tag, reason.clone()).await;
        }
        if let Some(jobs::Placed { path, received }) = completed {
            self.shared.emit(Event::Completed { key: self.key, path, received }).await;
        }
        if self.is_fetch() {
            // It is on the disk.
            self.drop_metadata();
        }
        self.shared.budget.trim();
    }

    async fn forget(&mut self, data: Data) {
        self.halt(CloseReason::Unknown).await;
        if let Some(Role::Fetch(fetch)) = self.role.take() {
            let (state_dir, key) = (self.shared.state_dir.clone(), self.key);
            let job = tokio::task::spawn_blocking(move || cleanup::forget(&state_dir, key, &fetch, data));
            let _ = job.await;
        }
        self.known = None;
        self.reported = None;
        self.shared.budget.forget(self.key);
    }

    async fn tick(&mut self) {
        self.report_progress();
        if self.memory.is_awaited() {
            self.try_for_memory().await;
        }
        if self.phase == Phase::Metadata {
            self.metadata_overdue().await;
        }
        self.rechoke();
        self.advertise_all_to_silent();
        if self.phase == Phase::Fetching {
            self.look_after().await;
        }
    }

    /// How much is verified, if not reported yet.
    fn unreported_progress(&self) -> Option<u64> {
        let verified = match (&self.phase, &self.view) {
            // A repeated check must not make progress go back.
            (Phase::Checking, _) => self.checked.load(Ordering::Relaxed).max(self.reported.unwrap_or(0)),
            (_, Some(view)) => view.meta.bytes_of(self.pieces.have()),
            (_, None) => self.reported.unwrap_or(0),
        };
        Some(verified).filter(|_| self.is_fetch() && self.reported != Some(verified))
    }

    fn report_progress(&mut self) {
        if let Some(verified) = self.unreported_progress()
            && self.shared.try_emit(Event::Progress { key: self.key, verified })
        {
            self.reported = Some(verified);
        }
    }
}
