//! Authenticated links, as they come in.

use std::net::SocketAddr;
use std::sync::Arc;

use xbt_core::ids::Fingerprint;
use xbt_core::way::Way;

use crate::rejection::Rejected;
use crate::stream::BoxedStream;
use crate::ways::target::Target;
use xbt_core::effect::LinkId;

/// Where a link comes from.
#[derive(Clone, Debug)]
pub(crate) struct LinkInfo {
    /// The device at the other end, whose key is proved.
    pub peer: Fingerprint,
    pub way: Way,
    pub remote: Option<SocketAddr>,
    /// If we dialed: for which request, and which of its targets.
    pub dialed: Option<(LinkId, Arc<Target>)>,
}

/// An authenticated link.
pub(crate) struct Link {
    pub info: LinkInfo,
    pub stream: BoxedStream,
}

/// What other devices bring.
pub(crate) enum Incoming {
    /// A link that the other device opened.
    Link(Link),
    /// A connection that was turned away before it became one.
    Rejected(Rejected),
}
