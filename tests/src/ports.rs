//! Ports that stay ours while a server is restarted on them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketType, bind, getsockname, ipproto, socket, sockopt};

/// A TCP port on the loopback addresses, chosen by the kernel and held by sockets that never listen.
///
/// Linux lets a server that sets `SO_REUSEADDR` (Prosody does) listen on a port that others have bound so, and gives a port that is
/// bound to nobody who asks for any free one. So the port survives stops and restarts of the server without a race.
#[derive(Debug)]
pub struct Port {
    number: u16,
    addresses: Vec<IpAddr>,
    _held: Vec<OwnedFd>,
}

impl Port {
    /// Takes a port that is free on 127.0.0.1 and, where the machine has IPv6, on ::1.
    pub fn take() -> Self {
        let v4 = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let v6 = IpAddr::V6(Ipv6Addr::LOCALHOST);
        let has_v6 = has_v6();
        for _ in 0..100 {
            let (first, number) = hold(v4, 0).expect("the kernel has a free port");
            if !has_v6 {
                return Self { number, addresses: vec![v4], _held: vec![first] };
            }
            if let Some((second, _)) = hold(v6, number) {
                return Self { number, addresses: vec![v4, v6], _held: vec![first, second] };
            }
        }
        panic!("no port is free on both 127.0.0.1 and ::1");
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The addresses on which it is held.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }
}

/// Whether the machine has an IPv6 loopback.
pub fn has_v6() -> bool {
    hold(IpAddr::V6(Ipv6Addr::LOCALHOST), 0).is_some()
}

fn hold(address: IpAddr, port: u16) -> Option<(OwnedFd, u16)> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let fd = socket(family, SocketType::STREAM, Some(ipproto::TCP)).ok()?;
    sockopt::set_socket_reuseaddr(&fd, true).ok()?;
    bind(&fd, &SocketAddr::new(address, port)).ok()?;
    let bound = SocketAddr::try_from(getsockname(&fd).ok()?).ok()?;
    Some((fd, bound.port()))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_server_can_listen_again_and_again_on_a_held_port() {
        let port = Port::take();
        for _ in 0..3 {
            let server = TcpListener::bind(("127.0.0.1", port.number())).unwrap();
            let client = TcpStream::connect(("127.0.0.1", port.number())).unwrap();
            drop((server.accept().unwrap(), client));
        }
    }
}
