//! The peer wire protocol (BEP 3, 10) as bytes, without any I/O.
//!
//! The decoder takes whatever the stream gave and hands out messages; the payload of `piece` is handed out in the
//! slices in which it arrives, so that it is copied once, into the piece's buffer.

use bytes::{BufMut, BytesMut};

use crate::event::CloseReason;

/// Largest block served or taken, in bytes.
pub(crate) const MAX_BLOCK: usize = 128 << 10;
/// 32 MiB of metadata describe at most 1.7 million pieces: a bitfield of 210 KB.
const MAX_BITFIELD: usize = 256 << 10;
/// A metadata block of 16 KiB and its dictionary, with room.
const MAX_EXTENDED: usize = 64 << 10;
/// An unknown message of up to this is skipped.
const MAX_UNKNOWN: usize = 256 << 10;

pub(crate) const CHOKE: u8 = 0;
pub(crate) const UNCHOKE: u8 = 1;
pub(crate) const INTERESTED: u8 = 2;
pub(crate) const NOT_INTERESTED: u8 = 3;
pub(crate) const HAVE: u8 = 4;
pub(crate) const BITFIELD: u8 = 5;
pub(crate) const REQUEST: u8 = 6;
pub(crate) const PIECE: u8 = 7;
pub(crate) const CANCEL: u8 = 8;
pub(crate) const EXTENDED: u8 = 20;

/// A part of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Block {
    pub(crate) piece: u32,
    pub(crate) begin: u32,
    pub(crate) len: u32,
}

/// One message, or a slice of one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    Choke,
    Unchoke,
    /// Whether it wants what we have.
    Interested(bool),
    Have(u32),
    Bitfield(Vec<u8>),
    Request(Block),
    Cancel(Block),
    /// `data` belongs at `at` inside the block; the block ends when they reach its length.
    Data {
        block: Block,
        at: usize,
        data: &'a [u8],
    },
    /// Extension id and payload.
    Extended(u8, Vec<u8>),
    /// Keep-alives and what we do not know.
    Nothing,
}

/// Cuts a stream into messages. Bounded: never holds more than one message of at most 256 KiB.
#[derive(Default)]
pub(crate) struct Decoder {
    state: State,
}

enum State {
    /// Collecting the length, the id, and for `piece` the position.
    Head {
        bytes: [u8; 13],
        filled: usize,
    },
    Body {
        id: u8,
        need: usize,
        bytes: Vec<u8>,
    },
    Data {
        block: Block,
        at: usize,
    },
    Skip {
        left: usize,
    },
}

impl Default for State {
    fn default() -> Self {
        Self::Head { bytes: [0; 13], filled: 0 }
    }
}

impl Decoder {
    /// Takes from the front of `input`; `None`: more input is needed, and all of it was taken.
    pub(crate) fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Item<'a>>, CloseReason> {
        loop {
            match &mut self.state {
                State::Head { bytes, filled } => {
                    if !fill_head(bytes, filled, input) {
                        return Ok(None);
                    }
                    let head = *bytes;
                    self.state = State::default();
                    match start(&head)? {
                        Some(state) => self.state = state,
                        None => return Ok(Some(Item::Nothing)),
                    }
                }
                State::Body { id, need, bytes } => {
                    let (taken, rest) = input.split_at(input.len().min(*need - bytes.len()));
                    bytes.extend_from_slice(taken);
                    *input = rest;
                    if bytes.len() < *need {
                        return Ok(None);
                    }
                    let (id, bytes) = (*id, std::mem::take(bytes));
                    self.state = State::default();
                    return message(id, bytes).map(Some);
                }
                State::Data { block, at } => {
                    let left = block.len as usize - *at;
                    if input.is_empty() && left > 0 {
                        return Ok(None);
                    }
                    let (data, rest) = input.split_at(input.len().min(left));
                    *input = rest;
                    let item = Item::Data { block: *block, at: *at, data };
                    *at += data.len();
                    if *at == block.len as usize {
                        self.state = State::default();
                    }
                    return Ok(Some(item));
                }
                State::Skip { left } => {
                    let (taken, rest) = input.split_at(input.len().min(*left));
                    *left -= taken.len();
                    *input = rest;
                    if *left > 0 {
                        return Ok(None);
                    }
                    self.state = State::default();
                    return Ok(Some(Item::Nothing));
                }
            }
        }
    }
}

