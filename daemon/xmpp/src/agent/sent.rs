//! IQs of ours that wait for their answers, and what they were for.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio_xmpp::Stanza;
use tokio_xmpp::jid::Jid;
use tokio_xmpp::minidom::Element;
use tokio_xmpp::parsers::iq::Iq;
use xbt_core::ids::FullJid;
use xbt_core::signal::Token;

use super::account::Account;
use crate::call::Reply;
use crate::caps;
use crate::convert::Expected;

/// How long an answer to a request of ours may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// How long the acknowledgement of a block may take: servers hold back what is over their limits, and the other
/// device waits for its reader.
pub(super) const BLOCK_PATIENCE: Duration = Duration::from_secs(60);

/// Most requests of ours under way, to all contacts and to one; more are lost at once and come again.
const MOST: usize = 1024;
const MOST_TO_ONE: usize = 256;

/// Activations under way; they are asked for again and again until the other end is there.
const MOST_ACTIVATIONS: usize = 32;

/// What an IQ of ours was for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// A request of the rules.
    Request {
        token: Token,
        expected: Expected,
        /// What was signed.
        text: Vec<u8>,
    },
    /// Our roster.
    Roster,
    /// What a device can do.
    Features { device: FullJid, hash: Option<caps::Hash> },
    /// What the server does for links.
    Service { search: u64, question: ServiceQuestion },
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

/// A question of the search for what the server does for links.
#[derive(Clone, Debug)]
pub(super) enum ServiceQuestion {
    /// To the server: which services are there?
    Services,
    /// To a service: what are you?
    Kind(Jid),
    /// To a proxy: where do you listen?
    StreamHosts,
    /// To the server: which STUN servers are there?
    Stun,
    /// To the server: from where do you see us? Older servers know another name for that.
    Address { older: bool },
}

/// What an IQ of ours carries.
pub(super) enum Payload {
    Get(Element),
    Set(Element),
}

/// An IQ that waits for its answer.
#[derive(Debug)]
struct Sent {
    /// The recipient; none: our server, on behalf of the account.
    to: Option<Jid>,
    purpose: Purpose,
    until: Instant,
}

/// All of one stream.
#[derive(Debug, Default)]
pub(super) struct SentIqs {
    /// Begins the ids, so that an answer to a stream before this one meets nothing.
    prefix: String,
    next: u64,
    /// By the number in their ids. The first is the oldest, since all have the same patience.
    waiting: BTreeMap<u64, Sent>,
    /// Blocks of in-band bytestreams, likewise: they have a patience of their own.
    blocks: BTreeMap<u64, Sent>,
}

impl SentIqs {
    /// A new stream: `random` makes its ids its own.
    pub(super) fn begin(&mut self, random: u32) {
        self.prefix = format!("x{random:08x}");
    }

    /// Makes an IQ and remembers what it is for.
    pub(super) fn ask(&mut self, to: Option<Jid>, payload: Payload, purpose: Purpose, now: Instant) -> Stanza {
        let (number, id) = self.next_id();
        self.waiting.insert(number, Sent { to: to.clone(), purpose, until: now + PATIENCE });
        match payload {
            Payload::Get(payload) => Iq::Get { from: None, to, id, payload }.into(),
            Payload::Set(payload) => Iq::Set { from: None, to, id, payload }.into(),
        }
    }

    /// A block of the in-band bytestream `number`.
    pub(super) fn ask_block(&mut self, to: Jid, payload: Element, number: u64, now: Instant) -> Stanza {
        let (key, id) = self.next_id();
        let purpose = Purpose::Block { number, sent: now };
        self.blocks.insert(key, Sent { to: Some(to.clone()), purpose, until: now + BLOCK_PATIENCE });
        Iq::Set { from: None, to: Some(to), id, payload }.into()
    }

    fn next_id(&mut self) -> (u64, String) {
        let number = self.next;
        self.next += 1;
        (number, format!("{}-{number}", self.prefix))
    }

    /// An id for a message. No answer is expected.
    pub(super) fn message_id(&mut self) -> String {
        let number = self.next;
        self.next += 1;
        format!("{}-m{number}", self.prefix)
    }

    /// Takes back what an answer belongs to. Ids can be guessed, so the sender must be the one whom we asked (RFC
    /// 6120, section 8.1.2.1); our server may leave its name out or speak as the account.
    pub(super) fn answered(&mut self, from: Option<&Jid>, id: &str, account: &Account) -> Option<Purpose> {
        let number = id.strip_prefix(self.prefix.as_str())?.strip_prefix('-')?.parse().ok()?;
        let sent = self.waiting.get(&number).or_else(|| self.blocks.get(&number))?;
        let genuine = match (&sent.to, from) {
            (Some(to), Some(from)) => to == from,
            (Some(_), None) => false,
            (None, from) => account.is_account_or_server(from),
        };
        if !genuine {
            tracing::debug!(?from, id, "an answer from the wrong sender");
            return None;
        }
        let sent = self.waiting.remove(&number).or_else(|| self.blocks.remove(&number));
        sent.map(|sent| sent.purpose)
    }

    /// The next IQ whose answer is overdue.
    pub(super) fn take_overdue(&mut self, now: Instant) -> Option<Purpose> {
        let overdue = |iqs: &mut BTreeMap<u64, Sent>| {
            let entry = iqs.first_entry().filter(|entry| entry.get().until <= now)?;
            Some(entry.remove().purpose)
        };
        overdue(&mut self.waiting).or_else(|| overdue(&mut self.blocks))
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let first = |iqs: &BTreeMap<u64, Sent>| iqs.first_key_value().map(|(_, sent)| sent.until);
        [first(&self.waiting), first(&self.blocks)].into_iter().flatten().min()
    }

    /// The stream is gone: nothing will be answered.
    pub(super) fn abandon(&mut self) -> impl Iterator<Item = Purpose> + use<> {
        self.blocks.clear();
        std::mem::take(&mut self.waiting).into_values().map(|sent| sent.purpose)
    }

    /// Whether a further request may go to this contact.
    pub(super) fn has_room_for(&self, to: &Jid) -> bool {
        let is_to_contact = |sent: &&Sent| sent.to.as_ref().is_some_and(|other| other.to_bare() == to.to_bare());
        self.waiting.len() < MOST && self.waiting.values().filter(is_to_contact).count() < MOST_TO_ONE
    }

    /// Whether a further proxy may be asked to connect two ends.
    pub(super) fn has_room_for_activation(&self) -> bool {
        let activations = self.waiting.values().filter(|sent| matches!(sent.purpose, Purpose::Activate { .. }));
        activations.count() < MOST_ACTIVATIONS
    }

    /// The blocks that are not acknowledged: the number of their stream, and when they were sent.
    pub(super) fn unacknowledged_blocks(&self) -> impl Iterator<Item = (u64, Instant)> {
        self.blocks.values().filter_map(|block| {
            let Purpose::Block { number, sent } = block.purpose else { return None };
            Some((number, sent))
        })
    }
}
