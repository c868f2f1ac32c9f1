//! Links: authenticated, encrypted byte streams to other devices, each of which carries one BitTorrent connection.
//!
//! A link is any byte stream plus the [`Way`] it takes. Today there is one way, direct TCP (`tcp`); a further
//! one is a further module that yields a [`BoxedStream`] and the fingerprint of the device at its end.
//!
//! What is kept where:
//! - `identity`, `tls`: who we are, and that the other end is who it says (TLS 1.3, both keys pinned);
//! - `listen`, `door`: sockets, and the bounded number of strangers who may stand at them;
//! - `dial`, `tcp`: trying candidates;
//! - `room`: the one owner of all wants and parked links, which decides whose link is taken;
//! - `talk`, `handshake`: the 68 bytes of BitTorrent that bind a link to a content.

mod address;
mod dial;
mod door;
mod error;
mod event;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod handshake;
mod identity;
mod interfaces;
mod listen;
mod mailbox;
mod outbox;
mod parking;
#[cfg_attr(not(test), expect(dead_code, reason = "the room takes it into use next"))]
mod punch;
mod room;
mod start;
mod talk;
mod tcp;
mod tls;
mod wants;

#[cfg(test)]
mod tests;

pub use error::LinkError;
pub use event::{Attempt, BoxedStream, LinkEvent, LinkStream};
pub use identity::Identity;
pub use start::{LinkConfig, LinkHandle, LinkRoom};
pub use wants::Want;

use std::net::IpAddr;
use std::time::Duration;

use xbt_core::signal::{Candidate, CandidateKind};
use xbt_core::way::Way;

/// The way to a candidate. A mapped IPv6 address is a hole in a firewall, not a translation: direct.
fn way_to(candidate: &Candidate) -> Way {
    match (candidate.address.ip().to_canonical(), candidate.kind) {
        (IpAddr::V6(_), CandidateKind::Host | CandidateKind::Mapped) => Way::DirectTcp6,
        (IpAddr::V4(_), CandidateKind::Host) => Way::DirectTcp4,
        (IpAddr::V4(_), CandidateKind::Mapped) => Way::MappedTcp4,
    }
}

/// The way of a link that came in over TCP from this address.
fn way_from(remote: IpAddr) -> Way {
    match remote.to_canonical() {
        IpAddr::V6(_) => Way::DirectTcp6,
        IpAddr::V4(_) => Way::DirectTcp4,
    }
}

/// How long things may take. One value for the daemon; tests use shorter ones.
#[derive(Clone, Copy, Debug)]
struct Times {
    /// From `want` until it has failed.
    want: Duration,
    /// What a better way gets once the first link is there.
    better: Duration,
    /// From one dial to the next (RFC 8305, section 5: 250 ms).
    stagger: Duration,
    /// A TCP connection, at most.
    connect: Duration,
    /// A TLS handshake, at most.
    tls: Duration,
    /// A link that nobody wants or speaks on, at most.
    parked: Duration,
    /// A link of a known device that spoke of a content which is not granted: its `connect` may be on its way to us.
    early: Duration,
    /// The other side's BitTorrent handshake, once we have sent ours.
    answer: Duration,
    /// Before the candidates are tried again; doubled each time.
    redial: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            want: Duration::from_secs(15),
            better: Duration::from_millis(100),
            stagger: Duration::from_millis(250),
            connect: Duration::from_secs(10),
            tls: Duration::from_secs(10),
            parked: Duration::from_secs(10),
            early: Duration::from_secs(2),
            answer: Duration::from_secs(5),
            redial: Duration::from_millis(500),
        }
    }
}
