//! The ways a link can go, best first.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a link reaches the other device. Ordered: the smaller, the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
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
            Self::DirectTcp6 => "direct-tcp6",
            Self::DirectTcp4 => "direct-tcp4",
            Self::MappedTcp4 => "mapped-tcp4",
            Self::PunchedUdp => "punched-udp",
            Self::Proxy65 => "proxy65",
            Self::InBand => "in-band",
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
