//! What a laboratory looks like: where the two people are, what their routers do, and what the servers offer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::line::Line;

/// A whole laboratory. `Scene::default()`: both in public with both families, one plain Prosody, no limits of speed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scene {
    /// Where alice is.
    pub a: Place,
    /// Where bob is.
    pub b: Place,
    /// Which program serves them, or alice alone.
    pub server: ServerKind,
    /// The program of bob's own server, if he has one: the two servers talk to each other.
    pub federated: Option<ServerKind>,
    /// Whose server has a SOCKS5 proxy (XEP-0065): `a` alice's (which is also bob's, unless federated), `b` bob's own.
    pub proxy: Option<Side>,
    /// Whether the proxy tells its name, which means an address of each family, instead of its IPv4 address.
    pub proxy_by_name: bool,
    /// What lies between each person (or their router) and the public network; none: a cable without delay.
    pub line: Option<Line>,
    /// Whether there is a STUN server that the XMPP servers tell of (XEP-0215).
    pub stun: bool,
}

/// One of the two people, or what is theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Alice, host `a`, router `ra`.
    A,
    /// Bob, host `b`, router `rb`.
    B,
}

/// Where a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the public network: IPv4 on `eth0`, IPv6 on `eth1`, so that each can be cut alone.
    Public(Family),
    /// On a private IPv4 network behind a router.
    Behind(Router),
}

/// Which addresses a public host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Only IPv4.
    V4,
    /// Only IPv6.
    V6,
    /// Both.
    Both,
}

/// What a router does. None lets anything in that was not asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Router {
    /// How it translates addresses.
    pub nat: Nat,
    /// How its ports can be opened; miniupnpd is started with the laboratory if this is set.
    pub mapping: Option<Mapping>,
    /// Whether UDP passes.
    pub udp: bool,
}

/// How a router translates addresses (RFC 4787).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nat {
    /// Keeps ports, and lets in whatever comes for a port of the host, from anywhere.
    FullCone,
    /// Keeps ports, and lets in what comes from the address and port that was written to.
    PortRestricted,
    /// A new random port for each address and port that is written to, and lets in only what comes from there.
    Symmetric,
}

/// The only protocol by which a router opens ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// UPnP IGD.
    Upnp,
    /// NAT-PMP (RFC 6886); PCP is not answered.
    NatPmp,
    /// PCP (RFC 6887); NAT-PMP is not answered.
    Pcp,
}

/// Which XMPP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerKind {
    /// Prosody with the limits of an untouched installation.
    Prosody,
    /// ejabberd with the limits of an untouched installation.
    Ejabberd,
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            a: Place::Public(Family::Both),
            b: Place::Public(Family::Both),
            server: ServerKind::Prosody,
            federated: None,
            proxy: None,
            proxy_by_name: false,
            line: None,
            stun: false,
        }
    }
}

impl Router {
    /// Without a mapping, and UDP passes.
    pub const fn plain(nat: Nat) -> Self {
        Self { nat, mapping: None, udp: true }
    }

    /// Opens ports by this protocol.
    pub const fn with(self, mapping: Mapping) -> Self {
        Self { mapping: Some(mapping), ..self }
    }

    /// Lets no UDP pass.
    pub const fn without_udp(self) -> Self {
        Self { udp: false, ..self }
    }
}

impl Place {
    /// Whether it has IPv4.
    pub fn v4(self) -> bool {
        !matches!(self, Self::Public(Family::V6))
    }

    /// Whether it has IPv6.
    pub fn v6(self) -> bool {
        matches!(self, Self::Public(Family::V6 | Family::Both))
    }

    /// Its router.
    pub fn router(self) -> Option<Router> {
        match self {
            Self::Public(_) => None,
            Self::Behind(router) => Some(router),
        }
    }
}

impl Side {
    /// The name of the host's namespace, and of its cable's end in public.
    pub fn host(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    /// The name of the router's namespace.
    pub fn router(self) -> &'static str {
        match self {
            Self::A => "ra",
            Self::B => "rb",
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::A => 1,
            Self::B => 2,
        }
    }

    /// The public IPv4 address of the host, where it is in public.
    pub fn public_v4(self) -> Ipv4Addr {
        public_v4(10 + self.number())
    }

    /// The public IPv6 address of the host, where it is in public.
    pub fn public_v6(self) -> Ipv6Addr {
        public_v6(10 + self.number())
    }

    /// The router's public address.
    pub fn router_v4(self) -> Ipv4Addr {
        public_v4(20 + self.number())
    }

    /// The router's address on the private network.
    pub fn gateway(self) -> Ipv4Addr {
        self.private(1)
    }

    /// The host's address on the private network.
    pub fn private_v4(self) -> Ipv4Addr {
        self.private(2)
    }

    fn private(self, last: u8) -> Ipv4Addr {
        match self {
            Self::A => Ipv4Addr::new(10, 0, 1, last),
            Self::B => Ipv4Addr::new(192, 168, 2, last),
        }
    }

    /// The addresses of this side's XMPP server, where it has its own.
    pub fn server(self) -> (Ipv4Addr, Ipv6Addr) {
        (public_v4(self.number()), public_v6(self.number()))
    }

    /// The domain of this side's XMPP server, where it has its own.
    pub fn domain(self) -> &'static str {
        match self {
            Self::A => "a.test",
            Self::B => "b.test",
        }
    }

    /// Every address by which this side can be found, in public or not.
    pub fn addresses(self) -> Vec<IpAddr> {
        let v4 = [self.public_v4(), self.router_v4(), self.private_v4(), self.gateway()];
        v4.into_iter().map(IpAddr::from).chain([IpAddr::from(self.public_v6())]).collect()
    }
}

/// The public network. Not one of the networks for documentation, because miniupnpd refuses to map on those; nothing of it
/// leaves the laboratory.
pub fn public_v4(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(11, 0, 0, last)
}

/// The public network.
pub fn public_v6(last: u8) -> Ipv6Addr {
    // As it is written: 11 is ::11.
    Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, u16::from(last / 10 * 16 + last % 10))
}
