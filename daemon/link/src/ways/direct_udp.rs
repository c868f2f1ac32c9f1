//! QUIC straight to addresses of the other device, where the line is long enough for it to serve better than TCP.
//!
//! One lost packet in a hundred leaves TCP a fiftieth of a line of 100 Mbit/s with a round trip of 100 ms; on a short line TCP
//! is as good, costs less of the processor, and passes more firewalls. So the round trip decides, as it was measured while
//! TCP and TLS connected to the same device.
//!
//! No further candidates are told: the UDP socket has the port of the TCP one, and a device whose socket could not get that
//! port is not reached by this way. The sockets and connections are those of [`Punch`].

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use xbt_core::effect::DialRequest;
use xbt_core::ids::Fingerprint;
use xbt_core::signal::{CandidateKind, Reach};
use xbt_core::way::Way;

use super::punched::punch::Punch;
use super::reason::{Failure, Reason};
use super::round_trips::RoundTrips;
use super::target::Target;
use super::transport::{self, Dial, Guard, Opened, Start, Transport};
use crate::addresses::local::Local;
use crate::addresses::outside::Outside;

/// TCP has this head start to show that the line is short.
const HEAD_START: Duration = RoundTrips::SHORT;

/// See the module.
pub(crate) struct DirectUdp {
    pub punch: Punch,
    pub own: Fingerprint,
    pub round_trips: RoundTrips,
    /// What connecting gets.
    pub patience: Duration,
}

impl Transport for DirectUdp {
    fn ways(&self) -> &'static [Way] {
        &[Way::DirectUdp6, Way::DirectUdp4]
    }

    fn targets(&self, request: &DialRequest) -> Vec<Target> {
        let has = |v6: bool| hosts(request).any(|address| is_v6(address) == v6);
        let families = [(true, Way::DirectUdp6, "QUIC over IPv6"), (false, Way::DirectUdp4, "QUIC over IPv4")];
        families.into_iter().filter(|(v6, ..)| has(*v6)).map(|(_, way, name)| Target::only(way, name)).collect()
    }

    fn start(&self, _request: &DialRequest) -> Start {
        Start::Beside
    }

    /// The other side may come from any address that it named.
    fn expect(&self, request: &Arc<DialRequest>, local: &Local) -> Option<Guard> {
        let named = request.theirs.candidates.iter().map(|candidate| candidate.address);
        let addresses: Vec<SocketAddr> = named.filter(|address| local.objection(*address).is_none()).collect();
        Some(Box::new(self.punch.expect(request.peer, &addresses, hosts(request).collect())))
    }

    /// Both sides dial; the device with the smaller fingerprint opens the link, which comes to the other as a stream.
    fn connect<'a>(&'a self, dial: Dial<'a>) -> transport::Future<'a, Result<Option<Opened>, Failure>> {
        Box::pin(async move {
            let peer = dial.request.peer;
            let v6 = dial.target.way == Way::DirectUdp6;
            let wanted = |address: &SocketAddr| is_v6(*address) == v6 && dial.local.objection(*address).is_none();
            let addresses: Vec<SocketAddr> = hosts(dial.request).filter(wanted).collect();
            if addresses.is_empty()
                && !hosts_of(&dial.request.ours).any(|address| is_v6(address) == v6 && !is_private(address.ip()))
            {
                return Err(Failure::new(Reason::ShortLine, "neither side has an address that the other one sees"));
            }
            let opened = tokio::select! {
                biased;
                () = self.round_trips.short(peer) => None,
                opened = self.open(peer, &addresses) => Some(opened?),
            };
            opened.ok_or_else(short_line)
        })
    }

    /// TCP says why the device cannot be reached.
    fn untried(&self, _way: Way, _request: &DialRequest, _outside: &Outside) -> Option<String> {
        None
    }
}

impl DirectUdp {
    async fn open(&self, peer: Fingerprint, addresses: &[SocketAddr]) -> Result<Option<Opened>, Failure> {
        tokio::time::sleep(HEAD_START).await;
        if addresses.is_empty() {
            // Behind a router, it comes to us.
            self.punch.wait_for(peer, self.patience).await?;
        } else {
            self.punch.connect(peer, addresses, self.patience).await?;
        }
        let Some((round_trip, remote, local)) = self.punch.path(peer) else {
            return Err(Failure::new(Reason::Closed, "the connection over UDP closed immediately"));
        };
        if round_trip < RoundTrips::SHORT {
            return Err(short_line());
        }
        if !is_direct(remote, local, addresses) {
            return Err(Failure::new(Reason::PassedOver, "a hole was punched first"));
        }
        if self.own > peer {
            return Ok(None);
        }
        match self.punch.open(peer).await {
            Some((stream, remote)) => Ok(Some(Opened { stream, remote: Some(remote) })),
            None => Err(Failure::new(Reason::Closed, "the connection over UDP closed immediately")),
        }
    }
}

fn short_line() -> Failure {
    Failure::new(Reason::ShortLine, "TCP serves a line as short as this one")
}

/// Addresses of the other device itself.
fn hosts(request: &DialRequest) -> impl Iterator<Item = SocketAddr> {
    hosts_of(&request.theirs)
}

fn hosts_of(reach: &Reach) -> impl Iterator<Item = SocketAddr> {
    let hosts = reach.candidates.iter().filter(|candidate| candidate.kind == CandidateKind::Host);
    hosts.map(|candidate| candidate.address)
}

fn is_v6(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_ipv6()
}

/// Whether a connection goes through no hole: one end of it has an address of its own that the other one sees.
pub(super) fn is_direct(remote: SocketAddr, local: Option<IpAddr>, theirs: &[SocketAddr]) -> bool {
    theirs.contains(&remote) || local.is_some_and(|ip| !ip.is_unspecified() && !is_private(ip))
}

/// An address that others do not see. Of IPv6 each is seen, whatever firewalls let through.
fn is_private(ip: IpAddr) -> bool {
    matches!(ip.to_canonical(), IpAddr::V4(v4) if v4.is_private() || is_shared(v4))
}

/// Between a provider and its customers' routers (RFC 6598).
fn is_shared(ip: std::net::Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    a == 100 && b & 0xc0 == 64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_connection_is_direct_if_one_end_is_seen_under_its_own_address() {
        let direct = |remote: &str, local: &str, theirs: &[&str]| {
            let theirs: Vec<SocketAddr> = theirs.iter().map(|address| address.parse().unwrap()).collect();
            is_direct(remote.parse().unwrap(), local.parse().ok(), &theirs)
        };
        assert!(direct("198.51.100.7:1", "192.168.1.2", &["198.51.100.7:1"]), "they are in public");
        assert!(direct("198.51.100.7:1", "203.0.113.1", &[]), "we are in public");
        assert!(direct("[2001:db8::1]:1", "2001:db8:1::2", &[]));
        assert!(!direct("198.51.100.7:1", "192.168.1.2", &["10.0.0.3:1"]));
        assert!(!direct("198.51.100.7:1", "100.64.0.9", &[]));
        assert!(!direct("198.51.100.7:1", "0.0.0.0", &[]));
    }
}
