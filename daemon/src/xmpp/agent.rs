//! What one account does with stanzas and commands, without a connection or a clock: stanzas and commands go in,
//! stanzas and events come out of two queues. [`super::session`] moves them.
//!

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio_xmpp::Stanza;
use tokio_xmpp::jid::{self, Jid};
use tokio_xmpp::minidom::Element;
use tokio_xmpp::parsers::caps::Caps;
use tokio_xmpp::parsers::disco::DiscoInfoResult;
use tokio_xmpp::parsers::iq::Iq;
use tokio_xmpp::parsers::presence::{Presence, Show};
use tokio_xmpp::parsers::roster as roster_xml;
use tokio_xmpp::xmlstream::RawStanzaHeader;
use xbt_core::ids::{BareJid, FullJid};
use xbt_core::session::SessionEvent;
use xbt_core::signal::{Condition, Outcome, Refusal, Token};

use super::caps;
use super::convert::{self, Expected};
use super::guard::Discarded;
use super::jid as address;
use super::relay::{RelayError, Reply};

mod activate;
mod commands;
mod devices;
mod facilities;
mod in_band;
mod iq;
mod message;
mod rate;
mod roster;
#[cfg(test)]
mod tests;

use devices::Devices;
use facilities::Finder;
#[cfg(feature = "fuzzing")]
pub(super) use facilities::read as facilities_in;
use in_band::InBand;
use rate::Rates;
use roster::Roster;

/// What our presence says to people.
const STATUS: &str = "xbt: files only";

/// How long an answer to a request of ours may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// How long the rules may take for an answer to somebody else's request; below what others wait.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// Most requests of ours under way, to all contacts and to one; more are lost at once and come again.
const MOST_SENT: usize = 1024;
const MOST_SENT_TO_ONE: usize = 256;

/// Most requests of others that wait for the rules, of all contacts and of one.
const MOST_ASKED: usize = 256;
const MOST_ASKED_BY_ONE: usize = 32;

/// The first token of a request of somebody else: far from the ones that the rules hand out. Counted over all
/// sessions of the process, so that an answer can never meet a later session's request.
static NEXT_TOKEN: AtomicU64 = AtomicU64::new(1 << 63);

/// What an IQ of ours was for.
#[derive(Debug)]
enum Purpose {
    /// A request of the rules.
    Request { token: Token, expected: Expected },
    /// Our roster.
    Roster,
    /// What a device can do.
    Features { device: FullJid, hash: Option<caps::Hash> },
    /// What the server does for links.
    Facility { search: u64, question: facilities::Question },
    /// A bytestream through a proxy.
    Activate { who: String, reply: Reply<()> },
    /// An in-band bytestream is opened.
    Open { number: u64 },
    /// A block of one.
    Block { number: u64, sent: Instant },
    /// The end of one; what the other device says to it does not matter.
    Close,
    /// Nothing depends on the answer; the words are for the log.
    Nothing(&'static str),
}

/// An IQ of ours that waits for its answer.
#[derive(Debug)]
struct Sent {
    /// Whom we asked; none: our server, on behalf of the account.
    to: Option<Jid>,
    purpose: Purpose,
    until: Instant,
}

/// Somebody else's request that waits for the rules.
#[derive(Debug)]
struct Asked {
    from: Jid,
    id: String,
    until: Instant,
}

/// One account's side of the protocol.
pub(super) struct Agent {
    account: jid::BareJid,
    /// As bound; none before the first login.
    device: Option<jid::FullJid>,
    /// Begins the ids of our IQs, so that an answer to a stream before this one meets nothing.
    prefix: String,
    info: DiscoInfoResult,
    /// Our `<c/>` and its node.
    caps: Option<(Caps, String)>,
    roster: Roster,
    devices: Devices,
    known: caps::Known,
    /// By the number in their ids. The first is the oldest, since all have the same patience.
    sent: BTreeMap<u64, Sent>,
    /// Blocks of in-band bytestreams, likewise: they have a patience of their own.
    blocks: BTreeMap<u64, Sent>,
    next_id: u64,
    /// The first is the oldest, likewise.
    asked: BTreeMap<Token, Asked>,
    rates: Rates,
    finder: Finder,
    in_band: InBand,
    out: VecDeque<Stanza>,
    events: VecDeque<SessionEvent>,
    /// Why this stream is of no use.
    broken: Option<String>,
}

impl Agent {
    pub(super) fn new(account: jid::BareJid) -> Self {
        let info = caps::ours();
        Self {
            account,
            device: None,
            prefix: String::new(),
            caps: caps::advertised(&info),
            info,
            roster: Roster::default(),
            devices: Devices::default(),
            known: caps::Known::default(),
            sent: BTreeMap::new(),
            blocks: BTreeMap::new(),
            next_id: 0,
            asked: BTreeMap::new(),
            rates: Rates::default(),
            finder: Finder::default(),
            in_band: InBand::default(),
            out: VecDeque::new(),
            events: VecDeque::new(),
            broken: None,
        }
    }

