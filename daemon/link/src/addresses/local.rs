//! Which addresses of the other side we dial.

use std::net::{IpAddr, SocketAddr};

use super::interfaces::Interface;
use super::scope::{is_link_local, is_local_only};

/// Below are the ports of a computer's own services (RFC 6335, section 6); xbt of another user does not listen there.
const FIRST_USER_PORT: u16 = 1024;

/// This computer, as far as it decides what is offered and dialed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Local {
    /// The sockets that links come in by.
    pub listening: Vec<SocketAddr>,
    /// The interfaces of this computer.
    pub interfaces: Vec<Interface>,
    /// Ports of our other services, not dialed on our own addresses.
    pub forbidden_ports: Vec<u16>,
}

impl Local {
    /// Why this address is not dialed, as the end of a sentence; none if it may be.
    ///
    /// A contact chooses these addresses. It must not make us connect to our own services, or to those of a network
    /// that it does not share with us.
    pub fn objection(&self, address: SocketAddr) -> Option<&'static str> {
        let ip = address.ip().to_canonical();
        if address.port() == 0 {
            return Some("has no port");
        }
        if ip.is_unspecified() || matches!(ip, IpAddr::V4(v4) if v4.octets()[0] == 0) {
            return Some("is no address of a device");
        }
        if ip.is_multicast() || matches!(ip, IpAddr::V4(v4) if v4.is_broadcast()) {
            return Some("is not the address of one device");
        }
        if is_link_local(ip) && !has_scope(address) {
            return Some("is link-local and does not say on which link");
        }
        if ip.is_loopback() && !self.listening.iter().any(|own| own.ip().is_loopback()) {
            return Some("is a loopback address");
        }
        if !ip.is_loopback() && !self.interfaces.iter().any(|own| own.ip == ip) {
            // A private address of another network belongs to another computer here (RFC 1918, section 3).
            let is_foreign = is_local_only(&ip) && !self.interfaces.iter().any(|own| own.reaches(ip));
            return is_foreign.then_some("is a private address of another network");
        }
        let is_own_socket = |own: &SocketAddr| {
            own.port() == address.port()
                && (own.ip() == ip || own.ip().is_unspecified() && own.is_ipv6() == ip.is_ipv6())
        };
        if self.listening.iter().any(is_own_socket) {
            return Some("is our own");
        }
        let is_service = address.port() < FIRST_USER_PORT || self.forbidden_ports.contains(&address.port());
        is_service.then_some("is another service of this computer")
    }
}

fn has_scope(address: SocketAddr) -> bool {
    match address {
        SocketAddr::V6(v6) => v6.scope_id() != 0,
        SocketAddr::V4(_) => false,
    }
}
