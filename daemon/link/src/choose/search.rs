//! What is dialed for a request, and what we offer the others.

use std::sync::Arc;

use tokio_util::task::AbortOnDropHandle;

use super::dial::Round;
use super::room::{Room, Setup};
use crate::ways::attempt::Attempt;
use crate::ways::reason::{Failure, Reason};
use crate::ways::transport::Network;
use xbt_core::effect::LinkId;

impl Room {
    /// Begins a round of dials.
    pub(super) fn dial(&mut self, id: LinkId) {
        let Setup { transports, local, .. } = &self.setup;
        let Some(search) = self.requests.0.get_mut(&id) else { return };
        search.redial_at = None;
        let mut targets = Vec::new();
        for target in search.targets.clone() {
            let Some(transport) = transports.of(target.way) else { continue };
            match transport.objection(&target, &search.request, local) {
                None if transport.opens(search.request.peer) => targets.push(target),
                None => {}
                Some(why) => {
                    let failure = Failure::new(Reason::NotDialed, format!("{target} {why}: not dialled"));
                    search.record(Attempt::at(target, failure));
                }
            }
        }
        if targets.is_empty() {
            return;
        }
        self.counter += 1;
        let number = self.counter;
        let (request, since, local) = (search.request.clone(), search.since, Arc::new(local.clone()));
        let round = Round { request, since, number, targets, local };
        let task = tokio::spawn(self.dialer.clone().run(round));
        search.round = Some((number, AbortOnDropHandle::new(task)));
    }

    /// Something of what the ways offer may have changed.
    pub(super) fn offers_changed(&mut self) {
        let network = Network { local: &self.setup.local, outside: &self.outside };
        let offers = self.setup.transports.offers(&network);
        if *self.setup.candidates.borrow() != offers {
            tracing::info!(count = offers.len(), "our addresses have changed");
            self.setup.candidates.send_replace(offers.clone());
            self.pending.candidates(offers);
        }
    }
}
