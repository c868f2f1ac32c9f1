//! How far an address reaches.

use std::net::IpAddr;

/// An address that means something on this network only.
pub(crate) fn is_local_only(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V6(ip) => ip.is_unique_local(),
        IpAddr::V4(ip) => ip.is_private(),
    }
}

/// An address that means something on one link only.
pub(crate) fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
        IpAddr::V4(ip) => ip.is_link_local(),
    }
}
