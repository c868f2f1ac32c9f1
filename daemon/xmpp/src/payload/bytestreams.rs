//! SOCKS5 bytestreams (XEP-0065): what is said to a proxy, and what it says.

use xso::{AsXml, FromXml};

pub(crate) const NS: &str = "http://jabber.org/protocol/bytestreams";

/// `<streamhost/>`: where a proxy listens
///
/// The port is text, so that one odd value does not spoil the answer.
#[derive(FromXml, AsXml, Clone, Debug, PartialEq)]
#[xml(namespace = NS, name = "streamhost")]
pub(crate) struct StreamHost {
    #[xml(attribute)]
    pub jid: String,
    #[xml(attribute(default))]
    pub host: Option<String>,
    #[xml(attribute(default))]
    pub port: Option<String>,
}

/// `<query/>`: empty as a question for the proxy's addresses, with them as the answer, or as the order to connect the
/// two ends of a bytestream
#[derive(FromXml, AsXml, Clone, Debug, Default, PartialEq)]
#[xml(namespace = NS, name = "query")]
pub(crate) struct Query {
    #[xml(attribute(default))]
    pub sid: Option<String>,
    #[xml(child(n = ..))]
    pub hosts: Vec<StreamHost>,
    /// The full JID of the target.
    #[xml(extract(default, namespace = NS, name = "activate", fields(text(type_ = String))))]
    pub activate: Option<String>,
}
