//! Punching: both sides send to each other's addresses until there is a connection.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::rustls::AlertDescription;
use quinn::{ClientConfig, ConnectError, Connection, ConnectionError, TransportErrorCode};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};
use xbt_core::ids::Fingerprint;

use super::bind::Socket;
use super::connections::{Connections, Expectation, closing};
use super::reflexive::{socket_for, transaction};
use super::{acceptor, quic, stun};
use crate::ways::reason::{Failure, Reason};

/// Addresses of one device that are dialed.
const MOST_ADDRESSES: usize = 8;

/// When each address is dialed: the packets of one dial become rarer, and the other side may have begun later.
/// All dials go on to the end.
const DIALS: [Duration; 5] =
    [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(7)];

/// Between the datagrams that open our router, at first and later.
const INTERVAL: Duration = Duration::from_millis(150);
const LATE_INTERVAL: Duration = Duration::from_secs(1);

/// How long they are frequent.
const FREQUENT: Duration = Duration::from_secs(3);

/// The name in a QUIC handshake: devices have keys, not names, so this one is neither sent nor checked.
const NO_NAME: &str = "0.0.0.0";

/// Makes a connection with the peer, whichever side gets through first.
pub(super) async fn connect(
    connections: &Arc<Connections>,
    sockets: &[Socket],
    peer: Fingerprint,
    addresses: &[SocketAddr],
    patience: Duration,
) -> Result<(), Failure> {
    let targets: Vec<(Socket, SocketAddr)> = addresses
        .iter()
        .take(MOST_ADDRESSES)
        .map(|address| canonical(*address))
        .filter_map(|address| Some((socket_for(sockets, address)?.clone(), address)))
        .collect();
    if targets.is_empty() {
        let text = "there is no address that could be reached over UDP from here";
        return Err(Failure::new(Reason::Unreachable, text));
    }
    let mut changes = connections.changes();
    let is_connected = connections.connection(peer).is_some();
    let expected = connections.expect(peer, addresses.iter().map(SocketAddr::ip), Vec::new());
    let opener = Opener::start(targets.clone(), expected, is_connected);
    if is_connected {
        // The other side may have lost it, and must get through to make a new one.
        opener.detach();
        return Ok(());
    }
    let config =
        quic::client(connections.tls(), peer).map_err(|error| Failure::new(Reason::BadTls, error.to_string()))?;
    let mut dials = JoinSet::new();
    for (delay, (socket, address)) in DIALS.iter().flat_map(|delay| targets.iter().map(move |to| (delay, to))) {
        dials.spawn(dial(connections.clone(), socket.clone(), config.clone(), peer, *address, *delay));
    }
    let deadline = Instant::now() + patience;
    let mut failures = Vec::new();
    loop {
        if connections.connection(peer).is_some() {
            return Ok(());
        }
        tokio::select! {
            _ = changes.changed() => {}
            Some(ended) = dials.join_next() => failures.extend(ended.ok().and_then(Result::err)),
            () = sleep_until(deadline) => return Err(most_telling(failures, addresses, patience)),
        }
    }
}

/// Waits for a connection that the peer makes.
pub(super) async fn wait_for(
    connections: &Arc<Connections>,
    peer: Fingerprint,
    patience: Duration,
) -> Result<(), Failure> {
    let mut changes = connections.changes();
    let deadline = Instant::now() + patience;
    while connections.connection(peer).is_none() {
        tokio::select! {
            _ = changes.changed() => {}
            () = sleep_until(deadline) => {
                return Err(Failure::new(Reason::NoAnswer, "the other side did not come over UDP"));
            }
        }
    }
    Ok(())
}

/// An IPv4-mapped IPv6 address is an IPv4 address.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip if ip == address.ip() => address,
        ip => SocketAddr::new(ip, address.port()),
    }
}

/// The failure that says most about why nothing came through.
fn most_telling(failures: Vec<Failure>, addresses: &[SocketAddr], patience: Duration) -> Failure {
    let counts = |failure: &Failure| matches!(failure.reason, Reason::WrongDevice | Reason::BadTls | Reason::Closed);
    failures.into_iter().filter(counts).min_by_key(|failure| failure.reason).unwrap_or_else(|| {
        let tried = addresses.iter().take(MOST_ADDRESSES).map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let text = format!("nothing came through over UDP from {tried} within {} s", patience.as_secs_f32());
        Failure::new(Reason::NoAnswer, text)
    })
}

