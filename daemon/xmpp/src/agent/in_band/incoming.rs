//! What the other device sends: it opens, sends blocks, and closes.

use std::io::ErrorKind;
use std::time::Instant;

use tokio_xmpp::jid::{self, Jid};
use tokio_xmpp::minidom::Element;
use tokio_xmpp::parsers::stanza_error::{DefinedCondition, ErrorType};
use xbt_core::signal::MAX_STREAM_ID;

use super::{EARLY, Early, MOST_BLOCK, MOST_EARLY, MOST_EARLY_OF_ONE, MOST_OWED};
use crate::agent::Agent;
use crate::agent::iq::{bad_request, error, unavailable};
use crate::in_band_stream::End;
use crate::payload::in_band as xml;

impl Agent {
    /// An IQ set of this namespace.
    pub(in super::super) fn in_band(&mut self, from: Option<Jid>, id: String, payload: Element, now: Instant) {
        let friend = from.clone().filter(|from| self.is_friend(from)).and_then(|from| from.try_into_full().ok());
        let Some(peer) = friend else { return self.reply(from, id, Err(unavailable())) };
        match payload.name() {
            "open" => match xml::Open::try_from(payload) {
                Ok(open) => self.open_came(peer, id, open, now),
                Err(_) => self.reply(from, id, Err(bad_request())),
            },
            "data" => self.data_came(peer, id, payload, now),
            "close" => {
                let close = xml::Close::try_from(payload).ok();
                // The device gave up before we expected its stream.
                self.in_band.early.retain(|e| e.peer != peer || close.as_ref().is_none_or(|c| c.sid != e.open.sid));
                match close.and_then(|close| self.in_band.find(&peer, &close.sid)) {
                    Some(number) => {
                        self.reply(from, id, Ok(None));
                        self.end(number, End::Closed);
                    }
                    None => self.refuse_in_band(&peer, id, ErrorType::Cancel, DefinedCondition::ItemNotFound),
                }
            }
            _ => self.refuse_in_band(&peer, id, ErrorType::Cancel, DefinedCondition::FeatureNotImplemented),
        }
    }

    fn refuse_in_band(&mut self, peer: &jid::FullJid, id: String, kind: ErrorType, condition: DefinedCondition) {
        self.reply(Some(peer.clone().into()), id, Err(error(kind, condition)));
    }

    fn open_came(&mut self, peer: jid::FullJid, id: String, open: xml::Open, now: Instant) {
        let by_iq = open.stanza.as_deref().is_none_or(|stanza| stanza == "iq");
        let named = !open.sid.is_empty() && open.sid.len() <= MAX_STREAM_ID;
        if !by_iq || !named || open.block_size == 0 || self.in_band.knows(&peer, &open.sid) {
            return self.refuse_in_band(&peer, id, ErrorType::Cancel, DefinedCondition::NotAcceptable);
        }
        self.in_band.expected.retain(|expected| !expected.reply.is_closed());
        if self.in_band.expected.iter().any(|expected| expected.peer == peer && expected.sid == open.sid) {
            return self.accept(peer, id, open);
        }
        let of_one = self.in_band.early.iter().filter(|early| early.peer.to_bare() == peer.to_bare()).count();
        if of_one >= MOST_EARLY_OF_ONE || self.in_band.early.len() >= MOST_EARLY {
            return self.refuse_in_band(&peer, id, ErrorType::Cancel, DefinedCondition::NotAcceptable);
        }
        self.in_band.early.push_back(Early { peer, id, open, until: now + EARLY });
    }

    /// Takes a stream that is expected.
    pub(super) fn accept(&mut self, peer: jid::FullJid, id: String, open: xml::Open) {
        let block = usize::try_from(open.block_size).unwrap_or(usize::MAX);
        if !self.in_band.has_place(&peer) || block > MOST_BLOCK {
            // The one who opens then asks for smaller blocks, or gives up.
            return self.refuse_in_band(&peer, id, ErrorType::Modify, DefinedCondition::ResourceConstraint);
        }
        let position = self.in_band.expected.iter().position(|e| e.peer == peer && e.sid == open.sid);
        let Some(expected) = position.map(|at| self.in_band.expected.swap_remove(at)) else { return };
        if self.in_band.begin(peer.clone(), open.sid, block, expected.reply) {
            self.reply(Some(peer.into()), id, Ok(None));
        } else {
            self.refuse_in_band(&peer, id, ErrorType::Cancel, DefinedCondition::NotAcceptable);
        }
    }

    fn data_came(&mut self, peer: jid::FullJid, id: String, payload: Element, now: Instant) {
        let number = payload.attr("sid").and_then(|sid| self.in_band.find(&peer, sid));
        let stream = number.and_then(|number| Some((number, self.in_band.streams.get_mut(&number)?)));
        let Some((number, stream)) = stream else {
            return self.refuse_in_band(&peer, id, ErrorType::Cancel, DefinedCondition::ItemNotFound);
        };
        let fault = match xml::Data::try_from(payload) {
            Err(_) => Some(DefinedCondition::BadRequest),
            Ok(data) if data.data.len() > stream.block => Some(DefinedCondition::BadRequest),
            Ok(data) if data.seq != stream.next_in => Some(DefinedCondition::UnexpectedRequest),
            Ok(_) if stream.owed.len() >= MOST_OWED => Some(DefinedCondition::ResourceConstraint),
            Ok(data) if !stream.pipe.deliver(&data.data) => Some(DefinedCondition::ResourceConstraint),
            Ok(data) => {
                stream.next_in = stream.next_in.wrapping_add(1);
                stream.received += data.data.len() as u64;
                stream.owed.push_back((id.clone(), stream.received));
                None
            }
        };
        if let Some(condition) = fault {
            tracing::debug!(%peer, ?condition, "an in-band bytestream breaks the rules");
            self.refuse_in_band(&peer, id, ErrorType::Cancel, condition);
            self.give_up(number, ErrorKind::InvalidData, "the other device broke the rules of the bytestream", now);
        }
    }

    /// Refuses what came early and was not expected in time.
    pub(in super::super) fn expire_early(&mut self, now: Instant) {
        while self.in_band.early.front().is_some_and(|early| early.until <= now)
            && let Some(early) = self.in_band.early.pop_front()
        {
            self.refuse_in_band(&early.peer, early.id, ErrorType::Cancel, DefinedCondition::NotAcceptable);
        }
    }
}
