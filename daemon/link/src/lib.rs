//! Links: authenticated, encrypted byte streams to other devices, each of which carries one BitTorrent connection.
//!
//! A link is a [`BoxedStream`], the fingerprint of the device at its end, and the [`Way`](xbt_core::way::Way) it takes.
//!
//! - `identity`: who we are, and that the other end is who it says (TLS 1.3, both keys pinned);
//! - `addresses`: which addresses we have and offer, and which of the other side's we dial;
//! - `congestion`: how much of a line QUIC takes;
//! - `ways`: one file or folder for each way to another device, behind one trait;
//! - `accept`: listening sockets, and the bounded number of connections that have proved no key;
//! - `choose`: dial requests, parked links, which link is used, and why there is none.
//!
//! Each knows those above it only; [`LinkRoom`] puts them together.

mod accept;
mod addresses;
mod choose;
mod congestion;
mod error;
mod event;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod handshake;
mod identity;
mod plain;
mod rejection;
mod start;
mod stream;
mod tcp_options;
mod times;
mod ways;

#[cfg(test)]
mod tests;

pub use addresses::outside::Outside;
pub use error::LinkError;
pub use event::LinkEvent;
pub use identity::key::Identity;
pub use identity::signer::IdentitySigner;
pub use plain::Slot;
pub use rejection::{Rejected, Rejection};
pub use start::{LinkConfig, LinkHandle, LinkRoom};
pub use stream::{BoxedStream, LinkStream};
pub use ways::attempt::{Attempt, most_telling};
pub use ways::punched::observed::Seen;
pub use ways::reason::{Failure, Reason};
pub use ways::relays::{Opening, Relays};
pub use ways::target::Target;
pub use xbt_core::effect::{DialRequest, LinkId};
