//! What the XMPP session and the rules tell each other: connection, roster, presence, requests.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::ids::{BareJid, Fingerprint, FullJid};
use crate::login::Login;
use crate::signal::{Answer, Offer, Outcome, Proxy, Refusal, Request, Signed, Stamp, Token};

/// Presence subscription between us and a contact (RFC 6121, section 2.1.2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subscription {
    /// Neither sees the other.
    #[default]
    None,
    /// We see the contact.
    To,
    /// The contact sees us.
    From,
    /// Both.
    Both,
}

impl Subscription {
    /// Whether we learn when the contact comes online.
    pub fn sees_contact(self) -> bool {
        matches!(self, Self::To | Self::Both)
    }

    /// Whether the contact learns when we come online.
    pub fn seen_by_contact(self) -> bool {
        matches!(self, Self::From | Self::Both)
    }
}

/// One line of the roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterItem {
    /// Who.
    pub jid: BareJid,
    /// The name that the person gave the contact.
    pub name: Option<String>,
    /// Who sees whom.
    pub subscription: Subscription,
    /// We asked to see the contact and wait for an answer.
    pub ask: bool,
    /// Roster groups.
    pub groups: Vec<String>,
}

/// Events of the XMPP session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// How the connection stands. `Online` after a fresh login (not a resumed stream) means that all
    /// presences known before are void; they come again.
    Connection(Connection),
    /// The whole roster, after a fresh login.
    Roster(Vec<RosterItem>),
    /// One line was added or changed (a verified roster push).
    RosterChanged(RosterItem),
    /// One line was removed (a verified roster push).
    RosterRemoved(BareJid),
    /// A resource is available. `xbt`: it runs xbt (verified entity capabilities). Sent again when that changes, and
    /// when a resource that runs xbt sends its presence again: it may have been unreachable meanwhile.
    Available {
        /// Which resource; may be another one of our own account.
        device: FullJid,
        /// Whether it speaks our namespace.
        xbt: bool,
    },
    /// A resource has gone.
    Unavailable {
        /// Which resource.
        device: FullJid,
    },
    /// Somebody asks to see our presence.
    SubscriptionRequested(BareJid),
    /// A device asks; [`SessionCommand::Answer`] with the same token must follow.
    Requested {
        /// For the answer.
        token: Token,
        /// Who asks, as the server says.
        from: FullJid,
        /// What.
        request: Request,
        /// Which key signed it; none: it carries no valid signature.
        signed: Option<Signed>,
    },
    /// A chat message came to this device, which shows none; its sender gets an error. Only from those whom we answer.
    Chat {
        /// Who wrote.
        from: BareJid,
        /// What; the first [`crate::limits::CHAT_TEXT`] bytes. Empty if only its recipient could decrypt it.
        text: String,
    },
    /// A stanza could not be read and was skipped.
    Discarded {
        /// The address in its `from`; none if there was none, or it could not be read either.
        from: Option<BareJid>,
    },
    /// What became of a request of ours; exactly one for each [`SessionCommand::Request`].
    Answered {
        /// As given in the command.
        token: Token,
        /// What became of it.
        outcome: Outcome,
        /// Which key signed the answer or refusal, as one to this very request; none: it carries no valid signature.
        by: Option<Fingerprint>,
    },
    /// Services of our server are known, or have changed.
    Services(ServerServices),
    /// The account was logged in, in another way than before.
    LoggedIn(Login),
}

/// The services of our server that help links. Reported after a login, and again when they change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerServices {
    /// Its SOCKS5 proxies (XEP-0065), found by service discovery.
    pub proxies: Vec<Proxy>,
    /// Its STUN servers over UDP (XEP-0215).
    pub stun: Vec<StunServer>,
    /// The address from which it sees us (XEP-0279).
    pub external: Option<IpAddr>,
}

/// A STUN server over UDP.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StunServer {
    /// A name or an address.
    pub host: String,
    /// Its UDP port.
    pub port: u16,
}

/// How the XMPP session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// A login is being tried.
    Connecting,
    /// Logged in. `resumed`: the old stream goes on, nothing was lost.
    Online {
        /// Our own full JID as bound by the server.
        device: FullJid,
        /// XEP-0198 resumption.
        resumed: bool,
    },
    /// No connection; the next attempt is planned.
    Offline {
        /// Why, for people.
        reason: String,
        /// Milliseconds until the next attempt.
        retry_in: Option<u64>,
    },
    /// The server or its certificate was refused, or it refused us.
    Refused {
        /// A stable code: `wrong-password`, `bad-certificate`, `unknown-host`, `no-encryption`, `no-mechanism`, …
        code: &'static str,
        /// What happened, one sentence.
        reason: String,
        /// What to do.
        hint: String,
        /// Milliseconds until the next attempt; none: not before the configuration is reloaded.
        retry_in: Option<u64>,
        /// What the login would have been, where we refused it because earlier ones were stronger.
        weaker: Option<Box<Login>>,
    },
}

/// Commands for the XMPP session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionCommand {
    /// Send an IQ set to a device; [`SessionEvent::Answered`] follows.
    Request {
        /// For the outcome.
        token: Token,
        /// Which device.
        to: FullJid,
        /// What.
        request: Request,
        /// For the signature.
        stamp: Stamp,
    },
    /// Answer an IQ of a device.
    Answer {
        /// As given in [`SessionEvent::Requested`].
        token: Token,
        /// The answer.
        answer: Result<Answer, Refusal>,
    },
    /// One courtesy chat message to a contact who has never shown xbt, with the offer beside it.
    Courtesy {
        /// Who.
        to: BareJid,
        /// The plain sentence.
        text: String,
        /// The offer for programs that know us.
        offer: Offer,
    },
    /// Put a contact on the roster (or change its name) and ask to see its presence.
    AddContact {
        /// Who.
        jid: BareJid,
        /// The name for the roster.
        name: Option<String>,
    },
    /// Take a contact off the roster; ends both subscriptions.
    RemoveContact(BareJid),
    /// Let somebody see our presence.
    ApproveSubscription(BareJid),
    /// Do not, or no longer.
    DenySubscription(BareJid),
    /// From now on a login may be as this one, and no weaker; the next attempt is made at once.
    AllowLogin(Box<Login>),
}
