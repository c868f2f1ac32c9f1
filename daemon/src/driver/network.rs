//! What is known of the network around us, as the RPC tells it.

use std::path::PathBuf;

use xbt_api as api;
use xbt_core::session::ServerServices;
use xbt_core::signal::{Candidate, CandidateKind};
use xbt_core::way::{Way, Ways};
use xbt_link::Seen;
use xbt_mapping::MappingState;

use super::{Driver, views};

impl Driver {
    pub(super) fn network(&self) -> api::Network {
        let (links, settings) = (&self.rooms.links, self.domain.settings());
        let port = links.port();
        let state = self.rooms.mapping.as_ref().map(|state| state.borrow().clone());
        let (handshakes, datagrams) = links.strangers();
        api::Network {
            port,
            addresses: links.candidates().iter().map(address).collect(),
            advertise: self.rooms.advertise.iter().map(ToString::to_string).collect(),
            mapping: state.map_or_else(api::Mapping::default, |state| mapping(&state, port.unwrap_or(0))),
            stun: stun(links.seen()),
            server: self.offers.as_ref().map(server),
            strangers: api::Strangers { datagrams, handshakes },
            ways: allowed(settings.ways),
            in_band_max_size: settings.in_band_max_size,
        }
    }

    /// Where received files go, and where the store lies.
    pub(super) fn paths(&self) -> (PathBuf, PathBuf) {
        (PathBuf::from(self.domain.settings().folder.above()), self.rooms.state_dir.clone())
    }
}

fn allowed(ways: Ways) -> Vec<api::Way> {
    Way::ALL.into_iter().filter(|way| ways.allows(*way)).map(views::way).collect()
}

fn address(candidate: &Candidate) -> api::Address {
    let kind = match candidate.kind {
        CandidateKind::Host => api::AddressKind::Host,
        CandidateKind::Mapped => api::AddressKind::Mapped,
        CandidateKind::Reflexive => api::AddressKind::Reflexive,
    };
    api::Address { kind, address: candidate.address.to_string() }
}

/// The IPv4 mapping. A pinhole for an IPv6 address is told by that address itself.
fn mapping(state: &MappingState, port: u16) -> api::Mapping {
    let mapped = state.mapped.iter().find(|mapped| mapped.external.is_ipv4());
    api::Mapping {
        wanted: true,
        searching: state.searching,
        protocol: mapped.map(|mapped| mapped.protocol.as_str().to_owned()),
        external: mapped.map(|mapped| mapped.external.to_string()),
        problem: state.advice(port).filter(|_| mapped.is_none()),
    }
}

fn stun(seen: Seen) -> api::Stun {
    let (code, problem) = seen.failure.map(|(code, problem)| (code.to_owned(), problem)).unzip();
    let addresses = seen.addresses.iter().map(ToString::to_string).collect();
    api::Stun { addresses, symmetric: seen.symmetric, code, problem }
}

fn server(services: &ServerServices) -> api::Server {
    api::Server {
        proxies: services.proxies.iter().map(|proxy| proxy.jid.clone()).collect(),
        stun: services.stun.iter().map(|stun| host_and_port(&stun.host, stun.port)).collect(),
        external: services.external.map(|ip| ip.to_string()),
    }
}

fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use xbt_mapping::{Failure, Mapped, Protocol};

    #[test]
    fn a_mapping_is_told_with_its_protocol_and_none_with_what_to_do() {
        let external = "203.0.113.7:40112".parse().unwrap();
        let pinhole =
            Mapped { protocol: Protocol::Pcp, external: "[2001:db8::1]:51413".parse().unwrap(), internal_port: 51413 };
        let upnp = Mapped { protocol: Protocol::Upnp, external, internal_port: 51413 };
        let told = mapping(&MappingState { mapped: vec![pinhole.clone(), upnp], ..MappingState::default() }, 51413);
        let expected = (Some("upnp".to_owned()), Some("203.0.113.7:40112".to_owned()), None);
        assert_eq!((told.protocol, told.external, told.problem), expected);

        let silent = |protocol| Failure { protocol, code: "no-answer", reason: "…".into(), ipv6: None };
        let failures = Protocol::ALL.map(silent).to_vec();
        let told = mapping(&MappingState { mapped: vec![pinhole], failures, ..MappingState::default() }, 51413);
        assert_eq!(told.external, None, "a pinhole is no mapped port");
        let problem = told.problem.unwrap();
        assert!(problem.contains("UPnP") && problem.contains("forward TCP port 51413"), "{problem}");
    }

    #[test]
    fn a_stun_server_by_its_address_keeps_its_port_apart() {
        assert_eq!(host_and_port("2001:db8::3", 3478), "[2001:db8::3]:3478");
        assert_eq!(host_and_port("stun.example.org", 3478), "stun.example.org:3478");
    }
}
