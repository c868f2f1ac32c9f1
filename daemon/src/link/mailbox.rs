//! How wants come into the room: never lost, never blocking, and bounded.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use xbt_core::effect::Want;
use xbt_core::ids::TransferId;

/// What is asked for one transfer.
#[derive(Debug)]
pub(super) enum Order {
    Want(Box<Want>),
    Unwant,
}

/// One slot per transfer, in which the latest order replaces an earlier one that was not yet seen. That is what the
/// orders mean anyway, so nothing is lost, and the box cannot outgrow the list of transfers.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    slots: Mutex<Slots>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Slots {
    orders: BTreeMap<TransferId, Order>,
    closed: bool,
}

impl Mailbox {
    pub fn post(&self, transfer: TransferId, order: Order) {
        let mut slots = self.lock();
        if !slots.closed {
            slots.orders.insert(transfer, order);
            self.bell.notify_one();
        }
    }

    /// Waits until there is an order. May also come back without one.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }

    pub fn take(&self) -> BTreeMap<TransferId, Order> {
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
