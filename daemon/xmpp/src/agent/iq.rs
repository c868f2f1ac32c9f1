//! IQs: answers to ours, and what others ask.

use std::time::Instant;

use tokio_xmpp::Stanza;
use tokio_xmpp::jid::Jid;
use tokio_xmpp::minidom::Element;
use tokio_xmpp::parsers::disco::{DiscoInfoQuery, DiscoInfoResult, DiscoItemsQuery, DiscoItemsResult};
use tokio_xmpp::parsers::iq::{Iq, IqHeader, IqPayload};
use tokio_xmpp::parsers::ping::Ping;
use tokio_xmpp::parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};
use tokio_xmpp::parsers::version::VersionQuery;
use tokio_xmpp::parsers::{ns, roster as roster_xml};
use xbt_core::session::SessionEvent;
use xbt_core::signal::{Condition, Refusal, Wait};

use super::asked::Asked;
use super::profile::version;
use super::signatures::{CameIn, refused};
use super::{Agent, Purpose, address};
use crate::convert::signed::unsealed;
use crate::convert::{self, Invalid};
use crate::payload;

/// What an IQ is answered with: the payload of a result, or an error.
pub(super) type Reply = Result<Option<Element>, Box<StanzaError>>;

/// An error without words.
pub(super) fn error(kind: ErrorType, condition: DefinedCondition) -> Box<StanzaError> {
    Box::new(convert::error_out(kind, condition, ""))
}

/// An error that says as little as a client without the feature would say.
pub(super) fn unavailable() -> Box<StanzaError> {
    error(ErrorType::Cancel, DefinedCondition::ServiceUnavailable)
}

pub(super) fn bad_request() -> Box<StanzaError> {
    error(ErrorType::Modify, DefinedCondition::BadRequest)
}

impl Agent {
    pub(super) fn iq(&mut self, iq: Iq, now: Instant) {
        let (IqHeader { from, id, .. }, payload) = iq.split();
        match payload {
            IqPayload::Result(payload) => self.answered(from.as_ref(), &id, Ok(payload), now),
            IqPayload::Error(error) => self.answered(from.as_ref(), &id, Err(refused(&error)), now),
            IqPayload::Get(payload) => {
                let answer = self.get(from.as_ref(), payload);
                self.reply(from, id, answer);
            }
            IqPayload::Set(payload) if payload.ns() == payload::NS => self.request(from, id, payload, now),
            IqPayload::Set(payload) if payload.ns() == payload::in_band::NS => self.in_band(from, id, payload, now),
            IqPayload::Set(payload) if payload.ns().starts_with(payload::NS_OF_ANY_VERSION) => {
                self.refuse_version(from, id, &payload.ns());
            }
            IqPayload::Set(payload) => {
                let answer = self.set(from.as_ref(), payload, now);
                self.reply(from, id, answer);
            }
        }
    }

    /// Hands an answer on by what was asked; an answer that belongs to nothing is dropped.
    pub(super) fn answered(&mut self, from: Option<&Jid>, id: &str, answer: CameIn, now: Instant) {
        let purpose = self.sent.answered(from, id, &self.account);
        if let Some(Purpose::Request { token, expected, text }) = purpose {
            let (outcome, by) = self.outcome(expected, &text, answer);
            return self.tell(SessionEvent::Answered { token, outcome, by });
        }
        let answer = answer.map_err(|(refusal, _)| refusal);
        match purpose {
            Some(Purpose::Request { .. }) => {}
            Some(Purpose::Roster) => self.roster_came(answer, now),
            Some(Purpose::Features { device, hash }) => {
                let info = answer.ok().flatten().and_then(|element| DiscoInfoResult::try_from(element).ok());
                self.features(&device, hash, info.as_ref(), now);
            }
            Some(Purpose::Service { search, question }) => {
                self.service_answered(search, question, answer.ok().flatten(), now);
            }
            Some(Purpose::Activate { who, reply }) => Self::activated(who, reply, Some(answer.map(drop))),
            Some(Purpose::Open { number }) => self.opened(number, Some(answer.map(drop)), now),
            Some(Purpose::Block { number, sent }) => self.block_answered(number, Some(answer.map(drop)), sent, now),
            Some(Purpose::Close) => {}
            Some(Purpose::Nothing(what)) => {
                if let Err(refusal) = answer {
                    tracing::warn!(what, condition = ?refusal.condition, text = refusal.text, "the server refused");
                }
            }
            None => tracing::debug!(id, "an unexpected answer"),
        }
    }

    pub(super) fn reply(&mut self, to: Option<Jid>, id: String, answer: Reply) {
        let iq = match answer {
            Ok(payload) => Iq::Result { from: None, to, id, payload },
            Err(error) => Iq::Error { from: None, to, id, error: *error, payload: None },
        };
        self.output.send(iq);
    }

    /// Strangers cannot tell from our answers that there is an xbtd, or anybody, here.
    fn may_ask(&self, from: Option<&Jid>) -> bool {
        self.account.is_account_or_server(from) || from.is_some_and(|from| self.is_friend(from))
    }