/// Takes what a head still needs; true when it is complete.
fn fill_head(bytes: &mut [u8; 13], filled: &mut usize, input: &mut &[u8]) -> bool {
    loop {
        let want = head_len(bytes, *filled);
        if *filled >= want {
            return true;
        }
        let (taken, rest) = input.split_at(input.len().min(want - *filled));
        if let Some(slot) = bytes.get_mut(*filled..*filled + taken.len()) {
            slot.copy_from_slice(taken);
        }
        *filled += taken.len();
        *input = rest;
        if *filled < want {
            return false;
        }
    }
}

/// How many bytes of a head are needed, as far as `filled` bytes tell.
fn head_len(bytes: &[u8; 13], filled: usize) -> usize {
    let length = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    match filled {
        0..4 => 4,
        4 if length == 0 => 4,
        4 => 5,
        _ if bytes[4] == PIECE && length >= 9 => 13,
        _ => filled.min(5),
    }
}

/// What follows a complete head; `None`: nothing. Every bound on a length is kept here.
fn start(head: &[u8; 13]) -> Result<Option<State>, CloseReason> {
    let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let Some(body) = length.checked_sub(1) else { return Ok(None) };
    let id = head[4];
    let most = match id {
        CHOKE | UNCHOKE | INTERESTED | NOT_INTERESTED => 0,
        HAVE => 4,
        REQUEST | CANCEL => 12,
        BITFIELD => MAX_BITFIELD,
        EXTENDED => MAX_EXTENDED,
        PIECE => MAX_BLOCK + 8,
        _ if body <= MAX_UNKNOWN => return Ok(Some(State::Skip { left: body })),
        _ => return Err(CloseReason::Protocol("a message is too long")),
    };
    if body > most {
        return Err(CloseReason::Protocol("a message is too long"));
    }
    if id == PIECE {
        if body < 8 {
            return Err(CloseReason::Protocol("a message is too short"));
        }
        let piece = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let begin = u32::from_be_bytes([head[9], head[10], head[11], head[12]]);
        return Ok(Some(State::Data { block: Block { piece, begin, len: (body - 8) as u32 }, at: 0 }));
    }
    // Grows as bytes arrive: a length alone reserves nothing.
    Ok(Some(State::Body { id, need: body, bytes: Vec::new() }))
}

fn message(id: u8, body: Vec<u8>) -> Result<Item<'static>, CloseReason> {
    const SHORT: CloseReason = CloseReason::Protocol("a message is too short");
    match id {
        CHOKE => Ok(Item::Choke),
        UNCHOKE => Ok(Item::Unchoke),
        INTERESTED | NOT_INTERESTED => Ok(Item::Interested(id == INTERESTED)),
        HAVE => body.as_slice().try_into().map(|piece| Item::Have(u32::from_be_bytes(piece))).map_err(|_| SHORT),
        BITFIELD => Ok(Item::Bitfield(body)),
        REQUEST | CANCEL => {
            let [piece, begin, len] = words(&body).ok_or(SHORT)?;
            let block = Block { piece, begin, len };
            Ok(if id == REQUEST { Item::Request(block) } else { Item::Cancel(block) })
        }
        EXTENDED => {
            let (id, payload) = body.split_first().ok_or(SHORT)?;
            Ok(Item::Extended(*id, payload.to_vec()))
        }
        _ => Ok(Item::Nothing),
    }
}

fn words(body: &[u8]) -> Option<[u32; 3]> {
    let mut words = body.chunks_exact(4).filter_map(|word| word.try_into().ok().map(u32::from_be_bytes));
    let three = [words.next()?, words.next()?, words.next()?];
    (body.len() == 12).then_some(three)
}

/// A message without payload.
pub(crate) fn put_plain(out: &mut BytesMut, id: u8) {
    out.put_u32(1);
    out.put_u8(id);
}

pub(crate) fn put_have(out: &mut BytesMut, piece: u32) {
    out.put_u32(5);
    out.put_u8(HAVE);
    out.put_u32(piece);
}

