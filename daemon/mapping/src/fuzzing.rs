//! The private parser of PCP, for the targets in `tests/fuzz` alone. Not an interface: it may change at any time.

use std::net::{IpAddr, SocketAddr};

use super::message::Request;

/// Where a router says that it has mapped a port of `own`, and for how many seconds; none if the datagram grants nothing.
pub fn pcp(datagram: &[u8], own: IpAddr, lifetime: u32) -> Option<(SocketAddr, u32)> {
    let request = Request { own, port: 4711, nonce: *b"twelve bytes", suggested: (None, 0), lifetime };
    let answer = request.decode(datagram)?.ok()?;
    Some((answer.external, answer.lifetime))
}
