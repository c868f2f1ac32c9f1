//! The rules about the network: by which addresses and ways contacts reach this computer.

use std::net::{IpAddr, SocketAddr};

use xbt_api::{AddressKind, Network, Way};

use super::finding::Finding;
use crate::text::size;

/// What the addresses come to.
struct Seen<'a> {
    network: &'a Network,
    /// Of this computer itself; those of the configuration are not among them.
    own: Vec<IpAddr>,
}

/// All findings about addresses, router and what comes of it.
pub(super) fn findings(network: &Network, online: bool) -> Vec<Finding> {
    let seen = Seen { network, own: own(network) };
    let mut findings = Vec::new();
    if allows(network, &[Way::DirectTcp6, Way::DirectTcp4]) {
        findings.extend([seen.ipv6(), seen.ipv4()]);
    }
    findings.extend(seen.port());
    findings.extend(seen.nat());
    if online {
        findings.extend(seen.verdict());
    }
    findings
}

fn allows(network: &Network, ways: &[Way]) -> bool {
    ways.iter().any(|way| network.ways.contains(way))
}

fn own(network: &Network) -> Vec<IpAddr> {
    let own = network.addresses.iter().filter(|told| told.kind == AddressKind::Host);
    let own = own.filter(|told| !network.advertise.contains(&told.address));
    own.filter_map(|told| told.address.parse::<SocketAddr>().ok()).map(|told| told.ip().to_canonical()).collect()
}

/// Whether the Internet leads there: not an address of local networks (RFC 1918, RFC 4193), nor of a provider's own
/// (RFC 6598).
fn is_public(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            let shared = first == 100 && second & 0xc0 == 64;
            !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || shared)
        }
        IpAddr::V6(ip) => !(ip.is_unique_local() || ip.is_loopback() || ip.is_unicast_link_local()),
    }
}

