//! Direct TCP: to addresses of the other device itself, and to ports that its router maps.

use std::cmp::Reverse;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use xbt_core::ids::Fingerprint;
use xbt_core::signal::{Candidate, CandidateKind, Reach};
use xbt_core::way::{Way, Ways};

use super::reason::{Failure, Reason};
use super::round_trips::RoundTrips;
use super::target::{Target, Via, way_to};
use super::transport::{self, Dial, Network, Opened, Start, Transport};
use crate::addresses::candidates::host;
use crate::addresses::local::Local;
use crate::addresses::outside::Outside;
use crate::identity::tls::{Tls, is_other_device};
use crate::stream::BoxedStream;
use crate::tcp_options::{for_distance, prepare};
use xbt_core::effect::DialRequest;

/// See the module.
pub(crate) struct Tcp {
    pub tls: Arc<Tls>,
    pub ways: Ways,
    /// Addresses to offer beside those that are found.
    pub advertise: Vec<SocketAddr>,
    /// Learns how far a device is.
    pub round_trips: RoundTrips,
    /// What a TLS handshake gets.
    pub patience: Duration,
}

impl Transport for Tcp {
    fn ways(&self) -> &'static [Way] {
        &[Way::DirectTcp6, Way::DirectTcp4, Way::MappedTcp4]
    }

    fn offers(&self, network: &Network<'_>) -> Vec<Candidate> {
        let Network { local, outside } = network;
        let mut offers = Vec::new();
        if self.ways.direct {
            offers.extend(host(&local.listening, &local.interfaces, &self.advertise));
        }
        if self.ways.mapped {
            let mapped = outside.mapped.iter();
            offers.extend(mapped.map(|address| Candidate { kind: CandidateKind::Mapped, address: *address }));
        }
        offers
    }

    fn targets(&self, request: &DialRequest) -> Vec<Target> {
        let is_allowed = |candidate: &&Candidate| match candidate.kind {
            CandidateKind::Host => self.ways.direct,
            CandidateKind::Mapped => self.ways.mapped,
            CandidateKind::Reflexive => false,
        };
        let candidates: Vec<Candidate> = request.theirs.candidates.iter().filter(is_allowed).copied().collect();
        in_turns(&candidates).into_iter().map(Target::address).collect()
    }

    fn objection(&self, target: &Target, _request: &DialRequest, local: &Local) -> Option<&'static str> {
        address_of(target).and_then(|address| local.objection(address))
    }

    fn start(&self, _request: &DialRequest) -> Start {
        Start::After(Duration::ZERO)
    }

    fn connect<'a>(&'a self, dial: Dial<'a>) -> transport::Future<'a, Result<Option<Opened>, Failure>> {
        Box::pin(async move {
            let Some(address) = address_of(dial.target) else { return Ok(None) };
            let stream = self.connect_to(dial.request.peer, address, dial.patience).await?;
            Ok(Some(Opened { stream, remote: Some(address) }))
        })
    }

    fn advise(&self, failure: Failure, target: &Target, request: &DialRequest) -> Failure {
        advise(failure, target, request)
    }

    fn untried(&self, way: Way, request: &DialRequest, outside: &Outside) -> Option<String> {
        Some(untried(way, request, outside))
    }
}

impl Tcp {
    /// Connects, and proves that the device there is the right one.
    async fn connect_to(
        &self,
        peer: Fingerprint,
        address: SocketAddr,
        patience: Duration,
    ) -> Result<BoxedStream, Failure> {
        let silent = |time: Duration| {
            Failure::new(Reason::NoAnswer, format!("{address} did not answer within {} s", time.as_secs_f32()))
        };
        let begun = Instant::now();
        let stream = timeout(patience, TcpStream::connect(address)).await.map_err(|_| silent(patience))?;
        let round_trip = begun.elapsed();
        let stream = stream.and_then(|stream| prepare(&stream).map(|()| stream)).map_err(|e| refused(address, &e))?;
        for_distance(&stream, round_trip);
        self.round_trips.measured(peer, round_trip);
        match timeout(self.patience, self.tls.connect(peer, stream)).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(no_tls(address, &error)),
            Err(_) => Err(silent(self.patience)),
        }
    }
}

