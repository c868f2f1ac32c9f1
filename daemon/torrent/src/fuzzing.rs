//! The private parsers, for the targets in `tests/fuzz` alone. Not an interface: it may change at any time.

use bytes::{BufMut, BytesMut};

use crate::error::EngineError;
use crate::event::CloseReason;
use crate::link::{framing, metadata};
use crate::metainfo::Metainfo;

/// A message of a link, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Without payload, by its id.
    Plain(u8),
    /// `have`
    Have(u32),
    /// Id (request or cancel), piece, begin, length.
    Block(u8, [u32; 3]),
    /// Piece, begin, data.
    Piece(u32, u32, Vec<u8>),
    /// Id (bitfield or extended) and payload.
    Payload(u8, Vec<u8>),
}

/// Decodes a stream that arrives in chunks of `chunk` bytes (at least 1) up to its end or its first fault. What means
/// nothing to a link is left out.
pub fn link_messages(bytes: &[u8], chunk: usize) -> (Vec<Message>, Option<CloseReason>) {
    let (mut decoder, mut messages, mut data) = (framing::Decoder::default(), Vec::new(), Vec::new());
    for mut part in bytes.chunks(chunk.max(1)) {
        loop {
            match decoder.next(&mut part) {
                Ok(None) => break,
                Ok(Some(item)) => messages.extend(whole(item, &mut data)),
                Err(reason) => return (messages, Some(reason)),
            }
        }
        assert!(part.is_empty(), "a decoder that wants more has taken everything");
    }
    (messages, None)
}

fn whole(item: framing::Item<'_>, data: &mut Vec<u8>) -> Option<Message> {
    Some(match item {
        framing::Item::Choke => Message::Plain(framing::CHOKE),
        framing::Item::Unchoke => Message::Plain(framing::UNCHOKE),
        framing::Item::Interested(true) => Message::Plain(framing::INTERESTED),
        framing::Item::Interested(false) => Message::Plain(framing::NOT_INTERESTED),
        framing::Item::Have(piece) => Message::Have(piece),
        framing::Item::Bitfield(bytes) => Message::Payload(framing::BITFIELD, bytes),
        framing::Item::Request(block) => Message::Block(framing::REQUEST, [block.piece, block.begin, block.len]),
        framing::Item::Cancel(block) => Message::Block(framing::CANCEL, [block.piece, block.begin, block.len]),
        framing::Item::Data { block, at, data: slice } => {
            assert_eq!(at, data.len(), "slices of a block come in order");
            data.extend_from_slice(slice);
            assert!(data.len() <= block.len as usize, "and do not exceed it");
            if data.len() < block.len as usize {
                return None;
            }
            Message::Piece(block.piece, block.begin, std::mem::take(data))
        }
        framing::Item::Extended(id, payload) => Message::Payload(framing::EXTENDED, [vec![id], payload].concat()),
        framing::Item::Nothing => return None,
    })
}

/// Writes messages as a link does.
pub fn put_messages(messages: &[Message]) -> Vec<u8> {
    let mut out = BytesMut::new();
    for message in messages {
        match message {
            Message::Plain(id) => framing::put_plain(&mut out, *id),
            Message::Have(piece) => framing::put_have(&mut out, *piece),
            Message::Block(id, [piece, begin, len]) => {
                framing::put_block(&mut out, *id, framing::Block { piece: *piece, begin: *begin, len: *len });
            }
            Message::Piece(piece, begin, data) => {
                let block = framing::Block { piece: *piece, begin: *begin, len: data.len() as u32 };
                out.put_slice(&framing::piece_head(block));
                out.put_slice(data);
            }
            Message::Payload(id, payload) => framing::put_message(&mut out, *id, payload),
        }
    }
    out.to_vec()
}

/// What an extension handshake (BEP 10) announces: the id for metadata messages and the metadata's size.
///
/// # Errors
/// It is not one.
pub fn extension_handshake(payload: &[u8]) -> Result<(Option<u8>, Option<u32>), CloseReason> {
    metadata::read_handshake(payload).map(|theirs| (theirs.metadata_id, theirs.metadata_size))
}

/// The piece's number and the data of a `data` message (BEP 9); none for the other messages.
///
/// # Errors
/// It is not a metadata message.
pub fn metadata_block(payload: &[u8]) -> Result<Option<(u32, &[u8])>, CloseReason> {
    metadata::read_message(payload).map(|message| match message {
        metadata::Message::Data(piece, data) => Some((piece, data)),
        metadata::Message::Request(_) | metadata::Message::Reject | metadata::Message::Other => None,
    })
}

/// An accepted info dictionary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// As the sender wrote it.
    pub name: String,
    /// Whether the content is one file.
    pub single: bool,
    /// Bytes of the content.
    pub size: u64,
    /// Path, offset and length of each file.
    pub files: Vec<(String, u64, u64)>,
    /// Symbolic links: path and text.
    pub links: Vec<(String, String)>,
    /// Empty folders.
    pub folders: Vec<String>,
    /// Offset and length of each piece, and the parts of files (index, offset, length) that it covers.
    pub pieces: Vec<(u64, usize, Segments)>,
    /// Whether every piece has a hash, and none is left over.
    pub hashed: bool,
}

/// Parts of files: index, offset, length.
pub type Segments = Vec<(usize, u64, usize)>;

/// Reads an info dictionary as it comes from another device.
///
/// # Errors
/// It is refused.
pub fn metainfo(info: &[u8]) -> Result<Accepted, EngineError> {
    let meta = Metainfo::parse(info.to_vec().into())?;
    let piece = |index| {
        let (offset, len) = (meta.piece_offset(index), meta.piece_len(index));
        let segments = meta.segments(offset, len).map(|part| (part.file, part.offset, part.len));
        (offset, len, segments.collect())
    };
    let count = meta.pieces();
    Ok(Accepted {
        name: meta.name.clone(),
        single: meta.single,
        size: meta.size,
        files: meta.files.iter().map(|file| (file.path.clone(), file.offset, file.len)).collect(),
        links: meta
            .files
            .iter()
            .filter_map(|file| Some((file.path.clone(), file.link.as_deref()?.to_owned())))
            .collect(),
        folders: meta.folders.clone(),
        pieces: (0..count).map(piece).collect(),
        hashed: (0..count).all(|index| meta.piece_hash(index).is_some()) && meta.piece_hash(count).is_none(),
    })
}
