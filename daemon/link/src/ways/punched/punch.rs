//! UDP sockets from which holes are punched, and the connections on them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::DropGuard;
use xbt_core::ids::Fingerprint;

use super::bind::{self, Socket};
use super::connections::{Arrived, Connections, Expectation, closing};
use super::reflexive::Kept;
use super::socket::Strangers;
use super::{acceptor, dial};
use crate::identity::tls::Tls;
use crate::stream::BoxedStream;
use crate::ways::reason::Failure;

/// How long a further stream may have to wait for the other side to have let go of an old one.
const OPENING: Duration = Duration::from_secs(2);

/// How long closing may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// The sockets and the connections on them. Cheap to clone; ends with the last clone, or by [`Punch::close`].
#[derive(Clone)]
pub(crate) struct Punch {
    pub(super) connections: Arc<Connections>,
    pub(super) sockets: Arc<[Socket]>,
    _ending: Arc<DropGuard>,
}

impl Punch {
    /// Binds the first address of each family (IPv6 sockets are v6-only); port 0 is any, and a taken port falls back
    /// to any. Streams that others open come by `arrivals`. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// Addresses were given and none could be bound.
    pub(super) fn start(tls: Arc<Tls>, bind: &[SocketAddr], arrivals: mpsc::Sender<Arrived>) -> io::Result<Self> {
        Self::start_with(tls, bind, arrivals, None)
    }

    /// The same with another time for connections without streams, for tests.
    pub(super) fn start_with(
        tls: Arc<Tls>,
        bind: &[SocketAddr],
        arrivals: mpsc::Sender<Arrived>,
        idle: Option<Duration>,
    ) -> io::Result<Self> {
        let connections = Arc::new(Connections::new(tls.clone(), arrivals, idle));
        let sockets = bind::bind_all(&tls, bind, &connections.filter)?;
        for socket in &sockets {
            tokio::spawn(acceptor::accept(connections.clone(), socket.endpoint.clone()));
        }
        let ending = Arc::new(connections.ending.clone().drop_guard());
        Ok(Self { connections, sockets: sockets.into(), _ending: ending })
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
    #[cfg(test)]
    pub(super) async fn reflexive(
        &self,
        servers: &[SocketAddr],
    ) -> Result<super::reflexive::Reflexive, super::reflexive::StunFailure> {
        super::reflexive::reflexive(&self.sockets, servers).await
    }

    /// The same again every 20 s until the result is dropped, so that routers keep the address.
    pub(super) fn keep(&self, servers: Vec<SocketAddr>) -> Kept {
        Kept::start(self.sockets.clone(), servers)
    }

    /// Lets this device in, and datagrams from these IP addresses whatever the port, until the result is dropped.
    /// What comes from elsewhere is dropped unanswered. `hosts`: which of them are the device's own.
    pub fn expect(&self, peer: Fingerprint, addresses: &[SocketAddr], hosts: Vec<SocketAddr>) -> Expectation {
        self.connections.expect(peer, addresses.iter().map(SocketAddr::ip), hosts)
    }

    /// Makes one connection with this device. Both sides call it at about the same moment with the other's addresses,
    /// of which the first eight are used; the caller has checked them. Returns at once if there is a connection.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn connect(
        &self,
        peer: Fingerprint,
        addresses: &[SocketAddr],
        patience: Duration,
    ) -> Result<(), Failure> {
        dial::connect(&self.connections, &self.sockets, peer, addresses, patience).await
    }

    /// Waits for a connection that this device makes.
    ///
    /// # Errors
    /// It did not come.
    pub async fn wait_for(&self, peer: Fingerprint, patience: Duration) -> Result<(), Failure> {
        dial::wait_for(&self.connections, peer, patience).await
    }

    /// The shortest round trip of the connection with this device, its end there and our address.
    pub fn path(&self, peer: Fingerprint) -> Option<(Duration, SocketAddr, Option<IpAddr>)> {
        let (connection, _) = self.connections.connection(peer)?;
        Some((connection.stats().path.min_rtt, connection.remote_address(), connection.local_ip()))
    }

    /// A new stream on the connection with this device; none if there is no connection, or seven streams are open.
    /// For the side that speaks first (the smaller fingerprint): the other sees the stream with its first byte.
    pub async fn open(&self, peer: Fingerprint) -> Option<(BoxedStream, SocketAddr)> {
        let (connection, streams) = self.connections.connection(peer)?;
        let stream = timeout(OPENING, connection.open_bi()).await.ok()?.ok()?;
        let remote = connection.remote_address();
        Some((Box::new(streams.carry(connection, stream)), remote))
    }

    /// Whether there is a connection with this device.
    #[cfg(test)]
    pub fn is_connected(&self, peer: Fingerprint) -> bool {
        self.connections.connection(peer).is_some()
    }

    /// To count who was not let in.
    pub(super) fn strangers(&self) -> Strangers {
        Strangers::at(&self.connections.filter)
    }

    /// Closes everything, links too, with notice to the other sides, within a second.
    pub async fn close(self) {
        self.connections.ending.cancel();
        for socket in self.sockets.iter() {
            socket.endpoint.close(closing::END, b"end");
        }
        let quiet = futures::future::join_all(self.sockets.iter().map(|socket| socket.endpoint.wait_idle()));
        // A device that misses the notice times out.
        let _ = timeout(FAREWELL, quiet).await;
    }
}
