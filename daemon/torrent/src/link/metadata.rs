//! The extension handshake (BEP 10), the exchange of metadata (BEP 9), and the word `xbt_done`, on one link.

use bytes::BytesMut;
use serde::{Deserialize, Serialize};

use super::outbox::MAX_REQUESTS;
use super::wire;
use crate::bencode;
use crate::event::CloseReason;
use crate::metainfo::{BLOCK, MAX_METADATA};

/// Our id for metadata messages.
pub(super) const OUR_ID: u8 = 1;
/// Our id for the word that the other side has everything verified and in its place; it has no payload.
pub(super) const DONE_ID: u8 = 2;
/// Requests for metadata blocks open at once.
const OPEN: u32 = 64;

#[derive(Serialize, Deserialize)]
struct Handshake {
    #[serde(default)]
    m: Messages,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata_size: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reqq: Option<i64>,
}

#[derive(Serialize, Deserialize, Default)]
struct Messages {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ut_metadata: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    xbt_done: Option<i64>,
}

/// What the other side announced.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Theirs {
    /// Its id for metadata messages.
    pub(crate) metadata_id: Option<u8>,
    /// Its id for hearing that we have everything.
    pub(super) done_id: Option<u8>,
    /// The size of the metadata it has.
    pub(crate) metadata_size: Option<u32>,
    pub(super) requests: Option<usize>,
}

/// Our extension handshake.
pub(super) fn put_handshake(out: &mut BytesMut, metadata_size: Option<usize>) {
    let handshake = Handshake {
        m: Messages { ut_metadata: Some(i64::from(OUR_ID)), xbt_done: Some(i64::from(DONE_ID)) },
        metadata_size: metadata_size.map(|size| size as i64),
        reqq: Some(MAX_REQUESTS as i64),
    };
    put(out, 0, &bencode::encode(&handshake).unwrap_or_default());
}

pub(crate) fn read_handshake(payload: &[u8]) -> Result<Theirs, CloseReason> {
    let (handshake, _) =
        bencode::decode_prefix::<Handshake>(payload).map_err(|_| CloseReason::Protocol("a bad extension handshake"))?;
    let id = |id: Option<i64>| id.and_then(|id| u8::try_from(id).ok()).filter(|id| *id != 0);
    let size = handshake.metadata_size.filter(|size| (1..=MAX_METADATA as i64).contains(size));
    Ok(Theirs {
        metadata_id: id(handshake.m.ut_metadata),
        done_id: id(handshake.m.xbt_done),
        metadata_size: size.and_then(|size| u32::try_from(size).ok()),
        requests: handshake.reqq.and_then(|requests| usize::try_from(requests).ok()),
    })
}

/// One metadata message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    Request(u32),
    Data(u32, &'a [u8]),
    Reject,
    Other,
}

#[derive(Serialize, Deserialize)]
struct Head {
    msg_type: i64,
    piece: i64,
}

pub(crate) fn read_message(payload: &[u8]) -> Result<Message<'_>, CloseReason> {
    const BAD: CloseReason = CloseReason::Protocol("a bad metadata message");
    let (head, data) = bencode::decode_prefix::<Head>(payload).map_err(|_| BAD)?;
    let piece = u32::try_from(head.piece).map_err(|_| BAD)?;
    Ok(match head.msg_type {
        0 => Message::Request(piece),
        1 => Message::Data(piece, data),
        2 => Message::Reject,
        _ => Message::Other,
    })
}

/// Metadata on its way in from one link.
pub(super) struct Incoming {
    bytes: Vec<u8>,
    got: Vec<bool>,
    missing: usize,
    next: u32,
    open: u32,
}

impl Incoming {
    /// `size` is at most [`MAX_METADATA`] and was agreed to with the offer.
    pub(super) fn new(size: u32) -> Self {
        let blocks = (size as usize).div_ceil(BLOCK);
        Self { bytes: vec![0; size as usize], got: vec![false; blocks], missing: blocks, next: 0, open: 0 }
    }

    /// Asks for further blocks.
    pub(super) fn fill(&mut self, id: u8, out: &mut BytesMut) {
        while self.open < OPEN && (self.next as usize) < self.got.len() {
            let head = Head { msg_type: 0, piece: i64::from(self.next) };
            put(out, id, &bencode::encode(&head).unwrap_or_default());
            self.next += 1;
            self.open += 1;
        }
    }

    /// Takes a block; true when it was the last. A block that does not fit is an error.
    pub(super) fn data(&mut self, block: u32, data: &[u8]) -> Result<bool, CloseReason> {
        const BAD: CloseReason = CloseReason::Protocol("a metadata block that was not requested");
        let index = block as usize;
        if block >= self.next {
            return Err(BAD);
        }
        let start = index * BLOCK;
        let end = self.bytes.len().min(start + BLOCK);
        let slot = self.bytes.get_mut(start..end).filter(|slot| slot.len() == data.len()).ok_or(BAD)?;
        if let Some(got @ false) = self.got.get_mut(index) {
            slot.copy_from_slice(data);
            *got = true;
            self.missing -= 1;
            self.open = self.open.saturating_sub(1);
        }
        Ok(self.missing == 0)
    }

    /// Something was asked for and has not come.
    pub(super) fn is_open(&self) -> bool {
        self.open > 0
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Says that we have everything, to who gave that word this id.
pub(super) fn put_done(out: &mut BytesMut, id: u8) {
    put(out, id, &[]);
}

fn put(out: &mut BytesMut, id: u8, payload: &[u8]) {
    wire::put_message(out, wire::EXTENDED, &[&[id], payload].concat());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn our_handshake_is_read_back_and_announces_no_peer_exchange() {
        let mut out = BytesMut::new();
        put_handshake(&mut out, Some(500));
        assert_eq!(&out[6..], b"d1:md11:ut_metadatai1e8:xbt_donei2ee13:metadata_sizei500e4:reqqi2048ee");
        let theirs = Theirs { metadata_id: Some(1), done_id: Some(2), metadata_size: Some(500), requests: Some(2048) };
        assert_eq!(read_handshake(&out[6..]).unwrap(), theirs);
        assert_eq!(read_handshake(b"de").unwrap(), Theirs::default());
        let foreign = b"d1:md6:ut_pexi1e11:ut_metadatai300ee1:v3:abc13:metadata_sizei999999999ee";
        assert!(read_handshake(foreign).is_err(), "keys out of order");
    }

    #[test]
    fn metadata_is_put_together_from_blocks_and_strays_are_refused() {
        let mut incoming = Incoming::new(BLOCK as u32 + 5);
        assert!(incoming.data(0, &[1; BLOCK]).is_err(), "not asked for");
        incoming.fill(3, &mut BytesMut::new());
        assert!(incoming.data(1, &[2; 6]).is_err());
        assert!(!incoming.data(1, &[2; 5]).unwrap());
        assert!(!incoming.data(1, &[9; 5]).unwrap());
        assert!(incoming.data(0, &[1; BLOCK]).unwrap());
        let bytes = incoming.into_bytes();
        assert_eq!((bytes.len(), bytes[BLOCK - 1], bytes[BLOCK]), (BLOCK + 5, 1, 2));
    }

    proptest! {
        #[test]
        fn any_payload_is_answered_without_a_panic(payload in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = read_handshake(&payload);
            let _ = read_message(&payload);
        }
    }
}
