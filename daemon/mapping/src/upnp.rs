//! UPnP: WANIPConnection 1 and 2 for IPv4 mappings, WANIPv6FirewallControl for IPv6 pinholes.
//!
//! `igd-next` bounds datagrams (1.5 kB), documents (1 MiB, 64 levels) and requests (10 s), and follows no address but
//! that of the router that answered. That this is our router, and how long all of it may take, is seen to here. Its
//! errors may quote the router's documents, so only their kind is passed on.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV6};
use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use igd_next::aio::tokio::{Tokio, search_gateway, search_ipv6_firewall_gateway};
use igd_next::aio::{Gateway, Ipv6FirewallGateway};
use igd_next::{
    AddAnyPortError, AddPortError, GatewayIpVersion, GetExternalIpError, PinholeError, PortMappingProtocol,
    RemovePortError, RequestError, SearchError, SearchOptions,
};
use tokio::time::timeout;

use super::external::{External, judge};
use super::grant::{Ask, Grant, Handle};
use super::refusal::Refusal;
use super::route::{self, Way};
use super::schedule::{self, WANTED_LIFETIME};

/// A router's service for IPv4.
pub(super) type Router = Gateway<Tokio>;
/// A router's service for IPv6.
pub(super) type Firewall = Ipv6FirewallGateway<Tokio>;

/// A router may take 3 s to answer (we ask for that, and `igd-next` does), and then tells its documents.
const SEARCH: Duration = Duration::from_secs(5);
/// For one request and its answer.
const CALL: Duration = Duration::from_secs(5);
/// For up to 20 requests with a random port each.
const CALLS: Duration = Duration::from_secs(10);

/// Where every device of a network listens, and where the router alone does.
const SSDP_PORT: u16 = 1900;
const EVERYBODY: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 250);

/// Seconds of [`WANTED_LIFETIME`]; also within the 24 h of a pinhole.
fn lease() -> u32 {
    u32::try_from(WANTED_LIFETIME.as_secs()).unwrap_or(3600)
}

/// Finds the router's service: of the router itself, or else of another one in our network.
///
/// The router is asked alone too, because networks lose multicasts and somebody else may be quicker to answer one.
pub(super) async fn find(way: Way) -> Result<Router, Refusal> {
    let alone = pin!(search(way, way.to(SSDP_PORT)));
    let everybody = pin!(search(way, SocketAddr::new(EVERYBODY.into(), SSDP_PORT)));
    match select(alone, everybody).await {
        Either::Left((Ok(router), _)) => Ok(router),
        Either::Left((Err(_), everybody)) => everybody.await,
        Either::Right((Ok(router), _)) if router.addr.ip() == way.gateway => Ok(router),
        Either::Right((found, alone)) => alone.await.or(found),
    }
}

async fn search(way: Way, target: SocketAddr) -> Result<Router, Refusal> {
    let mut options = SearchOptions::default();
    // The source address chooses the interface of a multicast.
    options.bind_addr = SocketAddr::new(way.own, 0);
    options.broadcast_address = target;
    options.timeout = Some(SEARCH);
    options.gateway_ip_version = GatewayIpVersion::V4;
    let router = bounded(SEARCH, search_gateway(options), searched).await?;
    is_ours(way, router.addr)?;
    Ok(router)
}

/// Finds the service for pinholes of our address.
pub(super) async fn find_firewall(way: Way) -> Result<Firewall, Refusal> {
    let mut options = SearchOptions::ipv6(way.scope);
    // From the address that wants the pinhole: a router that is asked from a global address answers from, and with, its
    // own global one, and then sees the same source of the request that follows. Routers open pinholes for who asks only.
    options.bind_addr = SocketAddr::new(way.own, 0);
    options.timeout = Some(SEARCH);
    options.gateway_ip_version = GatewayIpVersion::V6;
    let firewall = bounded(SEARCH, search_ipv6_firewall_gateway(options), searched).await?;
    is_ours(way, firewall.addr)?;
    Ok(firewall)
}

fn is_ours(way: Way, found: SocketAddr) -> Result<(), Refusal> {
    if found.ip() == way.gateway || route::is_near(found.ip()) {
        Ok(())
    } else {
        Err(Refusal::Nonsense("comes from another network"))
    }
}

