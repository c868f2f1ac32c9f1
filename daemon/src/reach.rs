//! Between the room that asks routers and the one that tells contacts where we may be reached.

use std::net::{IpAddr, Ipv6Addr};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::link::LinkHandle;
use crate::mapping::{Mapper, MapperConfig, MappingState};

/// Keeps our port mapped and the link room informed, until closed.
pub struct Reach {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    state: watch::Receiver<MappingState>,
}

impl Reach {
    /// Has the router map the port that links are taken on. `nonce` says to the router that we are the same as before.
    pub fn start(links: LinkHandle, nonce: [u8; 12]) -> Self {
        let port = links.port().unwrap_or(0);
        let listens = |v6: bool| links.listening().iter().any(|a| a.is_ipv6() == v6 && !a.ip().is_loopback());
        let config = MapperConfig {
            port,
            ipv4: listens(false),
            ipv6: if listens(true) { global_ipv6(&links) } else { Vec::new() },
            description: "xbt".to_owned(),
            nonce: Some(nonce),
        };
        let (mapper, state) = Mapper::start(config, links.network_changes());
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(inform(links, mapper, state.clone(), port, stopped));
        Self { stop, task, state }
    }

    /// What is mapped now, and why not.
    pub fn state(&self) -> watch::Receiver<MappingState> {
        self.state.clone()
    }

    /// Removes the mappings, within two seconds.
    pub async fn close(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "the port mappings were not removed");
        }
    }
}

async fn inform(
    links: LinkHandle,
    mapper: Mapper,
    mut state: watch::Receiver<MappingState>,
    port: u16,
    mut stopped: watch::Receiver<bool>,
) {
    let mut changes = links.network_changes();
    loop {
        {
            let now = state.borrow_and_update();
            let mapped = now.mapped.iter().map(|mapping| mapping.external).collect();
            // A pinhole that was refused says nothing about the mapped port.
            let unmapped = now.advice(port).filter(|_| !now.mapped.iter().any(|m| m.external.is_ipv4()));
            links.outside(|outside| (outside.mapped, outside.unmapped) = (mapped, unmapped));
        }
        tokio::select! {
            Ok(()) = state.changed() => {}
            Ok(()) = changes.changed() => mapper.set_ipv6(global_ipv6(&links)),
            _ = stopped.changed() => break,
        }
    }
    mapper.close().await;
}

/// Addresses for which a router may open a pinhole.
fn global_ipv6(links: &LinkHandle) -> Vec<Ipv6Addr> {
    let ips = links.candidates().into_iter().map(|candidate| candidate.address.ip());
    let global = |ip| match ip {
        IpAddr::V6(v6) if !v6.is_unique_local() && !v6.is_loopback() => Some(v6),
        IpAddr::V6(_) | IpAddr::V4(_) => None,
    };
    let mut found: Vec<Ipv6Addr> = ips.filter_map(global).collect();
    found.sort_unstable();
    found.dedup();
    found
}
