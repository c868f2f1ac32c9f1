//! Which of our addresses we offer.

use std::net::{IpAddr, SocketAddr};

use xbt_core::signal::{Candidate, CandidateKind, MAX_CANDIDATES};

use super::interfaces::Interface;
use super::scope::{is_link_local, is_local_only};

/// Interfaces between containers, virtual machines and their host, which are not reachable from elsewhere.
const BRIDGES: [&str; 11] =
    ["docker", "br-", "veth", "virbr", "vnet", "vmnet", "vboxnet", "cni", "flannel", "lxc", "podman"];

/// IPv4 candidates that are offered even when IPv6 alone would fill the list.
const KEPT_FOR_V4: usize = 4;

/// Candidates that routers and servers know of us, at most.
const MAX_OUTSIDE: usize = 6;

/// One list of what all ways offer: addresses of this computer first, at most [`MAX_CANDIDATES`].
pub(crate) fn merge(offers: Vec<Candidate>) -> Vec<Candidate> {
    let (mut merged, mut outside): (Vec<Candidate>, Vec<Candidate>) =
        offers.into_iter().partition(|candidate| candidate.kind == CandidateKind::Host);
    outside.truncate(MAX_OUTSIDE);
    merged.truncate(MAX_CANDIDATES - outside.len());
    merged.extend(outside);
    merged
}

/// The candidates of the kind `host`: what `listening` stands for, then `advertise`, IPv6 first, at most
/// [`MAX_CANDIDATES`].
///
/// A wildcard stands for every address of every interface that others could reach. A configured address is offered as
/// it is, and found ones never crowd out configured ones.
pub(crate) fn host(listening: &[SocketAddr], interfaces: &[Interface], advertise: &[SocketAddr]) -> Vec<Candidate> {
    let mut v6 = Vec::new();
    let mut v4 = Vec::new();
    let mut offer = |address: SocketAddr| {
        let list = if address.is_ipv6() { &mut v6 } else { &mut v4 };
        if !list.contains(&address) {
            list.push(address);
        }
    };
    for socket in listening.iter().filter(|socket| !socket.ip().is_unspecified()) {
        offer(*socket);
    }
    for socket in listening.iter().filter(|socket| socket.ip().is_unspecified()) {
        let mut found: Vec<IpAddr> =
            interfaces.iter().filter(|i| i.ip.is_ipv6() == socket.is_ipv6() && is_reachable(i)).map(|i| i.ip).collect();
        found.sort_by_key(is_local_only);
        found.into_iter().for_each(|ip| offer(SocketAddr::new(ip, socket.port())));
    }
    let room = MAX_CANDIDATES.saturating_sub(advertise.len());
    v6.truncate(room - v4.len().min(KEPT_FOR_V4).min(room));
    v4.truncate(room - v6.len());
    let (advertise6, advertise4): (Vec<SocketAddr>, Vec<SocketAddr>) = advertise.iter().partition(|a| a.is_ipv6());
    let mut offers: Vec<Candidate> = Vec::new();
    for address in v6.into_iter().chain(advertise6).chain(v4).chain(advertise4) {
        let candidate = Candidate { kind: CandidateKind::Host, address };
        if !offers.contains(&candidate) && offers.len() < MAX_CANDIDATES {
            offers.push(candidate);
        }
    }
    offers
}

fn is_reachable(interface: &Interface) -> bool {
    let ip = interface.ip;
    !ip.is_loopback() && !is_link_local(ip) && !BRIDGES.iter().any(|bridge| interface.name.starts_with(bridge))
}
