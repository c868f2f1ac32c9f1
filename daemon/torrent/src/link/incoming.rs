//! Handles the messages of the other side.

use std::sync::atomic::Ordering;

use super::framing::{self, Block, Item, MAX_BLOCK};
use super::metadata::{self, DONE_ID, Message, OUR_ID};
use super::send_queue::Request;
use super::{Link, Report, Theirs, View};
use crate::bitfield::Bitfield;
use crate::event::CloseReason;
use crate::metainfo::{BLOCK, HASH, MAX_METADATA};

/// `have` messages kept while the number of pieces is not known.
const MAX_EARLY: usize = MAX_METADATA / HASH;

/// How often a link may request the whole metadata; and this many blocks besides.
const MAX_METADATA_SERVED: usize = 4;

impl Link {
    /// Takes what was read.
    pub(super) fn take(&mut self, mut input: &[u8]) -> Result<(), CloseReason> {
        // Moved out for the borrow of `input`; put back whatever happens.
        let mut decoder = std::mem::take(&mut self.decoder);
        let mut haves = Vec::new();
        let result = loop {
            match decoder.next(&mut input) {
                Ok(Some(item)) => {
                    if let Err(reason) = self.item(item, &mut haves) {
                        break Err(reason);
                    }
                }
                Ok(None) => break Ok(()),
                Err(reason) => break Err(reason),
            }
        };
        self.decoder = decoder;
        if !haves.is_empty() {
            self.pending.push(Report::Have(haves));
        }
        result
    }

    fn item(&mut self, item: Item<'_>, haves: &mut Vec<u32>) -> Result<(), CloseReason> {
        match item {
            Item::Data { block, at, data } => {
                if let Some(piece) = self.downloads.data(block, at, data)? {
                    self.pending.push(Report::PieceComplete(piece));
                }
                Ok(())
            }
            Item::Interested(interested) => {
                self.interested = interested;
                self.pending.push(Report::Interested(interested));
                if interested { Ok(()) } else { self.tell_withheld() }
            }
            Item::Have(piece) => self.they_have(piece, haves),
            Item::Bitfield(bits) => self.bitfield(bits),
            Item::Request(block) => self.request(block),
            Item::Cancel(block) => {
                self.send_queue.cancel(block);
                Ok(())
            }
            Item::Choke => {
                let pieces = self.downloads.choke();
                self.pending.extend([Report::Capacity(0), Report::Released(pieces)]);
                Ok(())
            }
            Item::Unchoke => {
                self.downloads.unchoke();
                Ok(())
            }
            Item::Extended(0, payload) => self.extension_handshake(&payload),
            Item::Extended(OUR_ID, payload) => self.metadata_message(&payload),
            Item::Extended(DONE_ID, _) => {
                if !std::mem::replace(&mut self.is_done, true) {
                    self.pending.push(Report::Done);
                }
                Ok(())
            }
            Item::Extended(..) | Item::Nothing => Ok(()),
        }
    }

    fn they_have(&mut self, piece: u32, haves: &mut Vec<u32>) -> Result<(), CloseReason> {
        match &mut self.theirs {
            Theirs::Known(theirs) => {
                if piece >= theirs.len() {
                    return Err(CloseReason::Protocol("a piece that does not exist"));
                }
                if theirs.set(piece) {
                    haves.push(piece);
                }
                Ok(())
            }
            Theirs::Raw(_, early) if early.len() < MAX_EARLY => {
                early.push(piece);
                Ok(())
            }
            Theirs::Raw(..) => Err(CloseReason::Protocol("more pieces than can exist")),
        }
    }

    /// Announces a piece, unless the other side is a receiver that has it too. To a sender it is the progress of its
    /// receiver.
    pub(super) fn tell_have(&mut self, piece: u32) -> Result<(), CloseReason> {
        if matches!(&self.theirs, Theirs::Known(theirs) if self.interested && theirs.has(piece)) {
            self.withheld.push(piece);
            return Ok(());
        }
        self.send_queue.control(|out| framing::put_have(out, piece))
    }

    /// Announces withheld pieces, when we are complete or the other side is not interested any more.
    pub(super) fn tell_withheld(&mut self) -> Result<(), CloseReason> {
        let withheld = std::mem::take(&mut self.withheld);
        self.send_queue.control(|out| withheld.into_iter().for_each(|piece| framing::put_have(out, piece)))
    }

    /// One for each link (BEP 3): each makes the swarm look at all pieces, and waits in up to 210 KB. But aria2 sends
    /// further ones in place of many `have`s, so one with enough news for its length is accepted.
    fn bitfield(&mut self, bits: Vec<u8>) -> Result<(), CloseReason> {
        let again = std::mem::replace(&mut self.bitfield_came, true);
        match &mut self.theirs {
            Theirs::Raw(..) if again => return Err(SECOND_BITFIELD),
            Theirs::Known(theirs) => {
                let new = Bitfield::from_peer(bits, theirs.len()).ok_or(BAD_BITFIELD)?;
                let news = new.iter().filter(|piece| !theirs.has(*piece)).count();
                if again && (news == 0 || theirs.bytes().len() > news * HAVES) {
                    return Err(SECOND_BITFIELD);
                }
                *theirs = new.clone();
                self.pending.push(Report::Has(new));
            }
            Theirs::Raw(raw, _) => *raw = bits,
        }
        Ok(())
    }

