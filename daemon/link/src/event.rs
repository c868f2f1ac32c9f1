//! What the room tells, and the stream it hands over.

use std::fmt;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use xbt_core::ids::{Fingerprint, InfoHash, TransferId};
use xbt_core::signal::Candidate;

use crate::{Place, Target, Way};

/// Any byte stream that can be a link.
pub trait LinkStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> LinkStream for T {}

impl fmt::Debug for dyn LinkStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkStream")
    }
}

/// A link's stream, whatever way it takes. One virtual call per read or write is nothing beside the encryption.
pub type BoxedStream = Box<dyn LinkStream>;

/// What became of one target, or why there was none for a way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// What was, or should have been, tried.
    pub target: Option<Target>,
    /// The way it would have been.
    pub way: Way,
    /// Why there is no link: a stable code (`no-answer`, `connection-refused`, `unreachable`, `wrong-device`, `bad-tls`,
    /// `closed`, `bad-handshake`, `not-dialled`, `own-device`, `way-off`, `passed-over`, `not-told`, `offline`,
    /// `proxy-refused`, `not-activated`, `symmetric-nat`, `refused`, `too-many-relays`, `bad-relay`, `io-error`).
    pub code: &'static str,
    /// The same as a sentence for people.
    pub reason: String,
}

/// What the room tells its owner.
#[derive(Debug)]
pub enum LinkEvent {
    /// A link for a want. Ends the want: for each one there is one `Ready` or one `Failed`, or none after `unwant`.
    Ready {
        /// The want's transfer.
        transfer: TransferId,
        /// The want's peer, whose key is proved.
        peer: Fingerprint,
        /// It is an introduced device, and none of the transfer's contact.
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
        /// What was tried in vain before.
        attempts: Vec<Attempt>,
    },
    /// No link within 15 s. Ends the want; it may be wanted again.
    Failed {
        /// The want's transfer.
        transfer: TransferId,
        /// The want's peer, if that was introduced.
        introduced: Option<Fingerprint>,
        /// The last try of each candidate, in the order they were given.
        attempts: Vec<Attempt>,
    },
    /// Another BitTorrent program reads a content that is open, without TLS: nobody's key is proved.
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
        place: Place,
    },
    /// Our own addresses have changed; the new list.
    CandidatesChanged(Vec<Candidate>),
    /// Somebody was turned away. For counters: while nobody takes events, those of one address and reason are told
    /// once, and beyond 64 not at all.
    Refused {
        /// From where.
        remote: SocketAddr,
        /// A stable code: `unknown-device` (a key that no transfer waits for), `not-granted` (a known key, another
        /// content), `not-open` (plain BitTorrent for a content that is not open), `bad-tls`, `bad-handshake`, `too-slow`,
        /// `too-many`, `own-device`.
        reason: &'static str,
        /// The key that was proved, if it came that far.
        peer: Option<Fingerprint>,
    },
}

/// Why somebody was turned away.
pub(super) mod reason {
    /// A key that no transfer waits for.
    pub const UNKNOWN_DEVICE: &str = "unknown-device";
    /// A known key that asked for a content which is not granted to it.
    pub const NOT_GRANTED: &str = "not-granted";
    /// Plain BitTorrent for a content that is not open.
    pub const NOT_OPEN: &str = "not-open";
    /// What came, inside TLS or instead of it, was no BitTorrent handshake.
    pub const BAD_HANDSHAKE: &str = "bad-handshake";
    /// The TLS handshake failed: no TLS 1.3, another protocol name, no certificate, or not TLS at all.
    pub const BAD_TLS: &str = "bad-tls";
    /// The TLS handshake did not end in time.
    pub const TOO_SLOW: &str = "too-slow";
    /// Over a bound.
    pub const TOO_MANY: &str = "too-many";
    /// Our own key came back to us.
    pub const OWN_DEVICE: &str = "own-device";
}

/// Somebody who was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub remote: SocketAddr,
    pub reason: &'static str,
    pub peer: Option<Fingerprint>,
}
