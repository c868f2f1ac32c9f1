//! Which protocol is asked when.
//!
//! What costs time and changes nothing (NAT-PMP's question for the address, UPnP's search) runs beside PCP's request.
//! Mappings are asked for one after the other, the best protocol first, and the first one that is granted is kept:
//! routers keep all three protocols' mappings in one table, where asking by another protocol for the same port takes
//! the mapping over, and removing that takes away both.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::Protocol;
use super::error::MapError;
use super::external::{External, judge};
use super::grant::{Client, Grant, Handle};
use super::route::Uplink;
use super::{natpmp, pcp, upnp};

/// For requests whose effect is unknown.
const FORGETTING: Duration = Duration::from_millis(500);

/// What each protocol answered, in the order in which they were asked.
pub(super) type MapErrors = Vec<(Protocol, MapError)>;

/// Asks one router for the IPv4 mapping.
pub(super) async fn map(client: &Client, uplink: Uplink, suggested: u16) -> Result<Grant, MapErrors> {
    let address = AbortOnDropHandle::new(tokio::spawn(natpmp::external(uplink)));
    let router = AbortOnDropHandle::new(tokio::spawn(upnp::find(uplink)));
    let mut errors = Vec::new();
    match checked(client, pcp::map(client, uplink, (None, suggested)).await).await {
        Ok(grant) => return Ok(grant),
        Err(error) => errors.push((Protocol::Pcp, error)),
    }
    match by_natpmp(client, uplink, address, suggested).await {
        Ok(grant) => return Ok(grant),
        Err(error) => errors.push((Protocol::NatPmp, error)),
    }
    let granted = match joined(router).await {
        Ok(router) => upnp::map(client, uplink, router, suggested).await,
        Err(error) => Err(error),
    };
    match granted {
        Ok(grant) => Ok(grant),
        Err(error) => {
            errors.push((Protocol::Upnp, error));
            Err(errors)
        }
    }
}

/// Asks one router for a pinhole.
pub(super) async fn pinhole(client: &Client, uplink: Uplink) -> Result<Grant, MapErrors> {
    let firewall = AbortOnDropHandle::new(tokio::spawn(upnp::find_firewall(uplink)));
    let by_pcp = match checked(client, pcp::map(client, uplink, (Some(uplink.own), client.port.get())).await).await {
        Ok(grant) => return Ok(grant),
        Err(error) => error,
    };
    let granted = match joined(firewall).await {
        Ok(firewall) => upnp::open(client, uplink, firewall).await,
        Err(error) => Err(error),
    };
    granted.map_err(|by_upnp| vec![(Protocol::Pcp, by_pcp), (Protocol::Upnp, by_upnp)])
}

/// Asks the router that granted a mapping to keep it; where it has forgotten it, this maps anew.
pub(super) async fn renew(client: &Client, grant: &Grant) -> Result<Grant, MapError> {
    let Grant { uplink, external, .. } = *grant;
    match &grant.handle {
        Handle::Pcp => checked(client, pcp::map(client, uplink, (Some(external.ip()), external.port())).await).await,
        Handle::NatPmp => {
            let ip = natpmp::external(uplink).await?;
            checked(client, natpmp::map(client, uplink, ip, external.port()).await).await
        }
        Handle::Upnp(router) => upnp::map(client, uplink, (**router).clone(), external.port()).await,
        Handle::Pinhole(firewall, id) => match upnp::keep_open(client, uplink, (**firewall).clone(), *id).await {
            Err(MapError::Refused(704)) => upnp::open(client, uplink, (**firewall).clone()).await,
            other => other,
        },
    }
}

/// Removes a mapping.
pub(super) async fn remove(client: &Client, grant: &Grant) {
    let removed = match &grant.handle {
        Handle::Pcp => pcp::unmap(client, grant.uplink).await,
        Handle::NatPmp => natpmp::unmap(client, grant.uplink).await,
        Handle::Upnp(router) => upnp::unmap(router, grant.external).await,
        Handle::Pinhole(firewall, id) => upnp::shut(firewall, *id).await,
    };
    let (protocol, external) = (grant.protocol(), grant.external);
    match removed {
        Ok(()) => tracing::info!(%protocol, %external, "the port mapping is removed"),
        Err(error) => tracing::info!(%protocol, %external, %error, "the port mapping was not removed and will run out"),
    }
}

/// Removes what a request that we do not wait for any longer may have brought. Without effect where it brought nothing.
/// What UPnP may have brought runs out.
pub(super) async fn forget(client: &Client, uplink: Uplink) {
    let by_pcp = timeout(FORGETTING, pcp::unmap(client, uplink)).await;
    if !matches!(by_pcp, Ok(Ok(()))) && uplink.own.is_ipv4() {
        timeout(FORGETTING, natpmp::unmap(client, uplink)).await.ok();
    }
}

async fn by_natpmp(
    client: &Client,
    uplink: Uplink,
    address: AbortOnDropHandle<Result<std::net::Ipv4Addr, MapError>>,
    suggested: u16,
) -> Result<Grant, MapError> {
    let ip = joined(address).await?;
    if judge(ip.into()) == External::None {
        return Err(MapError::NoExternalAddress);
    }
    checked(client, natpmp::map(client, uplink, ip, suggested).await).await
}

/// A mapping to no address is none.
async fn checked(client: &Client, granted: Result<Grant, MapError>) -> Result<Grant, MapError> {
    let grant = granted?;
    match judge(grant.external.ip()) {
        External::Public | External::Private => Ok(grant),
        External::None => {
            remove(client, &grant).await;
            Err(MapError::NoExternalAddress)
        }
    }
}

async fn joined<T>(task: AbortOnDropHandle<Result<T, MapError>>) -> Result<T, MapError> {
    task.await.unwrap_or(Err(MapError::NoAnswer))
}