    /// Our address as bound by the server.
    pub(super) fn device(&self) -> Option<FullJid> {
        self.device.as_ref().and_then(|device| address::full(&device.clone().into()))
    }

    /// The next stanza to be sent.
    pub(super) fn take_stanza(&mut self) -> Option<Stanza> {
        self.out.pop_front()
    }

    /// The next thing to be told.
    pub(super) fn take_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    /// Things to be told.
    pub(super) fn events_waiting(&self) -> usize {
        self.events.len()
    }

    /// Why the stream must be given up, if it must.
    pub(super) fn take_broken(&mut self) -> Option<String> {
        self.broken.take()
    }

    /// Tells something that is not about stanzas.
    pub(super) fn tell(&mut self, event: SessionEvent) {
        self.events.push_back(event);
    }

    /// A new stream: nothing of the old one counts any more. `random` makes the ids of this stream its own.
    ///
    /// The roster is asked for first and presence sent when it is here (RFC 6121, section 2.2), so that contacts'
    /// presences find their contacts.
    pub(super) fn reset(&mut self, device: jid::FullJid, random: u32, now: Instant) {
        self.abandon();
        self.device = Some(device);
        self.prefix = format!("x{random:08x}");
        let query = roster_xml::Roster { ver: None, items: Vec::new() };
        self.ask(None, Some(query.into()), None, Purpose::Roster, now);
    }

    /// The stream is gone for good: every request of ours is lost, and nobody waits for our answers.
    pub(super) fn abandon(&mut self) {
        self.asked.clear();
        self.devices = Devices::default();
        self.broken = None;
        self.finder.stop();
        self.abandon_in_band();
        self.blocks.clear();
        // What `abandon_in_band` acknowledged: nobody waits for that either.
        self.out.clear();
        for (_, sent) in std::mem::take(&mut self.sent) {
            match sent.purpose {
                Purpose::Request { token, .. } => {
                    self.tell(SessionEvent::Answered { token, outcome: Outcome::Lost });
                }
                Purpose::Activate { reply, .. } => drop(reply.send(Err(RelayError::Offline))),
                Purpose::Roster
                | Purpose::Features { .. }
                | Purpose::Facility { .. }
                | Purpose::Open { .. }
                | Purpose::Block { .. }
                | Purpose::Close
                | Purpose::Nothing(_) => {}
            }
        }
    }

    /// The old stream goes on over a new connection, perhaps from another address.
    pub(super) fn resumed(&mut self, now: Instant) {
        self.seek_facilities(false, now);
    }

    /// When [`Self::expire`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let sent = self.sent.first_key_value().map(|(_, sent)| sent.until);
        let asked = self.asked.first_key_value().map(|(_, asked)| asked.until);
        let block = self.blocks.first_key_value().map(|(_, sent)| sent.until);
        let others = [sent, asked, block, self.finder.deadline(), self.in_band.deadline()];
        others.into_iter().flatten().min()
    }

    /// Gives up what took too long.
    pub(super) fn expire(&mut self, now: Instant) {
        // First, so that no answer that is missing leads to another question.
        self.expire_search(now);
        while let Some(entry) = self.sent.first_entry().filter(|entry| entry.get().until <= now) {
            let purpose = entry.remove().purpose;
            self.unanswered(purpose, now);
        }
        while let Some(entry) = self.blocks.first_entry().filter(|entry| entry.get().until <= now) {
            let purpose = entry.remove().purpose;
            self.unanswered(purpose, now);
        }
        self.expire_early(now);
        while let Some(entry) = self.asked.first_entry().filter(|entry| entry.get().until <= now) {
            let asked = entry.remove();
            self.refuse_slowly(asked);
        }
    }

    fn unanswered(&mut self, purpose: Purpose, now: Instant) {
        match purpose {
            Purpose::Request { token, .. } => self.tell(SessionEvent::Answered { token, outcome: Outcome::Lost }),
            Purpose::Roster => self.broken = Some("the server does not send the roster".to_owned()),
            Purpose::Features { device, hash } => self.features(&device, hash, None, now),
            Purpose::Facility { search, question } => self.facility(search, question, None, now),
            Purpose::Activate { who, reply } => Self::activated(who, reply, None),
            Purpose::Open { number } => self.opened(number, None, now),
            Purpose::Block { number, sent } => self.block_answered(number, None, sent, now),
            Purpose::Close => {}
            Purpose::Nothing(what) => tracing::warn!(what, "no answer from the server"),
        }
    }

    /// A stanza came in.
    pub(super) fn stanza(&mut self, stanza: Stanza, now: Instant) {
        match stanza {
            Stanza::Iq(iq) => self.iq(iq, now),
            Stanza::Presence(presence) => self.presence(presence, now),
            Stanza::Message(message) => self.message(message, now),
        }
    }

