//! What can be tried for a want.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use xbt_core::ids::Fingerprint;
use xbt_core::signal::{Candidate, CandidateKind, Proxy, Reach};
use xbt_core::way::{Way, Ways};

/// One thing that can be tried for a want.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// TCP to an address of the other device.
    Address(Candidate),
    /// UDP hole punching towards all addresses that are told for it.
    Punch,
    /// Meeting at a SOCKS5 proxy.
    Proxy {
        /// Which.
        proxy: Proxy,
        /// We told of it, so we activate the bytestream.
        ours: bool,
    },
    /// A bytestream inside the XMPP streams.
    InBand,
}

impl Target {
    /// The way that a link over it takes.
    pub fn way(&self) -> Way {
        match self {
            Self::Address(candidate) => way_to(candidate),
            Self::Punch => Way::PunchedUdp,
            Self::Proxy { .. } => Way::Proxy65,
            Self::InBand => Way::InBand,
        }
    }

    /// Whether it is dialled over TCP at an address that the other device has told.
    pub fn is_address(&self) -> bool {
        matches!(self, Self::Address(_))
    }

    /// The JID of the proxy that relays it, where one does.
    pub fn relay(&self) -> Option<String> {
        match self {
            Self::Proxy { proxy, .. } => Some(proxy.jid.clone()),
            Self::Address(_) | Self::Punch | Self::InBand => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(candidate) => candidate.address.fmt(f),
            Self::Punch => f.write_str("hole punching"),
            Self::Proxy { proxy, .. } => write!(f, "the proxy {}", proxy.jid),
            Self::InBand => f.write_str("the XMPP stream"),
        }
    }
}

/// The way to a candidate. A mapped IPv6 address is a hole in a firewall, not a translation: direct.
pub(crate) fn way_to(candidate: &Candidate) -> Way {
    match (candidate.address.ip().to_canonical(), candidate.kind) {
        (_, CandidateKind::Reflexive) => Way::PunchedUdp,
        (IpAddr::V6(_), CandidateKind::Host | CandidateKind::Mapped) => Way::DirectTcp6,
        (IpAddr::V4(_), CandidateKind::Host) => Way::DirectTcp4,
        (IpAddr::V4(_), CandidateKind::Mapped) => Way::MappedTcp4,
    }
}

/// The way of a link that came in over TCP, by both ends of the connection as we see them. A connection from the
/// Internet to a private address of ours came through a router that maps our port.
pub(crate) fn way_from(remote: IpAddr, local: Option<IpAddr>) -> Way {
    let is_private = |ip: IpAddr| matches!(ip.to_canonical(), IpAddr::V4(v4) if v4.is_private());
    match remote.to_canonical() {
        IpAddr::V6(_) => Way::DirectTcp6,
        IpAddr::V4(v4) if local.is_some_and(is_private) && !is_private(v4.into()) => Way::MappedTcp4,
        IpAddr::V4(_) => Way::DirectTcp4,
    }
}

fn allowed(candidate: &Candidate, ways: Ways) -> bool {
    match candidate.kind {
        CandidateKind::Host => ways.direct,
        CandidateKind::Mapped => ways.mapped,
        CandidateKind::Reflexive => ways.punched,
    }
}

