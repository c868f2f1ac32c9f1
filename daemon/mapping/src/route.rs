//! The routers that lead out of this network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};

/// Two routers at once are a laptop with cable and radio; more would only make searches longer.
const MAX_ROUTERS: usize = 2;
/// A router with the full table of the internet does not run us.
const MAX_LINES: usize = 10_000;
/// `RTF_GATEWAY` of route.h.
const RTF_GATEWAY: u32 = 2;

/// The path to one router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Uplink {
    /// The router.
    pub gateway: IpAddr,
    /// The interface's number, for link-local addresses of routers; else 0.
    pub scope: u32,
    /// Our address, the one that the router sees.
    pub own: IpAddr,
}

impl Uplink {
    /// A port of the router.
    pub fn to(&self, port: u16) -> SocketAddr {
        match self.gateway {
            IpAddr::V4(ip) => SocketAddr::new(ip.into(), port),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, self.scope).into(),
        }
    }
}

/// A default route: the router, its interface, and how much it is liked (less is better).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route<A> {
    /// The router.
    pub gateway: A,
    /// As the system calls it, `eth0`.
    pub interface: String,
    metric: u32,
}

/// The IPv4 routers, best first; at most two.
pub(super) fn uplinks_v4() -> Vec<Uplink> {
    let routes = default_v4(&table("/proc/thread-self/net/route"));
    let uplink = |route: &Route<Ipv4Addr>| {
        let own = own_towards(SocketAddr::new(route.gateway.into(), 9))?;
        Some(Uplink { gateway: route.gateway.into(), scope: 0, own })
    };
    routes.iter().filter_map(uplink).take(MAX_ROUTERS).collect()
}

/// The IPv6 router for one of our own addresses, best first; at most two.
pub(super) fn uplinks_v6(own: Ipv6Addr) -> Vec<Uplink> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let Some(home) = interfaces.iter().find(|interface| interface.ip() == own) else { return Vec::new() };
    let routes = default_v6(&table("/proc/thread-self/net/ipv6_route"));
    let here = routes.iter().filter(|route| route.interface == home.name);
    let uplink = |route: &Route<Ipv6Addr>| Uplink {
        gateway: route.gateway.into(),
        scope: if route.gateway.is_unicast_link_local() { home.index.unwrap_or(0) } else { 0 },
        own: own.into(),
    };
    here.map(uplink).take(MAX_ROUTERS).collect()
}

/// The thread's own network namespace, which is the process's but in tests. Memory, not a disk: no need to step aside.
fn table(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| {
        tracing::debug!(%error, path, "the routes cannot be read");
        String::new()
    })
}

/// Our address for datagrams to there; nothing is sent.
fn own_towards(there: SocketAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(there).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_unspecified() && !ip.is_loopback())
}

/// Whether an address is of a network that we are in.
pub(super) fn is_near(ip: IpAddr) -> bool {
    if_addrs::get_if_addrs().unwrap_or_default().iter().any(|interface| match (&interface.addr, ip) {
        (if_addrs::IfAddr::V4(own), IpAddr::V4(ip)) => {
            let mask = own.netmask.to_bits();
            mask != 0 && own.ip.to_bits() & mask == ip.to_bits() & mask
        }
        (if_addrs::IfAddr::V6(own), IpAddr::V6(ip)) => {
            let mask = own.netmask.to_bits();
            mask != 0 && own.ip.to_bits() & mask == ip.to_bits() & mask
        }
        (if_addrs::IfAddr::V4(_), IpAddr::V6(_)) | (if_addrs::IfAddr::V6(_), IpAddr::V4(_)) => false,
    })
}

/// Reads `/proc/net/route`: numbers in hexadecimal, addresses as the machine keeps them.
pub(super) fn default_v4(table: &str) -> Vec<Route<Ipv4Addr>> {
    let route = |line: &str| {
        let mut fields = line.split_whitespace();
        let interface = fields.next()?.to_owned();
        let [destination, gateway, flags] = [fields.next()?, fields.next()?, fields.next()?].map(hex);
        let metric: u32 = fields.nth(2)?.parse().ok()?;
        let mask = hex(fields.next()?)?;
        let gateway = Ipv4Addr::from(gateway?.to_ne_bytes());
        let is_default = destination? == 0 && mask == 0 && flags? & RTF_GATEWAY != 0 && !gateway.is_unspecified();
        is_default.then_some(Route { gateway, interface, metric })
    };
    best(table.lines().take(MAX_LINES).filter_map(route).collect())
}

/// Reads `/proc/net/ipv6_route`: all in hexadecimal, addresses in network order.
pub(super) fn default_v6(table: &str) -> Vec<Route<Ipv6Addr>> {
    let route = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().take(11).collect();
        let [destination, length, _, _, gateway, metric, _, _, flags, interface, ..] = fields[..] else { return None };
        let gateway = Ipv6Addr::from_bits(u128::from_str_radix(gateway, 16).ok()?);
        let is_default = u128::from_str_radix(destination, 16).ok()? == 0
            && hex(length)? == 0
            && hex(flags)? & RTF_GATEWAY != 0
            && !gateway.is_unspecified();
        is_default.then_some(Route { gateway, interface: interface.to_owned(), metric: hex(metric)? })
    };
    best(table.lines().take(MAX_LINES).filter_map(route).collect())
}

fn hex(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 16).ok()
}

fn best<A: PartialEq>(mut routes: Vec<Route<A>>) -> Vec<Route<A>> {
    routes.sort_by_key(|route| route.metric);
    routes.dedup_by(|a, b| a.gateway == b.gateway && a.interface == b.interface);
    routes
}
