//! What is signed: one sequence of bytes for each request and each answer, and none that two of them share.
//!
//! Every field is preceded by its length (4 bytes, big-endian), whatever it holds. Numbers are 8 bytes, big-endian; a list
//! is its number of items, and then those; what may be missing is a list of at most one item. The fields follow from the
//! kind, which comes first, so the sequence can be read in one way only. It is made from what the rules get to see, field
//! by field without exception: what a stanza holds beside that is not signed, and decides nothing.

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

use crate::ids::{FullJid, OfferId};
use crate::signal::{
    Answer, Candidate, CandidateKind, Condition, Connect, ErrorType, Introduction, Offer, Proxy, Reach, Refusal,
    Request, Role, Stamp, SyncItem, SyncState, Wait,
};
use crate::way::Way;

/// Begins what is signed of a request: nothing else that the key signs, in TLS or in another version, begins like this.
const REQUEST: &str = "urn:x-xbt:1 request";

/// The same of an answer.
const ANSWER: &str = "urn:x-xbt:1 answer";

/// What is signed of a request, from one device to one other.
pub fn request(request: &Request, from: &FullJid, to: &FullJid, stamp: Stamp) -> Vec<u8> {
    let mut text = Text::default();
    text.string(REQUEST).string(kind(request)).device(from).device(to);
    text.bytes(&stamp.epoch.0).number(stamp.number);
    match request {
        Request::Hello => {}
        Request::Offer(offer) => text.offer(offer),
        Request::Connect(connect) => text.connect(connect),
        Request::Decline { id, message } => {
            text.id(*id).option(message.as_deref(), |text, word| {
                text.string(word);
            });
        }
        Request::Cancel { id } | Request::Expired { id } | Request::Done { id } | Request::Taken { id } => {
            text.id(*id);
        }
        Request::Failed { id, reason } => {
            text.id(*id).string(reason);
        }
        Request::Introduce(introduction) => text.introduction(introduction),
        Request::Sync(items) => text.items(items),
    }
    text.0
}

/// What is signed of an answer: it belongs to the one request whose own text this is.
pub fn answer(request: &[u8], answer: &Result<Answer, Refusal>) -> Vec<u8> {
    let mut text = Text::default();
    text.string(ANSWER).bytes(request);
    match answer {
        Ok(Answer::Acknowledged) => {
            text.string("acknowledged");
        }
        Ok(Answer::Hello(epoch)) => {
            text.string("hello").bytes(&epoch.0);
        }
        Ok(Answer::Connect(connect)) => text.string("connect").connect(connect),
        Ok(Answer::Sync(items)) => text.string("sync").items(items),
        Err(refusal) => text.string("refused").refusal(refusal),
    }
    text.0
}

/// The name of the element, but for an end that the sender's clock brings.
fn kind(request: &Request) -> &'static str {
    match request {
        Request::Hello => "hello",
        Request::Offer(_) => "offer",
        Request::Connect(_) => "connect",
        Request::Decline { .. } => "decline",
        Request::Cancel { .. } => "cancel",
        Request::Expired { .. } => "expired",
        Request::Done { .. } => "done",
        Request::Failed { .. } => "failed",
        Request::Taken { .. } => "taken",
        Request::Introduce(_) => "introduce",
        Request::Sync(_) => "sync",
    }
}

/// See the module.
#[derive(Default)]
struct Text(Vec<u8>);

