//! What an external address is worth.

use std::net::{IpAddr, Ipv4Addr};

/// What the address that a router calls its own is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum External {
    /// Reachable from the internet, by its range. Ranges for documentation count too: laboratories
    /// play the internet with them.
    Public,
    /// Of a network behind another router.
    Private,
    /// No address of a router: it is not connected, or broken.
    None,
}

/// Judges an external address.
pub(super) fn judge(ip: IpAddr) -> External {
    match ip.to_canonical() {
        IpAddr::V4(ip) => judge_v4(ip),
        IpAddr::V6(ip) if ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() => External::None,
        IpAddr::V6(ip) if ip.is_unicast_link_local() => External::None,
        IpAddr::V6(ip) if ip.is_unique_local() || is_translated(ip.segments()) => External::Private,
        IpAddr::V6(_) => External::Public,
    }
}

/// What a router translates into an IPv4 address: NAT64 (RFC 6052, RFC 8215), 6to4 and Teredo.
fn is_translated(segments: [u16; 8]) -> bool {
    matches!(segments, [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] | [0x2002, ..] | [0x2001, 0, ..])
}

fn judge_v4(ip: Ipv4Addr) -> External {
    let [a, b, c, _] = ip.octets();
    // "This network", and what is reserved, broadcast among it (RFC 6890).
    let nowhere = a == 0 || a >= 240;
    // Between a provider's routers and ours: shared addresses (RFC 6598) and DS-Lite (RFC 6333, section 5.7).
    let providers = (a == 100 && (64..128).contains(&b)) || (a == 192 && b == 0 && c == 0);
    if nowhere || ip.is_loopback() || ip.is_multicast() {
        External::None
    } else if providers || ip.is_private() || ip.is_link_local() {
        External::Private
    } else {
        External::Public
    }
}
