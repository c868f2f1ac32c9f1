//! The sockets that links come in by.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::error::LinkError;

/// Connections the kernel keeps for us while the acceptor is busy.
const BACKLOG: u32 = 128;

/// Tries to find a port that is free for both IPv6 and IPv4.
const PORT_TRIES: usize = 16;

/// The pause when accepting fails for lack of resources (file descriptors, memory).
const BACK_OFF: Duration = Duration::from_secs(1);

/// Binds every address. All with port 0 share one port: `kept` if it is free for them, else a new one.
///
/// An address this computer does not have (IPv6 on a computer without it, a network that is down) is left out with a
/// warning.
///
/// # Errors
/// An address that is taken or not permitted.
pub(crate) fn bind(addresses: &[SocketAddr], kept: Option<u16>) -> Result<Bound, LinkError> {
    let (shared, fixed): (Vec<SocketAddr>, Vec<SocketAddr>) = addresses.iter().partition(|a| a.port() == 0);
    // The fixed ones first, so that the kernel does not choose one of their ports.
    let mut listeners = bind_all(&fixed)?;
    let shared = bind_shared(&shared, kept)?;
    let port = port_of(&shared).or_else(|| port_of(&listeners));
    listeners.extend(shared);
    Ok(Bound { listeners, port })
}

/// What was bound.
pub(crate) struct Bound {
    pub listeners: Vec<TcpListener>,
    /// The shared port, or else the first configured one.
    pub port: Option<u16>,
}

fn port_of(listeners: &[TcpListener]) -> Option<u16> {
    listeners.first()?.local_addr().ok().map(|address| address.port())
}

fn bind_shared(shared: &[SocketAddr], kept: Option<u16>) -> Result<Vec<TcpListener>, LinkError> {
    if let Some(port) = kept.filter(|port| *port != 0) {
        match bind_all(&with_port(shared, port)) {
            Ok(bound) => return Ok(bound),
            Err(error) => tracing::info!(port, %error, "the previous port is in use; choosing another one"),
        }
    }
    bind_new_port(shared)
}

/// Lets the kernel choose a port for the first address and tries it for the others.
fn bind_new_port(shared: &[SocketAddr]) -> Result<Vec<TcpListener>, LinkError> {
    let mut tries = 0;
    loop {
        let mut port = None;
        let mut bound = Vec::new();
        let result = shared.iter().try_for_each(|address| {
            let address = SocketAddr::new(address.ip(), port.unwrap_or(0));
            if let Some(listener) = bind_if_there(address)? {
                bound.push(listener);
                port = port_of(&bound);
            }
            Ok(())
        });
        tries += 1;
        match result {
            Ok(()) => return Ok(bound),
            // Taken for one family and free for the other: another port may be free for both.
            Err(LinkError::Listen { source, .. })
                if source.kind() == io::ErrorKind::AddrInUse && tries < PORT_TRIES => {}
            Err(error) => return Err(error),
        }
    }
}

fn with_port(addresses: &[SocketAddr], port: u16) -> Vec<SocketAddr> {
    addresses.iter().map(|address| SocketAddr::new(address.ip(), port)).collect()
}

fn bind_all(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, LinkError> {
    addresses.iter().filter_map(|address| bind_if_there(*address).transpose()).collect()
}

fn bind_if_there(address: SocketAddr) -> Result<Option<TcpListener>, LinkError> {
    match bind_one(address) {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if is_not_there(&error) => {
            tracing::warn!(%address, %error, "this computer does not have this address; not listening there");
            Ok(None)
        }
        Err(source) => Err(LinkError::Listen { address, source }),
    }
}

fn is_not_there(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let code = error.raw_os_error();
    [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL].iter().any(|errno| code == Some(errno.raw_os_error()))
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address.ip() {
        IpAddr::V4(_) => TcpSocket::new_v4()?,
        IpAddr::V6(_) => {
            let socket = TcpSocket::new_v6()?;
            sockopt::set_ipv6_v6only(&socket, true)?;
            socket
        }
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Passes every connection to the acceptor, until that is gone.
pub(crate) async fn accept(listener: TcpListener, acceptor: mpsc::Sender<(TcpStream, SocketAddr)>) {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                if acceptor.send((stream, remote)).await.is_err() {
                    return;
                }
            }
            // The connection was closed before we accepted it (accept(2)).
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections; retrying in a second");
                sleep(BACK_OFF).await;
            }
        }
    }
}
