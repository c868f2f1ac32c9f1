//! How far an address reaches.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address that means something on this network only, or that some router translates into one that may: where an
/// IPv6 address carries an IPv4 address, whoever chose it decides where a translator sends us.
pub(crate) fn is_local_only(ip: &IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_local_v4(ip),
        IpAddr::V6(ip) => is_local_v6(ip),
    }
}

fn is_local_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    ip.is_private()
        || (a == 100 && (64..128).contains(&b)) // between a provider and its customers, RFC 6598
        || (a, b, c) == (192, 0, 0) // RFC 6890: DS-Lite, NAT64 discovery
        || (a, b, c) == (192, 88, 99) // relays of 6to4, RFC 7526
        || (a == 198 && b & 0xfe == 18) // benchmarks, RFC 2544
        || a >= 240 // reserved
}

fn is_local_v6(ip: Ipv6Addr) -> bool {
    match ip.segments() {
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => true, // unique local, RFC 4193; site-local, RFC 3879
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => true,          // NAT64, RFC 6052
        [0x64, 0xff9b, 1, ..] => true,                   // NAT64 of one network, RFC 8215
        [0, 0, 0, 0, 0xffff, 0, ..] => true,             // SIIT, RFC 2765
        [0, 0, 0, 0, 0, 0, ..] => !ip.is_loopback() && !ip.is_unspecified(), // IPv4-compatible, RFC 4291
        [0x2002, ..] => true,                            // 6to4, RFC 3056
        [0x2001, 0, ..] => true,                         // Teredo, RFC 4380
        [0x2001, 0x10..=0x2f, ..] => true,               // ORCHID, RFC 4843 and 7343: no addresses at all
        [0x100, 0, 0, 0, ..] => true,                    // discarded, RFC 6666
        [0x5f00, ..] => true,                            // segments, RFC 9602
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => true,     // ISATAP, RFC 5214
        _ => false,
    }
}

/// An address that means something on one link only.
pub(crate) fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
        IpAddr::V4(ip) => ip.is_link_local(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn local(text: &str) -> bool {
        is_local_only(&text.parse().unwrap())
    }

    #[test]
    fn private_ranges_and_those_that_are_translated_are_local_only() {
        for text in [
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.254",
            "192.0.0.170",
            "192.88.99.1",
            "198.18.0.1",
            "240.0.0.1",
            "::ffff:10.1.2.3",
            "::10.1.2.3",
            "::ffff:0:10.1.2.3",
            "fc00::1",
            "fdff::1",
            "fec0::1",
            "64:ff9b::10.1.2.3",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::1",
            "64:ff9b:1:fffe::10.0.0.1",
            "2002:a01:203::1",
            "2001::1",
            "2001:20::1",
            "100::1",
            "5f00::1",
            "2003:1:2:3:0:5efe:10.1.2.3",
        ] {
            assert!(local(text), "{text}");
        }
        for text in
            ["8.8.8.8", "100.128.0.1", "192.0.2.1", "203.0.113.7", "2001:db8::1", "2600::1", "64:ff9c::1", "::1"]
        {
            assert!(!local(text), "{text}");
        }
    }
}
