//! What one account does with stanzas and commands, without a connection or a clock: stanzas and commands go in,
//! stanzas and events come out of two queues. The session moves them.
//!
//! The state lies in parts, each in a file of its own with its fields private: [`SentIqs`] knows what our IQs were for,
//! [`AskedRequests`] who waits for an answer of the rules, [`Devices`] who is online, and so on. A handler of [`Agent`]
//! brings them together by their methods.

use std::sync::Arc;
use std::time::Instant;

use tokio_xmpp::Stanza;
use tokio_xmpp::jid::{self, Jid};
use tokio_xmpp::parsers::roster as roster_xml;
use tokio_xmpp::xmlstream::RawStanzaHeader;
use xbt_core::ids::FullJid;
use xbt_core::session::SessionEvent;
use xbt_core::signal::{Condition, Outcome, Refusal, Signer};

use super::call::RelayError;
use super::caps;
use super::jid as address;
use super::stream::Discarded;

mod account;
mod activate;
mod asked;
mod commands;
mod devices;
mod in_band;
mod iq;
mod message;
mod output;
mod profile;
mod rate_limiter;
mod roster;
mod sent;
mod server_services;
mod signatures;
#[cfg(test)]
mod tests;

use account::Account;
use asked::AskedRequests;
use devices::Devices;
use in_band::InBand;
use output::Output;
use profile::Profile;
use rate_limiter::RateLimiter;
use roster::Roster;
use sent::{Payload, Purpose, SentIqs};
use server_services::ServiceDiscovery;
#[cfg(feature = "fuzzing")]
pub(super) use server_services::read as server_services_in;

/// One account's side of the protocol.
pub(super) struct Agent {
    account: Account,
    signer: Arc<dyn Signer>,
    profile: Profile,
    roster: Roster,
    devices: Devices,
    known: caps::Known,
    sent: SentIqs,
    asked: AskedRequests,
    limiter: RateLimiter,
    services: ServiceDiscovery,
    in_band: InBand,
    output: Output,
}

impl Agent {
    pub(super) fn new(account: jid::BareJid, signer: Arc<dyn Signer>) -> Self {
        Self {
            account: Account::new(account),
            signer,
            profile: Profile::new(),
            roster: Roster::default(),
            devices: Devices::default(),
            known: caps::Known::default(),
            sent: SentIqs::default(),
            asked: AskedRequests::default(),
            limiter: RateLimiter::default(),
            services: ServiceDiscovery::default(),
            in_band: InBand::default(),
            output: Output::default(),
        }
    }

    /// Our address as bound by the server.
    pub(super) fn device(&self) -> Option<FullJid> {
        self.account.device()
    }

    /// The next stanza to be sent.
    pub(super) fn take_stanza(&mut self) -> Option<Stanza> {
        self.output.take_stanza()
    }

    /// The next event for the rules.
    pub(super) fn take_event(&mut self) -> Option<SessionEvent> {
        self.output.take_event()
    }

    /// Events that [`Self::take_event`] has not handed out.
    pub(super) fn events_waiting(&self) -> usize {
        self.output.events_waiting()
    }

    /// Why the stream must be given up, if it must.
    pub(super) fn take_broken(&mut self) -> Option<String> {
        self.output.take_broken()
    }

    /// Queues an event, also one that is not about stanzas.
    pub(super) fn tell(&mut self, event: SessionEvent) {
        self.output.tell(event);
    }

    /// A new stream: nothing of the old one counts any more. `random` makes the ids of this stream its own.
    ///
    /// The roster is asked for first and presence sent when it is here (RFC 6121, section 2.2), so that contacts'
    /// presences find their contacts.
    pub(super) fn reset(&mut self, device: jid::FullJid, random: u32, now: Instant) {
        self.abandon();
        self.account.bind(device);
        self.sent.begin(random);
        let query = roster_xml::Roster { ver: None, items: Vec::new() };
        self.ask(None, Payload::Get(query.into()), Purpose::Roster, now);
    }

    /// The stream is gone for good: every request of ours is lost, and no one waits for our answers.
    pub(super) fn abandon(&mut self) {
        self.asked.clear();
        self.devices = Devices::default();
        self.services.stop();
        self.abandon_in_band();
        // Also what `abandon_in_band` has acknowledged.
        self.output.stream_lost();
        for purpose in self.sent.abandon() {
            match purpose {
                Purpose::Request { token, .. } => {
                    self.output.tell(SessionEvent::Answered { token, outcome: Outcome::Lost, by: None });
                }
                Purpose::Activate { reply, .. } => drop(reply.send(Err(RelayError::Offline))),
                Purpose::Roster
                | Purpose::Features { .. }
                | Purpose::Service { .. }
                | Purpose::Open { .. }
                | Purpose::Block { .. }
                | Purpose::Close
                | Purpose::Nothing(_) => {}
            }
        }
    }

    /// The old stream goes on over a new connection, perhaps from another address.
    pub(super) fn resumed(&mut self, now: Instant) {
        self.search_services(false, now);
    }

    /// When [`Self::expire`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let all = [self.sent.deadline(), self.asked.deadline(), self.services.deadline(), self.in_band.deadline()];
        all.into_iter().flatten().min()
    }

    /// Gives up what took too long.
    pub(super) fn expire(&mut self, now: Instant) {
        // First, so that no answer that is missing leads to another question.
        self.expire_search(now);
        while let Some(purpose) = self.sent.take_overdue(now) {
            self.unanswered(purpose, now);
        }
        self.expire_early(now);
        while let Some(asked) = self.asked.take_overdue(now) {
            self.refuse_slowly(asked);
        }
    }

    fn unanswered(&mut self, purpose: Purpose, now: Instant) {
        match purpose {
            Purpose::Request { token, .. } => {
                self.tell(SessionEvent::Answered { token, outcome: Outcome::Lost, by: None });
            }
            Purpose::Roster => self.output.break_stream("the server does not send the roster"),
            Purpose::Features { device, hash } => self.features(&device, hash, None, now),
            Purpose::Service { search, question } => self.service_answered(search, question, None, now),
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
                self.answered(from.as_ref(), &id, Err((refusal, None)), now);
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

    /// Sends an IQ and remembers what it was for.
    fn ask(&mut self, to: Option<Jid>, payload: Payload, purpose: Purpose, now: Instant) {
        let iq = self.sent.ask(to, payload, purpose, now);
        self.output.send(iq);
    }

    /// Whether a sender may know that we are here: the account itself, or a contact where at least one sees the other.
    fn is_friend(&self, jid: &Jid) -> bool {
        self.account.is_ours(jid) || self.roster.is_contact(&address::bare(jid))
    }
}
