//! What the notification server shows, and the calls that make it show what is wanted.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use crate::note::{Key, Note};

/// Between two updates of one notification.
const UPDATE: Duration = Duration::from_secs(1);

/// A call of the notification server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Show it, in place of the one with the id (0: beside all others).
    Show(Key, Box<Note>, u32),
    /// Take it away.
    Close(u32),
}

#[derive(Debug)]
struct Shown {
    id: u32,
    note: Note,
    at: Instant,
}

/// Our notifications on the screen. No more than are wanted, so they are bounded like those.
#[derive(Debug, Default)]
pub struct Board {
    shown: BTreeMap<Key, Shown>,
    /// What a server that has gone has shown already: it is not shown again.
    past: HashSet<Key>,
    held: bool,
}

impl Board {
    /// What to do so that `wanted` is shown. Updates that come too soon are left for a later call.
    pub fn plan(&mut self, wanted: &BTreeMap<Key, Note>, now: Instant) -> Vec<Step> {
        let mut steps = Vec::new();
        self.held = false;
        self.past.retain(|key| wanted.contains_key(key));
        self.shown.retain(|key, shown| {
            let keep = wanted.contains_key(key);
            // Events stay for as long as the server shows them.
            if !keep && shown.note.stays {
                steps.push(Step::Close(shown.id));
            }
            keep
        });
        for (key, note) in wanted {
            let replaces = match self.shown.get(key) {
                None if self.past.contains(key) && !note.stays => continue,
                None => 0,
                Some(shown) if shown.note == *note => continue,
                // Only updates of the same kind are held back.
                Some(shown) if note.stays == shown.note.stays && now.duration_since(shown.at) < UPDATE => {
                    self.held = true;
                    continue;
                }
                Some(shown) => shown.id,
            };
            steps.push(Step::Show(*key, Box::new(note.clone()), replaces));
        }
        steps
    }

    /// Whether the last plan held something back.
    pub fn holds_back(&self) -> bool {
        self.held
    }

    /// A [`Step::Show`] was carried out.
    pub fn shows(&mut self, key: Key, note: Note, id: u32, now: Instant) {
        self.past.remove(&key);
        self.shown.insert(key, Shown { id, note, at: now });
    }

    /// What a notification is about.
    pub fn key(&self, id: u32) -> Option<Key> {
        self.shown.iter().find(|(_, shown)| shown.id == id).map(|(key, _)| *key)
    }

    /// The server has closed one; what it was about, if it was ours.
    pub fn closed(&mut self, id: u32) -> Option<Key> {
        let key = self.key(id)?;
        self.shown.remove(&key);
        Some(key)
    }

    /// The server has gone, and all that it showed.
    pub fn gone(&mut self) {
        let past = std::mem::take(&mut self.shown).into_iter().filter(|(_, shown)| !shown.note.stays);
        self.past.extend(past.map(|(key, _)| key));
    }

    /// Those that mean nothing once we have ended.
    pub fn lasting(&self) -> Vec<u32> {
        self.shown.values().filter(|shown| shown.note.stays).map(|shown| shown.id).collect()
    }
}

#[cfg(test)]
mod tests;
