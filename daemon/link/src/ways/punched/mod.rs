//! UDP hole punching: QUIC between two devices behind routers that let no connection in.
//!
//! Both sides learn from STUN servers how their socket is seen from outside, tell each other over XMPP, and then send to
//! each other at the same moment: each router takes what comes for an answer to what went out. QUIC, STUN and the
//! datagrams that open holes share one socket per address family, because a router's hole belongs to one socket.
//!
//! - `socket`: the UDP socket, which devices it takes datagrams from, and what is STUN;
//! - `bind`, `quic`: making sockets, and QUIC's parameters;
//! - `stun`, `reflexive`, `observed`: how we are seen from outside;
//! - `punch`: opens holes and streams; `dial`, `acceptor`: making connections and taking them;
//! - `connections`: those there are, and which of crossed ones stays;
//! - `stream`, `reassembly`: a link.

mod acceptor;
mod bind;
mod connections;
mod dial;
pub(crate) mod observed;
pub(crate) mod punch;
pub(crate) mod quic;
mod reassembly;
mod reflexive;
pub(crate) mod socket;
mod stream;
mod stun;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use xbt_core::ids::Fingerprint;
use xbt_core::signal::{Candidate, CandidateKind, Reach};
use xbt_core::way::Way;

use self::connections::Arrived;
use self::observed::{Seen, observe};
use self::punch::Punch;
use self::socket::Strangers;
use super::direct_udp::is_direct;
use super::reason::{Failure, Reason};
use super::surroundings::Surroundings;
use super::target::Target;
use super::transport::{self, Dial, Guard, Network, Opened, Start, Transport};
use crate::addresses::local::Local;
use crate::addresses::outside::Outside;
use crate::identity::tls::Tls;
use crate::ways::link::{Incoming, Link, LinkInfo};
use xbt_core::effect::DialRequest;

const SYMMETRIC: &str = "no hole could be punched: our router gives every destination another port (a symmetric NAT); an \
                         open TCP port at either side helps";

/// See the module.
pub(crate) struct Punched {
    /// None where this computer gave no UDP socket.
    punch: Option<Punch>,
    own: Fingerprint,
    seen: watch::Receiver<Seen>,
    /// What punching gets.
    patience: Duration,
}

impl Punched {
    /// Binds the sockets, and asks STUN servers about them from now on.
    pub fn start(
        tls: &Arc<Tls>,
        patience: Duration,
        incoming: mpsc::Sender<Incoming>,
        surroundings: Surroundings,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let Surroundings { listening, outside, interfaces, changed } = surroundings;
        let (arrivals, arrived) = mpsc::channel(1);
        let (report, seen) = watch::channel(Seen::default());
        let punch = match Punch::start(tls.clone(), &sockets(&listening), arrivals) {
            Ok(punch) => Some(punch),
            Err(error) => {
                tracing::warn!(%error, "no UDP socket, so no hole punching");
                None
            }
        };
        if let Some(punch) = punch.clone() {
            tasks.spawn(hand_over(arrived, incoming));
            tasks.spawn(observe(punch, outside, interfaces, (report, changed)));
        }
        Self { punch, own: tls.own(), seen, patience }
    }

    /// The sockets, and the connections on them.
    pub fn punch(&self) -> Option<Punch> {
        self.punch.clone()
    }

    /// How our sockets are seen from outside.
    pub fn seen(&self) -> watch::Receiver<Seen> {
        self.seen.clone()
    }

    /// Counts who was not let in.
    pub fn strangers(&self) -> Strangers {
        self.punch.as_ref().map(Punch::strangers).unwrap_or_default()
    }
}