    /// An IQ came in that breaks its own rules.
    pub(super) fn bad_iq(&mut self, header: RawStanzaHeader, now: Instant) {
        let from = match header.from.as_deref().map(Jid::new).transpose() {
            Ok(from) => from,
            Err(_) => return,
        };
        let Some(id) = header.id else { return };
        match header.type_.as_deref() {
            Some("result" | "error") => {
                let refusal = Refusal::new(Condition::Other, "the answer could not be understood");
                self.answered(from.as_ref(), &id, Err(refusal), now);
            }
            Some("get" | "set") => self.refuse_bad(from, id),
            Some(_) | None => {}
        }
    }

    /// The parser would have refused a stanza, so it was left out.
    pub(super) fn discarded(&mut self, discarded: &Discarded) {
        let Discarded { name, from, why } = discarded;
        tracing::debug!(%name, from, %why, "a stanza cannot be read");
        let from = from.as_deref().and_then(|from| Jid::new(from).ok()).map(|from| address::bare(&from));
        self.tell(SessionEvent::Discarded { from });
    }

    /// Sends an IQ (`set`, or the payload as `get`) and remembers what it was for.
    fn ask(&mut self, to: Option<Jid>, get: Option<Element>, set: Option<Element>, purpose: Purpose, now: Instant) {
        let (number, id) = self.next_iq();
        let iq = match (get, set) {
            (Some(payload), _) => Iq::Get { from: None, to: to.clone(), id, payload },
            (None, Some(payload)) => Iq::Set { from: None, to: to.clone(), id, payload },
            (None, None) => return,
        };
        self.sent.insert(number, Sent { to, purpose, until: now + PATIENCE });
        self.out.push_back(iq.into());
    }

    /// The number of the next IQ, and its id.
    fn next_iq(&mut self) -> (u64, String) {
        let number = self.next_id;
        self.next_id += 1;
        (number, format!("{}-{number}", self.prefix))
    }

    /// Takes back what an answer belongs to. Ids can be guessed, so the sender must be the one whom we asked (RFC
    /// 6120, section 8.1.2.1); our server may leave its name out or speak as the account.
    fn matched(&mut self, from: Option<&Jid>, id: &str) -> Option<Purpose> {
        let number = id.strip_prefix(self.prefix.as_str())?.strip_prefix('-')?.parse().ok()?;
        let sent = self.sent.get(&number).or_else(|| self.blocks.get(&number))?;
        let genuine = match (&sent.to, from) {
            (Some(to), Some(from)) => to == from,
            (Some(_), None) => false,
            (None, from) => self.is_account_or_server(from),
        };
        if !genuine {
            tracing::debug!(?from, id, "an answer from the wrong sender");
            return None;
        }
        let sent = self.sent.remove(&number).or_else(|| self.blocks.remove(&number));
        sent.map(|sent| sent.purpose)
    }

    /// Whether a stanza comes from our own server on behalf of the account.
    fn is_account_or_server(&self, from: Option<&Jid>) -> bool {
        let Some(from) = from else { return true };
        let is_device = self.device.as_ref().is_some_and(|device| from.try_as_full().is_ok_and(|from| from == device));
        let is_server = from.node().is_none() && from.resource().is_none() && from.domain() == self.account.domain();
        let is_account = from.try_as_full().is_err() && from.to_bare() == self.account;
        is_device || is_server || is_account
    }

    /// Whether somebody may know that we are here: the account itself, or a contact where at least one sees the other.
    fn is_friend(&self, jid: &Jid) -> bool {
        jid.to_bare() == self.account || self.roster.is_contact(&address::bare(jid))
    }

    /// Our presence: available, but never for chat. People see that no person sits here.
    fn our_presence(&self) -> Presence {
        let mut presence = Presence::available().with_priority(-1).with_show(Show::Xa);
        presence.set_status("en", STATUS);
        if let Some((caps, _)) = &self.caps {
            presence.add_payload(caps.clone());
        }
        presence
    }

    fn announce(&mut self) {
        let presence = self.our_presence();
        self.out.push_back(presence.into());
    }

    fn own_bare(&self) -> BareJid {
        BareJid::from_normalised(self.account.to_string())
    }

    /// What the rules are told about a request.
    fn outcome(expected: Expected, answer: Result<Option<Element>, Refusal>) -> Outcome {
        match answer {
            Ok(payload) => match convert::answer_in(expected, payload) {
                Ok(answer) => Outcome::Answered(answer),
                Err(error) => Outcome::Refused(Refusal::new(Condition::Other, format!("invalid answer: {error}"))),
            },
            Err(refusal) => Outcome::Refused(refusal),
        }
    }

    fn next_token() -> Token {
        Token(NEXT_TOKEN.fetch_add(1, Ordering::Relaxed))
    }
}
