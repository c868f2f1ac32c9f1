//! Our own elements, namespace `urn:x-xbt:1`, exactly as `docs/protocol.md` has them. Those of XEPs that the library
//! does not have, or reads too strictly, are in a module for each XEP.
//!
//! Unknown attributes and children are ignored, so that later versions can add some. What the values may be is
//! checked in [`super::convert`].
#![expect(clippy::useless_conversion, reason = "in the code that the derives write")]

use std::net::IpAddr;

use tokio_xmpp::minidom::Element;
use tokio_xmpp::parsers::message::MessagePayload;
use xso::{AsXml, FromXml};

pub(super) mod address;
pub(super) mod bytestreams;
pub(super) mod in_band;
pub(super) mod services;

/// The namespace of everything here, and the feature in service discovery. It ends with the version of the protocol.
pub(super) const NS: &str = "urn:x-xbt:1";

/// How the namespace of every version begins.
pub(super) const NS_OF_ANY_VERSION: &str = "urn:x-xbt:";

/// The only kind of content so far: a BitTorrent info-hash (BEP 3).
pub(super) const KIND: &str = "btih";

/// `<offer/>`
#[derive(FromXml, AsXml, Clone, Debug, PartialEq)]
#[xml(namespace = NS, name = "offer")]
pub(super) struct Offer {
    #[xml(attribute)]
    pub id: String,
    #[xml(attribute(default))]
    pub kind: Option<String>,
    #[xml(attribute = "info-hash")]
    pub info_hash: String,
    #[xml(attribute)]
    pub size: u64,
    #[xml(attribute)]
    pub files: u64,
    #[xml(attribute = "metadata-size")]
    pub metadata_size: u32,
    #[xml(attribute(default))]
    pub expires: Option<String>,
    #[xml(extract(namespace = NS, name = "name", fields(text)))]
    pub name: String,
    #[xml(extract(default, namespace = NS, name = "desc", fields(text(type_ = String))))]
    pub desc: Option<String>,
    #[xml(extract(namespace = NS, name = "fingerprint", fields(text)))]
    pub fingerprint: String,
}

impl MessagePayload for Offer {}

/// `<signed/>`: around a request or the payload of a result, and in an error
#[derive(FromXml, AsXml, Clone, Debug, PartialEq)]
#[xml(namespace = NS, name = "signed")]
pub(super) struct Signed {
    #[xml(attribute(default))]
    pub key: Option<String>,
    #[xml(attribute(default))]
    pub signature: Option<String>,
    #[xml(attribute(default))]
    pub epoch: Option<String>,
    #[xml(attribute(default))]
    pub number: Option<String>,
    #[xml(element(n = ..))]
    pub inner: Vec<Element>,
}

/// `<hello/>`, both as request and as its result
#[derive(FromXml, AsXml, Clone, Debug, PartialEq)]
#[xml(namespace = NS, name = "hello")]
pub(super) struct Hello {
    #[xml(attribute(default))]
    pub epoch: Option<String>,
}

/// `<candidate/>` of a `<connect/>` or an `<introduce/>`
#[derive(FromXml, AsXml, Clone, Debug, PartialEq)]
#[xml(namespace = NS, name = "candidate")]
pub(super) struct Candidate {
    #[xml(attribute)]
    pub kind: String,
    #[xml(attribute)]
    pub ip: IpAddr,
    #[xml(attribute)]
    pub port: u16,
}

/// `<proxy/>` of a `<connect/>`
#[derive(FromXml, AsXml, Clone, Debug, PartialEq)]
#[xml(namespace = NS, name = "proxy")]
pub(super) struct Proxy {
    #[xml(attribute)]
    pub jid: String,
    #[xml(attribute)]
    pub host: String,
    #[xml(attribute)]
    pub port: u16,
}

/// `<in-band/>` of a `<connect/>`
#[derive(FromXml, AsXml, Clone, Debug, PartialEq)]
#[xml(namespace = NS, name = "in-band")]
pub(super) struct InBand;

/// `<connect/>`, both as request and as its result
#[derive(FromXml, AsXml, Clone, Debug, PartialEq)]
#[xml(namespace = NS, name = "connect")]
pub(super) struct Connect {
    #[xml(attribute)]
    pub id: String,
    #[xml(attribute = "info-hash")]
    pub info_hash: String,
    #[xml(extract(namespace = NS, name = "fingerprint", fields(text)))]
    pub fingerprint: String,
    #[xml(attribute(default, name = "stream-id"))]
    pub stream_id: Option<String>,
    #[xml(attribute(default))]
    pub delay: Option<u32>,
    #[xml(attribute(default, name = "better-than"))]
    pub better_than: Option<String>,
    #[xml(attribute(default))]
    pub introduce: Option<String>,
    #[xml(child(n = ..))]
    pub candidates: Vec<Candidate>,
    #[xml(child(n = ..))]
    pub proxies: Vec<Proxy>,
    #[xml(child(default))]
    pub in_band: Option<InBand>,
}