/// Maps the port, or renews the mapping; would like to have `suggested` outside.
pub(super) async fn map(ask: &Ask, way: Way, router: Router, suggested: u16) -> Result<Grant, Refusal> {
    let ip = bounded(CALL, router.get_external_ip(), told_ip).await?;
    if judge(ip) == External::None || !ip.is_ipv4() {
        return Err(Refusal::NoExternalAddress);
    }
    let (port, seconds) = match add(ask, way, &router, suggested, lease()).await {
        // Some routers of version 1 know only mappings that last for ever (error 725); ours ends when we remove it.
        Err(Adding::OnlyPermanent) => (add(ask, way, &router, suggested, 0).await?, lease()),
        other => (other?, lease()),
    };
    if port == 0 {
        return Err(Refusal::Nonsense("grants port 0"));
    }
    let external = SocketAddr::new(ip, port);
    let lifetime = schedule::lifetime(seconds);
    Ok(Grant { way, external, lifetime, epoch: None, handle: Handle::Upnp(Box::new(router)) })
}

/// Removes a mapping.
pub(super) async fn unmap(router: &Router, external: SocketAddr) -> Result<(), Refusal> {
    bounded(CALL, router.remove_port(PortMappingProtocol::TCP, external.port()), removed).await
}

/// Opens a pinhole.
pub(super) async fn open(ask: &Ask, way: Way, firewall: Firewall) -> Result<Grant, Refusal> {
    let own = SocketAddr::new(way.own, ask.port.get());
    let SocketAddr::V6(own6) = own else { return Err(Refusal::Unsupported) };
    let own6 = SocketAddrV6::new(*own6.ip(), own6.port(), 0, 0);
    let id = bounded(CALL, firewall.add_pinhole(PortMappingProtocol::TCP, own6, lease()), pinhole).await?;
    Ok(pinhole_grant(way, own, firewall, id))
}

/// Renews a pinhole.
pub(super) async fn keep_open(ask: &Ask, way: Way, firewall: Firewall, id: u16) -> Result<Grant, Refusal> {
    bounded(CALL, firewall.update_pinhole(id, lease()), pinhole).await?;
    Ok(pinhole_grant(way, SocketAddr::new(way.own, ask.port.get()), firewall, id))
}

/// Closes a pinhole.
pub(super) async fn shut(firewall: &Firewall, id: u16) -> Result<(), Refusal> {
    bounded(CALL, firewall.remove_pinhole(id), pinhole).await
}

fn pinhole_grant(way: Way, own: SocketAddr, firewall: Firewall, id: u16) -> Grant {
    let handle = Handle::Pinhole(Box::new(firewall), id);
    Grant { way, external: own, lifetime: schedule::lifetime(lease()), epoch: None, handle }
}

async fn bounded<T, E>(
    limit: Duration,
    doing: impl Future<Output = Result<T, E>>,
    word: fn(E) -> Refusal,
) -> Result<T, Refusal> {
    match timeout(limit, doing).await {
        Ok(done) => done.map_err(word),
        Err(_) => Err(Refusal::NoAnswer),
    }
}

/// What came of adding a mapping.
enum Adding {
    /// The router wants mappings that last for ever.
    OnlyPermanent,
    /// All else.
    Refused(Refusal),
}

impl From<Adding> for Refusal {
    fn from(adding: Adding) -> Self {
        match adding {
            Adding::OnlyPermanent => Self::Refused(725),
            Adding::Refused(refusal) => refusal,
        }
    }
}

/// Adds a mapping, to another port where the suggested one is taken. The port outside.
async fn add(ask: &Ask, way: Way, router: &Router, suggested: u16, lease: u32) -> Result<u16, Adding> {
    let own = SocketAddr::new(way.own, ask.port.get());
    let same = router.add_port(PortMappingProtocol::TCP, suggested, own, lease, &ask.description);
    match timeout(CALL, same).await {
        Err(_) => return Err(Adding::Refused(Refusal::NoAnswer)),
        Ok(Ok(())) => return Ok(suggested),
        Ok(Err(error)) => match added(error) {
            Adding::Refused(Refusal::Conflict) => {}
            other => return Err(other),
        },
    }
    let any = router.add_any_port(PortMappingProtocol::TCP, own, lease, &ask.description);
    match timeout(CALLS, any).await {
        Err(_) => Err(Adding::Refused(Refusal::NoAnswer)),
        Ok(added) => added.map_err(added_any),
    }
}

