//! The rules in a small deterministic world: devices, a server, engines and links, all of it simulated.
#![allow(clippy::unwrap_used, clippy::panic)]

mod agree;
mod answer;
mod better;
mod commands;
mod crossed;
mod devices;
mod expiry;
mod hostile;
mod introduce;
mod ledger;
mod limits;
mod link;
mod login;
mod names;
mod open;
mod pause;
mod put_off;
mod rates;
mod restart;
mod roster;
mod rules;
mod schedule;
mod send;
mod sync;
mod trust;
mod world;

use super::Domain;

impl Domain {
    /// What only lives in memory follows from what is there.
    pub fn live_is_bounded(&self) -> bool {
        self.live.keys().all(|id| self.transfers.get(id).is_some())
            && self.links.transfers().count() <= self.transfers.len()
            && self.timers.len() <= 8 * (self.transfers.len() + self.presence.len()) + 8
            && self.outbox.is_bounded()
    }
}
