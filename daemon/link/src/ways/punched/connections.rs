//! Which devices are expected, and the connections there are with them.
//!
//! A proved key is not yet consent: the side that was dialed may not expect the other, and only says so after the TLS
//! handshake. So it consents with a mark, an empty unidirectional stream. Of crossed connections the device with the
//! smaller fingerprint takes the first one with consent, marks it as the one that stays (which is also its own consent, if
//! it was dialed) and closes the others. The other device closes none on its own, so it cannot close the wrong one.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quinn::{Connection, ConnectionError};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use xbt_core::ids::Fingerprint;

use super::quic::{BETWEEN_LOOKS, SILENT};
use super::socket::{Allowed, SourceFilter};
use super::stream::Streams;
use crate::identity::tls::Tls;
use crate::stream::BoxedStream;

/// A stream that the other device opened on a connection.
pub(super) struct Arrived {
    /// The device, whose key is proved.
    pub peer: Fingerprint,
    /// Where it came from, and to which address of ours.
    pub remote: SocketAddr,
    pub local: Option<IpAddr>,
    /// The device's own addresses, as far as it told them.
    pub hosts: Vec<SocketAddr>,
    /// The stream; it has at least one byte to read.
    pub stream: BoxedStream,
}

/// Why we close a connection: the application error code that the other side sees.
pub(super) mod closing {
    use quinn::VarInt;

    /// The daemon ends.
    pub const END: VarInt = VarInt::from_u32(0);
    /// There is another connection between the two.
    pub const SPARE: VarInt = VarInt::from_u32(1);
    /// This key is not expected.
    pub const UNKNOWN_DEVICE: VarInt = VarInt::from_u32(2);
    /// No streams.
    pub const IDLE: VarInt = VarInt::from_u32(3);
    /// The other side has made a newer one.
    pub const REPLACED: VarInt = VarInt::from_u32(4);
    /// Not the protocol it should be.
    pub const NOT_XBT: VarInt = VarInt::from_u32(5);
}

/// A further connection within this time of the first is a crossed one; later, the other side has lost the first.
const CROSSING: Duration = Duration::from_secs(5);

/// A connection without streams is closed after this time.
const IDLE: Duration = Duration::from_secs(30);

/// From the proved key to the other side's mark: a round trip or two.
const CHOICE: Duration = Duration::from_secs(5);

struct Live {
    connection: Connection,
    streams: Streams,
    since: Instant,
    /// When something last arrived on it.
    heard: Instant,
}

#[derive(Default)]
struct Peer {
    /// By each who expects it, the addresses that it has itself.
    expected: Vec<Arc<[SocketAddr]>>,
    /// The newest is the last; the others are being closed.
    live: Vec<Live>,
}

impl Peer {
    fn newest(&self) -> Option<&Live> {
        self.live.iter().rev().find(|live| live.connection.close_reason().is_none())
    }
}

/// What all parts share.
pub(super) struct Connections {
    tls: Arc<Tls>,
    idle: Duration,
    pub filter: Arc<SourceFilter>,
    peers: Mutex<HashMap<Fingerprint, Peer>>,
    /// Woken when a connection has come.
    changes: watch::Sender<()>,
    arrivals: mpsc::Sender<Arrived>,
    pub ending: CancellationToken,
}

impl Connections {
    pub fn new(tls: Arc<Tls>, arrivals: mpsc::Sender<Arrived>, idle: Option<Duration>) -> Self {
        Self {
            tls,
            idle: idle.unwrap_or(IDLE),
            filter: Arc::default(),
            peers: Mutex::default(),
            changes: watch::Sender::new(()),
            arrivals,
            ending: CancellationToken::new(),
        }
    }

    pub fn tls(&self) -> &Tls {
        &self.tls
    }

    fn peers(&self) -> MutexGuard<'_, HashMap<Fingerprint, Peer>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Expects a device from these IP addresses; `hosts` are its own among them.
    pub fn expect(
        self: &Arc<Self>,
        peer: Fingerprint,
        ips: impl Iterator<Item = IpAddr>,
        hosts: Vec<SocketAddr>,
    ) -> Expectation {
        let hosts: Arc<[SocketAddr]> = hosts.into();
        self.peers().entry(peer).or_default().expected.push(hosts.clone());
        Expectation { connections: self.clone(), peer, hosts, _allowed: self.filter.allow(ips) }
    }

    /// A device's own addresses.
    fn hosts(&self, peer: Fingerprint) -> Vec<SocketAddr> {
        let peers = self.peers();
        let expected = peers.get(&peer).into_iter().flat_map(|held| &held.expected);
        expected.flat_map(|hosts| hosts.iter().copied()).collect()
    }

    pub fn is_expected(&self, peer: Fingerprint) -> bool {
        self.peers().get(&peer).is_some_and(|peer| !peer.expected.is_empty())
    }

    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// The connection with a device, if there is one on which something arrives.
    pub fn connection(&self, peer: Fingerprint) -> Option<(Connection, Streams)> {
        let peers = self.peers();
        let live = peers.get(&peer)?.newest().filter(|live| live.heard.elapsed() < SILENT)?;
        Some((live.connection.clone(), live.streams.clone()))
    }

    /// Makes the connections with a device older than any crossing.
    #[cfg(test)]
    pub fn age(&self, peer: Fingerprint) {
        for live in self.peers().get_mut(&peer).into_iter().flat_map(|held| &mut held.live) {
            live.since = live.since.checked_sub(CROSSING).unwrap_or(live.since);
        }
    }

