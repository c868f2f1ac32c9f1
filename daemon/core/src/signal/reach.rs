//! How a device may be reached: what only `connect` and `introduce` carry.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Maximum number of candidates in one `connect`; the rest is ignored.
pub const MAX_CANDIDATES: usize = 16;

/// What the address of a candidate is; also the kind of way that a link over it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CandidateKind {
    /// An address of one of the device's own interfaces, or a configured one.
    Host,
    /// The outside of a port mapping.
    Mapped,
    /// The device's UDP socket as seen from outside: for hole punching, never dialled over TCP.
    Reflexive,
}

/// An address at which a device may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Candidate {
    /// What kind of address it is.
    pub kind: CandidateKind,
    /// Where to dial.
    pub address: SocketAddr,
}

impl Candidate {
    /// Whether it is dialled over TCP.
    pub fn is_tcp(&self) -> bool {
        match self.kind {
            CandidateKind::Host | CandidateKind::Mapped => true,
            CandidateKind::Reflexive => false,
        }
    }
}

/// Maximum number of proxies in one `connect`; the rest is ignored.
pub const MAX_PROXIES: usize = 4;

/// Maximum length of the name of a bytestream, in bytes.
pub const MAX_STREAM_ID: usize = 128;

/// A SOCKS5 proxy of an XMPP server (XEP-0065) that the device which names it may use.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Proxy {
    /// The JID of the service.
    pub jid: String,
    /// A name or an address.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
}

/// How a device may be reached for one link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Best first, at most [`MAX_CANDIDATES`].
    pub candidates: Vec<Candidate>,
    /// At most [`MAX_PROXIES`]. The device that names a proxy activates it.
    pub proxies: Vec<Proxy>,
    /// Names the bytestreams that this device opens (XEP-0065, XEP-0047): random, and the same until there is a link
    /// or no link. None: no relays.
    pub stream_id: Option<String>,
    /// Whether an in-band bytestream (XEP-0047) will do if nothing else does.
    pub in_band: bool,
}