impl Transport for Punched {
    fn ways(&self) -> &'static [Way] {
        &[Way::PunchedUdp]
    }

    fn offers(&self, _network: &Network<'_>) -> Vec<Candidate> {
        offers(&self.seen.borrow())
    }

    fn targets(&self, request: &DialRequest) -> Vec<Target> {
        let both = !reflexive_of(&request.ours).is_empty() && !reflexive_of(&request.theirs).is_empty();
        both.then(|| Target::only(Way::PunchedUdp, "hole punching")).into_iter().collect()
    }

    /// At the moment that both sides have agreed upon.
    fn start(&self, request: &DialRequest) -> Start {
        Start::After(Duration::from_millis(request.delay.into()))
    }

    fn expect(&self, request: &Arc<DialRequest>, local: &Local) -> Option<Guard> {
        let expectation = self.punch.as_ref()?.expect(request.peer, &addresses(request, local), Vec::new());
        Some(Box::new(expectation))
    }

    /// Punches; then the device with the smaller fingerprint opens a link, which comes to the other by [`hand_over`].
    fn connect<'a>(&'a self, dial: Dial<'a>) -> transport::Future<'a, Result<Option<Opened>, Failure>> {
        Box::pin(async move {
            let Some(punch) = &self.punch else {
                let text = "this computer gave no UDP socket for hole punching";
                return Err(Failure::new(Reason::IoError, text));
            };
            let peer = dial.request.peer;
            punch.connect(peer, &addresses(dial.request, dial.local), self.patience).await?;
            if self.own > peer {
                return Ok(None);
            }
            match punch.open(peer).await {
                Some((stream, remote)) => Ok(Some(Opened { stream, remote: Some(remote) })),
                None => Err(Failure::new(Reason::Closed, "the punched hole closed immediately")),
            }
        })
    }

    fn advise(&self, failure: Failure, _target: &Target, request: &DialRequest) -> Failure {
        advise(failure, request, self.seen.borrow().symmetric)
    }

    fn untried(&self, _way: Way, request: &DialRequest, _outside: &Outside) -> Option<String> {
        let who = &request.device.bare;
        Some(match &self.seen.borrow().failure {
            _ if !reflexive_of(&request.ours).is_empty() => {
                format!("{who} offers no address for hole punching: their XMPP server may name no STUN server")
            }
            Some((_, why)) => format!("our public address is unknown: {why}"),
            None => "our public address is unknown: no STUN server answered".to_owned(),
        })
    }

    fn close(&self) -> transport::Future<'_, ()> {
        Box::pin(async {
            if let Some(punch) = self.punch.clone() {
                punch.close().await;
            }
        })
    }
}

/// The candidates that come of it.
pub(crate) fn offers(seen: &Seen) -> Vec<Candidate> {
    let candidate = |address: &SocketAddr| Candidate { kind: CandidateKind::Reflexive, address: *address };
    seen.addresses.iter().map(candidate).collect()
}

fn reflexive_of(reach: &Reach) -> Vec<SocketAddr> {
    let reflexive = reach.candidates.iter().filter(|candidate| candidate.kind == CandidateKind::Reflexive);
    reflexive.map(|candidate| candidate.address).collect()
}

/// Where holes are punched to, as far as we may.
fn addresses(request: &DialRequest, local: &Local) -> Vec<SocketAddr> {
    let mut addresses = reflexive_of(&request.theirs);
    addresses.retain(|address| local.objection(*address).is_none());
    addresses
}

fn advise(failure: Failure, request: &DialRequest, symmetric: Option<bool>) -> Failure {
    let who = &request.device.bare;
    match failure.reason {
        Reason::NoAnswer if symmetric == Some(true) => Failure::new(Reason::SymmetricNat, SYMMETRIC),
        Reason::NoAnswer => failure.with_advice(format!(
            "the router of {who} may give every destination another port (a symmetric NAT), or UDP is blocked"
        )),
        Reason::Unreachable => failure.with_advice("one side has IPv4 only and the other IPv6 only"),
        _ => failure,
    }
}

/// Where the UDP sockets are bound: beside the TCP ones, or anywhere if none listens.
fn sockets(listening: &[SocketAddr]) -> Vec<SocketAddr> {
    if !listening.is_empty() {
        return listening.to_vec();
    }
    [IpAddr::from(Ipv6Addr::UNSPECIFIED), Ipv4Addr::UNSPECIFIED.into()].map(|ip| SocketAddr::new(ip, 0)).to_vec()
}

/// Passes on the links that other devices open.
async fn hand_over(mut arrivals: mpsc::Receiver<Arrived>, incoming: mpsc::Sender<Incoming>) {
    while let Some(Arrived { peer, remote, local, hosts, stream }) = arrivals.recv().await {
        let way = match (is_direct(remote, local, &hosts), remote.ip().to_canonical()) {
            (true, IpAddr::V6(_)) => Way::DirectUdp6,
            (true, IpAddr::V4(_)) => Way::DirectUdp4,
            (false, _) => Way::PunchedUdp,
        };
        let info = LinkInfo { peer, way, remote: Some(remote), dialed: None };
        if incoming.send(Incoming::Link(Link { info, stream })).await.is_err() {
            return;
        }
    }
}

/// The address in a datagram that answers a question of ours, for [`crate::fuzzing`].
#[cfg(feature = "fuzzing")]
pub(crate) fn seen(datagram: &[u8]) -> Option<SocketAddr> {
    stun::answered(datagram)?;
    match stun::read(datagram) {
        stun::Answer::Seen(address) => Some(address),
        stun::Answer::Refused(_) | stun::Answer::Nonsense => None,
    }
}
