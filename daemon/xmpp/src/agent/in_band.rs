//! In-band bytestreams (XEP-0047): stanzas on one side, [`Pipe`]s on the other.
//!
//! They are the last resort and must not hold up what the stream is for. So data goes out in few blocks at once
//! ([`MOST_UNACKED`]), which a server that lets 10 kB/s through (Prosody's default) has taken within two seconds, and
//! behind every other stanza that waits.

use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_xmpp::Stanza;
use tokio_xmpp::jid::{self, Jid};
use xbt_core::ids::FullJid;
use xbt_core::signal::{Condition, MAX_STREAM_ID, Refusal};

use super::{Agent, Payload, Purpose, address};
use crate::call::{RelayError, Reply};
use crate::in_band_stream::{End, InBandStream, Pipe};
use crate::payload::in_band as xml;

mod incoming;

/// Streams that are open or being opened, of all contacts and of one: whatever one does with its own, there is a place
/// for others.
pub(super) const MOST: usize = 6;
const MOST_OF_ONE: usize = 2;

/// Streams that are expected, likewise.
const MOST_EXPECTED: usize = 16;
const MOST_EXPECTED_OF_ONE: usize = 4;

/// Blocks without an acknowledgement, of one contact and of all: one that acknowledges nothing does not hold up the
/// others. A block of 4096 bytes is some 5.7 kB of XML.
const MOST_UNACKED_OF_ONE: usize = 2;
const MOST_UNACKED: usize = 3;

/// A block that is under way for longer does not count among those of all for a contact that has none under way: several
/// contacts together could otherwise hold all of them indefinitely. It is more than a server with the usual limits takes. With
/// [`MOST`] streams there are at most `MOST_UNACKED + MOST - 1` blocks under way so.
const OVERDUE: Duration = Duration::from_secs(3);

/// A server that takes longer than this for a block gets one at a time.
const SLOW: Duration = Duration::from_millis(1500);

/// Bytes of a block, before base64: what we ask for, the least that we go down to, and the most that we take.
const BLOCK: usize = 4096;
const LEAST_BLOCK: usize = 256;
const MOST_BLOCK: usize = 16_384;

/// Blocks that came and wait for our reader.
const MOST_OWED: usize = 64;

/// A stream may be opened before it is expected, since the answer that makes it so takes its own way through the
/// program. Such streams are kept for this long; limits for all contacts and for one.
pub(super) const EARLY: Duration = Duration::from_secs(3);
const MOST_EARLY: usize = 8;
const MOST_EARLY_OF_ONE: usize = 2;

/// A stream that we open.
#[derive(Debug)]
struct Opening {
    peer: jid::FullJid,
    sid: String,
    block: usize,
    reply: Reply<InBandStream>,
}

/// A stream that is to come.
#[derive(Debug)]
struct Expected {
    peer: jid::FullJid,
    sid: String,
    reply: Reply<InBandStream>,
}

/// A stream that came before it was expected.
#[derive(Debug)]
struct Early {
    peer: jid::FullJid,
    id: String,
    open: xml::Open,
    until: Instant,
}

/// A stream that is open.
#[derive(Debug)]
struct Stream {
    peer: jid::FullJid,
    sid: String,
    /// Bytes of the longest block.
    block: usize,
    pipe: Arc<Pipe>,
    /// The numbers of the next blocks; after 65535 comes 0.
    next_out: u16,
    next_in: u16,
    unacked: usize,
    /// Blocks that may be without an acknowledgement at present.
    window: usize,
    /// Bytes that came since the beginning.
    received: u64,
    /// What is to be acknowledged: the id of each block, and the number of bytes up to its end.
    owed: VecDeque<(String, u64)>,
}

/// All in-band bytestreams of the session.
#[derive(Debug, Default)]
pub(super) struct InBand {
    /// Rung by the program's ends.
    bell: Arc<Notify>,
    opening: BTreeMap<u64, Opening>,
    streams: BTreeMap<u64, Stream>,
    expected: Vec<Expected>,
    early: VecDeque<Early>,
    next: u64,
    /// The stream that sent last: the others come first.
    last: u64,
}

impl InBand {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Whether there is a place for a further stream with this device.
    fn has_place(&self, peer: &jid::FullJid) -> bool {
        let peers = || self.streams.values().map(|s| &s.peer).chain(self.opening.values().map(|o| &o.peer));
        peers().count() < MOST && peers().filter(|other| is_same_contact(other, peer)).count() < MOST_OF_ONE
    }