impl Text {
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        // Stanzas stay far below 4 GiB.
        self.0.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.0.extend(bytes);
        self
    }

    fn string(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.bytes(&number.to_be_bytes())
    }

    fn flag(&mut self, flag: bool) -> &mut Self {
        self.number(u64::from(flag))
    }

    fn list<T>(&mut self, items: &[T], put: impl Fn(&mut Self, &T)) {
        self.number(items.len() as u64);
        items.iter().for_each(|item| put(self, item));
    }

    fn option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        self.number(u64::from(value.is_some()));
        if let Some(value) = value {
            put(self, value);
        }
    }

    fn id(&mut self, id: OfferId) -> &mut Self {
        self.string(&id.to_string())
    }

    fn device(&mut self, device: &FullJid) -> &mut Self {
        self.string(device.bare.as_str()).string(&device.resource)
    }

    fn offer(&mut self, offer: &Offer) {
        let Offer { id, info_hash, size, files, metadata_size, expires, name, message, fingerprint } = offer;
        self.id(*id).bytes(&info_hash.0).number(*size).number(*files).number(u64::from(*metadata_size));
        self.option(*expires, |text, at| {
            text.bytes(&at.to_be_bytes());
        });
        self.string(name);
        self.option(message.as_deref(), |text, word| {
            text.string(word);
        });
        self.bytes(&fingerprint.0);
    }

    fn connect(&mut self, connect: &Connect) {
        let Connect { id, info_hash, fingerprint, reach, delay, better_than, introduce } = connect;
        let Reach { candidates, proxies, stream_id, in_band } = reach;
        self.id(*id).bytes(&info_hash.0).bytes(&fingerprint.0);
        self.list(candidates, Self::candidate);
        self.list(proxies, |text, Proxy { jid, host, port }| {
            text.string(jid).string(host).number(u64::from(*port));
        });
        self.option(stream_id.as_deref(), |text, id| {
            text.string(id);
        });
        self.flag(*in_band).number(u64::from(*delay));
        self.option(*better_than, |text, way: Way| {
            text.string(&way.to_string());
        });
        self.flag(*introduce);
    }

    fn introduction(&mut self, introduction: &Introduction) {
        let Introduction { id, info_hash, fingerprint, candidates } = introduction;
        self.id(*id).bytes(&info_hash.0).bytes(&fingerprint.0);
        self.list(candidates, Self::candidate);
    }

    fn candidate(&mut self, Candidate { kind, address }: &Candidate) {
        self.string(match kind {
            CandidateKind::Host => "host",
            CandidateKind::Mapped => "mapped",
            CandidateKind::Reflexive => "reflexive",
        });
        self.address(*address);
    }

    /// 4 or 16 bytes, and the port. An IPv4 address has one form.
    fn address(&mut self, address: SocketAddr) {
        match address.ip() {
            IpAddr::V4(ip) => self.bytes(&ip.octets()),
            IpAddr::V6(ip) => self.bytes(&ip.octets()),
        };
        self.number(u64::from(address.port()));
    }

    fn items(&mut self, items: &[SyncItem]) {
        self.list(items, |text, SyncItem { id, role, state }| {
            let role = match role {
                Role::Sender => "sender",
                Role::Receiver => "receiver",
            };
            text.id(*id).string(role).string(state_name(*state));
        });
    }

    fn refusal(&mut self, refusal: &Refusal) {
        let Refusal { condition, kind, wait, text } = refusal;
        self.string(condition_name(*condition));
        self.string(match kind {
            ErrorType::Auth => "auth",
            ErrorType::Cancel => "cancel",
            ErrorType::Continue => "continue",
            ErrorType::Modify => "modify",
            ErrorType::Wait => "wait",
        });
        self.option(*wait, |text, wait| {
            text.string(match wait {
                Wait::Paused => "paused",
                Wait::Turn => "turn",
                Wait::Busy => "busy",
                Wait::Hello => "hello",
            });
        });
        self.string(text);
    }
}

/// As the attribute says it.
fn state_name(state: SyncState) -> &'static str {
    match state {
        SyncState::Open => "open",
        SyncState::Accepted => "accepted",
        SyncState::Done => "done",
        SyncState::Declined => "declined",
        SyncState::Cancelled => "cancelled",
        SyncState::Expired => "expired",
        SyncState::Taken => "taken",
        SyncState::Failed => "failed",
        SyncState::Unknown => "unknown",
    }
}

/// As the element is called (RFC 6120, section 8.3.3).
fn condition_name(condition: Condition) -> &'static str {
    match condition {
        Condition::Forbidden => "forbidden",
        Condition::ItemNotFound => "item-not-found",
        Condition::Conflict => "conflict",
        Condition::ResourceConstraint => "resource-constraint",
        Condition::NotAcceptable => "not-acceptable",
        Condition::BadRequest => "bad-request",
        Condition::ServiceUnavailable => "service-unavailable",
        Condition::FeatureNotImplemented => "feature-not-implemented",
        Condition::RemoteServerNotFound => "remote-server-not-found",
        Condition::RemoteServerTimeout => "remote-server-timeout",
        Condition::RecipientUnavailable => "recipient-unavailable",
        Condition::InternalServerError => "internal-server-error",
        Condition::Other => "undefined-condition",
    }
}
