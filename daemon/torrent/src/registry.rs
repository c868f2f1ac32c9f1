//! The running contents, by the caller's keys.
//!
//! Invariant. Commands are posted under the same lock under which a content's task leaves, so none is lost between the
//! two. Locked for a map operation only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::ContentKey;
use crate::limits::ContentLimits;
use crate::swarm::Command;

#[derive(Default)]
pub(crate) struct Registry(Mutex<Contents>);

#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) running: HashMap<ContentKey, mpsc::UnboundedSender<Command>>,
    pub(crate) limits: HashMap<ContentKey, Arc<ContentLimits>>,
    /// The engine starts nothing any more.
    pub(crate) shut: bool,
}

impl Contents {
    /// Limits of a content that does not run are not kept.
    pub(crate) fn limits(&mut self, key: ContentKey) -> Arc<ContentLimits> {
        if self.running.contains_key(&key) {
            return self.limits.entry(key).or_default().clone();
        }
        self.limits.get(&key).cloned().unwrap_or_default()
    }
}

impl Registry {
    /// A content's task wants to end. `false`: it has new commands.
    pub(crate) fn content_ended(&self, key: ContentKey, commands: &mpsc::UnboundedReceiver<Command>) -> bool {
        let mut contents = self.lock();
        let ended = commands.is_empty();
        if ended {
            contents.running.remove(&key);
            contents.limits.remove(&key);
        }
        ended
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
