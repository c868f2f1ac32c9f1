//! Punching: both sides speak to each other's addresses until a connection stands.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::rustls::AlertDescription;
use quinn::{ClientConfig, ConnectError, Connection, ConnectionError, TransportErrorCode};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};
use xbt_core::ids::Fingerprint;

use super::acceptor;
use super::bind::Socket;
use super::connections::{Expectation, Held, closing};
use super::reflexive::{socket_for, transaction};
use super::{quic, stun};

/// Addresses of one device that are dialled.
const MOST_ADDRESSES: usize = 8;

/// When each address is dialled: the packets of a dial come ever more rarely, and the other side may have begun later.
/// All dials go on to the end.
const DIALS: [Duration; 5] =
    [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(7)];

/// From one knock to the next, at first and later.
const KNOCK: Duration = Duration::from_millis(150);
const LATE_KNOCK: Duration = Duration::from_secs(1);

/// Until when the knocks are many.
const KNOCKING: Duration = Duration::from_secs(3);

/// The name in a QUIC handshake: devices have keys, not names, so this one is neither sent nor checked.
const NO_NAME: &str = "0.0.0.0";

/// Why there is no connection: a code and a sentence for [`crate::Attempt`].
pub(super) type Failure = (&'static str, String);

/// Makes a connection with the peer, whoever of the two gets through first.
pub(super) async fn connect(
    held: &Arc<Held>,
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
        return Err(("unreachable", "there is no address that could be reached over UDP from here".to_owned()));
    }
    let mut changes = held.changes();
    let is_connected = held.connection(peer).is_some();
    let expected = held.expect(peer, addresses.iter().map(SocketAddr::ip));
    let knocking = Knocking::start(targets.clone(), expected, is_connected);
    if is_connected {
        // The other side may have lost it, and must get through to make a new one.
        knocking.go_on();
        return Ok(());
    }
    let config = quic::client(held.tls(), peer).map_err(|error| ("bad-tls", error.to_string()))?;
    let mut dials = JoinSet::new();
    for (delay, (socket, address)) in DIALS.iter().flat_map(|delay| targets.iter().map(move |to| (delay, to))) {
        dials.spawn(dial(held.clone(), socket.clone(), config.clone(), peer, *address, *delay));
    }
    let deadline = Instant::now() + patience;
    let mut failures = Vec::new();
    loop {
        if held.connection(peer).is_some() {
            return Ok(());
        }
        tokio::select! {
            _ = changes.changed() => {}
            Some(ended) = dials.join_next() => failures.extend(ended.ok().and_then(Result::err)),
            () = sleep_until(deadline) => return Err(most_telling(failures, addresses, patience)),
        }
    }
}

/// An IPv4 address in IPv6's clothes is an IPv4 address.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip if ip == address.ip() => address,
        ip => SocketAddr::new(ip, address.port()),
    }
}

/// Which of many failures a person is told.
fn most_telling(failures: Vec<Failure>, addresses: &[SocketAddr], patience: Duration) -> Failure {
    let rank = |code: &str| ["wrong-device", "bad-tls", "closed"].iter().position(|told| *told == code);
    failures.into_iter().filter(|(code, _)| rank(code).is_some()).min_by_key(|(code, _)| rank(code)).unwrap_or_else(
        || {
            let tried = addresses.iter().take(MOST_ADDRESSES).map(ToString::to_string).collect::<Vec<_>>().join(", ");
            ("no-answer", format!("nothing came through over UDP from {tried} within {} s", patience.as_secs_f32()))
        },
    )
}

async fn dial(
    held: Arc<Held>,
    socket: Socket,
    config: ClientConfig,
    peer: Fingerprint,
    address: SocketAddr,
    delay: Duration,
) -> Result<(), Failure> {
    sleep(delay).await;
    let handshake =
        socket.endpoint.connect_with(config, address, NO_NAME).map_err(|error| not_dialled(address, &error))?;
    let connection = handshake.await.map_err(|error| told(address, &error))?;
    // From here on by itself: when this dial is given up for another connection, the other side may just have taken
    // this one, and it alone decides.
    tokio::spawn(settle(held, connection, peer, address)).await.unwrap_or(Ok(()))
}

async fn settle(
    held: Arc<Held>,
    connection: Connection,
    peer: Fingerprint,
    address: SocketAddr,
) -> Result<(), Failure> {
    match acceptor::peer(&connection) {
        Ok(proved) if proved == peer => held.adopt(peer, connection, true).await.map_err(|error| told(address, &error)),
        Ok(_) => Err(wrong_device(address)),
        Err(error) => Err(("bad-tls", format!("{address} does not speak xbt's encryption ({error})"))),
    }
}

fn not_dialled(address: SocketAddr, error: &ConnectError) -> Failure {
    ("unreachable", format!("{address} could not be dialled over UDP ({error})"))
}

fn wrong_device(address: SocketAddr) -> Failure {
    ("wrong-device", format!("{address} is another device than the one that was to be reached"))
}

fn told(address: SocketAddr, error: &ConnectionError) -> Failure {
    let refused = TransportErrorCode::crypto(AlertDescription::AccessDenied.into());
    match error {
        ConnectionError::TransportError(error) if error.code == refused => wrong_device(address),
        ConnectionError::ApplicationClosed(closed) if closed.error_code == closing::SPARE => {
            ("passed-over", format!("{address} has another connection with us"))
        }
        ConnectionError::ApplicationClosed(closed) if closed.error_code == closing::UNKNOWN_DEVICE => {
            ("closed", format!("{address} does not expect this device"))
        }
        ConnectionError::ApplicationClosed(_) | ConnectionError::Reset | ConnectionError::LocallyClosed => {
            ("closed", format!("{address} closed the connection"))
        }
        ConnectionError::TransportError(_)
        | ConnectionError::ConnectionClosed(_)
        | ConnectionError::VersionMismatch => {
            ("bad-tls", format!("{address} does not speak xbt's encryption ({error})"))
        }
        ConnectionError::TimedOut | ConnectionError::CidsExhausted => {
            ("no-answer", format!("{address} did not answer over UDP"))
        }
    }
}

/// Tiny datagrams that open our router's door to the other side, and mean nothing. Meanwhile the other side is expected.
struct Knocking(Option<AbortHandle>);

impl Knocking {
    /// `briefly`: ends by itself after the first seconds.
    fn start(targets: Vec<(Socket, SocketAddr)>, expected: Expectation, briefly: bool) -> Self {
        let task = tokio::spawn(async move {
            let _expected = expected;
            let begun = Instant::now();
            let Some(id) = transaction() else { return };
            let knock = stun::indication(id);
            loop {
                for (socket, address) in &targets {
                    socket.wire.tell(*address, &knock);
                }
                let late = begun.elapsed() >= KNOCKING;
                if late && briefly {
                    return;
                }
                sleep(if late { LATE_KNOCK } else { KNOCK }).await;
            }
        });
        Self(Some(task.abort_handle()))
    }

    fn go_on(mut self) {
        self.0 = None;
    }
}

impl Drop for Knocking {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
        }
    }
}
