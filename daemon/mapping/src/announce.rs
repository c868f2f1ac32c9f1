//! Announcements of routers that have come up or have a new address (RFC 6886, section 3.2.1; RFC 6887, section 14.1).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use tokio::net::UdpSocket;
use tokio::time::sleep;

/// Where announcements arrive, at the all-hosts multicast address.
const PORT: u16 = 5350;
/// After a datagram of another host, and after an error: a flood costs us ten reads a second.
const PAUSE: Duration = Duration::from_millis(100);

/// Listens for announcements. Where it cannot, mappings are checked on schedule only.
#[derive(Debug)]
pub(super) struct Announcements(Option<UdpSocket>);

impl Announcements {
    /// Begins to listen.
    pub fn listen() -> Self {
        Self(bind().inspect_err(|error| tracing::debug!(%error, "routers' announcements are not heard")).ok())
    }

    /// Waits for an announcement of one of these routers.
    pub async fn next(&self, routers: impl Fn() -> Vec<IpAddr>) {
        let Some(socket) = &self.0 else { return std::future::pending().await };
        // What it says does not matter: the router is asked.
        let mut datagram = [0; 64];
        loop {
            match socket.recv_from(&mut datagram).await {
                Ok((_, from)) if routers().contains(&from.ip().to_canonical()) => return,
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "a router's announcement was not heard"),
            }
            sleep(PAUSE).await;
        }
    }

    /// Discards what came in the meantime.
    pub fn drain(&self) {
        let Some(socket) = &self.0 else { return };
        let mut datagram = [0; 64];
        // Bounded, because a sender may be faster than we are.
        for _ in 0..1000 {
            if socket.try_recv_from(&mut datagram).is_err() {
                return;
            }
        }
    }
}

/// Other programs of this computer, and the xbtd of other users, listen too.
fn bind() -> std::io::Result<UdpSocket> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)?;
    rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), PORT))?;
    UdpSocket::from_std(socket.into())
}
