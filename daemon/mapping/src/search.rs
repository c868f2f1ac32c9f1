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
use super::external::{External, judge};
use super::grant::{Ask, Grant, Handle};
use super::refusal::Refusal;
use super::route::Way;
use super::{natpmp, pcp, upnp};

/// For what is sent to be on the safe side.
const FORGETTING: Duration = Duration::from_millis(500);

/// Who refused, in the order in which they were asked.
pub(super) type Refusals = Vec<(Protocol, Refusal)>;

/// Asks one router for the IPv4 mapping.
pub(super) async fn map(ask: &Ask, way: Way, suggested: u16) -> Result<Grant, Refusals> {
    let address = AbortOnDropHandle::new(tokio::spawn(natpmp::external(way)));
    let router = AbortOnDropHandle::new(tokio::spawn(upnp::find(way)));
    let mut refusals = Vec::new();
    match checked(ask, pcp::map(ask, way, (None, suggested)).await).await {
        Ok(grant) => return Ok(grant),
        Err(refusal) => refusals.push((Protocol::Pcp, refusal)),
    }
    match by_natpmp(ask, way, address, suggested).await {
        Ok(grant) => return Ok(grant),
        Err(refusal) => refusals.push((Protocol::NatPmp, refusal)),
    }
    let granted = match joined(router).await {
        Ok(router) => upnp::map(ask, way, router, suggested).await,
        Err(refusal) => Err(refusal),
    };
    match granted {
        Ok(grant) => Ok(grant),
        Err(refusal) => {
            refusals.push((Protocol::Upnp, refusal));
            Err(refusals)
        }
    }
}

/// Asks one router for a pinhole.
pub(super) async fn pinhole(ask: &Ask, way: Way) -> Result<Grant, Refusals> {
    let firewall = AbortOnDropHandle::new(tokio::spawn(upnp::find_firewall(way)));
    let by_pcp = match checked(ask, pcp::map(ask, way, (Some(way.own), ask.port.get())).await).await {
        Ok(grant) => return Ok(grant),
        Err(refusal) => refusal,
    };
    let granted = match joined(firewall).await {
        Ok(firewall) => upnp::open(ask, way, firewall).await,
        Err(refusal) => Err(refusal),
    };
    granted.map_err(|by_upnp| vec![(Protocol::Pcp, by_pcp), (Protocol::Upnp, by_upnp)])
}

/// Asks the router that granted a mapping to keep it; where it has forgotten it, this maps anew.
pub(super) async fn renew(ask: &Ask, grant: &Grant) -> Result<Grant, Refusal> {
    let Grant { way, external, .. } = *grant;
    match &grant.handle {
        Handle::Pcp => checked(ask, pcp::map(ask, way, (Some(external.ip()), external.port())).await).await,
        Handle::NatPmp => {
            let ip = natpmp::external(way).await?;
            checked(ask, natpmp::map(ask, way, ip, external.port()).await).await
        }
        Handle::Upnp(router) => upnp::map(ask, way, (**router).clone(), external.port()).await,
        Handle::Pinhole(firewall, id) => match upnp::keep_open(ask, way, (**firewall).clone(), *id).await {
            Err(Refusal::Refused(704)) => upnp::open(ask, way, (**firewall).clone()).await,
            other => other,
        },
    }
}

/// Removes a mapping.
pub(super) async fn remove(ask: &Ask, grant: &Grant) {
    let removed = match &grant.handle {
        Handle::Pcp => pcp::unmap(ask, grant.way).await,
        Handle::NatPmp => natpmp::unmap(ask, grant.way).await,
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
pub(super) async fn forget(ask: &Ask, way: Way) {
    let by_pcp = timeout(FORGETTING, pcp::unmap(ask, way)).await;
    if !matches!(by_pcp, Ok(Ok(()))) && way.own.is_ipv4() {
        timeout(FORGETTING, natpmp::unmap(ask, way)).await.ok();
    }
}

async fn by_natpmp(
    ask: &Ask,
    way: Way,
    address: AbortOnDropHandle<Result<std::net::Ipv4Addr, Refusal>>,
    suggested: u16,
) -> Result<Grant, Refusal> {
    let ip = joined(address).await?;
    if judge(ip.into()) == External::None {
        return Err(Refusal::NoExternalAddress);
    }
    checked(ask, natpmp::map(ask, way, ip, suggested).await).await
}

/// A mapping to no address is none.
async fn checked(ask: &Ask, granted: Result<Grant, Refusal>) -> Result<Grant, Refusal> {
    let grant = granted?;
    match judge(grant.external.ip()) {
        External::Public | External::Private => Ok(grant),
        External::None => {
            remove(ask, &grant).await;
            Err(Refusal::NoExternalAddress)
        }
    }
}

async fn joined<T>(task: AbortOnDropHandle<Result<T, Refusal>>) -> Result<T, Refusal> {
    task.await.unwrap_or(Err(Refusal::NoAnswer))
}
