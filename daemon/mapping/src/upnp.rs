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
use igd_next::aio::tokio::{search_gateway, search_ipv6_firewall_gateway};
use igd_next::{
    AddAnyPortError, AddPortError, GatewayIpVersion, GetExternalIpError, PinholeError, PortMappingProtocol,
    RemovePortError, RequestError, SearchError, SearchOptions,
};
use tokio::time::timeout;

use super::error::MapError;
use super::external::{External, judge};
use super::grant::{Client, Firewall, Grant, Handle, Router};
use super::route::{self, Uplink};
use super::schedule::{self, WANTED_LIFETIME};

/// A router may take 3 s to answer (the MX that `igd-next` sends), and then serves its documents.
const SEARCH: Duration = Duration::from_secs(5);
/// For one request and its answer.
const CALL: Duration = Duration::from_secs(5);
/// For up to 20 requests with a random port each.
const CALLS: Duration = Duration::from_secs(10);

/// Where every device of a network listens, and where the router alone does.
const SSDP_PORT: u16 = 1900;
const MULTICAST: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 250);

/// Seconds of [`WANTED_LIFETIME`]; also within the 24 h of a pinhole.
fn lease() -> u32 {
    u32::try_from(WANTED_LIFETIME.as_secs()).unwrap_or(3600)
}

/// Finds the router's service: of the router itself, or else of another one in our network.
///
/// The router is also asked by unicast, because networks lose multicasts and another device may answer one faster.
pub(super) async fn find(uplink: Uplink) -> Result<Router, MapError> {
    let unicast = pin!(search(uplink, uplink.to(SSDP_PORT)));
    let multicast = pin!(search(uplink, SocketAddr::new(MULTICAST.into(), SSDP_PORT)));
    match select(unicast, multicast).await {
        Either::Left((Ok(router), _)) => Ok(router),
        Either::Left((Err(_), multicast)) => multicast.await,
        Either::Right((Ok(router), _)) if router.addr.ip() == uplink.gateway => Ok(router),
        Either::Right((found, unicast)) => unicast.await.or(found),
    }
}

async fn search(uplink: Uplink, target: SocketAddr) -> Result<Router, MapError> {
    let mut options = SearchOptions::default();
    // The source address chooses the interface of a multicast.
    options.bind_addr = SocketAddr::new(uplink.own, 0);
    options.broadcast_address = target;
    options.timeout = Some(SEARCH);
    options.gateway_ip_version = GatewayIpVersion::V4;
    let router = bounded(SEARCH, search_gateway(options), searched).await?;
    is_ours(uplink, router.addr)?;
    Ok(router)
}

/// Finds the service for pinholes of our address.
pub(super) async fn find_firewall(uplink: Uplink) -> Result<Firewall, MapError> {
    let mut options = SearchOptions::ipv6(uplink.scope);
    // From the address that wants the pinhole: a router that is asked from a global address answers from, and with, its
    // own global one, and then sees the same source of the request that follows. Routers open pinholes for who asks only.
    options.bind_addr = SocketAddr::new(uplink.own, 0);
    options.timeout = Some(SEARCH);
    options.gateway_ip_version = GatewayIpVersion::V6;
    let firewall = bounded(SEARCH, search_ipv6_firewall_gateway(options), searched).await?;
    is_ours(uplink, firewall.addr)?;
    Ok(firewall)
}

fn is_ours(uplink: Uplink, found: SocketAddr) -> Result<(), MapError> {
    if found.ip() == uplink.gateway || route::is_near(found.ip()) {
        Ok(())
    } else {
        Err(MapError::Nonsense("comes from another network"))
    }
}

