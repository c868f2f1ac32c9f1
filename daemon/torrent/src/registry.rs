//! What the engine has, by the caller's numbers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::limits::{ContentLimits, Pair};
use crate::swarm::Command;
use crate::{ContentKey, Group, LinkTag};

#[derive(Default)]
pub(crate) struct Registry {
    pub(crate) contents: HashMap<ContentKey, mpsc::UnboundedSender<Command>>,
    pub(crate) links: HashMap<LinkTag, CancellationToken>,
    pub(crate) preparations: HashMap<ContentKey, Arc<AtomicBool>>,
    pub(crate) content_limits: HashMap<ContentKey, Arc<ContentLimits>>,
    /// Those that limit something or have links.
    pub(crate) groups: HashMap<Group, Arc<Pair>>,
    pub(crate) shut: bool,
}

impl Registry {
    pub(crate) fn group(&mut self, group: Group) -> Arc<Pair> {
        self.groups.entry(group).or_insert_with(|| Arc::new(Pair::new(0, 0))).clone()
    }

    /// Those of a content that is not there are not kept.
    pub(crate) fn content_limits(&mut self, key: ContentKey) -> Arc<ContentLimits> {
        if self.contents.contains_key(&key) {
            return self.content_limits.entry(key).or_default().clone();
        }
        self.content_limits.get(&key).cloned().unwrap_or_default()
    }

    pub(crate) fn drop_idle_groups(&mut self) {
        self.groups.retain(|_, pair| pair.is_set() || Arc::strong_count(pair) > 1);
    }
}
