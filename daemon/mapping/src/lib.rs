//! Has the router map a port to us, so that contacts reach this computer from outside of its network.
//!
//! [`Mapper`] keeps one IPv4 mapping, and an IPv6 pinhole for each address that wants one, for as long as it lives:
//! it finds the router, asks it by PCP (RFC 6887), NAT-PMP (RFC 6886) and UPnP, the best first, renews what was granted
//! and searches again when it is lost, when the network changes, and when a router announces itself. A
//! [`MappingState`] shows what is mapped, and for each protocol why not.
//!
//! | file | holds |
//! |---|---|
//! | `keeper` | the one task: what is due when, and what is published |
//! | `mapping` | one address: renewing, or searching |
//! | `search` | which protocol is asked when |
//! | `pcp` `natpmp` `upnp` | asking by each protocol |
//! | `announce` | hearing routers that come up |
//! | `schedule` `external` `error` `message` `route` | rules without I/O: times, worth of an address, texts, bytes, tables |
//!
//! Routers are not trusted: lifetimes are clamped to between 2 minutes and 24 hours, port 0 is refused, answers count only
//! if they come from the router's own address (UPnP: or from our own network), all are bounded in size and time, and
//! their texts reach neither people nor logs. A router in turn learns our address, the port, and by UPnP a description
//! that names the program and not its user.

mod announce;
mod error;
mod external;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod grant;
mod keeper;
mod mapping;
mod message;
mod natpmp;
mod pcp;
mod route;
mod schedule;
mod search;
#[cfg(test)]
mod tests;
mod upnp;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use error::Subject;
use grant::Client;
use keeper::Keeper;

/// How long [`Mapper::close`] takes at most.
const CLOSING: Duration = Duration::from_secs(2);
/// Routers have little room for descriptions.
const MAX_DESCRIPTION: usize = 32;

/// How a router is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Port Control Protocol, RFC 6887.
    Pcp,
    /// NAT Port Mapping Protocol, RFC 6886.
    NatPmp,
    /// UPnP's internet gateway device, versions 1 and 2.
    Upnp,
}

impl Protocol {
    /// All, the best first.
    pub const ALL: [Self; 3] = [Self::Pcp, Self::NatPmp, Self::Upnp];

    /// Stable, for programs: `pcp`, `nat-pmp`, `upnp`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pcp => "pcp",
            Self::NatPmp => "nat-pmp",
            Self::Upnp => "upnp",
        }
    }

    /// As people find it in their router's settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcp => "PCP",
            Self::NatPmp => "NAT-PMP",
            Self::Upnp => "UPnP",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A mapping in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// Who granted it.
    pub protocol: Protocol,
    /// Where this computer is reached from outside. For a pinhole our own address.
    pub external: SocketAddr,
    /// The port that listens.
    pub internal_port: u16,
}

/// Why a protocol brought no mapping, or what is wrong with the one it brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which protocol.
    pub protocol: Protocol,
    /// Stable, for programs: `no-gateway`, `no-answer`, `unsupported`, `not-authorised`, `no-resources`, `conflict`,
    /// `no-external-address`, `private-external-address`, `refused`, `bad-answer`, `io-error`.
    pub code: &'static str,
    /// One sentence for people: what happened and what to do.
    pub reason: String,
    /// The own address that wants a pinhole; none: the IPv4 mapping.
    pub ipv6: Option<Ipv6Addr>,
}

/// What is mapped now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MappingState {
    /// The router that is asked, the IPv4 one first.
    pub gateway: Option<IpAddr>,
    /// The IPv4 mapping, at most one, and IPv6 pinholes.
    pub mapped: Vec<Mapped>,
    /// What went wrong, by protocol; [`MappingState::advice`] makes one sentence of it.
    pub failures: Vec<Failure>,
    /// Whether a search is under way now for something that is not mapped.
    pub searching: bool,
}

