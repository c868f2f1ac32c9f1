//! What counts as one source of connections.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// One source of connections: an IPv4 address, or an IPv6 network of 64 bits, because a single computer has a whole one
/// of those.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Source(IpAddr);

impl Source {
    pub fn of(remote: SocketAddr) -> Self {
        Self(match remote.ip().to_canonical() {
            IpAddr::V4(v4) => v4.into(),
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        })
    }
}
