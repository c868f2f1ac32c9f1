//! How dial requests come in: never lost, never blocking, and bounded.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use xbt_core::effect::{DialRequest, LinkId};

/// What is to be done about one link.
#[derive(Debug)]
pub(crate) enum Command {
    Dial(Box<DialRequest>),
    Cancel,
}

/// One slot per link, in which the latest command replaces one that was not yet taken. That is what the commands mean
/// anyway, so nothing is lost, and the mailbox cannot outgrow the list of transfers and of the few devices that are
/// introduced for each.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    slots: Mutex<Slots>,
    posted: Notify,
}

#[derive(Debug, Default)]
struct Slots {
    commands: BTreeMap<LinkId, Command>,
    closed: bool,
}

impl Mailbox {
    pub fn post(&self, id: LinkId, command: Command) {
        let mut slots = self.lock();
        if !slots.closed {
            slots.commands.insert(id, command);
            self.posted.notify_one();
        }
    }

    /// Waits until there is a command. May also return without one.
    pub async fn posted(&self) {
        self.posted.notified().await;
    }

    pub fn take(&self) -> BTreeMap<LinkId, Command> {
        std::mem::take(&mut self.lock().commands)
    }

    /// Drops everything, from now on too.
    pub fn close(&self) {
        let mut slots = self.lock();
        slots.closed = true;
        slots.commands.clear();
    }

    /// Never held across an await. Nothing panics while it is held, so a poisoned lock is good.
    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
