//! The engine as its caller sees it, and what all contents share.
//!
//! Invariants. Every call only posts or spawns: it never waits. Commands go to their content's task by an unbounded
//! channel; it holds at most what the caller posted while the task waited for the caller to take events. Events
//! go out by one bounded channel: whoever has one to tell waits, so a slow caller slows the engine and loses only
//! progress. Locks here are held for a map operation, never across I/O or an await.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::budget::Budget;
use crate::error::{EngineError, codes};
use crate::event::{CloseReason, Event};
use crate::limits::{LinkLimits, Pair, Priority};
use crate::link::{Attach, Stream};
use crate::prepare::{self, Sources};
use crate::prepared::Prepared;
use crate::registry::Registry;
use crate::store::resume;
use crate::swarm::{self, Command};
use crate::{ContentKey, Group, LinkTag};

/// Events that may wait for the caller.
const EVENTS: usize = 1024;
/// How long a shutdown may take.
const SHUTDOWN: Duration = Duration::from_millis(1800);

/// Where the engine keeps its state, and its limits.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Folder for resume files; made if missing.
    pub state_dir: PathBuf,
    /// Payload bytes per second sent on all links together; 0: no limit.
    pub upload_limit: u64,
    /// Payload bytes per second received on all links together; 0: no limit.
    pub download_limit: u64,
}

/// A content to be fetched, as it was offered.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// SHA-1 of the info dictionary.
    pub info_hash: [u8; 20],
    /// The offered name; the metadata must say the same.
    pub name: String,
    /// The offered size in bytes; the metadata must say the same.
    pub size: u64,
    /// The offered number of files; the metadata must say the same.
    pub files: u64,
    /// The offered size of the metadata in bytes, at most [`crate::MAX_METADATA`].
    pub metadata_size: u32,
    /// The folder it goes to; made if missing.
    pub destination: PathBuf,
    /// Tells this fetch's partial data from all others' in that folder: letters, digits, `-`, `_`, at most 200.
    pub partial_id: String,
    /// The metadata, if known from an earlier [`Event::Metadata`].
    pub info: Option<Bytes>,
}

/// What becomes of the data of a forgotten content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// Partial data and resume state stay, for a later fetch.
    Keep,
    /// Everything that was received goes, also what has got its name in this very moment (as long as it is the same file),
    /// and the resume state last. For fetches that were given up; sources are never touched.
    Delete,
}

/// The swarm engine. Clones are the same engine; when the last one is dropped, everything stops and what fetches
/// have is saved.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
    /// Counts the clones: tasks hold `shared` too.
    _owner: Arc<Owner>,
}

struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        let mut registry = self.0.lock();
        registry.shut = true;
        registry.preparations.values().for_each(|stop| stop.store(true, Ordering::Relaxed));
        // Without its sender a content's task ends.
        registry.contents.clear();
    }
}

/// What all contents and links share.
pub(crate) struct Shared {
    pub(crate) state_dir: PathBuf,
    limits: Arc<Pair>,
    pub(crate) budget: Arc<Budget>,
    /// Bounds the jobs that verify and write pieces.
    pub(crate) disk: Semaphore,
    /// Bounds the preparations that run at once.
    pub(crate) prepares: Semaphore,
    events: mpsc::Sender<Event>,
    registry: Mutex<Registry>,
    peer_id: [u8; 20],
    runtime: Handle,
}

impl Engine {
    /// Starts an engine inside a tokio runtime. Fails with `bad-state` if the state folder cannot be made.
    pub fn start(config: EngineConfig) -> Result<(Self, mpsc::Receiver<Event>), EngineError> {
        std::fs::create_dir_all(&config.state_dir).map_err(|error| EngineError {
            code: codes::BAD_STATE,
            ..EngineError::destination(&config.state_dir, &error)
        })?;
        let (events, receiver) = mpsc::channel(EVENTS);
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let shared = Shared {
            state_dir: config.state_dir,
            limits: Arc::new(Pair::new(config.upload_limit, config.download_limit)),
            budget: Budget::new(),
            // One more than the cores, so that one waits for the disk while the others hash.
            disk: Semaphore::new(cores + 1),
            prepares: Semaphore::new(2),
            events,
            registry: Mutex::default(),
            peer_id: peer_id()?,
            runtime: Handle::current(),
        };
        let shared = Arc::new(shared);
        Ok((Self { _owner: Arc::new(Owner(shared.clone())), shared }, receiver))
    }

    /// Our peer id (BEP 20), random for each start.
    pub fn peer_id(&self) -> [u8; 20] {
        self.shared.peer_id
    }