    /// Blocks of all streams with this contact that are not acknowledged yet.
    fn unacked_of(&self, peer: &jid::FullJid) -> usize {
        self.streams.values().filter(|stream| is_same_contact(&stream.peer, peer)).map(|stream| stream.unacked).sum()
    }

    fn find(&self, peer: &jid::FullJid, sid: &str) -> Option<u64> {
        let same = |(_, stream): &(&u64, &Stream)| stream.peer == *peer && stream.sid == sid;
        self.streams.iter().find(same).map(|(number, _)| *number)
    }

    /// Whether a stream of this name is there or on its way.
    fn knows(&self, peer: &jid::FullJid, sid: &str) -> bool {
        self.find(peer, sid).is_some() || self.opening.values().any(|o| o.peer == *peer && o.sid == sid)
    }

    /// Gives the program its end. False: it does not want it any more.
    fn begin(&mut self, peer: jid::FullJid, sid: String, block: usize, reply: Reply<InBandStream>) -> bool {
        let (end, pipe) = Pipe::new(self.bell.clone());
        let number = self.number();
        self.streams.insert(
            number,
            Stream {
                peer,
                sid,
                block,
                pipe,
                next_out: 0,
                next_in: 0,
                unacked: 0,
                window: MOST_UNACKED_OF_ONE,
                received: 0,
                owed: VecDeque::new(),
            },
        );
        let wanted = reply.send(Ok(end)).is_ok();
        if !wanted {
            self.streams.remove(&number);
        }
        wanted
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.early.front().map(|early| early.until)
    }

    /// As if `seq` blocks had gone both ways.
    #[cfg(test)]
    pub(super) fn wind_on(&mut self, seq: u16) {
        for stream in self.streams.values_mut() {
            (stream.next_in, stream.next_out) = (seq, seq);
        }
    }

    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        (self.streams.len(), self.early.len(), self.expected.len())
    }
}

impl Drop for InBand {
    /// A session that was replaced, or stops, leaves no stream waiting.
    fn drop(&mut self) {
        let end = || End::Failed(ErrorKind::ConnectionReset, "the XMPP session has ended".to_owned());
        self.streams.values().for_each(|stream| stream.pipe.end(end()));
    }
}

impl Agent {
    /// Rings when the program has read or written.
    pub(crate) fn bell(&self) -> Arc<Notify> {
        self.in_band.bell.clone()
    }

    pub(super) fn open_in_band(&mut self, to: &FullJid, sid: String, reply: Reply<InBandStream>, now: Instant) {
        let outcome = match address::from_full(to) {
            Err(_) => Err(RelayError::BadName(to.to_string())),
            Ok(_) if sid.is_empty() || sid.len() > MAX_STREAM_ID => Err(RelayError::BadName(sid.clone())),
            Ok(peer) if self.in_band.knows(&peer, &sid) => Err(RelayError::BadName(sid.clone())),
            Ok(peer) if !self.in_band.has_place(&peer) => Err(RelayError::TooMany),
            Ok(peer) => Ok(peer),
        };
        match outcome {
            Ok(peer) => self.ask_to_open(Opening { peer, sid, block: BLOCK, reply }, now),
            // The caller may have given up.
            Err(why) => drop(reply.send(Err(why))),
        }
    }

    fn ask_to_open(&mut self, opening: Opening, now: Instant) {
        let number = self.in_band.number();
        let block_size = u32::try_from(opening.block).unwrap_or(u32::MAX);
        let open = xml::Open { sid: opening.sid.clone(), block_size, stanza: Some("iq".to_owned()) };
        let to = opening.peer.clone();
        self.in_band.opening.insert(number, opening);
        self.ask(Some(to.into()), Payload::Set(open.into()), Purpose::Open { number }, now);
    }

