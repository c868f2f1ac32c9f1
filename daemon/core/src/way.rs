//! The ways a link can go, best first.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a link reaches the other device. Ordered: the smaller, the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// QUIC over IPv6 to an address of the device itself, where the line is long.
    DirectUdp6,
    /// QUIC over IPv4 to an address of the device itself, where the line is long.
    DirectUdp4,
    /// TCP over IPv6 to an address of the device itself.
    DirectTcp6,
    /// TCP over IPv4 to an address of the device itself.
    DirectTcp4,
    /// TCP over IPv4 to a port that a router maps.
    MappedTcp4,
    /// UDP through a punched hole.
    PunchedUdp,
    /// A SOCKS5 bytestream through an XMPP server's proxy (XEP-0065).
    Proxy65,
    /// An in-band bytestream (XEP-0047).
    InBand,
}

impl Way {
    /// The name in JSON, configuration and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DirectUdp6 => "direct-udp6",
            Self::DirectUdp4 => "direct-udp4",
            Self::DirectTcp6 => "direct-tcp6",
            Self::DirectTcp4 => "direct-tcp4",
            Self::MappedTcp4 => "mapped-tcp4",
            Self::PunchedUdp => "punched-udp",
            Self::Proxy65 => "proxy65",
            Self::InBand => "in-band",
        }
    }
}

impl Way {
    /// All, best first.
    pub const ALL: [Self; 8] = [
        Self::DirectUdp6,
        Self::DirectUdp4,
        Self::DirectTcp6,
        Self::DirectTcp4,
        Self::MappedTcp4,
        Self::PunchedUdp,
        Self::Proxy65,
        Self::InBand,
    ];

    /// The way with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.as_str() == name)
    }

    /// Whether it is the same as another way but for the protocol: people hear of it only if it was tried and failed.
    pub fn is_variant(self) -> bool {
        matches!(self, Self::DirectUdp6 | Self::DirectUdp4)
    }

    /// Whether a better way is worth looking for while this one is in use: it costs somebody else's bandwidth, or
    /// depends on a hole that has to be kept open.
    pub fn is_fallback(self) -> bool {
        self >= Self::PunchedUdp
    }
}

/// Which ways the person allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ways {
    /// Addresses of the device itself, over TCP.
    pub direct: bool,
    /// Ports that a router maps.
    pub mapped: bool,
    /// UDP hole punching.
    pub punched: bool,
    /// SOCKS5 proxies of XMPP servers.
    pub proxy65: bool,
    /// Through the XMPP stream itself.
    pub in_band: bool,
}

impl Ways {
    /// All of them.
    pub const ALL: Self = Self { direct: true, mapped: true, punched: true, proxy65: true, in_band: true };

    /// None of them.
    pub const NONE: Self = Self { direct: false, mapped: false, punched: false, proxy65: false, in_band: false };

    /// Whether every allowed way goes through servers, so that no contact learns an address of this computer.
    pub fn only_relays(self) -> bool {
        !(self.direct || self.mapped || self.punched)
    }

    /// Whether this way is allowed.
    pub fn allows(self, way: Way) -> bool {
        match way {
            Way::DirectUdp6 | Way::DirectUdp4 => self.direct && self.punched,
            Way::DirectTcp6 | Way::DirectTcp4 => self.direct,
            Way::MappedTcp4 => self.mapped,
            Way::PunchedUdp => self.punched,
            Way::Proxy65 => self.proxy65,
            Way::InBand => self.in_band,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
