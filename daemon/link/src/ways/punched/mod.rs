//! The way "UDP through a punched hole": QUIC between two devices behind routers that let nobody in.
//!
//! Both sides learn from STUN servers how the outside sees their socket, tell each other over XMPP, and then speak to
//! each other at the same moment: each router takes what comes for an answer to what went out. QUIC, STUN and the
//! knocking share one socket per address family, because a router's hole belongs to one socket.
//!
//! What is kept where:
//! - `wire`: the socket; who is let in, and what is STUN;
//! - `bind`, `rules`: making sockets and QUIC's numbers;
//! - `stun`, `ask`: how the outside sees us;
//! - `dial`, `door`: making connections and taking them;
//! - `held`: the connections there are, and which of crossed ones stays;
//! - `stream`: a link.

mod acceptor;
mod bind;
mod connections;
mod dial;
pub(crate) mod observed;
mod quic;
mod reflexive;
mod socket;
mod stream;
mod stun;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::DropGuard;
use xbt_core::ids::Fingerprint;

use self::bind::Socket;
use self::connections::{Held, closing};
use crate::BoxedStream;
use crate::identity::tls::Tls;

pub(crate) use self::connections::Expectation;
pub(crate) use self::reflexive::{Kept, Reflexive, StunFailure};
pub(crate) use self::socket::Strangers;

/// How long a further stream may have to wait for the other side to have let go of an old one.
const OPENING: Duration = Duration::from_secs(2);

/// How long the other sides are told that we end.
const FAREWELL: Duration = Duration::from_secs(1);

/// A stream that the other device opened on a connection.
pub(crate) struct Arrived {
    /// Who, proved.
    pub peer: Fingerprint,
    /// From where.
    pub remote: SocketAddr,
    /// The stream; it has at least one byte to read.
    pub stream: BoxedStream,
}

/// The sockets and the connections on them. Cheap to clone; ends with the last clone, or by [`Punch::close`].
#[derive(Clone)]
pub(crate) struct Punch {
    held: Arc<Held>,
    sockets: Arc<[Socket]>,
    _ending: Arc<DropGuard>,
}

impl Punch {
    /// Binds the first address of each family (IPv6 sockets are v6-only); port 0 is any, and a taken port falls back
    /// to any. Streams that others open come by `arrivals`. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// Addresses were given and none could be bound.
    pub fn start(tls: Arc<Tls>, bind: &[SocketAddr], arrivals: mpsc::Sender<Arrived>) -> io::Result<Self> {
        Self::start_with(tls, bind, arrivals, None)
    }

    /// The same with another time for connections without streams, for tests.
    fn start_with(
        tls: Arc<Tls>,
        bind: &[SocketAddr],
        arrivals: mpsc::Sender<Arrived>,
        idle: Option<Duration>,
    ) -> io::Result<Self> {
        let held = Arc::new(Held::new(tls.clone(), arrivals, idle));
        let sockets = bind::bind_all(&tls, bind, &held.gate)?;
        for socket in &sockets {
            tokio::spawn(acceptor::keep(held.clone(), socket.endpoint.clone()));
        }
        let ending = Arc::new(held.ending.clone().drop_guard());
        Ok(Self { held, sockets: sockets.into(), _ending: ending })
    }

    /// The sockets' own addresses; wildcards as wildcards.
    #[cfg(test)]
    pub fn local(&self) -> Vec<SocketAddr> {
        self.sockets.iter().map(|socket| socket.local).collect()
    }

    /// How STUN servers see the socket. Asks up to four, of the first one's family, for at most 5 s.
    ///
    /// # Errors
    /// None answered, or not with an address.
    pub async fn reflexive(&self, servers: &[SocketAddr]) -> Result<Reflexive, StunFailure> {
        reflexive::reflexive(&self.sockets, servers).await
    }

    /// The same again every 20 s until the result is dropped, so that routers keep the address.
    pub fn keep(&self, servers: Vec<SocketAddr>) -> Kept {
        Kept::start(self.clone(), servers)
    }

    /// Lets this device in, and datagrams from these IP addresses whatever the port, until the result is dropped.
    /// What comes from elsewhere is dropped unanswered.
    pub fn expect(&self, peer: Fingerprint, addresses: Vec<SocketAddr>) -> Expectation {
        self.held.expect(peer, addresses.iter().map(SocketAddr::ip))
    }

    /// Makes one connection with this device. Both sides call it at about the same moment with the other's addresses,
    /// of which the first eight are used; the caller has checked them. Done at once if there is a connection.
    ///
    /// # Errors
    /// A code (`no-answer`, `wrong-device`, `bad-tls`, `closed`, `unreachable`) and a sentence for people.
    pub async fn connect(
        &self,
        peer: Fingerprint,
        addresses: &[SocketAddr],
        patience: Duration,
    ) -> Result<(), (&'static str, String)> {
        dial::connect(&self.held, &self.sockets, peer, addresses, patience).await
    }

    /// A new stream on the connection with this device; none if there is no connection, or seven streams are open.
    /// For the side that speaks first (the smaller fingerprint): the other sees the stream with its first byte.
    pub async fn open(&self, peer: Fingerprint) -> Option<(BoxedStream, SocketAddr)> {
        let (connection, streams) = self.held.connection(peer)?;
        let stream = timeout(OPENING, connection.open_bi()).await.ok()?.ok()?;
        Some((Box::new(streams.carry(stream)), connection.remote_address()))
    }

    /// Whether there is a connection with this device.
    #[cfg(test)]
    pub fn is_connected(&self, peer: Fingerprint) -> bool {
        self.held.connection(peer).is_some()
    }

    /// To count who was not let in.
    pub fn strangers(&self) -> Strangers {
        Strangers::at(&self.held.gate)
    }

    /// Ends everything, links too, and tells the other sides, for at most a second.
    pub async fn close(self) {
        self.held.ending.cancel();
        for socket in self.sockets.iter() {
            socket.endpoint.close(closing::END, b"end");
        }
        let quiet = futures::future::join_all(self.sockets.iter().map(|socket| socket.endpoint.wait_idle()));
        // Whoever does not hear it notices by itself.
        let _ = timeout(FAREWELL, quiet).await;
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