async fn dial(
    connections: Arc<Connections>,
    socket: Socket,
    config: ClientConfig,
    peer: Fingerprint,
    address: SocketAddr,
    delay: Duration,
) -> Result<(), Failure> {
    sleep(delay).await;
    let handshake =
        socket.endpoint.connect_with(config, address, NO_NAME).map_err(|error| not_dialed(address, &error))?;
    let connection = handshake.await.map_err(|error| failed(address, &error))?;
    // A task of its own: when this dial is given up for another connection, the other side may just have chosen this
    // one, and it alone decides.
    tokio::spawn(settle(connections, connection, peer, address)).await.unwrap_or(Ok(()))
}

async fn settle(
    connections: Arc<Connections>,
    connection: Connection,
    peer: Fingerprint,
    address: SocketAddr,
) -> Result<(), Failure> {
    match acceptor::peer(&connection) {
        Ok(proved) if proved == peer => {
            connections.adopt(peer, connection, true).await.map_err(|error| failed(address, &error))
        }
        Ok(_) => Err(wrong_device(address)),
        Err(error) => Err(not_xbt(address, &error)),
    }
}

fn not_dialed(address: SocketAddr, error: &ConnectError) -> Failure {
    Failure::new(Reason::Unreachable, format!("{address} could not be dialled over UDP ({error})"))
}

fn wrong_device(address: SocketAddr) -> Failure {
    let text = format!("{address} belongs to another device");
    Failure::new(Reason::WrongDevice, text)
}

fn not_xbt(address: SocketAddr, error: &dyn fmt::Display) -> Failure {
    Failure::new(Reason::BadTls, format!("{address} does not speak xbt's encryption ({error})"))
}

fn failed(address: SocketAddr, error: &ConnectionError) -> Failure {
    let refused = TransportErrorCode::crypto(AlertDescription::AccessDenied.into());
    match error {
        ConnectionError::TransportError(error) if error.code == refused => wrong_device(address),
        ConnectionError::ApplicationClosed(closed) if closed.error_code == closing::SPARE => {
            Failure::new(Reason::PassedOver, format!("{address} has another connection with us"))
        }
        ConnectionError::ApplicationClosed(closed) if closed.error_code == closing::UNKNOWN_DEVICE => {
            Failure::new(Reason::Closed, format!("{address} does not expect this device"))
        }
        ConnectionError::ApplicationClosed(_) | ConnectionError::Reset | ConnectionError::LocallyClosed => {
            Failure::new(Reason::Closed, format!("{address} closed the connection"))
        }
        ConnectionError::TransportError(_)
        | ConnectionError::ConnectionClosed(_)
        | ConnectionError::VersionMismatch => not_xbt(address, error),
        ConnectionError::TimedOut | ConnectionError::CidsExhausted => {
            Failure::new(Reason::NoAnswer, format!("{address} did not answer over UDP"))
        }
    }
}

/// Empty STUN indications, which open our router to the other side. Meanwhile the other side is expected.
struct Opener(Option<AbortHandle>);

impl Opener {
    /// `briefly`: ends after the first seconds.
    fn start(targets: Vec<(Socket, SocketAddr)>, expected: Expectation, briefly: bool) -> Self {
        let task = tokio::spawn(async move {
            let _expected = expected;
            let begun = Instant::now();
            let Some(id) = transaction() else { return };
            let datagram = stun::indication(id);
            loop {
                for (socket, address) in &targets {
                    socket.shared.send(*address, &datagram);
                }
                let late = begun.elapsed() >= FREQUENT;
                if late && briefly {
                    return;
                }
                sleep(if late { LATE_INTERVAL } else { INTERVAL }).await;
            }
        });
        Self(Some(task.abort_handle()))
    }

    fn detach(mut self) {
        self.0 = None;
    }
}

impl Drop for Opener {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
        }
    }
}
