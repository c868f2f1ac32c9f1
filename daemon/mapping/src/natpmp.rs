//! NAT-PMP (RFC 6886), for IPv4.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;

use crab_nat::natpmp::{self, Failure};
use crab_nat::{InternetProtocol, PortMappingOptions};

use super::grant::{Ask, Grant, Handle};
use super::refusal::Refusal;
use super::route::Way;
use super::schedule::{self, WANTED_LIFETIME};

/// The router's own address; also tells whether it speaks NAT-PMP, and changes nothing.
pub(super) async fn external(way: Way) -> Result<Ipv4Addr, Refusal> {
    natpmp::external_address(way.gateway.into(), None).await.map_err(refusal)
}

/// Maps the port, or renews the mapping; would like to have `suggested` outside.
pub(super) async fn map(ask: &Ask, way: Way, external: Ipv4Addr, suggested: u16) -> Result<Grant, Refusal> {
    let options = PortMappingOptions {
        external_port: NonZeroU16::new(suggested),
        lifetime_seconds: u32::try_from(WANTED_LIFETIME.as_secs()).ok(),
        timeout_config: None,
    };
    let mapping =
        natpmp::port_mapping(way.gateway.into(), InternetProtocol::Tcp, ask.port, options).await.map_err(refusal)?;
    if mapping.lifetime() == 0 {
        return Err(Refusal::Nonsense("grants a mapping for no time"));
    }
    Ok(Grant {
        way,
        external: SocketAddr::new(external.into(), mapping.external_port().get()),
        lifetime: schedule::lifetime(mapping.lifetime()),
        epoch: Some(ask.epoch(mapping.gateway_epoch())),
        handle: Handle::NatPmp,
    })
}

/// Removes the mapping of the port.
pub(super) async fn unmap(ask: &Ask, way: Way) -> Result<(), Refusal> {
    natpmp::try_drop_mapping(way.gateway.into(), InternetProtocol::Tcp, Some(ask.port), None).await.map_err(refusal)
}

fn refusal(failure: Failure) -> Refusal {
    match failure {
        Failure::Socket(error) => Refusal::from_socket(&error),
        Failure::Timeout => Refusal::NoAnswer,
        Failure::InvalidResponse(_) => Refusal::Nonsense("is not understood"),
        Failure::UnsupportedVersion(_) | Failure::UnsupportedOpcode => Refusal::Unsupported,
        Failure::NotAuthorized => Refusal::NotAuthorised,
        Failure::NetworkFailure => Refusal::NoExternalAddress,
        Failure::OutOfResources => Refusal::NoResources,
    }
}
