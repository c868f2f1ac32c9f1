//! PCP (RFC 6887): asks by datagram, from the address that is to be mapped, and asks again until answered.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::error::MapError;
use super::grant::{Client, Grant, Handle};
use super::message::{Answer, LONGEST, Request};
use super::route::Uplink;
use super::schedule::{self, WANTED_LIFETIME};

/// Where routers listen, for NAT-PMP too.
pub(super) const PORT: u16 = 5351;

/// How long each of the datagrams is waited for: like NAT-PMP's (RFC 6886, section 3.1), because a router on our own
/// network needs no 3 seconds, and a search that lasts long keeps people waiting.
const WAITS: [Duration; 4] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// Maps the port, or renews the mapping; prefers `suggested` as the external address and port.
pub(super) async fn map(client: &Client, uplink: Uplink, suggested: (Option<IpAddr>, u16)) -> Result<Grant, MapError> {
    let lifetime = u32::try_from(WANTED_LIFETIME.as_secs()).unwrap_or(u32::MAX);
    let answer = exchange(uplink, request(client, uplink, suggested, lifetime)).await?;
    Ok(Grant {
        uplink,
        external: answer.external,
        lifetime: schedule::lifetime(answer.lifetime),
        epoch: Some(client.epoch(answer.epoch)),
        handle: Handle::Pcp,
    })
}

/// Removes the mapping of the port.
pub(super) async fn unmap(client: &Client, uplink: Uplink) -> Result<(), MapError> {
    exchange(uplink, request(client, uplink, (None, 0), 0)).await.map(drop)
}

fn request(client: &Client, uplink: Uplink, suggested: (Option<IpAddr>, u16), lifetime: u32) -> Request {
    Request { own: uplink.own, port: client.port.get(), nonce: client.nonce, suggested, lifetime }
}

async fn exchange(uplink: Uplink, request: Request) -> Result<Answer, MapError> {
    let io = |error: std::io::Error| MapError::from_socket(&error);
    // Bound, because the router compares the source address with the one in the request (section 8.2), and connected,
    // so that the kernel drops what others send.
    let socket = UdpSocket::bind(SocketAddr::new(uplink.own, 0)).await.map_err(io)?;
    socket.connect(uplink.to(PORT)).await.map_err(io)?;
    let datagram = request.encode();
    for wait in WAITS {
        socket.send(&datagram).await.map_err(io)?;
        if let Ok(answer) = timeout(wait, receive(&socket, &request)).await {
            return answer;
        }
    }
    Err(MapError::NoAnswer)
}

/// The answer to this request; others are passed over.
async fn receive(socket: &UdpSocket, request: &Request) -> Result<Answer, MapError> {
    let mut buffer = [0; LONGEST];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(|error| MapError::from_socket(&error))?;
        if let Some(answer) = request.decode(&buffer[..length]) {
            return answer;
        }
    }
}