    /// The answer to an `<open/>` of ours; none came in time: `None`.
    pub(super) fn opened(&mut self, number: u64, answer: Option<Result<(), Refusal>>, now: Instant) {
        let Some(mut opening) = self.in_band.opening.remove(&number) else { return };
        match answer {
            Some(Ok(())) => {
                let Opening { peer, sid, block, reply } = opening;
                if !self.in_band.begin(peer.clone(), sid.clone(), block, reply) {
                    self.send_close(peer, sid, now);
                }
            }
            Some(Err(refusal))
                if refusal.condition == Condition::ResourceConstraint
                    && opening.block / 2 >= LEAST_BLOCK
                    && !opening.reply.is_closed() =>
            {
                opening.block /= 2;
                self.ask_to_open(opening, now);
            }
            Some(Err(refusal)) => {
                let who = opening.peer.to_string();
                drop(opening.reply.send(Err(RelayError::Refused { who, text: said(&refusal) })));
            }
            None => {
                let Opening { peer, sid, reply, .. } = opening;
                drop(reply.send(Err(RelayError::NoAnswer(peer.to_string()))));
                // It may be open over there.
                self.send_close(peer, sid, now);
            }
        }
    }

    pub(super) fn expect_in_band(&mut self, device: &FullJid, sid: String, reply: Reply<InBandStream>) {
        self.in_band.expected.retain(|expected| !expected.reply.is_closed());
        let peer = match address::from_full(device) {
            Ok(peer) if !sid.is_empty() && sid.len() <= MAX_STREAM_ID => peer,
            Ok(_) | Err(_) => return drop(reply.send(Err(RelayError::BadName(sid)))),
        };
        let of_one = self.in_band.expected.iter().filter(|expected| is_same_contact(&expected.peer, &peer)).count();
        if self.in_band.expected.len() >= MOST_EXPECTED || of_one >= MOST_EXPECTED_OF_ONE {
            return drop(reply.send(Err(RelayError::TooMany)));
        }
        self.in_band.expected.push(Expected { peer: peer.clone(), sid: sid.clone(), reply });
        let early = self.in_band.early.iter().position(|early| early.peer == peer && early.open.sid == sid);
        if let Some(Early { peer, id, open, .. }) = early.and_then(|at| self.in_band.early.remove(at)) {
            self.accept(peer, id, open);
        }
    }

    /// Ends the streams of a device, or a contact, that went offline.
    pub(super) fn in_band_gone(&mut self, who: &Jid) {
        let is_gone = |peer: &jid::FullJid| match who.try_as_full() {
            Ok(device) => device == peer,
            Err(_) => peer.to_bare() == who.to_bare(),
        };
        self.in_band.early.retain(|early| !is_gone(&early.peer));
        let gone: Vec<u64> =
            self.in_band.streams.iter().filter(|(_, s)| is_gone(&s.peer)).map(|(number, _)| *number).collect();
        for number in gone {
            self.end(number, End::Failed(ErrorKind::ConnectionReset, "the device went offline".to_owned()));
        }
    }

    /// An answer to a block of ours; none came in time: `None`.
    pub(super) fn block_answered(
        &mut self,
        number: u64,
        answer: Option<Result<(), Refusal>>,
        sent: Instant,
        now: Instant,
    ) {
        let Some(stream) = self.in_band.streams.get_mut(&number) else { return };
        match answer {
            Some(Ok(())) => {
                stream.unacked -= 1;
                let slow = now.saturating_duration_since(sent) > SLOW;
                stream.window = if slow { 1 } else { MOST_UNACKED_OF_ONE };
            }
            Some(Err(refusal)) => {
                let reason = format!("the other device ended the bytestream ({})", said(&refusal));
                self.give_up(number, ErrorKind::ConnectionReset, &reason, now);
            }
            None => self.give_up(number, ErrorKind::TimedOut, "the other device takes nothing any more", now),
        }
    }

    /// Acknowledges what was read, and closes what is finished. To be called before [`Self::take_block`].
    pub(crate) fn tend_in_band(&mut self, now: Instant) {
        let (mut read, mut finished) = (Vec::new(), Vec::new());
        for (number, stream) in &mut self.in_band.streams {
            let taken = stream.pipe.taken();
            let count = stream.owed.iter().take_while(|(_, end)| *end <= taken).count();
            read.extend(stream.owed.drain(..count).map(|(id, _)| (stream.peer.clone(), id)));
            if stream.unacked == 0 && stream.pipe.is_finished() {
                finished.push(*number);
            }
        }
        for (peer, id) in read {
            self.reply(Some(peer.into()), id, Ok(None));
        }
        for number in finished {
            if let Some(stream) = self.in_band.streams.get(&number) {
                let (peer, sid) = (stream.peer.clone(), stream.sid.clone());
                self.send_close(peer, sid, now);
                self.end(number, End::Closed);
            }
        }
    }

