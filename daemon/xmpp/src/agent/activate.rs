//! Activating a SOCKS5 bytestream (XEP-0065, section 6.3.5).

use std::time::Instant;

use tokio_xmpp::jid::Jid;
use xbt_core::ids::FullJid;
use xbt_core::signal::{Condition, MAX_STREAM_ID, Proxy, Refusal};

use super::in_band::said;
use super::{Agent, Payload, Purpose, address};
use crate::call::{RelayError, Reply};
use crate::payload::bytestreams;

impl Agent {
    pub(super) fn activate(&mut self, proxy: &Proxy, sid: String, target: &FullJid, reply: Reply<()>, now: Instant) {
        let Ok(to) = Jid::new(&proxy.jid) else {
            return drop(reply.send(Err(RelayError::BadName(proxy.jid.clone()))));
        };
        let target = match address::from_full(target) {
            Ok(target) if !sid.is_empty() && sid.len() <= MAX_STREAM_ID => target,
            Ok(_) | Err(_) => return drop(reply.send(Err(RelayError::BadName(sid)))),
        };
        if !self.sent.has_room_for_activation() {
            return drop(reply.send(Err(RelayError::TooMany)));
        }
        let query = bytestreams::Query { sid: Some(sid), hosts: Vec::new(), activate: Some(target.to_string()) };
        let purpose = Purpose::Activate { who: to.to_string(), reply };
        self.ask(Some(to), Payload::Set(query.into()), purpose, now);
    }

    /// What the proxy answered; none came in time: `None`.
    ///
    /// As long as one end is missing, ejabberd says `item-not-found`, and Prosody that or `not-allowed`; others, that
    /// something inside them is wrong. What is certain to stay so is a refusal.
    pub(super) fn activated(who: String, reply: Reply<()>, answer: Option<Result<(), Refusal>>) {
        let outcome = match answer {
            Some(Ok(())) => Ok(()),
            Some(Err(refusal)) => Err(match refusal.condition {
                Condition::ItemNotFound | Condition::InternalServerError | Condition::Other => {
                    RelayError::NotReady { who, text: said(&refusal) }
                }
                Condition::Forbidden
                | Condition::Conflict
                | Condition::ResourceConstraint
                | Condition::NotAcceptable
                | Condition::BadRequest
                | Condition::ServiceUnavailable
                | Condition::FeatureNotImplemented
                | Condition::RemoteServerNotFound
                | Condition::RemoteServerTimeout
                | Condition::RecipientUnavailable => RelayError::Refused { who, text: said(&refusal) },
            }),
            None => Err(RelayError::NoAnswer(who)),
        };
        drop(reply.send(outcome));
    }
}
