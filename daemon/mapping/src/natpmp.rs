//! NAT-PMP (RFC 6886), for IPv4.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;

use crab_nat::natpmp::{self, Failure};
use crab_nat::{InternetProtocol, PortMappingOptions};

use super::error::MapError;
use super::grant::{Client, Grant, Handle};
use super::route::Uplink;
use super::schedule::{self, WANTED_LIFETIME};

/// The router's external address; shows whether it speaks NAT-PMP, and changes nothing.
pub(super) async fn external(uplink: Uplink) -> Result<Ipv4Addr, MapError> {
    natpmp::external_address(uplink.gateway.into(), None).await.map_err(error)
}

/// Maps the port, or renews the mapping; prefers `suggested` as the external port.
pub(super) async fn map(
    client: &Client,
    uplink: Uplink,
    external: Ipv4Addr,
    suggested: u16,
) -> Result<Grant, MapError> {
    let options = PortMappingOptions {
        external_port: NonZeroU16::new(suggested),
        lifetime_seconds: u32::try_from(WANTED_LIFETIME.as_secs()).ok(),
        timeout_config: None,
    };
    let mapping = natpmp::port_mapping(uplink.gateway.into(), InternetProtocol::Tcp, client.port, options)
        .await
        .map_err(error)?;
    if mapping.lifetime() == 0 {
        return Err(MapError::Nonsense("grants a mapping for no time"));
    }
    Ok(Grant {
        uplink,
        external: SocketAddr::new(external.into(), mapping.external_port().get()),
        lifetime: schedule::lifetime(mapping.lifetime()),
        epoch: Some(client.epoch(mapping.gateway_epoch())),
        handle: Handle::NatPmp,
    })
}

/// Removes the mapping of the port.
pub(super) async fn unmap(client: &Client, uplink: Uplink) -> Result<(), MapError> {
    natpmp::try_drop_mapping(uplink.gateway.into(), InternetProtocol::Tcp, Some(client.port), None).await.map_err(error)
}

fn error(failure: Failure) -> MapError {
    match failure {
        Failure::Socket(error) => MapError::from_socket(&error),
        Failure::Timeout => MapError::NoAnswer,
        Failure::InvalidResponse(_) => MapError::Nonsense("is not understood"),
        Failure::UnsupportedVersion(_) | Failure::UnsupportedOpcode => MapError::Unsupported,
        Failure::NotAuthorized => MapError::NotAuthorised,
        Failure::NetworkFailure => MapError::NoExternalAddress,
        Failure::OutOfResources => MapError::NoResources,
    }
}