    /// Takes a connection whose peer is proved and expected, if it is the one that is to stay; else closes it or says
    /// how it was closed. `dialed`: by us.
    pub async fn adopt(
        self: &Arc<Self>,
        peer: Fingerprint,
        connection: Connection,
        dialed: bool,
    ) -> Result<(), ConnectionError> {
        let chooses = self.tls.own() < peer;
        let allowed = self.filter.allow(std::iter::once(connection.remote_address().ip()));
        if !(chooses || dialed) {
            mark(&connection).await?;
        }
        if dialed || !chooses {
            receive_mark(&connection).await?;
        }
        let streams = Streams::default();
        if !self.enter(peer, chooses, &connection, &streams) {
            connection.close(closing::SPARE, b"spare");
            return Err(ConnectionError::LocallyClosed);
        }
        tracing::debug!(%peer, remote = %connection.remote_address(), "a connection over UDP");
        tokio::spawn(self.clone().serve(peer, connection.clone(), streams, allowed));
        self.changes.send_replace(());
        if chooses { mark(&connection).await } else { Ok(()) }
    }

    /// Notes a connection in place of the older ones, unless one of those is as new.
    fn enter(&self, peer: Fingerprint, chooses: bool, connection: &Connection, streams: &Streams) -> bool {
        let mut peers = self.peers();
        let held = peers.entry(peer).or_default();
        if chooses && held.newest().is_some_and(|live| live.since.elapsed() < CROSSING) {
            return false;
        }
        for live in &held.live {
            live.connection.close(closing::REPLACED, b"replaced");
        }
        let now = Instant::now();
        held.live.push(Live { connection: connection.clone(), streams: streams.clone(), since: now, heard: now });
        true
    }

    /// Hands over what the other side opens, until the connection ends.
    async fn serve(self: Arc<Self>, peer: Fingerprint, connection: Connection, streams: Streams, allowed: Allowed) {
        let mut open = streams.watch();
        let listening = self.listen(peer, &connection);
        tokio::pin!(listening);
        loop {
            let idle = no_streams(&mut open, self.idle);
            tokio::select! {
                stream = connection.accept_bi() => {
                    let Ok(stream) = stream else { break };
                    let stream = Box::new(streams.carry(connection.clone(), stream));
                    // At most as many wait here as a connection may have streams.
                    let (remote, local) = (connection.remote_address(), connection.local_ip());
                    let arrived = Arrived { peer, remote, local, hosts: self.hosts(peer), stream };
                    if self.arrivals.send(arrived).await.is_err() {
                        break;
                    }
                }
                () = &mut listening => {}
                () = idle => {
                    connection.close(closing::IDLE, b"idle");
                    break;
                }
                () = self.ending.cancelled() => {
                    connection.close(closing::END, b"end");
                    break;
                }
            }
        }
        drop(allowed);
        if let Some(reason) = connection.close_reason() {
            tracing::debug!(%peer, %reason, "a connection over UDP has ended");
        }
        self.forget(peer, &connection);
    }

    /// Notes when something arrives; never ends.
    async fn listen(&self, peer: Fingerprint, connection: &Connection) {
        let mut received = 0;
        loop {
            let now = connection.stats().udp_rx.datagrams;
            if std::mem::replace(&mut received, now) != now {
                let mut peers = self.peers();
                let all = peers.get_mut(&peer).into_iter().flat_map(|held| &mut held.live);
                let same = |live: &&mut Live| live.connection.stable_id() == connection.stable_id();
                all.filter(same).for_each(|live| live.heard = Instant::now());
            }
            sleep(BETWEEN_LOOKS).await;
        }
    }

    fn forget(&self, peer: Fingerprint, connection: &Connection) {
        let mut peers = self.peers();
        if let Some(held) = peers.get_mut(&peer) {
            held.live.retain(|live| live.connection.stable_id() != connection.stable_id());
            if held.expected.is_empty() && held.live.is_empty() {
                peers.remove(&peer);
            }
        }
    }

    /// Counts a connection that was turned away.
    pub fn reject(&self, remote: SocketAddr, why: &str) {
        self.filter.reject();
        tracing::debug!(%remote, why, "no connection over UDP");
    }
}

/// Consents, with an empty stream in one direction, which ends when it is dropped.
async fn mark(connection: &Connection) -> Result<(), ConnectionError> {
    in_time(connection, connection.open_uni()).await.map(drop)
}

async fn receive_mark(connection: &Connection) -> Result<(), ConnectionError> {
    in_time(connection, connection.accept_uni()).await.map(drop)
}

/// The other side must not hold a slot by staying silent, nor by leaving us no stream.
async fn in_time<T>(
    connection: &Connection,
    step: impl Future<Output = Result<T, ConnectionError>>,
) -> Result<T, ConnectionError> {
    timeout(CHOICE, step).await.unwrap_or_else(|_| {
        connection.close(closing::SPARE, b"no mark");
        Err(ConnectionError::TimedOut)
    })
}

/// Waits until there have been no streams for this long.
async fn no_streams(open: &mut watch::Receiver<usize>, long: Duration) {
    // The caller holds the sender too, so neither wait ends by its loss.
    while open.wait_for(|open| *open == 0).await.is_ok() {
        if timeout(long, open.changed()).await.is_err() {
            return;
        }
    }
}

/// A device is expected from some addresses until this is dropped. Connections that there are then stay.
pub(crate) struct Expectation {
    connections: Arc<Connections>,
    peer: Fingerprint,
    hosts: Arc<[SocketAddr]>,
    _allowed: Allowed,
}

impl Drop for Expectation {
    fn drop(&mut self) {
        let mut peers = self.connections.peers();
        if let Some(held) = peers.get_mut(&self.peer) {
            if let Some(at) = held.expected.iter().position(|hosts| Arc::ptr_eq(hosts, &self.hosts)) {
                held.expected.swap_remove(at);
            }
            if held.expected.is_empty() && held.live.is_empty() {
                peers.remove(&self.peer);
            }
        }
    }
}
