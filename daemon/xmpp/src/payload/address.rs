//! Server IP check (XEP-0279): from which address the server sees us.

use xso::{AsXml, FromXml};

/// Of version 0.2.
pub(crate) const NS: &str = "urn:xmpp:sic:1";

/// Of version 0.1, which older servers speak.
pub(crate) const NS_0: &str = "urn:xmpp:sic:0";

/// `<address/>`: empty as the question
#[derive(FromXml, AsXml, Clone, Debug, Default, PartialEq)]
#[xml(namespace = NS, name = "address")]
pub(crate) struct Address {
    #[xml(extract(default, namespace = NS, name = "ip", fields(text(type_ = String))))]
    pub ip: Option<String>,
}

/// `<ip/>` of version 0.1: empty as the question
#[derive(FromXml, AsXml, Clone, Debug, Default, PartialEq)]
#[xml(namespace = NS_0, name = "ip")]
pub(crate) struct Ip {
    #[xml(text)]
    pub ip: String,
}