fn address_of(target: &Target) -> Option<SocketAddr> {
    match &target.via {
        Via::Address(candidate) => Some(candidate.address),
        Via::Relay { .. } | Via::Way => None,
    }
}

/// The way of a link that came in over TCP, by both ends of the connection as we see them. A connection from the
/// Internet to a private address of ours came through a router that maps our port.
pub(crate) fn way_from(remote: IpAddr, local: Option<IpAddr>) -> Way {
    let is_private = |ip: IpAddr| matches!(ip.to_canonical(), IpAddr::V4(v4) if v4.is_private());
    match remote.to_canonical() {
        IpAddr::V6(_) => Way::DirectTcp6,
        IpAddr::V4(v4) if local.is_some_and(is_private) && !is_private(v4.into()) => Way::MappedTcp4,
        IpAddr::V4(_) => Way::DirectTcp4,
    }
}

/// The addresses that are dialed over TCP: IPv6 and IPv4 in turns, IPv6 first (RFC 8305, section 4), each in the given
/// order: many dead addresses of one family must not keep the other one waiting. Ports that a router mapped come after
/// IPv4 ones of the device itself.
fn in_turns(candidates: &[Candidate]) -> Vec<Candidate> {
    let over_tcp = candidates.iter().filter(|candidate| candidate.is_tcp());
    let (mut v6, mut v4): (Vec<Candidate>, Vec<Candidate>) =
        over_tcp.partition(|candidate| way_to(candidate) == Way::DirectTcp6);
    v6.reverse();
    v4.reverse();
    v4.sort_by_key(|candidate| Reverse(way_to(candidate)));
    let mut turns = Vec::with_capacity(candidates.len());
    while !(v6.is_empty() && v4.is_empty()) {
        turns.extend(v6.pop());
        turns.extend(v4.pop());
    }
    turns
}

fn no_tls(address: SocketAddr, error: &io::Error) -> Failure {
    if is_other_device(error) {
        let text = format!("{address} belongs to another device");
        return Failure::new(Reason::WrongDevice, text);
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            Failure::new(Reason::Closed, format!("{address} closed the connection"))
        }
        _ => Failure::new(Reason::BadTls, format!("{address} does not speak xbt's encryption ({error})")),
    }
}

fn refused(address: SocketAddr, error: &io::Error) -> Failure {
    let (reason, text) = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            (Reason::ConnectionRefused, format!("{address} refused the connection: nothing listens there"))
        }
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable | io::ErrorKind::AddrNotAvailable => {
            (Reason::Unreachable, format!("{address} cannot be reached from this network"))
        }
        io::ErrorKind::TimedOut => (Reason::NoAnswer, format!("{address} did not answer")),
        _ => (Reason::IoError, format!("{address} could not be dialled ({error})")),
    };
    Failure { reason, text }
}

fn advise(failure: Failure, target: &Target, request: &DialRequest) -> Failure {
    let (who, address) = (&request.device.bare, address_of(target));
    let port = address.map_or(0, |address| address.port());
    match (target.way, failure.reason) {
        (Way::DirectTcp6 | Way::DirectTcp4, Reason::NoAnswer) => {
            failure.with_advice(format!("ask {who} to open TCP port {port} in router and firewall"))
        }
        (Way::MappedTcp4, Reason::NoAnswer) => {
            failure.with_advice(format!("the router of {who} should pass this port on, and does not"))
        }
        (_, Reason::ConnectionRefused) => {
            failure.with_advice(format!("ask {who} whether the port is forwarded to the right computer"))
        }
        (Way::DirectTcp6, Reason::Unreachable) => failure.with_advice("this computer has no IPv6 route"),
        (Way::DirectTcp6 | Way::DirectTcp4, Reason::NotDialed) => match address.map(|address| address.ip()) {
            Some(ip) if is_private(ip) => {
                Failure { text: format!("{who} is in another local network: {ip} leads nowhere from here"), ..failure }
            }
            Some(_) | None => failure,
        },
        _ => failure,
    }
}

fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_private(),
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

fn untried(way: Way, request: &DialRequest, outside: &Outside) -> String {
    let who = &request.device.bare;
    let has = |reach: &Reach| reach.candidates.iter().any(|candidate| way_to(candidate) == way);
    let (ours, theirs) = (has(&request.ours), has(&request.theirs));
    match way {
        Way::DirectTcp6 if !ours && !theirs => "neither side has an IPv6 address".to_owned(),
        Way::DirectTcp6 => format!("{who} offers no IPv6 address"),
        Way::DirectTcp4 if !ours && !theirs => "neither side has an IPv4 address to offer".to_owned(),
        Way::DirectTcp4 => format!("{who} offers no IPv4 address"),
        // We dial theirs and they dial ours, so there is one on our side, and they did not come.
        _ if ours => format!("{who} did not connect to the port that our router maps"),
        _ => {
            let our_side = outside.unmapped.clone().unwrap_or_else(|| "no port is mapped on our side".to_owned());
            format!("{our_side}; the router of {who} maps none either")
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::ways::tests::request;

    fn candidate(kind: CandidateKind, address: &str) -> Candidate {
        Candidate { kind, address: address.parse().unwrap() }
    }

    #[test]
    fn families_take_turns_and_ipv6_begins() {
        let host = |address: &str| candidate(CandidateKind::Host, address);
        let mapped = candidate(CandidateKind::Mapped, "203.0.113.1:9");
        let udp = candidate(CandidateKind::Reflexive, "203.0.113.1:8");
        let (a4, b4, a6, b6) =
            (host("192.0.2.1:1"), host("192.0.2.2:1"), host("[2001:db8::1]:1"), host("[2001:db8::2]:1"));
        assert_eq!(in_turns(&[mapped, udp, a4, b4, a6, b6]), [a6, a4, b6, b4, mapped]);
    }

    #[test]
    fn a_person_reads_what_stood_in_the_way_and_what_to_do() {
        let advice = |kind, address: &str, reason| {
            let target = Target::address(candidate(kind, address));
            advise(Failure::new(reason, "…"), &target, &request()).text
        };
        let (host, mapped) = (CandidateKind::Host, CandidateKind::Mapped);
        let public = "203.0.113.7:51413";
        assert_eq!(
            advice(host, public, Reason::NoAnswer),
            "…; ask bob@example.org to open TCP port 51413 in router and firewall"
        );
        assert_eq!(
            advice(mapped, public, Reason::NoAnswer),
            "…; the router of bob@example.org should pass this port on, and does not"
        );
        assert_eq!(
            advice(host, public, Reason::ConnectionRefused),
            "…; ask bob@example.org whether the port is forwarded to the right computer"
        );
        assert_eq!(
            advice(host, "192.168.1.2:51413", Reason::NotDialed),
            "bob@example.org is in another local network: 192.168.1.2 leads nowhere from here"
        );
        assert_eq!(advice(host, public, Reason::Closed), "…");
    }

    #[test]
    fn what_comes_from_the_internet_to_a_private_address_came_through_a_mapped_port() {
        let way = |remote: &str, local: &str| way_from(remote.parse().unwrap(), Some(local.parse().unwrap()));
        assert_eq!(way("203.0.113.5", "192.168.1.2"), Way::MappedTcp4);
        assert_eq!(way("192.168.1.3", "192.168.1.2"), Way::DirectTcp4);
        assert_eq!(way("203.0.113.5", "203.0.113.6"), Way::DirectTcp4);
        assert_eq!(way("::ffff:203.0.113.5", "::ffff:10.0.0.1"), Way::MappedTcp4);
        assert_eq!(way("2001:db8::5", "fd00::1"), Way::DirectTcp6);
    }
}
