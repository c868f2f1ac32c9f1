//! What others see of us: what routers and servers have told.

use std::net::SocketAddr;

use xbt_core::session::StunServer;

/// What was found out about the network between us and the Internet. Told by the rooms that ask routers and servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// Addresses at which routers pass connections on to our port.
    pub mapped: Vec<SocketAddr>,
    /// Why there is no mapped address, one sentence; none if there is one or it is not known yet.
    pub unmapped: Option<String>,
    /// STUN servers that our XMPP server names.
    pub stun: Vec<StunServer>,
    /// Whether our XMPP server has told yet what it does for links.
    pub asked: bool,
}