/// All that can be tried, in the order in which it is.
///
/// Of a proxy that both sides have told only the mention of the device with the smaller fingerprint counts, so that
/// they do not meet there twice.
pub(crate) fn targets(
    (own, peer): (Fingerprint, Fingerprint),
    (ours, theirs): (&Reach, &Reach),
    ways: Ways,
    better_than: Option<Way>,
) -> Vec<Target> {
    let addresses: Vec<Candidate> = theirs.candidates.iter().filter(|c| allowed(c, ways)).copied().collect();
    let mut targets: Vec<Target> = in_turns(&addresses).into_iter().map(Target::Address).collect();
    let punch = |reach: &Reach| reach.candidates.iter().any(|c| c.kind == CandidateKind::Reflexive);
    if ways.punched && punch(ours) && punch(theirs) {
        targets.push(Target::Punch);
    }
    if ways.proxy65 && ours.stream_id.is_some() && theirs.stream_id.is_some() {
        let told_by_both = |proxy: &&Proxy| {
            let alike = |other: &&Proxy| other.jid == proxy.jid;
            ours.proxies.iter().any(|p| alike(&p)) && theirs.proxies.iter().any(|p| alike(&p))
        };
        let counts = |mine: bool| move |proxy: &&Proxy| !told_by_both(proxy) || (own < peer) == mine;
        // Where our own server names it too, we go where our server says.
        let as_we_know_it =
            |proxy: &Proxy| ours.proxies.iter().find(|own| own.jid == proxy.jid).unwrap_or(proxy).clone();
        let proxies = |reach: &Reach, mine: bool| -> Vec<Target> {
            let counted = reach.proxies.iter().filter(counts(mine)).map(as_we_know_it);
            counted.map(|proxy| Target::Proxy { proxy, ours: mine }).collect()
        };
        targets.extend(proxies(ours, true));
        targets.extend(proxies(theirs, false));
    }
    if ways.in_band && ours.in_band && theirs.in_band {
        targets.push(Target::InBand);
    }
    let mut seen = HashSet::new();
    // What is told twice, or leads to the same proxy as we know it, is one target.
    targets.retain(|target| better_than.is_none_or(|in_use| target.way() < in_use) && seen.insert(target.clone()));
    targets
}

/// The addresses that are dialled over TCP: IPv6 and IPv4 in turns, IPv6 first (RFC 8305, section 4), each in the given
/// order: many dead addresses of one family must not keep the other one waiting. Ports that a router mapped come after
/// IPv4 ones of the device itself.
pub(crate) fn in_turns(candidates: &[Candidate]) -> Vec<Candidate> {
    let over_tcp = candidates.iter().filter(|candidate| candidate.kind != CandidateKind::Reflexive);
    let (mut v6, mut v4): (Vec<Candidate>, Vec<Candidate>) =
        over_tcp.partition(|candidate| way_to(candidate) == Way::DirectTcp6);
    v6.reverse();
    v4.reverse();
    v4.sort_by_key(|candidate| Reverse(way_to(candidate)));
    let mut turns = Vec::with_capacity(candidates.len());
    while !(v6.is_empty() && v4.is_empty()) {
        turns.extend(v6.pop());
        turns.extend(v4.pop());
    }
    turns
}