    /// The next block, of each stream in turn.
    pub(crate) fn take_block(&mut self, now: Instant) -> Option<Stanza> {
        if self.fresh_blocks(now) >= MOST_UNACKED {
            return None;
        }
        let full = self.in_band.streams.values().map(|stream| stream.unacked).sum::<usize>() >= MOST_UNACKED;
        let last = self.in_band.last;
        let mut order: Vec<u64> = self.in_band.streams.keys().copied().collect();
        order.sort_by_key(|number| (*number <= last, *number));
        for number in order {
            let Some(peer) = self.in_band.streams.get(&number).map(|stream| &stream.peer) else { continue };
            let of_one = self.in_band.unacked_of(peer);
            let Some(stream) = self.in_band.streams.get_mut(&number) else { continue };
            if stream.unacked >= stream.window || of_one >= MOST_UNACKED_OF_ONE || full && of_one > 0 {
                continue;
            }
            // A part of a block goes out only if nothing is under way (RFC 896): small writes make large blocks.
            let Some(data) = stream.pipe.take_block(stream.block, stream.unacked == 0) else { continue };
            let data = xml::Data { sid: stream.sid.clone(), seq: stream.next_out, data };
            stream.next_out = stream.next_out.wrapping_add(1);
            stream.unacked += 1;
            let to = stream.peer.clone();
            self.in_band.last = number;
            return Some(self.sent.ask_block(to.into(), data.into(), number, now));
        }
        None
    }

    /// Blocks of open streams that are not acknowledged and not overdue.
    fn fresh_blocks(&self, now: Instant) -> usize {
        self.unacknowledged().filter(|sent| *sent + OVERDUE > now).count()
    }

    /// When a block is overdue and another contact may send one: nothing else wakes us then.
    pub(crate) fn block_overdue(&self, now: Instant) -> Option<Instant> {
        self.unacknowledged().map(|sent| sent + OVERDUE).filter(|at| *at > now).min()
    }

    /// When each unacknowledged block of an open stream was sent.
    fn unacknowledged(&self) -> impl Iterator<Item = Instant> {
        let of_open = |(number, sent)| self.in_band.streams.contains_key(&number).then_some(sent);
        self.sent.unacknowledged_blocks().filter_map(of_open)
    }

    /// The stream to the server is gone, and everything inside it.
    pub(super) fn abandon_in_band(&mut self) {
        let all: Vec<u64> = self.in_band.streams.keys().copied().collect();
        for number in all {
            let reason = "the connection to the XMPP server was lost".to_owned();
            self.end(number, End::Failed(ErrorKind::ConnectionReset, reason));
        }
        self.in_band.early.clear();
        for opening in std::mem::take(&mut self.in_band.opening).into_values() {
            drop(opening.reply.send(Err(RelayError::Offline)));
        }
        for expected in std::mem::take(&mut self.in_band.expected) {
            drop(expected.reply.send(Err(RelayError::Offline)));
        }
    }

    /// Ends a stream that has failed, and tells the other device so.
    fn give_up(&mut self, number: u64, kind: ErrorKind, reason: &str, now: Instant) {
        let Some(stream) = self.in_band.streams.get(&number) else { return };
        let (peer, sid) = (stream.peer.clone(), stream.sid.clone());
        self.send_close(peer, sid, now);
        self.end(number, End::Failed(kind, reason.to_owned()));
    }

    /// Ends a stream on our side. What the reader still gets is acknowledged, for it will be read.
    fn end(&mut self, number: u64, end: End) {
        let Some(stream) = self.in_band.streams.remove(&number) else { return };
        for (id, _) in stream.owed {
            self.reply(Some(stream.peer.clone().into()), id, Ok(None));
        }
        stream.pipe.end(end);
    }

    fn send_close(&mut self, peer: jid::FullJid, sid: String, now: Instant) {
        self.ask(Some(peer.into()), Payload::Set(xml::Close { sid }.into()), Purpose::Close, now);
    }
}

fn is_same_contact(one: &jid::FullJid, other: &jid::FullJid) -> bool {
    one.node() == other.node() && one.domain() == other.domain()
}

/// What a refusal says, for people.
pub(super) fn said(refusal: &Refusal) -> String {
    if refusal.text.is_empty() { format!("{:?}", refusal.condition) } else { refusal.text.clone() }
}
