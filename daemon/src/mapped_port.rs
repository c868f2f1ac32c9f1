//! Between the room that asks routers and the one that tells contacts where we may be reached.

use std::net::{IpAddr, Ipv6Addr};

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use xbt_core::signal::{Candidate, CandidateKind};
use xbt_link::LinkHandle;
use xbt_mapping::{Mapper, MapperConfig, MappingState};

/// Keeps our port mapped and the link room informed, until closed.
pub struct MappedPort {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    state: watch::Receiver<MappingState>,
}

impl MappedPort {
    /// Has the router map the port that links come in by. `nonce` shows the router that we are the same as before.
    pub fn start(links: LinkHandle, nonce: [u8; 12]) -> Self {
        let port = links.port().unwrap_or(0);
        let listens = |v6: bool| links.listening().iter().any(|a| a.is_ipv6() == v6 && !a.ip().is_loopback());
        let config = MapperConfig {
            port,
            ipv4: listens(false),
            ipv6: if listens(true) { global_ipv6(&links.candidates()) } else { Vec::new() },
            description: "xbt".to_owned(),
            nonce: Some(nonce),
        };
        let (mapper, state) = Mapper::start(config, links.network_changes());
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(inform(links, mapper, state.clone(), port, stopped));
        Self { stop, task, state }
    }

    /// What is mapped now, and why not.
    pub fn state(&self) -> watch::Receiver<MappingState> {
        self.state.clone()
    }

    /// Removes the mappings, within two seconds.
    pub async fn close(self) {
        drop(self.stop);
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
    mut stopped: oneshot::Receiver<()>,
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
            Ok(()) = changes.changed() => mapper.set_ipv6(global_ipv6(&links.candidates())),
            _ = &mut stopped => break,
        }
    }
    mapper.close().await;
}

/// Our own addresses for which a router may open a pinhole: not those that routers mapped.
fn global_ipv6(candidates: &[Candidate]) -> Vec<Ipv6Addr> {
    let global = |candidate: &Candidate| match candidate.address.ip() {
        IpAddr::V6(v6) if !v6.is_unique_local() && !v6.is_loopback() => Some(v6),
        IpAddr::V6(_) | IpAddr::V4(_) => None,
    };
    let own = candidates.iter().filter(|candidate| candidate.kind == CandidateKind::Host);
    let mut found: Vec<Ipv6Addr> = own.filter_map(global).collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn pinholes_are_asked_for_addresses_of_this_computer_only() {
        let candidate = |kind, address: &str| Candidate { kind, address: address.parse().unwrap() };
        let candidates = [
            candidate(CandidateKind::Host, "[2001:db8::1]:5000"),
            candidate(CandidateKind::Host, "[2001:db8::1]:5001"),
            candidate(CandidateKind::Host, "[fd00::1]:5000"),
            candidate(CandidateKind::Host, "192.0.2.1:5000"),
            candidate(CandidateKind::Mapped, "[2001:db8::2]:5000"),
            candidate(CandidateKind::Reflexive, "[2001:db8::3]:5000"),
        ];
        assert_eq!(global_ipv6(&candidates), ["2001:db8::1".parse::<Ipv6Addr>().unwrap()]);
    }
}