impl MappingState {
    /// One sentence for people about what is wrong with the IPv4 mapping, or where that is well, with a pinhole.
    /// None: all is well, or nothing is known yet. `port` is the one that listens.
    pub fn advice(&self, port: u16) -> Option<String> {
        let ipv6 = self.failures.iter().map(|failure| failure.ipv6).min()?;
        let about: Vec<&Failure> = self.failures.iter().filter(|failure| failure.ipv6 == ipv6).collect();
        let gateway = self.gateway.filter(|gateway| gateway.is_ipv6() == ipv6.is_some());
        error::summary(Subject { port, gateway, ipv6 }, &about)
    }
}

/// What is to be mapped.
#[derive(Clone, Debug)]
pub struct MapperConfig {
    /// The TCP port that listens. With 0 nothing is mapped.
    pub port: u16,
    /// Whether an IPv4 mapping is wanted.
    pub ipv4: bool,
    /// Own global addresses that want a pinhole, the first four.
    pub ipv6: Vec<Ipv6Addr>,
    /// What the router's settings show, `xbt`. Nothing personal; the first 32 letters, digits, spaces and hyphens count.
    pub description: String,
    /// Who we are to routers that speak PCP; none: a new random one. One that is kept over restarts makes what a crash
    /// left behind ours again; with another one the router refuses until that has run out.
    pub nonce: Option<[u8; 12]>,
}

/// Keeps the mappings in its own task until it is closed or dropped.
#[derive(Debug)]
pub struct Mapper {
    stop: oneshot::Sender<()>,
    ipv6: watch::Sender<Vec<Ipv6Addr>>,
    task: JoinHandle<()>,
}

impl Mapper {
    /// Begins to map; call it within a runtime. `network_changed` counts changes of the network; each makes the mapper
    /// look at once. The receiver shows the state at any time.
    pub fn start(config: MapperConfig, network_changed: watch::Receiver<u64>) -> (Self, watch::Receiver<MappingState>) {
        let searching = config.port != 0 && (config.ipv4 || !config.ipv6.is_empty());
        let (state, shown) = watch::channel(MappingState { searching, ..MappingState::default() });
        let (ipv6, wanted) = watch::channel(config.ipv6);
        let (stop, stopped) = oneshot::channel();
        let nonce = config.nonce.or_else(random_nonce);
        let task = match (NonZeroU16::new(config.port), nonce) {
            (Some(port), Some(nonce)) => {
                let description = harmless(&config.description);
                let client = Arc::new(Client { port, nonce, description, started: Instant::now() });
                let keeper = Keeper { client, ipv4: config.ipv4, ipv6: wanted, network: network_changed, state };
                tokio::spawn(keeper.run(stopped))
            }
            _ => tokio::spawn(std::future::ready(())),
        };
        (Self { stop, ipv6, task }, shown)
    }

    /// Our addresses have changed: pinholes for new ones are asked for, those of others are removed.
    pub fn set_ipv6(&self, addresses: Vec<Ipv6Addr>) {
        self.ipv6.send_if_modified(|known| {
            let is_new = *known != addresses;
            *known = addresses;
            is_new
        });
    }

    /// Removes the mappings. Takes 2 s at most; a router that does not answer by then keeps them until they run out.
    pub async fn close(self) {
        let Self { stop, task, .. } = self;
        stop.send(()).ok();
        let abort = task.abort_handle();
        if timeout(CLOSING, task).await.is_err() {
            tracing::info!("the router does not answer; its port mappings will run out");
            abort.abort();
        }
    }
}

fn random_nonce() -> Option<[u8; 12]> {
    let mut nonce = [0; 12];
    getrandom::fill(&mut nonce)
        .inspect_err(|error| tracing::warn!(%error, "no randomness, so no port mappings"))
        .ok()
        .map(|()| nonce)
}

fn harmless(description: &str) -> String {
    description.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-')).take(MAX_DESCRIPTION).collect()
}
