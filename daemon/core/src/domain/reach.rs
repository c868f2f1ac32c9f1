//! How this device may be reached: its addresses, and what its server offers for links.

use crate::session::Facilities;
use crate::signal::{Candidate, Proxy};

/// See the module. Which of it a contact learns is for [`Domain::our_reach`](crate::Domain) to say.
#[derive(Default)]
pub(super) struct OwnReach {
    candidates: Vec<Candidate>,
    server: Facilities,
}

impl OwnReach {
    pub(super) fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    pub(super) fn proxies(&self) -> &[Proxy] {
        &self.server.proxies
    }

    /// Our addresses have changed. True: there is a new one.
    pub(super) fn candidates_changed(&mut self, candidates: Vec<Candidate>) -> bool {
        let new = candidates.iter().any(|candidate| !self.candidates.contains(candidate));
        self.candidates = candidates;
        new
    }

    /// What our server offers is known, or has changed. True: there is a new proxy.
    pub(super) fn server_changed(&mut self, server: Facilities) -> bool {
        let new = server.proxies.iter().any(|proxy| !self.server.proxies.contains(proxy));
        self.server = server;
        new
    }
}
