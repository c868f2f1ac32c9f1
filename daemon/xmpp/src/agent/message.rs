//! Messages that come to this device.
//!
//! With priority −1 a server delivers no chat of a person's to us (RFC 6121, section 8.5.2). But some programs write to
//! the full JID from which a courtesy message came, or to any resource that they see. Nothing here shows a chat, so
//! the sender gets an error, as for a resource that is not there (section 8.5.3.2), and the user gets an event.

use std::time::Instant;

use tokio_xmpp::jid::Jid;
use tokio_xmpp::minidom::Element;
use tokio_xmpp::parsers::message::{Message, MessageType};
use tokio_xmpp::parsers::stanza_error::{DefinedCondition, ErrorType};
use xbt_core::limits::CHAT_TEXT;
use xbt_core::session::SessionEvent;

use super::{Agent, address};
use crate::convert;

/// The payloads of chats that only their recipient can read: OMEMO (XEP-0384) of both kinds, OpenPGP (XEP-0373, XEP-0027).
const ENCRYPTED: [(&str, &str); 4] = [
    ("encrypted", "eu.siacs.conversations.axolotl"),
    ("encrypted", "urn:xmpp:omemo:2"),
    ("openpgp", "urn:xmpp:openpgp:0"),
    ("x", "jabber:x:encrypted"),
];

fn is_encrypted(payload: &Element) -> bool {
    ENCRYPTED.iter().any(|(name, ns)| payload.is(*name, *ns))
}

impl Agent {
    pub(super) fn message(&mut self, message: Message, now: Instant) {
        let is_chat = match message.type_ {
            MessageType::Chat | MessageType::Normal => true,
            // An error must not be answered with one; headlines and rooms expect none.
            MessageType::Error | MessageType::Headline | MessageType::Groupchat => false,
        };
        let encrypted = message.payloads.iter().any(is_encrypted);
        let body = message.bodies.get("").or_else(|| message.bodies.values().next());
        let Some(from) = message.from.filter(|_| is_chat && (encrypted || body.is_some())) else { return };
        let sender = address::bare(&from);
        // Like requests, so that a flood of messages does not become a flood of errors.
        if !self.limiter.admit(&sender, now) {
            return;
        }
        let known = self.is_friend(&from);
        if known {
            let text = body.filter(|_| !encrypted).map(|body| convert::cut(body, CHAT_TEXT)).unwrap_or_default();
            tracing::debug!(%sender, "a chat message came here");
            self.tell(SessionEvent::Chat { from: sender, text });
        }
        self.bounce(from, message.id, known);
    }

    /// Strangers get the bare condition: no text that says what runs here.
    fn bounce(&mut self, to: Jid, id: Option<tokio_xmpp::parsers::message::Id>, known: bool) {
        let text = if known {
            format!("xbt only transfers files; please write to {}", self.account.bare())
        } else {
            String::new()
        };
        let error = convert::error_out(ErrorType::Cancel, DefinedCondition::ServiceUnavailable, &text);
        let mut message = Message::error(to).with_payload(error);
        message.id = id;
        self.output.send(message);
    }
}
