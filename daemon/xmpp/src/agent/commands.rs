//! What the rules ask for.

use std::time::Instant;

use tokio_xmpp::minidom::Element;
use tokio_xmpp::parsers::message::{Lang, Message};
use tokio_xmpp::parsers::presence::{Presence, Type};
use tokio_xmpp::parsers::roster as roster_xml;
use xbt_core::ids::{BareJid, FullJid};
use xbt_core::session::{SessionCommand, SessionEvent};
use xbt_core::signal::{Answer, Offer, Outcome, Refusal, Request, Stamp, Token};

use super::{Agent, Payload, Purpose, address};
use crate::call::{RelayError, SessionCall};
use crate::convert::{self, Expected, MAX_MESSAGE};
use crate::payload::{Fallback, NS, Store};

impl Agent {
    /// Carries out a call on a stream that is up.
    pub(crate) fn take_call(&mut self, call: SessionCall, now: Instant) {
        match call {
            SessionCall::Command(command) => self.do_command(command, now),
            SessionCall::Activate { proxy, stream_id, target, reply } => {
                self.activate(&proxy, stream_id, &target, reply, now)
            }
            SessionCall::OpenInBand { device, stream_id, reply } => self.open_in_band(&device, stream_id, reply, now),
            SessionCall::ExpectInBand { device, stream_id, reply } => self.expect_in_band(&device, stream_id, reply),
        }
    }

    /// There is no stream.
    pub(crate) fn take_call_offline(&mut self, call: SessionCall) {
        match call {
            SessionCall::Command(command) => self.do_command_offline(command),
            SessionCall::Activate { reply, .. } => drop(reply.send(Err(RelayError::Offline))),
            SessionCall::OpenInBand { reply, .. } => drop(reply.send(Err(RelayError::Offline))),
            // The stream may be resumed, and the device's request with it.
            SessionCall::ExpectInBand { device, stream_id, reply } => self.expect_in_band(&device, stream_id, reply),
        }
    }

    /// Carries out a command on a stream that is up.
    pub(crate) fn do_command(&mut self, command: SessionCommand, now: Instant) {
        match command {
            SessionCommand::Request { token, to, request, stamp } => {
                self.send_request(token, &to, (request, stamp), now)
            }
            SessionCommand::Answer { token, answer } => self.send_answer(token, answer),
            SessionCommand::Courtesy { to, text, offer } => self.courtesy(&to, &text, offer),
            SessionCommand::AddContact { jid, name } => self.add_contact(&jid, name, now),
            SessionCommand::RemoveContact(jid) => self.remove_contact(&jid, now),
            SessionCommand::ApproveSubscription(jid) => self.send_presence(&jid, Type::Subscribed),
            SessionCommand::DenySubscription(jid) => self.send_presence(&jid, Type::Unsubscribed),
            // The task's, which sees it first.
            SessionCommand::AllowLogin(_) => {}
        }
    }

    /// There is no stream. Requests are lost at once. Answers are kept, for the stream may be resumed and the other
    /// side still waits. The rest has no outcome to tell: the rules ask for it only while online.
    pub(crate) fn do_command_offline(&mut self, command: SessionCommand) {
        match command {
            SessionCommand::Request { token, .. } => {
                self.tell(SessionEvent::Answered { token, outcome: Outcome::Lost, by: None });
            }
            SessionCommand::Answer { token, answer } => self.send_answer(token, answer),
            SessionCommand::Courtesy { to, .. } => tracing::warn!(%to, "offline: no courtesy message"),
            SessionCommand::AddContact { jid, .. }
            | SessionCommand::RemoveContact(jid)
            | SessionCommand::ApproveSubscription(jid)
            | SessionCommand::DenySubscription(jid) => tracing::warn!(%jid, "offline: the roster stays as it is"),
            SessionCommand::AllowLogin(_) => {}
        }
    }

