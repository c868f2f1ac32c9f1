//! Links: authenticated, encrypted byte streams to other devices, each of which carries one BitTorrent connection.
//!
//! A link is any byte stream plus the [`Way`] it takes: a [`BoxedStream`] and the fingerprint of the device at its end.
//!
//! What is kept where:
//! - `identity`, `tls`: who we are, and that the other end is who it says (TLS 1.3, both keys pinned);
//! - `listen`, `door`: sockets, and the bounded number of strangers who may stand at them;
//! - `target`, `dial`: what can be tried for a want, and when; `tcp`, `punch`, `socks` and `relay`: how, one for each way;
//! - `nudge`, `slices`: what a relay needs so that nothing is stuck in it;
//! - `outside`, `explain`: what routers and servers have told about us, and why there is no link by a way;
//! - `plain`: who may come without TLS, for contents marked open only;
//! - `room`: the one owner of all wants and parked links, which decides whose link is taken;
//! - `talk`, `handshake`: the 68 bytes of BitTorrent that bind a link to a content.

mod accept;
mod addresses;
mod choose;
mod error;
mod event;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod handshake;
mod identity;
mod start;
mod ways;

#[cfg(test)]
mod tests;

pub use accept::plain::Place;
pub use addresses::outside::Outside;
pub use choose::explain::most_telling;
pub use error::LinkError;
pub use event::{Attempt, BoxedStream, LinkEvent, LinkStream};
pub use identity::key::Identity;
pub use identity::signer::IdentityNotary;
pub use start::{LinkConfig, LinkHandle, LinkRoom};
pub use ways::punched::observed::Seen;
pub use ways::relays::{Opening, Reason, Relays};
pub use ways::target::Target;

use std::time::Duration;

use xbt_core::way::Way;

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
    /// The head start of better ways before a proxy.
    before_proxy: Duration,
    /// The head start of better ways before the XMPP stream.
    before_in_band: Duration,
    /// Punching a hole.
    punch: Duration,
    /// Meeting at a relay, and the TLS handshake through it, each at most.
    relay: Duration,
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
            before_proxy: Duration::from_millis(1_500),
            before_in_band: Duration::from_secs(4),
            punch: Duration::from_secs(8),
            relay: Duration::from_secs(8),
            parked: Duration::from_secs(10),
            early: Duration::from_secs(2),
            answer: Duration::from_secs(5),
            redial: Duration::from_millis(500),
        }
    }
}