fn added(error: AddPortError) -> Adding {
    Adding::Refused(match error {
        AddPortError::OnlyPermanentLeasesSupported => return Adding::OnlyPermanent,
        AddPortError::ActionNotAuthorized => Refusal::NotAuthorised,
        AddPortError::PortInUse | AddPortError::SamePortValuesRequired => Refusal::Conflict,
        AddPortError::InternalPortZeroInvalid | AddPortError::ExternalPortZeroInvalid => Refusal::Refused(716),
        AddPortError::DescriptionTooLong => Refusal::Refused(605),
        AddPortError::RequestError(error) => request(error),
    })
}

fn added_any(error: AddAnyPortError) -> Adding {
    Adding::Refused(match error {
        AddAnyPortError::OnlyPermanentLeasesSupported => return Adding::OnlyPermanent,
        AddAnyPortError::ActionNotAuthorized => Refusal::NotAuthorised,
        AddAnyPortError::NoPortsAvailable | AddAnyPortError::ExternalPortInUse => Refusal::Conflict,
        AddAnyPortError::InternalPortZeroInvalid => Refusal::Refused(716),
        AddAnyPortError::DescriptionTooLong => Refusal::Refused(605),
        AddAnyPortError::RequestError(error) => request(error),
    })
}

fn removed(error: RemovePortError) -> Refusal {
    match error {
        RemovePortError::ActionNotAuthorized => Refusal::NotAuthorised,
        RemovePortError::NoSuchPortMapping => Refusal::Refused(714),
        RemovePortError::RequestError(error) => request(error),
    }
}

fn told_ip(error: GetExternalIpError) -> Refusal {
    match error {
        GetExternalIpError::ActionNotAuthorized => Refusal::NotAuthorised,
        // No address is told as an empty element, which is not understood as one.
        GetExternalIpError::RequestError(RequestError::InvalidResponse(_) | RequestError::ErrorCode(501, _)) => {
            Refusal::NoExternalAddress
        }
        GetExternalIpError::RequestError(error) => request(error),
    }
}

fn pinhole(error: PinholeError) -> Refusal {
    match error {
        PinholeError::FirewallControlUnavailable => Refusal::Unsupported,
        PinholeError::ActionNotAuthorized | PinholeError::InboundPinholeNotAllowed => Refusal::NotAuthorised,
        PinholeError::PinholeSpaceExhausted => Refusal::NoResources,
        PinholeError::InvalidLeaseDuration => Refusal::Refused(402),
        PinholeError::FirewallDisabled => Refusal::Refused(702),
        PinholeError::NoSuchEntry => Refusal::Refused(704),
        PinholeError::RequestError(error) => request(error),
    }
}

fn searched(error: SearchError) -> Refusal {
    match error {
        SearchError::IoError(error) => Refusal::from_socket(&error),
        SearchError::NoResponseWithinTimeout | SearchError::HyperError(_) | SearchError::HyperClientError(_) => {
            Refusal::NoAnswer
        }
        SearchError::InvalidResponse
        | SearchError::Utf8Error(_)
        | SearchError::XmlError(_)
        | SearchError::InvalidUri(_) => Refusal::Nonsense("is not understood"),
    }
}

/// Error codes of WANIPConnection:2 and of the UPnP device architecture.
fn request(error: RequestError) -> Refusal {
    match error {
        RequestError::ErrorCode(code, _) => match code {
            401 | 602 => Refusal::Unsupported,
            606 => Refusal::NotAuthorised,
            603 | 604 => Refusal::NoResources,
            718 | 728 | 729 => Refusal::Conflict,
            other => Refusal::Refused(other),
        },
        RequestError::IoError(error) => Refusal::from_socket(&error),
        RequestError::UnsupportedAction(_) => Refusal::Unsupported,
        RequestError::HyperError(_) | RequestError::HyperClientError(_) => Refusal::NoAnswer,
        RequestError::InvalidResponse(_) | RequestError::HttpError(_) | RequestError::Utf8Error(_) => {
            Refusal::Nonsense("is not understood")
        }
    }
}