    fn send_request(&mut self, token: Token, to: &FullJid, (request, stamp): (Request, Stamp), now: Instant) {
        let Ok(address) = address::from_full(to) else {
            tracing::warn!(%to, "not an address");
            self.tell(SessionEvent::Answered { token, outcome: Outcome::Lost, by: None });
            return;
        };
        let address = tokio_xmpp::jid::Jid::from(address);
        let expected = Expected::to(&request);
        let has_room = self.sent.has_room_for(&address);
        let Some((payload, text)) = has_room.then(|| self.seal_request(request, to, stamp)).flatten() else {
            self.tell(SessionEvent::Answered { token, outcome: Outcome::Lost, by: None });
            return;
        };
        self.ask(Some(address), Payload::Set(payload), Purpose::Request { token, expected, text }, now);
    }

    fn send_answer(&mut self, token: Token, answer: Result<Answer, Refusal>) {
        let Some(asked) = self.asked.take(token) else {
            tracing::debug!(?token, "an answer that is no longer expected");
            return;
        };
        let answer = self.seal_answer(answer, asked.text.as_deref());
        self.reply(Some(asked.from), asked.id, answer);
    }

    /// A chat message to a contact whose programs do not know us: the sentence for the person, the offer for programs
    /// that do, marked as what the sentence stands for (XEP-0428), to be kept while the person is offline (XEP-0334).
    fn courtesy(&mut self, to: &BareJid, text: &str, offer: Offer) {
        let Ok(jid) = address::from_bare(to) else {
            tracing::warn!(%to, "not an address");
            return;
        };
        let mut message = Message::chat(tokio_xmpp::jid::Jid::from(jid.clone()))
            .with_body(Lang::new(), convert::sendable(text, MAX_MESSAGE))
            .with_payload(convert::offer_out(offer))
            .with_payload(Fallback { for_: NS.to_owned() })
            .with_payload(Store);
        message.id = Some(tokio_xmpp::parsers::message::Id(self.sent.message_id()));
        self.output.send(message);
        // Chat programs send their answers to the full JID that wrote last, until that sends its presence (XEP-0296).
        let presence = self.profile.presence().with_to(tokio_xmpp::jid::Jid::from(jid));
        self.output.send(presence);
    }

    fn add_contact(&mut self, jid: &BareJid, name: Option<String>, now: Instant) {
        // A set replaces the whole line, so what is there and not to be changed is sent back.
        let before = self.roster.get(jid);
        let name = name.map(|name| convert::sendable(&name, 1023)).or_else(|| before.and_then(|b| b.name.clone()));
        let groups = before.map(|before| before.groups.clone()).unwrap_or_default();
        if self.set_roster(jid, name, groups, roster_xml::Subscription::None, "adding a contact", now) {
            self.send_presence(jid, Type::Subscribe);
        }
    }

    /// The server takes back both subscriptions (RFC 6121, section 2.5.2).
    fn remove_contact(&mut self, jid: &BareJid, now: Instant) {
        self.set_roster(jid, None, Vec::new(), roster_xml::Subscription::Remove, "removing a contact", now);
    }

    /// Whether the change was sent.
    fn set_roster(
        &mut self,
        contact: &BareJid,
        name: Option<String>,
        groups: Vec<String>,
        subscription: roster_xml::Subscription,
        what: &'static str,
        now: Instant,
    ) -> bool {
        let Ok(jid) = address::from_bare(contact) else {
            tracing::warn!(%contact, "not an address");
            return false;
        };
        let item = roster_xml::Item {
            jid,
            name,
            subscription,
            ask: roster_xml::Ask::None,
            groups: groups.into_iter().map(roster_xml::Group).collect(),
            approved: None,
        };
        let set: Element = roster_xml::Roster { ver: None, items: vec![item] }.into();
        self.ask(None, Payload::Set(set), Purpose::Nothing(what), now);
        true
    }

    fn send_presence(&mut self, to: &BareJid, type_: Type) {
        match address::from_bare(to) {
            Ok(jid) => self.output.send(Presence::new(type_).with_to(tokio_xmpp::jid::Jid::from(jid))),
            Err(_) => tracing::warn!(%to, "not an address"),
        }
    }
}
