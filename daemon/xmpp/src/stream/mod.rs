//! A stream to the server: its bytes, its stanzas, and what both sides count.

mod bound;
mod guard;
mod probe;
mod prompt;
mod sm;
mod stanza_limit;

use std::net::IpAddr;

use tokio_xmpp::parsers::stream_features::StreamFeatures;
use tokio_xmpp::xmlstream::XmppStream;
use xbt_core::login::Login;

pub(crate) use bound::{Begin, BoundStream, Incoming};
pub(crate) use guard::{Discarded, Guard, Notices};
#[cfg(feature = "fuzzing")]
pub(crate) use guard::{Filter, MAX_DEPTH};
pub(crate) use prompt::Prompt;
pub(crate) use sm::Management;
pub(crate) use stanza_limit::StanzaLimit;

/// What carries the XML of a connection: encrypted, filtered, buffered.
pub(crate) type Io = Box<dyn tokio_xmpp::connect::AsyncReadAndWrite + Send + 'static>;

/// An authenticated stream that is not bound to a resource yet.
pub(crate) struct Fresh {
    pub stream: XmppStream<Io>,
    /// How we proved who we are.
    pub login: Login,
    /// Our end of the connection.
    pub local: Option<IpAddr>,
    pub features: StreamFeatures,
    /// What is not let through to it, and what is still on its way.
    pub notices: Notices,
}