/// `id` is [`REQUEST`] or [`CANCEL`].
pub(crate) fn put_block(out: &mut BytesMut, id: u8, block: Block) {
    out.put_u32(13);
    out.put_u8(id);
    out.put_u32(block.piece);
    out.put_u32(block.begin);
    out.put_u32(block.len);
}

/// A message with a payload.
pub(crate) fn put_message(out: &mut BytesMut, id: u8, payload: &[u8]) {
    out.put_u32(payload.len() as u32 + 1);
    out.put_u8(id);
    out.put_slice(payload);
}

/// The 13 bytes before a block's payload.
pub(crate) fn piece_head(block: Block) -> [u8; 13] {
    let mut head = [0u8; 13];
    head[..4].copy_from_slice(&(block.len + 9).to_be_bytes());
    head[4] = PIECE;
    head[5..9].copy_from_slice(&block.piece.to_be_bytes());
    head[9..].copy_from_slice(&block.begin.to_be_bytes());
    head
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    /// Decodes in chunks and joins the slices of each block again.
    fn decode(bytes: &[u8], chunk: usize) -> Result<(Vec<String>, Vec<u8>), CloseReason> {
        let (mut decoder, mut items, mut payload) = (Decoder::default(), Vec::new(), Vec::new());
        for mut part in bytes.chunks(chunk) {
            while let Some(item) = decoder.next(&mut part)? {
                match item {
                    Item::Data { block, at, data } => {
                        payload.extend_from_slice(data);
                        if at + data.len() == block.len as usize {
                            items.push(format!("{block:?}"));
                        }
                    }
                    other => items.push(format!("{other:?}")),
                }
            }
            assert!(part.is_empty());
        }
        Ok((items, payload))
    }

    fn sample() -> Vec<u8> {
        let mut out = BytesMut::new();
        let block = Block { piece: 7, begin: 16384, len: 5 };
        put_plain(&mut out, UNCHOKE);
        out.put_u32(0);
        put_have(&mut out, 9);
        put_block(&mut out, REQUEST, block);
        put_message(&mut out, BITFIELD, &[1, 2, 3]);
        put_message(&mut out, 99, b"unknown");
        out.put_slice(&piece_head(block));
        out.put_slice(b"hello");
        put_message(&mut out, EXTENDED, &[3, 4]);
        out.put_slice(&piece_head(Block { len: 0, ..block }));
        put_plain(&mut out, CHOKE);
        out.to_vec()
    }

    #[test]
    fn messages_come_out_the_same_however_the_stream_is_cut() {
        let bytes = sample();
        let whole = decode(&bytes, bytes.len()).unwrap();
        assert_eq!(whole.0.len(), 11 - 1);
        assert_eq!(whole.1, b"hello");
        for chunk in 1..40 {
            assert_eq!(decode(&bytes, chunk).unwrap(), whole, "{chunk}");
        }
    }

    #[test]
    fn lengths_beyond_their_bound_are_refused_before_anything_is_read() {
        for (id, body) in [(CHOKE, 1), (HAVE, 5), (REQUEST, 13), (BITFIELD, MAX_BITFIELD + 1), (PIECE, MAX_BLOCK + 9)] {
            let mut out = BytesMut::new();
            out.put_u32(body as u32 + 1);
            out.put_u8(id);
            out.put_slice(&[0; 8]);
            assert!(decode(&out, 100).is_err(), "{id}");
        }
        assert!(decode(&[0xff; 5], 5).is_err());
        assert!(decode(&[0, 0, 0, 2, PIECE, 0], 6).is_err());
        assert!(decode(&[0, 0, 0, 3, HAVE, 0, 0], 7).is_err());
    }

    proptest! {
        #[test]
        fn garbage_is_answered_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), chunk in 1usize..50) {
            let _ = decode(&bytes, chunk);
        }

        #[test]
        fn small_lengths_with_any_content_are_answered_without_a_panic(parts in proptest::collection::vec((0u8..20, 0u8..25, any::<u8>()), 0..50), chunk in 1usize..9) {
            let bytes: Vec<u8> = parts.iter().flat_map(|(len, id, fill)| {
                let mut part = vec![0, 0, 0, *len];
                part.extend((0..*len).map(|at| if at == 0 { *id } else { *fill }));
                part
            }).collect();
            let _ = decode(&bytes, chunk);
        }
    }
}
