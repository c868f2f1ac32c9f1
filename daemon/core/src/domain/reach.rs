//! How this device may be reached: its addresses, and what its server offers for links.

use crate::domain::Domain;
use crate::ids::{FullJid, TransferId};
use crate::session::{Connection, ServerServices};
use crate::signal::{Candidate, CandidateKind, MAX_CANDIDATES, MAX_PROXIES, Proxy, Reach};

/// See the module. `Domain::our_reach` decides which of it a contact learns.
#[derive(Default)]
pub(super) struct OwnReach {
    candidates: Vec<Candidate>,
    server: ServerServices,
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
    pub(super) fn server_changed(&mut self, server: ServerServices) -> bool {
        let new = server.proxies.iter().any(|proxy| !self.server.proxies.contains(proxy));
        self.server = server;
        new
    }
}

impl Domain {
    /// The addresses for a device with which a link was agreed: only those of ways that the person allows. No other code
    /// gives a contact an address of ours, except `introduce` (of receivers that allow it) and magnet links.
    pub(super) fn our_reach(&mut self, id: TransferId) -> Option<Reach> {
        let ways = self.settings.ways;
        let size = self.transfers.get(&id)?.facts.as_ref()?.size;
        let in_band = ways.in_band && size <= self.settings.in_band_max_size;
        let allowed = |candidate: &&Candidate| match candidate.kind {
            CandidateKind::Host => ways.direct,
            CandidateKind::Mapped => ways.mapped,
            CandidateKind::Reflexive => ways.punched,
        };
        let candidates = self.reach.candidates().iter().filter(allowed).take(MAX_CANDIDATES).copied().collect();
        let proxies = if ways.proxy65 { self.reach.proxies() } else { &[] };
        let proxies = proxies.iter().take(MAX_PROXIES).cloned().collect();
        let stream_id = (ways.proxy65 || in_band).then(|| self.stream_id(id));
        Some(Reach { candidates, proxies, stream_id, in_band })
    }

    /// As the server knows this device now, or last did.
    pub(super) fn own_device(&self) -> FullJid {
        match self.presence.connection() {
            Connection::Online { device, .. } => device.clone(),
            Connection::Connecting | Connection::Offline { .. } | Connection::Refused { .. } => {
                FullJid::new(self.settings.account.clone(), self.settings.resource.clone())
            }
        }
    }

    /// The name of the bytestreams that we open for this link.
    fn stream_id(&mut self, id: TransferId) -> String {
        if let Some(known) = self.live.get(&id).and_then(|live| live.stream_id.clone()) {
            return known;
        }
        let random = format!("{:032x}", (self.entropy)());
        self.live(id).stream_id = Some(random.clone());
        random
    }
}
