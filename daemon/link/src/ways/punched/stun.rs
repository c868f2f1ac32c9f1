//! The little of STUN that is needed (RFC 8489): asking a server which address it sees, and saying nothing at all.

use std::net::{IpAddr, SocketAddr};

use stun_types::attribute::{ErrorCode, XorMappedAddress};
use stun_types::message::{
    BINDING, Message, MessageClass, MessageHeader, MessageType, MessageWrite, MessageWriteVec, TransactionId,
};

/// What a server answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It sees us at this address.
    Seen(SocketAddr),
    /// It does not serve us; the error code of RFC 8489, section 14.8.
    Refused(u16),
    /// Nothing that could be an address of ours.
    Nonsense,
}

/// A Binding request (section 3), 20 bytes.
pub(super) fn request(id: TransactionId) -> Vec<u8> {
    message(MessageClass::Request, id)
}

/// A Binding indication, 20 bytes: it has no answer, but every router on the way sees it (section 2).
pub(super) fn indication(id: TransactionId) -> Vec<u8> {
    message(MessageClass::Indication, id)
}

fn message(class: MessageClass, id: TransactionId) -> Vec<u8> {
    Message::builder(MessageType::from_class_method(class, BINDING), id, MessageWriteVec::new()).finish()
}

/// Whether a datagram is STUN and not QUIC: the two highest bits are zero in all of STUN (section 5) and never in our
/// QUIC, whose packets have their fixed bit set (RFC 9443).
pub(super) fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| first & 0xc0 == 0)
}

/// The transaction that a datagram answers; none if it answers none. Reads the header only.
pub(super) fn answered(datagram: &[u8]) -> Option<TransactionId> {
    let header = MessageHeader::from_bytes(datagram).ok()?;
    let kind = header.get_type();
    (kind.method() == BINDING && kind.class().is_response()).then(|| header.transaction_id())
}

/// What the answer says. For datagrams that [`answered`] a question of ours only.
pub(super) fn read(datagram: &[u8]) -> Answer {
    let Ok(message) = Message::from_bytes(datagram) else { return Answer::Nonsense };
    if message.has_class(MessageClass::Error) {
        return message.attribute::<ErrorCode>().map_or(Answer::Nonsense, |error| Answer::Refused(error.code()));
    }
    match message.attribute::<XorMappedAddress>() {
        Ok(seen) if is_possible(seen.addr(message.transaction_id())) => {
            Answer::Seen(seen.addr(message.transaction_id()))
        }
        Ok(_) | Err(_) => Answer::Nonsense,
    }
}

/// Whether datagrams could come from there.
fn is_possible(address: SocketAddr) -> bool {
    let ip = address.ip();
    let is_broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !is_broadcast
}