impl Seen<'_> {
    fn public(&self, v6: bool) -> Option<&IpAddr> {
        self.own.iter().find(|ip| ip.is_ipv6() == v6 && is_public(ip))
    }

    fn port_number(&self) -> String {
        self.network.port.map(|port| port.to_string()).unwrap_or_default()
    }

    fn ipv6(&self) -> Finding {
        match self.public(true) {
            Some(ip) => {
                Finding::ok("ipv6", format!("{ip} is public; a firewall may still block port {}", self.port_number()))
            }
            None => Finding::note(
                "ipv6",
                "this computer has no public IPv6 address",
                "enable IPv6 in the router if the provider supports it: it needs no port mapping",
            ),
        }
    }

    fn ipv4(&self) -> Finding {
        let private = || self.own.iter().find(|ip| ip.is_ipv4());
        match (self.public(false), private()) {
            (Some(ip), _) => Finding::ok("ipv4", format!("{ip} is public")),
            (None, Some(ip)) => Finding::ok("ipv4", format!("{ip} is in a local network behind a router")),
            (None, None) => Finding::note(
                "ipv4",
                "this computer has no IPv4 address",
                "contacts without IPv6 are reached through a relay only",
            ),
        }
    }

    /// Whether a port of the router leads here.
    fn port(&self) -> Option<Finding> {
        const CHECK: &str = "port";
        let (network, mapping) = (self.network, &self.network.mapping);
        let port = self.port_number();
        if let [first, ..] = network.advertise.as_slice() {
            return Some(Finding::ok(CHECK, format!("{first} is advertised to contacts, as configured")));
        }
        let at = mapping.protocol.as_deref().unwrap_or("the router");
        if let Some(external) = &mapping.external {
            return Some(Finding::ok(CHECK, format!("the router forwards {external} to this computer ({at})")));
        }
        if self.public(false).is_some() {
            return Some(Finding::ok(
                CHECK,
                format!("TCP port {port} needs no mapping: no router translates addresses"),
            ));
        }
        if network.port.is_none() || !self.own.iter().any(IpAddr::is_ipv4) {
            return None;
        }
        let told = self.outside().map_or_else(|| "the router's address".to_owned(), |ip| ip.to_string());
        let by_hand = format!(
            "for a port forwarded by hand: advertise = [\"{told}:{port}\"] in [network], and keep the port by listen = \
             [\"[::]:{port}\", \"0.0.0.0:{port}\"]"
        );
        Some(match &mapping.problem {
            Some(problem) => Finding::note(CHECK, problem.as_str(), by_hand),
            None if mapping.searching => {
                Finding::note(CHECK, "asking the router for a port", "try again in a few seconds")
            }
            None if mapping.wanted => Finding::note(CHECK, "the router mapped no port", by_hand),
            None => {
                let text = "port mapping is off (`map_port`, `ways`)";
                Finding::note(CHECK, text, format!("set map_port = true in [network]; {by_hand}"))
            }
        })
    }

    /// Where the Internet sees us.
    fn outside(&self) -> Option<IpAddr> {
        let stun = self.network.stun.addresses.iter().filter_map(|told| told.parse::<SocketAddr>().ok());
        let server = self.network.server.as_ref().and_then(|server| server.external.as_ref()?.parse().ok());
        stun.map(|told| told.ip()).chain(server).find(|ip| ip.is_ipv4() && is_public(ip))
    }

    /// How the router translates addresses.
    fn nat(&self) -> Option<Finding> {
        const CHECK: &str = "nat";
        let stun = &self.network.stun;
        if !allows(self.network, &[Way::PunchedUdp]) {
            return None;
        }
        if let Some(problem) = &stun.problem {
            // The finding about the server says it already.
            let told = stun.code.as_deref() == Some("stun-no-server");
            let remedy = "allow outgoing UDP in the firewall; hole punching needs it";
            return (!told).then(|| Finding::note(CHECK, format!("the public address is unknown: {problem}"), remedy));
        }
        let seen = stun.addresses.join(", ");
        let translated = stun.addresses.iter().filter_map(|told| told.parse::<SocketAddr>().ok());
        let translated = translated.map(|told| told.ip()).any(|ip| !self.own.contains(&ip));
        match (stun.symmetric, translated) {
            _ if stun.addresses.is_empty() => None,
            (Some(true), _) => Some(Finding::note(
                CHECK,
                "the router uses another port for every destination (symmetric NAT): hole punching is not possible",
                "have a port mapped or forwarded (see port), or set the router to \"open\" or \"cone\" NAT if it can",
            )),
            (_, false) => Some(Finding::ok(CHECK, format!("no NAT: the public address is {seen}"))),
            (Some(false), true) => Some(Finding::ok(
                CHECK,
                format!("the router keeps ports, so hole punching works: the public address is {seen}"),
            )),
            (None, true) => Some(Finding::ok(
                CHECK,
                format!("the public address is {seen}; one STUN server is not enough to tell the kind of NAT"),
            )),
        }
    }

    /// What all of it means for contacts.
    fn verdict(&self) -> Option<Finding> {
        const CHECK: &str = "reach";
        let network = self.network;
        let direct = allows(network, &[Way::DirectTcp6, Way::DirectTcp4]);
        let by_port = direct && !network.advertise.is_empty()
            || network.mapping.external.is_some()
            || direct && self.public(false).is_some();
        let by_ipv6 = direct && self.public(true).is_some();
        let by_hole = !network.stun.addresses.is_empty() && network.stun.symmetric != Some(true);
        let by_proxy = allows(network, &[Way::Proxy65])
            && network.server.as_ref().is_some_and(|server| !server.proxies.is_empty());
        let remedy = match direct || allows(network, &[Way::MappedTcp4]) {
            true => "open a port (see port) on your side or theirs",
            false => "allow more `ways` in [network] if that is not intended",
        };
        Some(match () {
            () if by_port => Finding::ok(CHECK, "contacts reach this computer directly"),
            () if by_ipv6 => Finding::ok(CHECK, "contacts with IPv6 reach this computer directly"),
            () if by_hole && by_proxy => Finding::ok(
                CHECK,
                "contacts behind routers reach this computer through a punched hole, or else through the proxy",
            ),
            () if by_hole => Finding::note(
                CHECK,
                "contacts behind routers reach this computer through a punched hole, unless theirs is symmetric",
                remedy,
            ),
            () if by_proxy => Finding::note(
                CHECK,
                "contacts behind routers reach this computer only through a relay (the proxy)",
                remedy,
            ),
            // There may be a proxy; the server has not answered yet.
            () if network.server.is_none() => return None,
            () if allows(network, &[Way::InBand]) => {
                let limit = size(network.in_band_max_size);
                let text = format!(
                    "contacts behind routers reach this computer only through the XMPP server itself, slowly and up to {limit}"
                );
                Finding::problem(CHECK, text, remedy)
            }
            () => Finding::problem(CHECK, "contacts behind routers cannot reach this computer", remedy),
        })
    }
}