    fn request(&mut self, block: Block) -> Result<(), CloseReason> {
        let Some(view) = self.view.get() else {
            return Err(CloseReason::Protocol("a request before anything was offered"));
        };
        let end = u64::from(block.begin) + u64::from(block.len);
        if block.len == 0 || block.len as usize > MAX_BLOCK || end > view.meta.piece_len(block.piece) as u64 {
            return Err(CloseReason::Protocol("a request beyond the content"));
        }
        if !self.ours.has(block.piece) {
            return Err(CloseReason::Protocol("a request for a piece that was not offered"));
        }
        // Requested before our choke arrived: it will request again (BEP 3).
        if self.choking {
            return Ok(());
        }
        if block.begin == 0 {
            self.pending.push(Report::Requested(block.piece));
        }
        self.send_queue.request(Request::Block(block))
    }

    fn extension_handshake(&mut self, payload: &[u8]) -> Result<(), CloseReason> {
        let theirs = metadata::read_handshake(payload)?;
        if let Some(id) = theirs.metadata_id {
            self.metadata_id.store(u64::from(id), Ordering::Relaxed);
        }
        self.done_id = theirs.done_id.or(self.done_id);
        if let Some(requests) = theirs.requests {
            self.downloads.accepts(requests);
        }
        if let (Some(_), Some(size), None) = (theirs.metadata_id, theirs.metadata_size, self.view.get()) {
            self.pending.push(Report::HasMetadata(size));
        }
        Ok(())
    }

    fn metadata_message(&mut self, payload: &[u8]) -> Result<(), CloseReason> {
        match metadata::read_message(payload)? {
            // It has not said how to answer, or we never announced metadata.
            Message::Request(_) if self.metadata_id.load(Ordering::Relaxed) == 0 || self.view.get().is_none() => Ok(()),
            Message::Request(block) => {
                self.metadata_served += 1;
                let blocks = self.view.get().map_or(0, |view| view.meta.info.len().div_ceil(BLOCK));
                // Within the upload limit, but of no use.
                if self.metadata_served > MAX_METADATA_SERVED * blocks + MAX_METADATA_SERVED {
                    return Err(CloseReason::Protocol("it requests the metadata again and again"));
                }
                self.send_queue.request(Request::Metadata(block))
            }
            Message::Data(block, data) => match self.incoming.take() {
                Some(mut incoming) => {
                    self.metadata_blocks += 1;
                    if incoming.data(block, data)? {
                        self.pending.push(Report::Metadata(incoming.into_bytes()));
                        return Ok(());
                    }
                    self.incoming = Some(incoming);
                    self.ask_metadata()
                }
                None => Err(CloseReason::Protocol("a metadata block that was not requested")),
            },
            Message::Reject => {
                if self.incoming.take().is_some() {
                    self.pending.push(Report::MetadataRejected);
                }
                Ok(())
            }
            Message::Other => Ok(()),
        }
    }

    /// Requests the next metadata blocks.
    pub(super) fn ask_metadata(&mut self) -> Result<(), CloseReason> {
        let id = self.metadata_id.load(Ordering::Relaxed) as u8;
        match &mut self.incoming {
            Some(incoming) => self.send_queue.control(|out| incoming.fill(id, out)),
            None => Ok(()),
        }
    }

    /// The metadata is known: interprets what the other side announced before.
    pub(super) fn know(&mut self, view: View) -> Result<(), CloseReason> {
        let pieces = view.meta.pieces();
        // Set once; a swarm sends it once.
        let _ = self.view.set(view);
        if let Theirs::Raw(raw, early) = &mut self.theirs {
            let (raw, early) = (std::mem::take(raw), std::mem::take(early));
            let mut theirs = if raw.is_empty() {
                Bitfield::empty(pieces)
            } else {
                Bitfield::from_peer(raw, pieces).ok_or(BAD_BITFIELD)?
            };
            for piece in early {
                if piece >= pieces {
                    return Err(CloseReason::Protocol("a piece that does not exist"));
                }
                theirs.set(piece);
            }
            self.pending.push(Report::Has(theirs.clone()));
            self.theirs = Theirs::Known(theirs);
        }
        Ok(())
    }
}

/// A `have` has 9 bytes; with some room.
const HAVES: usize = 16;
const SECOND_BITFIELD: CloseReason = CloseReason::Protocol("a second bitfield");
const BAD_BITFIELD: CloseReason = CloseReason::Protocol("a bitfield that does not fit the content");