    fn get(&self, from: Option<&Jid>, payload: Element) -> Reply {
        if !self.may_ask(from) {
            return Err(unavailable());
        }
        if payload.ns() == payload::NS {
            return Err(error(ErrorType::Cancel, DefinedCondition::FeatureNotImplemented));
        }
        match (payload.ns().as_str(), payload.name()) {
            (ns::PING, "ping") => Ping::try_from(payload).map(|_| None).map_err(|_| bad_request()),
            (ns::VERSION, "query") => match VersionQuery::try_from(payload) {
                Ok(_) => Ok(Some(version().into())),
                Err(_) => Err(bad_request()),
            },
            (ns::DISCO_INFO, "query") => match DiscoInfoQuery::try_from(payload) {
                Ok(query) => match self.profile.disco_info(query.node) {
                    Some(info) => Ok(Some(info.into())),
                    None => Err(error(ErrorType::Cancel, DefinedCondition::ItemNotFound)),
                },
                Err(_) => Err(bad_request()),
            },
            (ns::DISCO_ITEMS, "query") => match DiscoItemsQuery::try_from(payload) {
                Ok(query) => Ok(Some(DiscoItemsResult { node: query.node, items: Vec::new(), rsm: None }.into())),
                Err(_) => Err(bad_request()),
            },
            _ => Err(unavailable()),
        }
    }

    /// Only the server sets anything here: the roster (RFC 6121, section 2.1.6: any other push is ignored).
    fn set(&mut self, from: Option<&Jid>, payload: Element, now: Instant) -> Reply {
        if payload.ns() != ns::ROSTER || !self.account.is_account(from) {
            return Err(unavailable());
        }
        match roster_xml::Roster::try_from(payload) {
            Ok(roster) => {
                self.pushed(roster, now);
                Ok(None)
            }
            Err(_) => Err(bad_request()),
        }
    }

    /// A request of our own namespace.
    fn request(&mut self, from: Option<Jid>, id: String, payload: Element, now: Instant) {
        let device = from.as_ref().filter(|from| self.is_friend(from)).and_then(address::full);
        let (Some(from), Some(device)) = (from.clone(), device) else {
            self.reply(from, id, Err(unavailable()));
            return;
        };
        if !self.limiter.admit(&device.bare, now) {
            let busy = Refusal::wait(Wait::Busy, "too many requests in a short time; ask again later");
            self.refuse(from, id, busy);
            return;
        }
        let (inner, seal) = unsealed(payload);
        let empty = || Invalid::Malformed("there is nothing in the envelope".to_owned());
        let request = match inner.ok_or_else(empty).and_then(convert::request_in) {
            Ok(request) => request,
            Err(invalid) => {
                tracing::debug!(%device, %invalid, "a malformed request");
                let refusal = invalid.into_refusal();
                self.refuse(from, id, refusal);
                return;
            }
        };
        let (signed, text) = self.verify_request(&request, &device, seal).unzip();
        match self.asked.add(from, id, text, now) {
            Ok(token) => self.tell(SessionEvent::Requested { token, from: device, request, signed }),
            Err(asked) => {
                let busy = Refusal::wait(Wait::Busy, "too many requests at once; ask again");
                self.refuse(asked.from, asked.id, busy);
            }
        }
    }

    /// A request of another version than ours.
    fn refuse_version(&mut self, from: Option<Jid>, id: String, ns: &str) {
        let theirs = ns.trim_start_matches(payload::NS_OF_ANY_VERSION);
        let ours = payload::NS.trim_start_matches(payload::NS_OF_ANY_VERSION);
        let text = format!(
            "this request is of version {} of xbt's protocol, and the xbt here speaks version {ours} only: bring both up to \
             date",
            convert::cut(theirs, 20)
        );
        let error = convert::error_out(ErrorType::Cancel, DefinedCondition::FeatureNotImplemented, &text);
        let error = if self.may_ask(from.as_ref()) { Box::new(error) } else { unavailable() };
        self.reply(from, id, Err(error));
    }

    /// The rules did not answer in time: a fault of ours, and worth another try.
    pub(super) fn refuse_slowly(&mut self, asked: Asked) {
        tracing::warn!(from = %asked.from, "a request was not answered in time");
        let error = error(ErrorType::Wait, DefinedCondition::InternalServerError);
        self.reply(Some(asked.from), asked.id, Err(error));
    }

    /// The server would not take this stanza of ours: for us it is refused, for the other side our answer is.
    pub(crate) fn too_long(&mut self, stanza: Stanza, now: Instant) {
        const WHY: &str = "the message is longer than the XMPP server takes; make it shorter";
        tracing::warn!("a stanza was not sent: {WHY}");
        match stanza {
            Stanza::Iq(Iq::Get { to, id, .. } | Iq::Set { to, id, .. }) => {
                let refusal = Refusal::new(Condition::NotAcceptable, WHY);
                self.answered(to.as_ref(), &id, Err((refusal, None)), now);
            }
            Stanza::Iq(Iq::Result { to, id, .. }) => {
                let error = convert::error_out(ErrorType::Cancel, DefinedCondition::NotAcceptable, WHY);
                self.reply(to, id, Err(Box::new(error)));
            }
            Stanza::Iq(Iq::Error { .. }) | Stanza::Presence(_) | Stanza::Message(_) => {}
        }
    }

    /// A request that is not even a proper IQ.
    pub(super) fn refuse_bad(&mut self, from: Option<Jid>, id: String) {
        let error = if self.may_ask(from.as_ref()) { bad_request() } else { unavailable() };
        self.reply(from, id, Err(error));
    }

    fn refuse(&mut self, to: Jid, id: String, refusal: Refusal) {
        self.reply(Some(to), id, Err(Box::new(convert::refusal_out(refusal))));
    }
}
