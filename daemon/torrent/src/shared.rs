//! What contents, links and preparations share. It knows none of them.
//!
//! Invariants. Events go out by one bounded channel: a sender waits for room, so a slow caller slows the engine and
//! loses only progress. The lock here is held for a map operation, never across I/O or an await.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::budget::Budget;
use crate::event::{CloseReason, Event};
use crate::limits::Pair;
use crate::metadata_budget::MetadataBudget;
use crate::{ContentKey, Group, LinkTag};

/// Events that may wait for the caller.
const EVENTS: usize = 1024;

pub(crate) struct Shared {
    pub(crate) state_dir: PathBuf,
    pub(crate) budget: Arc<Budget>,
    pub(crate) metadata: Arc<MetadataBudget>,
    /// Bounds the jobs that verify and write pieces.
    pub(crate) disk: Semaphore,
    /// Bounds the preparations that run at once.
    pub(crate) prepares: Semaphore,
    events: mpsc::Sender<Event>,
    open: Mutex<Open>,
}

/// What can be ended from outside, and the limits of groups, which end with their links.
#[derive(Default)]
struct Open {
    links: HashMap<LinkTag, CancellationToken>,
    preparations: HashMap<ContentKey, Arc<AtomicBool>>,
    /// Groups with a limit or with links.
    groups: HashMap<Group, Arc<Pair>>,
}

impl Open {
    fn group(&mut self, group: Group) -> Arc<Pair> {
        self.groups.entry(group).or_insert_with(|| Arc::new(Pair::new(0, 0))).clone()
    }

    fn drop_idle_groups(&mut self) {
        self.groups.retain(|_, pair| pair.is_set() || Arc::strong_count(pair) > 1);
    }
}

impl Shared {
    pub(crate) fn new(state_dir: PathBuf) -> (Arc<Self>, mpsc::Receiver<Event>) {
        let (events, receiver) = mpsc::channel(EVENTS);
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let shared = Self {
            state_dir,
            budget: Budget::new(),
            metadata: Arc::default(),
            // One more than the cores, so that one waits for the disk while the others hash.
            disk: Semaphore::new(cores + 1),
            // More would only compete for the disk and the cores.
            prepares: Semaphore::new(2),
            events,
            open: Mutex::default(),
        };
        (Arc::new(shared), receiver)
    }

    /// For ties between pieces: need not be secret, so a failure may be a constant.
    pub(crate) fn random(&self) -> u64 {
        getrandom::u64().unwrap_or(0x9E37_79B9_7F4A_7C15)
    }

    /// Sends an event that must arrive. An error means that the caller dropped the receiver.
    pub(crate) async fn emit(&self, event: Event) {
        let _ = self.events.send(event).await;
    }

    /// Sends progress, unless the caller is behind. Returns whether it was sent.
    pub(crate) fn try_emit(&self, event: Event) -> bool {
        // Some room is left for what must arrive.
        self.events.capacity() > EVENTS / 4 && self.events.try_send(event).is_ok()
    }

    /// A link begins: its token, and its group's limits.
    pub(crate) fn link_opened(&self, tag: LinkTag, group: Option<Group>) -> (CancellationToken, Option<Arc<Pair>>) {
        let cancel = CancellationToken::new();
        let mut open = self.open();
        open.links.insert(tag, cancel.clone());
        (cancel, group.map(|group| open.group(group)))
    }

    pub(crate) fn cancel_link(&self, tag: LinkTag) {
        if let Some(cancel) = self.open().links.get(&tag) {
            cancel.cancel();
        }
    }

    /// The only place that reports the end of a link.
    pub(crate) async fn link_closed(&self, key: ContentKey, tag: LinkTag, reason: CloseReason) {
        {
            let mut open = self.open();
            open.links.remove(&tag);
            open.drop_idle_groups();
        }
        tracing::debug!(key = key.0, tag = tag.0, %reason, "link closed");
        self.emit(Event::LinkClosed { key, tag, reason }).await;
    }

    pub(crate) fn set_group_limits(&self, group: Group, upload: u64, download: u64) {
        let mut open = self.open();
        open.group(group).set(upload, download);
        open.drop_idle_groups();
    }

    /// A preparation begins, in place of an older one of the same key. Returns what stops it.
    pub(crate) fn preparation_begun(&self, key: ContentKey) -> Arc<AtomicBool> {
        let stop = Arc::new(AtomicBool::new(false));
        let old = self.open().preparations.insert(key, stop.clone());
        if let Some(old) = old {
            old.store(true, Ordering::Relaxed);
        }
        stop
    }

    pub(crate) fn stop_preparation(&self, key: ContentKey) {
        if let Some(stop) = self.open().preparations.get(&key) {
            stop.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn stop_preparations(&self) {
        self.open().preparations.values().for_each(|stop| stop.store(true, Ordering::Relaxed));
    }

    /// A preparation is over; a newer one of the same key stays.
    pub(crate) fn preparation_ended(&self, key: ContentKey, stop: &Arc<AtomicBool>) {
        let mut open = self.open();
        if open.preparations.get(&key).is_some_and(|current| Arc::ptr_eq(current, stop)) {
            open.preparations.remove(&key);
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