/// Where holes are punched to.
pub(crate) fn reflexive(reach: &Reach) -> Vec<SocketAddr> {
    let reflexive = reach.candidates.iter().filter(|c| c.kind == CandidateKind::Reflexive);
    reflexive.map(|candidate| candidate.address).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn candidate(kind: CandidateKind, address: &str) -> Candidate {
        Candidate { kind, address: address.parse().unwrap() }
    }

    fn proxy(jid: &str) -> Proxy {
        Proxy { jid: jid.into(), host: "192.0.2.9".into(), port: 5000 }
    }

    fn reach(candidates: Vec<Candidate>, proxies: &[&str]) -> Reach {
        let proxies = proxies.iter().map(|jid| proxy(jid)).collect();
        Reach { candidates, proxies, stream_id: Some("s".into()), in_band: true }
    }

    const SMALL: Fingerprint = Fingerprint([1; 32]);
    const LARGE: Fingerprint = Fingerprint([2; 32]);

    #[test]
    fn families_take_turns_and_ipv6_begins() {
        let host = |address: &str| candidate(CandidateKind::Host, address);
        let mapped = candidate(CandidateKind::Mapped, "203.0.113.1:9");
        let udp = candidate(CandidateKind::Reflexive, "203.0.113.1:8");
        let (a4, b4, a6, b6) =
            (host("192.0.2.1:1"), host("192.0.2.2:1"), host("[2001:db8::1]:1"), host("[2001:db8::2]:1"));
        assert_eq!(in_turns(&[mapped, udp, a4, b4, a6, b6]), [a6, a4, b6, b4, mapped]);
    }

    #[test]
    fn both_sides_of_a_pair_meet_at_the_same_proxies_and_each_is_activated_by_one() {
        let (small, large) = (reach(Vec::new(), &["both", "a"]), reach(Vec::new(), &["b", "both"]));
        let of = |own, peer, ours: &Reach, theirs: &Reach| -> Vec<(String, bool)> {
            let found = targets((own, peer), (ours, theirs), Ways::ALL, None).into_iter();
            let mut found: Vec<_> = found
                .filter_map(|target| match target {
                    Target::Proxy { proxy, ours } => Some((proxy.jid, ours)),
                    Target::Address(_) | Target::Punch | Target::InBand => None,
                })
                .collect();
            found.sort();
            found
        };
        let small_sees = of(SMALL, LARGE, &small, &large);
        assert_eq!(small_sees, [("a".into(), true), ("b".into(), false), ("both".into(), true)]);
        let large_sees: Vec<_> = of(LARGE, SMALL, &large, &small).into_iter().map(|(jid, ours)| (jid, !ours)).collect();
        assert_eq!(small_sees, large_sees);
    }

    #[test]
    fn a_proxy_that_our_own_server_names_is_where_our_server_says() {
        let (ours, mut theirs) = (reach(Vec::new(), &["both"]), reach(Vec::new(), &["both"]));
        theirs.proxies[0].host = "198.51.100.66".into();
        let found = targets((LARGE, SMALL), (&ours, &theirs), Ways::ALL, None);
        assert!(found.contains(&Target::Proxy { proxy: proxy("both"), ours: false }), "{found:?}");
    }

    #[test]
    fn a_proxy_that_a_contact_tells_again_and_again_is_met_once() {
        let (ours, mut theirs) = (reach(Vec::new(), &["both"]), reach(Vec::new(), &["both", "both", "a", "a"]));
        theirs.proxies[1].host = "198.51.100.66".into();
        for (own, peer) in [(SMALL, LARGE), (LARGE, SMALL)] {
            let found = targets((own, peer), (&ours, &theirs), Ways::ALL, None);
            let proxies = found.iter().filter(|target| target.way() == Way::Proxy65).count();
            assert_eq!(proxies, 2, "{found:?}");
        }
    }

    #[test]
    fn only_allowed_ways_and_only_better_ones_than_the_one_in_use_are_tried() {
        let all = vec![
            candidate(CandidateKind::Host, "192.0.2.1:1"),
            candidate(CandidateKind::Mapped, "192.0.2.1:2"),
            candidate(CandidateKind::Reflexive, "192.0.2.1:3"),
        ];
        let both = reach(all, &["p"]);
        let ways = |ways, better_than| -> Vec<Way> {
            targets((SMALL, LARGE), (&both, &both), ways, better_than).iter().map(Target::way).collect()
        };
        use Way::{DirectTcp4, InBand, MappedTcp4, Proxy65, PunchedUdp};
        assert_eq!(ways(Ways::ALL, None), [DirectTcp4, MappedTcp4, PunchedUdp, Proxy65, InBand]);
        assert_eq!(ways(Ways::ALL, Some(Proxy65)), [DirectTcp4, MappedTcp4, PunchedUdp]);
        assert_eq!(ways(Ways { proxy65: true, in_band: true, ..Ways::NONE }, None), [Proxy65, InBand]);
        assert_eq!(ways(Ways::NONE, None), []);
    }

    #[test]
    fn what_comes_from_the_internet_to_a_private_address_came_through_a_mapped_port() {
        let way = |remote: &str, local: &str| way_from(remote.parse().unwrap(), Some(local.parse().unwrap()));
        assert_eq!(way("203.0.113.5", "192.168.1.2"), Way::MappedTcp4);
        assert_eq!(way("192.168.1.3", "192.168.1.2"), Way::DirectTcp4);
        assert_eq!(way("203.0.113.5", "203.0.113.6"), Way::DirectTcp4);
        assert_eq!(way("::ffff:203.0.113.5", "::ffff:10.0.0.1"), Way::MappedTcp4);
        assert_eq!(way("2001:db8::5", "fd00::1"), Way::DirectTcp6);
    }
}
