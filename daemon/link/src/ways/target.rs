//! What can be tried for a dial request.

use std::fmt;
use std::net::IpAddr;

use xbt_core::signal::{Candidate, CandidateKind, Proxy};
use xbt_core::way::Way;

/// One thing that can be tried for a dial request. Only the way that made it knows how to connect to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The way that a link over it takes.
    pub(crate) way: Way,
    /// What people call it.
    pub(crate) name: String,
    pub(crate) via: Via,
}

/// Where a target is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Via {
    /// At an address of the other device.
    Address(Candidate),
    /// At a server where both sides meet. `ours`: our side named it, and sets it up.
    Relay { server: Proxy, ours: bool },
    /// Nothing but the way itself.
    Way,
}

impl Target {
    /// An address of the other device.
    pub(crate) fn address(candidate: Candidate) -> Self {
        Self { way: way_to(&candidate), name: candidate.address.to_string(), via: Via::Address(candidate) }
    }

    /// The one target of a way that needs no address.
    pub(crate) fn only(way: Way, name: &str) -> Self {
        Self { way, name: name.to_owned(), via: Via::Way }
    }

    /// Whether it is an address that the other device named.
    pub(crate) fn is_address(&self) -> bool {
        matches!(self.via, Via::Address(_))
    }

    /// The JID of the server that relays it, where one does.
    pub(crate) fn relay(&self) -> Option<String> {
        match &self.via {
            Via::Relay { server, .. } => Some(server.jid.clone()),
            Via::Address(_) | Via::Way => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The way to a candidate. A mapped IPv6 address is a hole in a firewall, not a translation: direct.
pub(crate) fn way_to(candidate: &Candidate) -> Way {
    match (candidate.address.ip().to_canonical(), candidate.kind) {
        (_, CandidateKind::Reflexive) => Way::PunchedUdp,
        (IpAddr::V6(_), CandidateKind::Host | CandidateKind::Mapped) => Way::DirectTcp6,
        (IpAddr::V4(_), CandidateKind::Host) => Way::DirectTcp4,
        (IpAddr::V4(_), CandidateKind::Mapped) => Way::MappedTcp4,
    }
}