/// Maps the port, or renews the mapping; prefers `suggested` as the external port.
pub(super) async fn map(client: &Client, uplink: Uplink, router: Router, suggested: u16) -> Result<Grant, MapError> {
    let ip = bounded(CALL, router.get_external_ip(), external_ip_failed).await?;
    if judge(ip) == External::None || !ip.is_ipv4() {
        return Err(MapError::NoExternalAddress);
    }
    let (port, seconds) = match add(client, uplink, &router, suggested, lease()).await {
        // Some routers of version 1 know only permanent mappings (error 725); ours ends when we remove it.
        Err(Adding::OnlyPermanent) => (add(client, uplink, &router, suggested, 0).await?, lease()),
        other => (other?, lease()),
    };
    if port == 0 {
        return Err(MapError::Nonsense("grants port 0"));
    }
    let external = SocketAddr::new(ip, port);
    let lifetime = schedule::lifetime(seconds);
    Ok(Grant { uplink, external, lifetime, epoch: None, handle: Handle::Upnp(Box::new(router)) })
}

/// Removes a mapping.
pub(super) async fn unmap(router: &Router, external: SocketAddr) -> Result<(), MapError> {
    bounded(CALL, router.remove_port(PortMappingProtocol::TCP, external.port()), removed).await
}

/// Opens a pinhole.
pub(super) async fn open(client: &Client, uplink: Uplink, firewall: Firewall) -> Result<Grant, MapError> {
    let own = SocketAddr::new(uplink.own, client.port.get());
    let SocketAddr::V6(own6) = own else { return Err(MapError::Unsupported) };
    let own6 = SocketAddrV6::new(*own6.ip(), own6.port(), 0, 0);
    let id = bounded(CALL, firewall.add_pinhole(PortMappingProtocol::TCP, own6, lease()), pinhole).await?;
    Ok(pinhole_grant(uplink, own, firewall, id))
}

/// Renews a pinhole.
pub(super) async fn keep_open(client: &Client, uplink: Uplink, firewall: Firewall, id: u16) -> Result<Grant, MapError> {
    bounded(CALL, firewall.update_pinhole(id, lease()), pinhole).await?;
    Ok(pinhole_grant(uplink, SocketAddr::new(uplink.own, client.port.get()), firewall, id))
}

/// Closes a pinhole.
pub(super) async fn shut(firewall: &Firewall, id: u16) -> Result<(), MapError> {
    bounded(CALL, firewall.remove_pinhole(id), pinhole).await
}

fn pinhole_grant(uplink: Uplink, own: SocketAddr, firewall: Firewall, id: u16) -> Grant {
    let handle = Handle::Pinhole(Box::new(firewall), id);
    Grant { uplink, external: own, lifetime: schedule::lifetime(lease()), epoch: None, handle }
}

async fn bounded<T, E>(
    limit: Duration,
    doing: impl Future<Output = Result<T, E>>,
    word: fn(E) -> MapError,
) -> Result<T, MapError> {
    match timeout(limit, doing).await {
        Ok(done) => done.map_err(word),
        Err(_) => Err(MapError::NoAnswer),
    }
}

/// Why a mapping was not added.
enum Adding {
    /// The router takes permanent mappings only.
    OnlyPermanent,
    /// All else.
    Refused(MapError),
}

impl From<Adding> for MapError {
    fn from(adding: Adding) -> Self {
        match adding {
            Adding::OnlyPermanent => Self::Refused(725),
            Adding::Refused(error) => error,
        }
    }
}

/// Adds a mapping, to another port where the suggested one is taken. The port outside.
async fn add(client: &Client, uplink: Uplink, router: &Router, suggested: u16, lease: u32) -> Result<u16, Adding> {
    let own = SocketAddr::new(uplink.own, client.port.get());
    let same = router.add_port(PortMappingProtocol::TCP, suggested, own, lease, &client.description);
    match timeout(CALL, same).await {
        Err(_) => return Err(Adding::Refused(MapError::NoAnswer)),
        Ok(Ok(())) => return Ok(suggested),
        Ok(Err(error)) => match added(error) {
            Adding::Refused(MapError::Conflict) => {}
            other => return Err(other),
        },
    }
    let any = router.add_any_port(PortMappingProtocol::TCP, own, lease, &client.description);
    match timeout(CALLS, any).await {
        Err(_) => Err(Adding::Refused(MapError::NoAnswer)),
        Ok(added) => added.map_err(added_any),
    }
}

