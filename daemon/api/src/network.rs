//! What the network around the daemon looks like, on the wire.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::transfer::{Way, wire_words};

wire_words! {
    /// What kind of address contacts are told.
    AddressKind {
        /// Of this computer itself, or configured.
        Host = "host",
        /// The outside of a port that the router maps.
        Mapped = "mapped",
        /// Our UDP socket as STUN servers see it, for hole punching.
        Reflexive = "reflexive",
    }
}

/// An address that contacts are told when a transfer is agreed upon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// What kind.
    pub kind: AddressKind,
    /// Address and port.
    pub address: String,
}

/// The port that the router maps to us.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mapping {
    /// Whether the router is asked at all: the configuration allows it and there is a port to map.
    pub wanted: bool,
    /// Whether it is being asked now.
    pub searching: bool,
    /// By which protocol it mapped: `pcp`, `nat-pmp`, `upnp`.
    pub protocol: Option<String>,
    /// Where the router takes connections for us, address and port.
    pub external: Option<String>,
    /// Why nothing is mapped, and what to do.
    pub problem: Option<String>,
}

/// How STUN servers see our UDP sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stun {
    /// At most one for each address family.
    pub addresses: Vec<String>,
    /// The router gives every destination another port (a "symmetric" NAT), so no hole can be punched through it.
    /// `None`: not known; only two servers can tell.
    pub symmetric: Option<bool>,
    /// Why there is no address: `stun-no-server`, `stun-no-answer`, `stun-bad-answer`, `stun-refused`, `no-randomness`.
    pub code: Option<String>,
    /// The same as a sentence.
    pub problem: Option<String>,
}

/// What our XMPP server does for links.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Server {
    /// The JIDs of its SOCKS5 proxies (XEP-0065).
    pub proxies: Vec<String>,
    /// Its STUN servers (XEP-0215), host and port.
    pub stun: Vec<String>,
    /// The address from which it sees us (XEP-0279).
    pub external: Option<String>,
}

/// What came to our UDP sockets from nobody who was expected, since the daemon started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Strangers {
    /// Datagrams that were dropped.
    pub datagrams: u64,
    /// Connections that were turned away.
    pub handshakes: u64,
}

/// What is known of the network between us and our contacts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// The TCP port for links.
    pub port: Option<u16>,
    /// What contacts are told, best first.
    pub addresses: Vec<Address>,
    /// The further addresses that the configuration names (`advertise`); they also stand in [`Self::addresses`].
    pub advertise: Vec<String>,
    /// The mapped port.
    pub mapping: Mapping,
    /// How the outside sees our UDP sockets.
    pub stun: Stun,
    /// What our XMPP server offers; none before it has told.
    pub server: Option<Server>,
    /// Who was not let in.
    pub strangers: Strangers,
    /// The ways that the configuration allows, best first.
    pub ways: Vec<Way>,
    /// Larger contents do not go in-band, in bytes.
    pub in_band_max_size: u64,
}

/// A folder that the daemon writes into.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Folder {
    /// Where it lies.
    pub path: String,
    /// Whether it is there. The download folder is made when something is received.
    pub exists: bool,
    /// Whether the daemon may write into it, or make it.
    pub writable: bool,
    /// Bytes that are free there; none if that is not known.
    pub free: Option<u64>,
}

/// The folders that the daemon writes into.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Folders {
    /// Where received files go if nothing else is said.
    pub download: Folder,
    /// The daemon's own memory.
    pub state: Folder,
}
