//! The engine as its caller sees it.
//!
//! Invariants. Every call only posts or spawns: it never waits. Commands go to their content's task by an unbounded
//! channel, which holds at most what the caller posted while the task waited for the caller to take events.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::content::{Data, Fetch};
use crate::error::{EngineError, codes};
use crate::event::{CloseReason, Event};
use crate::limits::{LinkLimits, Pair, Priority};
use crate::link::{Attach, Stream};
use crate::metainfo::{self, Listing};
use crate::prepare::{self, Sources};
use crate::prepared::Prepared;
use crate::registry::Registry;
use crate::shared::Shared;
use crate::store::resume;
use crate::swarm::{self, Command};
use crate::{ContentKey, Group, LinkTag};

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

/// Memory in use, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Of pieces being received.
    pub pieces: usize,
    /// Of the metadata of contents being received.
    pub metadata: usize,
}

/// The swarm engine. Clones are the same engine; when the last one is dropped, everything stops and what fetches
/// have is saved.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

/// Dropped with the last clone: tasks hold only `shared` and `registry`.
struct Inner {
    shared: Arc<Shared>,
    registry: Arc<Registry>,
    limits: Arc<Pair>,
    peer_id: [u8; 20],
    runtime: Handle,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.stop_preparations();
        let mut contents = self.registry.lock();
        contents.shut = true;
        // Without its sender a content's task ends.
        contents.running.clear();
    }
}

impl Engine {
    /// Starts an engine inside a tokio runtime. Fails with `bad-state` if the state folder cannot be made.
    pub fn start(config: EngineConfig) -> Result<(Self, mpsc::Receiver<Event>), EngineError> {
        std::fs::create_dir_all(&config.state_dir).map_err(|error| EngineError {
            code: codes::BAD_STATE,
            ..EngineError::destination(&config.state_dir, &error)
        })?;
        let (shared, events) = Shared::new(config.state_dir);
        let inner = Inner {
            shared,
            registry: Arc::default(),
            limits: Arc::new(Pair::new(config.upload_limit, config.download_limit)),
            peer_id: peer_id()?,
            runtime: Handle::current(),
        };
        Ok((Self { inner: Arc::new(inner) }, events))
    }

    /// Our peer id (BEP 20), random for each start.
    pub fn peer_id(&self) -> [u8; 20] {
        self.inner.peer_id
    }

    /// Lists and hashes sources; ends with [`Event::Prepared`] or [`Event::PrepareFailed`]. A preparation of the
    /// same key that still runs is cancelled.
    pub fn prepare(&self, key: ContentKey, sources: Sources) {
        let shared = self.inner.shared.clone();
        let stop = shared.preparation_begun(key);
        self.inner.runtime.spawn(prepare::run(shared, key, sources, stop));
    }

    /// Cancels a preparation: [`Event::PrepareFailed`] with code `cancelled` follows, if it was not ready already.
    pub fn cancel_prepare(&self, key: ContentKey) {
        self.inner.shared.stop_preparation(key);
    }

    /// Serves a prepared content to every link attached, without hashing it again. Idempotent; after a failure it
    /// tries again.
    pub fn seed(&self, key: ContentKey, prepared: Prepared) {
        self.post_or_start(key, Command::Seed(Box::new(prepared)));
    }

    /// As [`Self::seed`], from what [`Prepared::to_bytes`] wrote. If it cannot be read, [`Event::Failed`] follows.
    pub fn seed_stored(&self, key: ContentKey, stored: Vec<u8>) {
        self.post_or_start(key, Command::SeedStored(stored));
    }

    /// What a fetch that is not complete contains, if its metadata is known. Blocks on the disk, and parses what others
    /// wrote.
    pub fn listing(&self, key: ContentKey) -> Option<Listing> {
        let info = resume::load_info(&self.inner.shared.state_dir, key)?;
        metainfo::list(info.into()).ok()
    }