    /// Lists and hashes sources; ends with [`Event::Prepared`] or [`Event::PrepareFailed`]. A preparation of the
    /// same key that still runs is cancelled.
    pub fn prepare(&self, key: ContentKey, sources: Sources) {
        let stop = Arc::new(AtomicBool::new(false));
        let old = self.shared.lock().preparations.insert(key, stop.clone());
        if let Some(old) = old {
            old.store(true, Ordering::Relaxed);
        }
        self.shared.runtime.spawn(prepare::run(self.shared.clone(), key, sources, stop));
    }

    /// Cancels a preparation: [`Event::PrepareFailed`] with code `cancelled` follows, if it was not ready already.
    pub fn cancel_prepare(&self, key: ContentKey) {
        if let Some(stop) = self.shared.lock().preparations.get(&key) {
            stop.store(true, Ordering::Relaxed);
        }
    }

    /// Serves a prepared content to every link attached, without hashing it again. Idempotent; after a failure it
    /// tries again.
    pub fn seed(&self, key: ContentKey, prepared: Prepared) {
        self.post_or_start(key, Command::Seed(Box::new(prepared)));
    }

    /// Fetches a content from every link attached, going on from what is on the disk. Idempotent; after a failure
    /// it tries again.
    pub fn fetch(&self, key: ContentKey, fetch: Fetch) {
        self.post_or_start(key, Command::Fetch(Box::new(fetch)));
    }

    /// Hands over an authenticated stream on which the handshakes have gone both ways; `reserved` is the other
    /// side's. [`Event::LinkClosed`] follows exactly once, also if the content is not known. A tag is used once.
    pub fn attach(
        &self,
        key: ContentKey,
        tag: LinkTag,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        reserved: [u8; 8],
    ) {
        self.attach_to((None, None), key, tag, Box::new(stream), reserved);
    }

    /// Like [`Self::attach`], and the group's limits hold for the link too. A group whose links were closed three times
    /// for wrong data gets no further one to that content ([`CloseReason::Corrupt`]) before [`Self::resume`].
    pub fn attach_in_group(
        &self,
        group: Group,
        key: ContentKey,
        tag: LinkTag,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        reserved: [u8; 8],
    ) {
        self.attach_to((Some(group), Some(group)), key, tag, Box::new(stream), reserved);
    }

    /// Like [`Self::attach_in_group`], but who brings the data is somebody else: the limits of `group` hold for the link,
    /// and wrong data is held against `blamed` alone.
    pub fn attach_introduced(
        &self,
        (group, blamed): (Group, Group),
        key: ContentKey,
        tag: LinkTag,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        reserved: [u8; 8],
    ) {
        self.attach_to((Some(group), Some(blamed)), key, tag, Box::new(stream), reserved);
    }

    fn attach_to(
        &self,
        (group, blamed): (Option<Group>, Option<Group>),
        key: ContentKey,
        tag: LinkTag,
        stream: Box<dyn Stream>,
        reserved: [u8; 8],
    ) {
        let cancel = CancellationToken::new();
        let refused = {
            let mut registry = self.shared.lock();
            registry.links.insert(tag, cancel.clone());
            let limits = LinkLimits {
                engine: self.shared.limits.clone(),
                group: group.map(|group| registry.group(group)),
                content: registry.content_limits(key),
            };
            let attach = Attach { tag, group: blamed, stream, reserved, cancel, limits };
            match registry.contents.get(&key) {
                Some(content) => content.send(Command::Attach(attach)).is_err(),
                None => true,
            }
        };
        if refused {
            let shared = self.shared.clone();
            self.shared.runtime.spawn(async move { shared.link_closed(key, tag, CloseReason::Unknown).await });
        }
    }

    /// Closes a link; [`Event::LinkClosed`] follows.
    pub fn detach(&self, tag: LinkTag) {
        if let Some(cancel) = self.shared.lock().links.get(&tag) {
            cancel.cancel();
        }
    }

    /// Closes a content's links and refuses new ones; what was verified is kept.
    pub fn pause(&self, key: ContentKey) {
        self.post(key, Command::Pause);
    }

    /// Goes on after a pause or a failure.
    pub fn resume(&self, key: ContentKey) {
        self.post(key, Command::Resume);
    }

    /// Stops a content and closes its links.
    pub fn forget(&self, key: ContentKey, data: Data) {
        let mut registry = self.shared.lock();
        match registry.contents.get(&key).filter(|_| !registry.shut) {
            // As in `post`, this cannot fail.
            Some(content) => drop(content.send(Command::Forget(data))),
            // Limits that came before the content, which will not come now.
            None => drop(registry.content_limits.remove(&key)),
        }
    }

    /// The contents of which a fetch has left something behind: under way, held up, or cut off by a crash.
    pub fn leftovers(&self) -> Vec<ContentKey> {
        resume::all(&self.shared.state_dir)
    }

    /// Changes the limits at once; bytes per second, 0: none.
    pub fn set_limits(&self, upload: u64, download: u64) {
        self.shared.limits.set(upload, download);
    }

