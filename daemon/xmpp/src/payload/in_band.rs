//! In-band bytestreams (XEP-0047). As in the library, but a `block-size` or `stanza` that it does not know is told as
//! what it is and not as a stanza that cannot be read.

use xso::text::Base64;
use xso::{AsXml, FromXml};

pub(crate) const NS: &str = "http://jabber.org/protocol/ibb";

/// `<open/>`
#[derive(FromXml, AsXml, Clone, Debug, PartialEq)]
#[xml(namespace = NS, name = "open")]
pub(crate) struct Open {
    #[xml(attribute)]
    pub sid: String,
    #[xml(attribute = "block-size")]
    pub block_size: u32,
    #[xml(attribute(default))]
    pub stanza: Option<String>,
}

/// `<data/>`
#[derive(FromXml, AsXml, Clone, Debug, PartialEq)]
#[xml(namespace = NS, name = "data")]
pub(crate) struct Data {
    #[xml(attribute)]
    pub sid: String,
    #[xml(attribute)]
    pub seq: u16,
    #[xml(text = Base64)]
    pub data: Vec<u8>,
}

/// `<close/>`
#[derive(FromXml, AsXml, Clone, Debug, PartialEq)]
#[xml(namespace = NS, name = "close")]
pub(crate) struct Close {
    #[xml(attribute)]
    pub sid: String,
}
