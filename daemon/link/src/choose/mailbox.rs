//! How wants come into the room: never lost, never blocking, and bounded.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use xbt_core::effect::{LinkFor, Want};

/// What is asked for one link.
#[derive(Debug)]
pub(crate) enum Order {
    Want(Box<Want>),
    Unwant,
}

/// One slot per link of a transfer, in which the latest order replaces an earlier one that was not yet seen. That is what the
/// orders mean anyway, so nothing is lost, and the box cannot outgrow the list of transfers and of the few devices that are introduced for each.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    slots: Mutex<Slots>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Slots {
    orders: BTreeMap<LinkFor, Order>,
    closed: bool,
}

impl Mailbox {
    pub fn post(&self, purpose: LinkFor, order: Order) {
        let mut slots = self.lock();
        if !slots.closed {
            slots.orders.insert(purpose, order);
            self.bell.notify_one();
        }
    }

    /// Waits until there is an order. May also come back without one.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }

    pub fn take(&self) -> BTreeMap<LinkFor, Order> {
        std::mem::take(&mut self.lock().orders)
    }

    /// Nobody will look into it any more.
    pub fn close(&self) {
        let mut slots = self.lock();
        slots.closed = true;
        slots.orders.clear();
    }

    /// Held for a moment only, and never across an await. Nothing in here panics half-way, so a poisoned lock is good.
    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