    /// What the contents of an owner use at the moment.
    pub fn usage(&self, owner: Group) -> Usage {
        Usage { pieces: self.inner.shared.budget.held_by(owner), metadata: self.inner.shared.metadata.held_by(owner) }
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

    /// Like [`Self::attach`], with the group's limits too. A group whose links were closed three times for wrong data
    /// gets no further link to that content ([`CloseReason::Corrupt`]) before [`Self::resume`].
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

    /// Like [`Self::attach_in_group`] for a peer that a contact introduced: the limits of `group` apply, and wrong data
    /// counts against `blamed` alone.
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
        let (cancel, group) = self.inner.shared.link_opened(tag, group);
        let refused = {
            let mut contents = self.inner.registry.lock();
            let limits = LinkLimits { engine: self.inner.limits.clone(), group, content: contents.limits(key) };
            let attach = Attach { tag, group: blamed, stream, reserved, cancel, limits };
            match contents.running.get(&key) {
                Some(content) => content.send(Command::Attach(attach)).is_err(),
                None => true,
            }
        };
        if refused {
            let shared = self.inner.shared.clone();
            self.inner.runtime.spawn(async move { shared.link_closed(key, tag, CloseReason::Unknown).await });
        }
    }

    /// Closes a link; [`Event::LinkClosed`] follows.
    pub fn detach(&self, tag: LinkTag) {
        self.inner.shared.cancel_link(tag);
    }

    /// Closes a content's links and refuses new ones; what was verified is kept.
    pub fn pause(&self, key: ContentKey) {
        self.post(key, Command::Pause);
    }

    /// Continues after a pause or a failure.
    pub fn resume(&self, key: ContentKey) {
        self.post(key, Command::Resume);
    }

    /// Stops a content and closes its links.
    pub fn forget(&self, key: ContentKey, data: Data) {
        let mut contents = self.inner.registry.lock();
        match contents.running.get(&key).filter(|_| !contents.shut) {
            // Cannot fail, as in `post`.
            Some(content) => drop(content.send(Command::Forget(data))),
            // Limits set for a content that will not come now.
            None => drop(contents.limits.remove(&key)),
        }
    }

    /// Contents of which a fetch has left something behind: under way, held up, or cut off by a crash.
    pub fn leftovers(&self) -> Vec<ContentKey> {
        resume::all(&self.inner.shared.state_dir)
    }

    /// Changes the limits at once; bytes per second, 0: none.
    pub fn set_limits(&self, upload: u64, download: u64) {
        self.inner.limits.set(upload, download);
    }

    /// Changes the limits of a group of links at once; bytes per second, 0: none. They apply beside the engine's.
    pub fn set_group_limits(&self, group: Group, upload: u64, download: u64) {
        self.inner.shared.set_group_limits(group, upload, download);
    }

    /// Changes the limits of a content at once, also before it is there; bytes per second, 0: none. They apply beside the
    /// engine's and are forgotten with the content.
    pub fn set_content_limits(&self, key: ContentKey, upload: u64, download: u64) {
        self.inner.registry.lock().limits.entry(key).or_default().own.set(upload, download);
    }

    /// Changes a content's share of the common limits, also before it is there; forgotten with the content.
    pub fn set_priority(&self, key: ContentKey, priority: Priority) {
        self.inner.registry.lock().limits.entry(key).or_default().set_priority(priority);
    }

    /// Saves what fetches have, closes all links, and starts nothing any more. Takes at most about two seconds.
    pub async fn shutdown(&self) {
        self.inner.shared.stop_preparations();
        let waiting = {
            let mut contents = self.inner.registry.lock();
            contents.shut = true;
            let shut = |content: &mpsc::UnboundedSender<Command>| {
                let (done, waiting) = oneshot::channel();
                content.send(Command::Shutdown(done)).ok().map(|()| waiting)
            };
            contents.running.values().filter_map(shut).collect::<Vec<_>>()
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

    fn post(&self, key: ContentKey, command: Command) {
        let contents = self.inner.registry.lock();
        if let Some(content) = contents.running.get(&key).filter(|_| !contents.shut) {
            // The task leaves the registry before it ends, so this cannot fail.
            let _ = content.send(command);
        }
    }

    fn post_or_start(&self, key: ContentKey, command: Command) {
        let mut contents = self.inner.registry.lock();
        if contents.shut {
            return;
        }
        let content = contents.running.entry(key).or_insert_with(|| {
            let (sender, receiver) = mpsc::unbounded_channel();
            let registry = self.inner.registry.clone();
            let ended = move |commands: &_| registry.content_ended(key, commands);
            self.inner.runtime.spawn(swarm::run(self.inner.shared.clone(), key, receiver, ended));
            sender
        });
        let _ = content.send(command);
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
