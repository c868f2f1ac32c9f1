//! The UDP sockets, one of each family.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use quinn::{Endpoint, Runtime, TokioRuntime};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, socket_with, sockopt};

use super::quic;
use super::socket::{SharedSocket, SourceFilter};
use crate::identity::tls::Tls;

/// What the kernel may keep for us: at 100 MiB/s, 40 ms. The kernel gives less if it is configured so.
const KERNEL_BUFFER: usize = 4 << 20;

/// QUIC on a socket.
#[derive(Clone)]
pub(super) struct Socket {
    pub endpoint: Endpoint,
    pub shared: Arc<SharedSocket>,
    pub local: SocketAddr,
}

/// The first address of each family. A family that this computer does not have is left out, with a warning.
///
/// # Errors
/// No socket at all.
pub(super) fn bind_all(tls: &Tls, addresses: &[SocketAddr], filter: &Arc<SourceFilter>) -> io::Result<Vec<Socket>> {
    let mut sockets = Vec::new();
    let mut failure = None;
    let first_of = |v6: bool| addresses.iter().find(move |address| address.is_ipv6() == v6);
    for address in [first_of(false), first_of(true)].into_iter().flatten() {
        match open(*address).and_then(|socket| start(tls, socket, filter)) {
            Ok(socket) => sockets.push(socket),
            Err(error) => {
                tracing::warn!(%address, %error, "no UDP socket on this address; no hole punching from it");
                failure = Some(error);
            }
        }
    }
    match failure {
        Some(error) if sockets.is_empty() => Err(error),
        Some(_) | None => Ok(sockets),
    }
}

fn start(tls: &Tls, socket: UdpSocket, filter: &Arc<SourceFilter>) -> io::Result<Socket> {
    let runtime = Arc::new(TokioRuntime);
    let local = socket.local_addr()?;
    let shared = Arc::new(SharedSocket::new(runtime.wrap_udp_socket(socket)?, filter.clone()));
    let endpoint =
        Endpoint::new_with_abstract_socket(quic::endpoint()?, Some(quic::server(tls)?), shared.clone(), runtime)?;
    Ok(Socket { endpoint, shared, local })
}

/// Binds. If the port is taken, any other one will do: contacts learn it.
fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    match open_exactly(address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && address.port() != 0 => {
            tracing::info!(%address, "the UDP port is in use; choosing another one");
            open_exactly(SocketAddr::new(address.ip(), 0))
        }
        bound => bound,
    }
}

fn open_exactly(address: SocketAddr) -> io::Result<UdpSocket> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::DGRAM, flags, Some(ipproto::UDP))?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    sockopt::set_socket_recv_buffer_size(&socket, KERNEL_BUFFER)?;
    sockopt::set_socket_send_buffer_size(&socket, KERNEL_BUFFER)?;
    bind(&socket, &address)?;
    Ok(socket.into())
}