    /// Changes the limits of a group of links at once; bytes per second, 0: none. They hold beside the engine's.
    pub fn set_group_limits(&self, group: Group, upload: u64, download: u64) {
        let mut registry = self.shared.lock();
        registry.group(group).set(upload, download);
        registry.drop_idle_groups();
    }

    /// Changes the limits of a content at once, also before it is there; bytes per second, 0: none. They hold beside the
    /// engine's and are forgotten with the content.
    pub fn set_content_limits(&self, key: ContentKey, upload: u64, download: u64) {
        self.shared.lock().content_limits.entry(key).or_default().own.set(upload, download);
    }

    /// Changes a content's part in the limits that contents share, also before it is there; forgotten with the content.
    pub fn set_priority(&self, key: ContentKey, priority: Priority) {
        self.shared.lock().content_limits.entry(key).or_default().set_priority(priority);
    }

    /// Saves what fetches have, closes all links, and starts nothing any more. Takes at most about two seconds.
    pub async fn shutdown(&self) {
        let waiting = {
            let mut registry = self.shared.lock();
            registry.shut = true;
            registry.preparations.values().for_each(|stop| stop.store(true, Ordering::Relaxed));
            let contents: Vec<_> = registry.contents.values().cloned().collect();
            contents
                .into_iter()
                .filter_map(|content| {
                    let (done, waiting) = oneshot::channel();
                    content.send(Command::Shutdown(done)).ok().map(|()| waiting)
                })
                .collect::<Vec<_>>()
        };
        let all = async {
            for one in waiting {
                let _ = one.await;
            }
        };
        if tokio::time::timeout(SHUTDOWN, all).await.is_err() {
            tracing::warn!("not every content stopped in time; the last saved state counts");
        }
    }

    /// For tests of one content.
    #[cfg(test)]
    pub(crate) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    fn post(&self, key: ContentKey, command: Command) {
        let registry = self.shared.lock();
        if let Some(content) = registry.contents.get(&key).filter(|_| !registry.shut) {
            // The task takes its name off the registry before it ends, so this cannot fail.
            let _ = content.send(command);
        }
    }

    fn post_or_start(&self, key: ContentKey, command: Command) {
        let mut registry = self.shared.lock();
        if registry.shut {
            return;
        }
        let content = registry.contents.entry(key).or_insert_with(|| {
            let (sender, receiver) = mpsc::unbounded_channel();
            self.shared.runtime.spawn(swarm::run(self.shared.clone(), key, receiver));
            sender
        });
        let _ = content.send(command);
    }
}

impl Shared {
    /// For ties between pieces: need not be secret, so a failure may be a constant.
    pub(crate) fn random(&self) -> u64 {
        getrandom::u64().unwrap_or(0x9E37_79B9_7F4A_7C15)
    }

    /// Tells something that must arrive. An error means that the caller dropped the receiver.
    pub(crate) async fn emit(&self, event: Event) {
        let _ = self.events.send(event).await;
    }

    /// Tells progress, unless the caller is behind. True: told.
    pub(crate) fn tell(&self, event: Event) -> bool {
        // Some room is left for what must arrive.
        self.events.capacity() > EVENTS / 4 && self.events.try_send(event).is_ok()
    }

    /// The one place where the end of a link is told.
    pub(crate) async fn link_closed(&self, key: ContentKey, tag: LinkTag, reason: CloseReason) {
        {
            let mut registry = self.lock();
            registry.links.remove(&tag);
            registry.drop_idle_groups();
        }
        tracing::debug!(key = key.0, tag = tag.0, %reason, "link closed");
        self.emit(Event::LinkClosed { key, tag, reason }).await;
    }

    /// A content's task wants to end; false: there are new commands.
    pub(crate) fn content_ended(&self, key: ContentKey, commands: &mpsc::UnboundedReceiver<Command>) -> bool {
        let mut registry = self.lock();
        // Posting happens under the same lock, so nothing can slip in between.
        let ended = commands.is_empty();
        if ended {
            registry.contents.remove(&key);
            registry.content_limits.remove(&key);
        }
        ended
    }

    /// A preparation is over; a newer one of the same key stays.
    pub(crate) fn preparation_ended(&self, key: ContentKey, stop: &Arc<AtomicBool>) {
        let mut registry = self.lock();
        if registry.preparations.get(&key).is_some_and(|current| Arc::ptr_eq(current, stop)) {
            registry.preparations.remove(&key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// "-XB0001-" and twelve random letters and digits (BEP 20).
fn peer_id() -> Result<[u8; 20], EngineError> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut id = *b"-XB0001-............";
    let (_, random) = id.split_at_mut(8);
    getrandom::fill(random).map_err(|error| {
        EngineError::new(codes::BAD_STATE, format!("the system gives no random numbers: {error}"), "restart the system")
    })?;
    random.iter_mut().for_each(|byte| *byte = LETTERS[usize::from(*byte % 32)]);
    Ok(id)
}
