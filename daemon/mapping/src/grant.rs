//! A mapping that a router granted, and what every request for one has in common.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::time::Duration;

use igd_next::aio::tokio::Tokio;
use igd_next::aio::{Gateway, Ipv6FirewallGateway};
use tokio::time::Instant;

use super::message::Nonce;
use super::route::Uplink;
use super::schedule::Epoch;
use super::{Mapped, Protocol};

/// What is the same in all our requests.
#[derive(Clone, Debug)]
pub(super) struct Client {
    /// The TCP port that listens.
    pub port: NonZeroU16,
    /// Ours in PCP.
    pub nonce: Nonce,
    /// Shown in the router's list by UPnP.
    pub description: String,
    /// Our own clock's zero, for epochs.
    pub started: Instant,
}

impl Client {
    /// A router's epoch, received just now.
    pub fn epoch(&self, theirs: u32) -> Epoch {
        Epoch { theirs, ours: self.started.elapsed() }
    }
}

/// A router's service for IPv4.
pub(super) type Router = Gateway<Tokio>;
/// A router's service for IPv6.
pub(super) type Firewall = Ipv6FirewallGateway<Tokio>;

/// What a protocol needs to renew and to remove what it granted.
#[derive(Clone, Debug)]
pub(super) enum Handle {
    /// The nonce is enough.
    Pcp,
    /// The port is enough.
    NatPmp,
    /// The router's service.
    Upnp(Box<Router>),
    /// The router's service and its number for the pinhole.
    Pinhole(Box<Firewall>, u16),
}

/// A mapping in force.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    /// The router and our address.
    pub uplink: Uplink,
    /// Where we are reached.
    pub external: SocketAddr,
    /// Within bounds.
    pub lifetime: Duration,
    /// Of PCP and NAT-PMP.
    pub epoch: Option<Epoch>,
    /// For its protocol.
    pub handle: Handle,
}

impl Grant {
    /// Which protocol granted it.
    pub fn protocol(&self) -> Protocol {
        match self.handle {
            Handle::Pcp => Protocol::Pcp,
            Handle::NatPmp => Protocol::NatPmp,
            Handle::Upnp(_) | Handle::Pinhole(..) => Protocol::Upnp,
        }
    }

    /// For the outside.
    pub fn mapped(&self, client: &Client) -> Mapped {
        Mapped { protocol: self.protocol(), external: self.external, internal_port: client.port.get() }
    }
}