/// `<introduce/>`
#[derive(FromXml, AsXml, Clone, Debug, PartialEq)]
#[xml(namespace = NS, name = "introduce")]
pub(super) struct Introduce {
    #[xml(attribute)]
    pub id: String,
    #[xml(attribute = "info-hash")]
    pub info_hash: String,
    #[xml(extract(namespace = NS, name = "fingerprint", fields(text)))]
    pub fingerprint: String,
    #[xml(child(n = ..))]
    pub candidates: Vec<Candidate>,
}

/// `<decline/>`
#[derive(FromXml, AsXml, Clone, Debug, PartialEq)]
#[xml(namespace = NS, name = "decline")]
pub(super) struct Decline {
    #[xml(attribute)]
    pub id: String,
    #[xml(extract(default, namespace = NS, name = "desc", fields(text(type_ = String))))]
    pub desc: Option<String>,
}

/// `<cancel/>`
#[derive(FromXml, AsXml, Clone, Debug, PartialEq)]
#[xml(namespace = NS, name = "cancel")]
pub(super) struct Cancel {
    #[xml(attribute)]
    pub id: String,
    #[xml(attribute(default))]
    pub reason: Option<String>,
}

/// `<done/>`
#[derive(FromXml, AsXml, Clone, Debug, PartialEq)]
#[xml(namespace = NS, name = "done")]
pub(super) struct Done {
    #[xml(attribute)]
    pub id: String,
}

/// `<failed/>`
#[derive(FromXml, AsXml, Clone, Debug, PartialEq)]
#[xml(namespace = NS, name = "failed")]
pub(super) struct Failed {
    #[xml(attribute)]
    pub id: String,
    #[xml(attribute(default))]
    pub reason: Option<String>,
}

/// `<taken/>`
#[derive(FromXml, AsXml, Clone, Debug, PartialEq)]
#[xml(namespace = NS, name = "taken")]
pub(super) struct Taken {
    #[xml(attribute)]
    pub id: String,
}

/// `<item/>` of a `<sync/>`
#[derive(FromXml, AsXml, Clone, Debug, PartialEq)]
#[xml(namespace = NS, name = "item")]
pub(super) struct Item {
    #[xml(attribute)]
    pub id: String,
    #[xml(attribute)]
    pub role: String,
    #[xml(attribute)]
    pub state: String,
}

/// `<sync/>`, both as request and as its result
#[derive(FromXml, AsXml, Clone, Debug, PartialEq)]
#[xml(namespace = NS, name = "sync")]
pub(super) struct Sync {
    #[xml(child(n = ..))]
    pub items: Vec<Item>,
}

/// Any request.
#[derive(FromXml, AsXml, Clone, Debug, PartialEq)]
#[xml()]
pub(super) enum Request {
    #[xml(transparent)]
    Hello(Hello),
    #[xml(transparent)]
    Offer(Offer),
    #[xml(transparent)]
    Connect(Connect),
    #[xml(transparent)]
    Decline(Decline),
    #[xml(transparent)]
    Cancel(Cancel),
    #[xml(transparent)]
    Done(Done),
    #[xml(transparent)]
    Failed(Failed),
    #[xml(transparent)]
    Taken(Taken),
    #[xml(transparent)]
    Introduce(Introduce),
    #[xml(transparent)]
    Sync(Sync),
}

/// `<wait/>`: the application-specific condition (RFC 6120, section 8.3.2) of a `resource-constraint`
#[derive(FromXml, AsXml, Clone, Debug, PartialEq)]
#[xml(namespace = NS, name = "wait")]
pub(super) struct Wait {
    #[xml(attribute)]
    pub reason: String,
}

/// `<fallback/>`: the body is for programs that do not know what stands beside it (XEP-0428)
#[derive(FromXml, AsXml, Clone, Debug, PartialEq)]
#[xml(namespace = "urn:xmpp:fallback:0", name = "fallback")]
pub(super) struct Fallback {
    #[xml(attribute = "for")]
    pub for_: String,
}

impl MessagePayload for Fallback {}

/// `<store/>`: keep it for the recipient (XEP-0334)
#[derive(FromXml, AsXml, Clone, Debug, PartialEq)]
#[xml(namespace = "urn:xmpp:hints", name = "store")]
pub(super) struct Store;

impl MessagePayload for Store {}
