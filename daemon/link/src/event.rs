//! What links report to their owner.

use std::net::SocketAddr;

use xbt_core::ids::{Fingerprint, InfoHash, TransferId};
use xbt_core::signal::Candidate;
use xbt_core::way::Way;

use crate::plain::Slot;
use crate::rejection::Rejected;
use crate::stream::BoxedStream;
use crate::ways::attempt::Attempt;

/// What happened to links.
#[derive(Debug)]
pub enum LinkEvent {
    /// A link for a dial request, which ends with it: each request ends with one `Ready` or one `Failed`, or with
    /// neither if it is cancelled.
    Ready {
        /// The request's transfer.
        transfer: TransferId,
        /// The request's peer, whose key is proved.
        peer: Fingerprint,
        /// An introduced device, not one of the transfer's contact.
        introduced: bool,
        /// The stream, right behind both BitTorrent handshakes.
        stream: BoxedStream,
        /// The way it takes.
        way: Way,
        /// The other end, where the way has one.
        remote: Option<SocketAddr>,
        /// The JID of the proxy that relays it, where one does.
        relay: Option<String>,
        /// The reserved bytes of the other side's BitTorrent handshake (BEP 3).
        reserved: [u8; 8],
        /// What failed before.
        attempts: Vec<Attempt>,
    },
    /// No link within 15 s. The request ends; it may be made again.
    Failed {
        /// The request's transfer.
        transfer: TransferId,
        /// The request's peer, if that was introduced.
        introduced: Option<Fingerprint>,
        /// The last try of each target, in order, and why the other ways were not tried.
        attempts: Vec<Attempt>,
    },
    /// Another BitTorrent program reads a content that is open, without TLS: no key is proved.
    Plain {
        /// Which content.
        info_hash: InfoHash,
        /// The stream, right behind both BitTorrent handshakes.
        stream: BoxedStream,
        /// The other end.
        remote: SocketAddr,
        /// The reserved bytes of the other side's BitTorrent handshake (BEP 3).
        reserved: [u8; 8],
        /// To be kept as long as the stream.
        slot: Slot,
    },
    /// Our own addresses have changed; the new list.
    CandidatesChanged(Vec<Candidate>),
    /// A connection was turned away. For counters: while events wait to be taken, equal ones of one address are
    /// reported once, and beyond 64 none.
    Rejected(Rejected),
}
