//! Which of our addresses we tell, and which of theirs we dial.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use xbt_core::signal::{Candidate, CandidateKind, MAX_CANDIDATES};
use xbt_core::way::Ways;

use crate::addresses::interfaces::Interface;
use crate::addresses::outside::Outside;
use crate::ways::punched::observed::Seen;

/// Interfaces between containers, virtual machines and their host: nobody else reaches them.
const BRIDGES: [&str; 11] =
    ["docker", "br-", "veth", "virbr", "vnet", "vmnet", "vboxnet", "cni", "flannel", "lxc", "podman"];

/// IPv4 candidates that are told even when IPv6 alone would fill the list.
const KEPT_FOR_V4: usize = 4;

/// Candidates that routers and servers have told of us, at most.
const KEPT_FOR_OUTSIDE: usize = 6;

/// Below are the ports of a computer's own services (RFC 6335, section 6); other devices on it, of other users, are
/// not found there.
const FIRST_USER_PORT: u16 = 1024;

/// Our candidates: what `listening` stands for, then `advertise`, IPv6 first, at most [`MAX_CANDIDATES`].
///
/// A wildcard stands for every address of every interface that others could reach. An address that was configured is
/// taken at its word. Configured ones are never crowded out by found ones.
pub(crate) fn candidates(
    listening: &[SocketAddr],
    interfaces: &[Interface],
    advertise: &[SocketAddr],
    (outside, seen): (&Outside, &Seen),
    ways: Ways,
) -> Vec<Candidate> {
    let mapped = outside.mapped.iter().map(|address| (CandidateKind::Mapped, *address)).filter(|_| ways.mapped);
    let reflexive = seen.addresses.iter().map(|address| (CandidateKind::Reflexive, *address));
    let outside: Vec<Candidate> = mapped
        .chain(reflexive.filter(|_| ways.punched))
        .map(|(kind, address)| Candidate { kind, address })
        .take(KEPT_FOR_OUTSIDE)
        .collect();
    let mut told = if ways.direct { own(listening, interfaces, advertise) } else { Vec::new() };
    told.truncate(MAX_CANDIDATES - outside.len());
    told.extend(outside);
    told
}

/// The candidates of the kind `host`.
fn own(listening: &[SocketAddr], interfaces: &[Interface], advertise: &[SocketAddr]) -> Vec<Candidate> {
    let mut v6 = Vec::new();
    let mut v4 = Vec::new();
    let mut tell = |address: SocketAddr| {
        let list = if address.is_ipv6() { &mut v6 } else { &mut v4 };
        if !list.contains(&address) {
            list.push(address);
        }
    };
    for socket in listening.iter().filter(|socket| !socket.ip().is_unspecified()) {
        tell(*socket);
    }
    for socket in listening.iter().filter(|socket| socket.ip().is_unspecified()) {
        let mut found: Vec<IpAddr> =
            interfaces.iter().filter(|i| i.ip.is_ipv6() == socket.is_ipv6() && is_reachable(i)).map(|i| i.ip).collect();
        found.sort_by_key(is_local_only);
        found.into_iter().for_each(|ip| tell(SocketAddr::new(ip, socket.port())));
    }
    let room = MAX_CANDIDATES.saturating_sub(advertise.len());
    v6.truncate(room - v4.len().min(KEPT_FOR_V4).min(room));
    v4.truncate(room - v6.len());
    let (advertise6, advertise4): (Vec<SocketAddr>, Vec<SocketAddr>) = advertise.iter().partition(|a| a.is_ipv6());
    let mut told: Vec<Candidate> = Vec::new();
    for address in v6.into_iter().chain(advertise6).chain(v4).chain(advertise4) {
        let candidate = Candidate { kind: CandidateKind::Host, address };
        if !told.contains(&candidate) && told.len() < MAX_CANDIDATES {
            told.push(candidate);
        }
    }
    told
}

fn is_reachable(interface: &Interface) -> bool {
    let ip = interface.ip;
    !ip.is_loopback() && !is_link_local(ip) && !BRIDGES.iter().any(|bridge| interface.name.starts_with(bridge))
}

/// An address that means something on this network only; others come before it.
fn is_local_only(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V6(ip) => ip.is_unique_local(),
        IpAddr::V4(ip) => ip.is_private(),
    }
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
        IpAddr::V4(ip) => ip.is_link_local(),
    }
}

/// What we know of ourselves when an address comes from outside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ourselves {
    /// Where links are taken.
    pub listening: Vec<SocketAddr>,
    /// The interfaces of this computer.
    pub interfaces: Vec<Interface>,
    /// Ports of our other services, not dialled on our own addresses.
    pub forbidden_ports: Vec<u16>,
}

impl Ourselves {
    /// Why this address is not dialled, as the end of a sentence; none if it may be.
    ///
    /// A contact chooses these addresses. What it may not do is have us knock at our own doors, or at ones where a
    /// connection means something else.
    pub fn objection(&self, address: SocketAddr) -> Option<&'static str> {
        let ip = address.ip().to_canonical();
        if address.port() == 0 {
            return Some("has no port");
        }
        if ip.is_unspecified() || matches!(ip, IpAddr::V4(v4) if v4.octets()[0] == 0) {
            return Some("is no address of a device");
        }
        if ip.is_multicast() || matches!(ip, IpAddr::V4(v4) if v4.is_broadcast()) {
            return Some("is not the address of one device");
        }
        if is_link_local(ip) && !has_scope(address) {
            return Some("is link-local and does not say on which link");
        }
        if ip.is_loopback() && !self.listening.iter().any(|own| own.ip().is_loopback()) {
            return Some("is a loopback address");
        }
        if !ip.is_loopback() && !self.interfaces.iter().any(|own| own.ip == ip) {
            // A private address of another network is that of somebody else here (RFC 1918, section 3).
            let is_foreign = is_local_only(&ip) && !self.interfaces.iter().any(|own| own.reaches(ip));
            return is_foreign.then_some("is a private address of another network");
        }
        let is_own_socket = |own: &SocketAddr| {
            own.port() == address.port()
                && (own.ip() == ip || own.ip().is_unspecified() && own.is_ipv6() == ip.is_ipv6())
        };
        if self.listening.iter().any(is_own_socket) {
            return Some("is our own");
        }
        let is_service = address.port() < FIRST_USER_PORT || self.forbidden_ports.contains(&address.port());
        is_service.then_some("is another service of this computer")
    }
}

fn has_scope(address: SocketAddr) -> bool {
    match address {
        SocketAddr::V6(v6) => v6.scope_id() != 0,
        SocketAddr::V4(_) => false,
    }
}

/// What counts as one source of connections: an IPv4 address, or an IPv6 network of 64 bits, because a single
/// computer has a whole one of those.
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