fn added(error: AddPortError) -> Adding {
    Adding::Refused(match error {
        AddPortError::OnlyPermanentLeasesSupported => return Adding::OnlyPermanent,
        AddPortError::ActionNotAuthorized => MapError::NotAuthorised,
        AddPortError::PortInUse | AddPortError::SamePortValuesRequired => MapError::Conflict,
        AddPortError::InternalPortZeroInvalid | AddPortError::ExternalPortZeroInvalid => MapError::Refused(716),
        AddPortError::DescriptionTooLong => MapError::Refused(605),
        AddPortError::RequestError(error) => request(error),
    })
}

fn added_any(error: AddAnyPortError) -> Adding {
    Adding::Refused(match error {
        AddAnyPortError::OnlyPermanentLeasesSupported => return Adding::OnlyPermanent,
        AddAnyPortError::ActionNotAuthorized => MapError::NotAuthorised,
        AddAnyPortError::NoPortsAvailable | AddAnyPortError::ExternalPortInUse => MapError::Conflict,
        AddAnyPortError::InternalPortZeroInvalid => MapError::Refused(716),
        AddAnyPortError::DescriptionTooLong => MapError::Refused(605),
        AddAnyPortError::RequestError(error) => request(error),
    })
}

fn removed(error: RemovePortError) -> MapError {
    match error {
        RemovePortError::ActionNotAuthorized => MapError::NotAuthorised,
        RemovePortError::NoSuchPortMapping => MapError::Refused(714),
        RemovePortError::RequestError(error) => request(error),
    }
}

fn external_ip_failed(error: GetExternalIpError) -> MapError {
    match error {
        GetExternalIpError::ActionNotAuthorized => MapError::NotAuthorised,
        // No address comes as an empty element, which does not parse.
        GetExternalIpError::RequestError(RequestError::InvalidResponse(_) | RequestError::ErrorCode(501, _)) => {
            MapError::NoExternalAddress
        }
        GetExternalIpError::RequestError(error) => request(error),
    }
}

fn pinhole(error: PinholeError) -> MapError {
    match error {
        PinholeError::FirewallControlUnavailable => MapError::Unsupported,
        PinholeError::ActionNotAuthorized | PinholeError::InboundPinholeNotAllowed => MapError::NotAuthorised,
        PinholeError::PinholeSpaceExhausted => MapError::NoResources,
        PinholeError::InvalidLeaseDuration => MapError::Refused(402),
        PinholeError::FirewallDisabled => MapError::Refused(702),
        PinholeError::NoSuchEntry => MapError::Refused(704),
        PinholeError::RequestError(error) => request(error),
    }
}

fn searched(error: SearchError) -> MapError {
    match error {
        SearchError::IoError(error) => MapError::from_socket(&error),
        SearchError::NoResponseWithinTimeout | SearchError::HyperError(_) | SearchError::HyperClientError(_) => {
            MapError::NoAnswer
        }
        SearchError::InvalidResponse
        | SearchError::Utf8Error(_)
        | SearchError::XmlError(_)
        | SearchError::InvalidUri(_) => MapError::Nonsense("is not understood"),
    }
}

/// Error codes of WANIPConnection:2 and of the UPnP device architecture.
fn request(error: RequestError) -> MapError {
    match error {
        RequestError::ErrorCode(code, _) => match code {
            401 | 602 => MapError::Unsupported,
            606 => MapError::NotAuthorised,
            603 | 604 => MapError::NoResources,
            718 | 728 | 729 => MapError::Conflict,
            other => MapError::Refused(other),
        },
        RequestError::IoError(error) => MapError::from_socket(&error),
        RequestError::UnsupportedAction(_) => MapError::Unsupported,
        RequestError::HyperError(_) | RequestError::HyperClientError(_) => MapError::NoAnswer,
        RequestError::InvalidResponse(_) | RequestError::HttpError(_) | RequestError::Utf8Error(_) => {
            MapError::Nonsense("is not understood")
        }
    }
}
