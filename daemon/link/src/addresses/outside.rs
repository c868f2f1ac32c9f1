//! What routers and servers know of us.

use std::net::SocketAddr;

use xbt_core::session::StunServer;

/// What is known of the network between us and the Internet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// Addresses from which routers forward connections to our port.
    pub mapped: Vec<SocketAddr>,
    /// Why there is no mapped address, one sentence; none if there is one or that is not known yet.
    pub unmapped: Option<String>,
    /// STUN servers that our XMPP server names.
    pub stun: Vec<StunServer>,
    /// Whether our XMPP server has answered yet what services it has.
    pub asked: bool,
}
