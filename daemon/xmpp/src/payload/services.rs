//! External services (XEP-0215). The types of the library refuse the whole list for one service that they do not know.

use xso::{AsXml, FromXml};

pub(crate) const NS: &str = "urn:xmpp:extdisco:2";

/// `<service/>`
#[derive(FromXml, AsXml, Clone, Debug, PartialEq)]
#[xml(namespace = NS, name = "service")]
pub(crate) struct Service {
    #[xml(attribute(default, name = "type"))]
    pub type_: Option<String>,
    #[xml(attribute(default))]
    pub transport: Option<String>,
    #[xml(attribute(default))]
    pub host: Option<String>,
    #[xml(attribute(default))]
    pub port: Option<String>,
}

/// `<services/>`: the question, for one type, and the answer
#[derive(FromXml, AsXml, Clone, Debug, PartialEq)]
#[xml(namespace = NS, name = "services")]
pub(crate) struct Services {
    #[xml(attribute(default, name = "type"))]
    pub type_: Option<String>,
    #[xml(child(n = ..))]
    pub services: Vec<Service>,
}
