//! The signalling, as the rules see it: what one device asks of another, and what it answers.
//!
//! `docs/protocol.md` specifies the stanzas; the XMPP room translates. Every request is idempotent by
//! (contact, id), so a request whose answer was lost is simply sent again.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::ids::{Fingerprint, FullJid, InfoHash, OfferId};

/// Most candidates that are taken from one `connect`; the rest is ignored.
pub const MAX_CANDIDATES: usize = 16;

/// Most items in one page of a `sync`: a page stays well below 64 KiB.
pub const MAX_SYNC_ITEMS: usize = 200;

/// "I would send you this content." Carries no address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Made by the sender, kept for the life of the transfer.
    pub id: OfferId,
    /// What the content is.
    pub info_hash: InfoHash,
    /// Bytes of all files together.
    pub size: u64,
    /// Number of files, at least 1.
    pub files: u64,
    /// Bytes of the info dictionary, which comes inside the link (BEP 9).
    pub metadata_size: u32,
    /// When the sender withdraws it, in Unix milliseconds.
    pub expires: Option<i64>,
    /// The name of the file or folder as the sender calls it: data, not yet a file name.
    pub name: String,
    /// What the sender says about it.
    pub message: Option<String>,
    /// The identity key of the device that sends the offer.
    pub fingerprint: Fingerprint,
}

/// What the address of a candidate is; also the kind of way that a link over it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CandidateKind {
    /// An address of one of the device's own interfaces, or a configured one.
    Host,
    /// The outside of a port mapping.
    Mapped,
}

/// An address at which a device may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Candidate {
    /// What kind of address it is.
    pub kind: CandidateKind,
    /// Where to dial.
    pub address: SocketAddr,
}

/// "Let us have a link for this": who I am and where I may be reached. The answer carries the same of the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// The offer that is accepted or whose link is re-established.
    pub id: OfferId,
    /// Must be the one of the offer.
    pub info_hash: InfoHash,
    /// The identity key of the device that speaks.
    pub fingerprint: Fingerprint,
    /// Best first, at most [`MAX_CANDIDATES`].
    pub candidates: Vec<Candidate>,
}

/// How a transfer stands, as one side tells the other in a `sync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyncState {
    /// Not ended, not yet accepted.
    Open,
    /// Not ended, accepted by the speaker's side (receiver) or by the listener's (sender).
    Accepted,
    /// Received and verified.
    Done,
    /// The receiver does not want it.
    Declined,
    /// The sender (or the receiver) ended it.
    Cancelled,
    /// Nobody took it in time.
    Expired,
    /// Another device of the receiver has it.
    Taken,
    /// Ended by a fault.
    Failed,
    /// The speaker has never heard of it, or has forgotten it.
    Unknown,
}

/// Which end of a transfer the speaker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The speaker made the offer.
    Sender,
    /// The speaker got the offer.
    Receiver,
}

/// One line of a `sync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SyncItem {
    /// Which transfer.
    pub id: OfferId,
    /// Which end the speaker of this item is.
    pub role: Role,
    /// How it stands there.
    pub state: SyncState,
}

/// What one device asks of another (an IQ set between full JIDs).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Something is on offer.
    Offer(Offer),
    /// A link is wanted.
    Connect(Connect),
    /// The receiver does not want it; with what it says about that.
    Decline {
        /// Which offer.
        id: OfferId,
        /// A word from person to person.
        message: Option<String>,
    },
    /// The speaker ends it.
    Cancel {
        /// Which offer.
        id: OfferId,
    },
    /// The receiver has everything, verified and in place.
    Done {
        /// Which offer.
        id: OfferId,
    },
    /// The speaker cannot go on.
    Failed {
        /// Which offer.
        id: OfferId,
        /// Why, for people.
        reason: String,
    },
    /// Another device of yours has it.
    Taken {
        /// Which offer.
        id: OfferId,
    },
    /// The speaker's side of open transfers; the answer holds the items in which the listener differs.
    Sync(Vec<SyncItem>),
}

impl Request {
    /// The offer that the request is about; none for a `sync`.
    pub fn offer_id(&self) -> Option<OfferId> {
        match self {
            Self::Offer(offer) => Some(offer.id),
            Self::Connect(connect) => Some(connect.id),
            Self::Decline { id, .. }
            | Self::Cancel { id }
            | Self::Done { id }
            | Self::Failed { id, .. }
            | Self::Taken { id } => Some(*id),
            Self::Sync(_) => None,
        }
    }
}

/// A good answer (an IQ result).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Understood and kept: an empty result.
    Acknowledged,
    /// To `connect`: the other side's identity and candidates.
    Connect(Connect),
    /// To `sync`: where the answering side differs.
    Sync(Vec<SyncItem>),
}

/// Why a request was refused (an IQ error).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// You may not.
    Forbidden,
    /// There is no such offer.
    ItemNotFound,
    /// Another device has taken it.
    Conflict,
    /// Not now (type wait): paused, or not your turn.
    ResourceConstraint,
    /// It contradicts what was agreed.
    NotAcceptable,
    /// It could not be understood.
    BadRequest,
    /// As from a client without xbt.
    ServiceUnavailable,
    /// xbt, but not this request.
    FeatureNotImplemented,
    /// Any other condition.
    Other,
}

/// The names of waits inside a refusal with [`Condition::ResourceConstraint`], told in its text's place so that programs need not read prose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wait {
    /// The person on the other side paused it; that side reconnects on resume.
    Paused,
    /// Too many transfers between the two devices are under way; ask again.
    Turn,
    /// The other side is busy in another way; ask again.
    Busy,
}

/// A refusal: a condition, and one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For the program.
    pub condition: Condition,
    /// With [`Condition::ResourceConstraint`]: what is waited for.
    pub wait: Option<Wait>,
    /// For the person; may be empty when it came from outside.
    pub text: String,
}

impl Refusal {
    /// A refusal with a condition and a sentence.
    pub fn new(condition: Condition, text: impl Into<String>) -> Self {
        Self { condition, wait: None, text: text.into() }
    }

    /// "Not now."
    pub fn wait(wait: Wait, text: impl Into<String>) -> Self {
        Self { condition: Condition::ResourceConstraint, wait: Some(wait), text: text.into() }
    }
}

/// What became of a request that we sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The device answered.
    Answered(Answer),
    /// The device, or a server on the way, refused.
    Refused(Refusal),
    /// No answer: time ran out or the stream was reset. The request may or may not have arrived.
    Lost,
}

/// Marks one request that we sent, or one that we have to answer. Unique while the daemon runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

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
    /// Whether we are told when the contact comes online.
    pub fn sees_contact(self) -> bool {
        matches!(self, Self::To | Self::Both)
    }

    /// Whether the contact is told when we come online.
    pub fn seen_by_contact(self) -> bool {
        matches!(self, Self::From | Self::Both)
    }
}

/// One line of the roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterItem {
    /// Who.
    pub jid: crate::ids::BareJid,
    /// The name that the person gave the contact.
    pub name: Option<String>,
    /// Who sees whom.
    pub subscription: Subscription,
    /// We asked to see the contact and wait for an answer.
    pub ask: bool,
    /// Roster groups.
    pub groups: Vec<String>,
}

/// What the XMPP session tells the rules.
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
    RosterRemoved(crate::ids::BareJid),
    /// A resource is available. `xbt`: it runs xbt (verified entity capabilities). Also told again when that changes.
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
    SubscriptionRequested(crate::ids::BareJid),
    /// A device asks; [`SessionCommand::Answer`] with the same token must follow.
    Requested {
        /// For the answer.
        token: Token,
        /// Who asks, as the server says.
        from: FullJid,
        /// What.
        request: Request,
    },
    /// What became of a request of ours; exactly one for each [`SessionCommand::Request`].
    Answered {
        /// As given in the command.
        token: Token,
        /// What became of it.
        outcome: Outcome,
    },
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
    /// No connection; it is tried again in so many milliseconds.
    Offline {
        /// Why, for people.
        reason: String,
        /// Milliseconds until the next attempt.
        retry_in: Option<u64>,
    },
    /// The server or its certificate was refused, or it refused us; not tried again until the configuration is reloaded.
    Refused {
        /// A stable code: `wrong-password`, `bad-certificate`, `unknown-host`, `no-encryption`, `no-mechanism`, …
        code: &'static str,
        /// What happened, one sentence.
        reason: String,
        /// What to do.
        hint: String,
    },
}

/// What the rules ask of the XMPP session.
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
        to: crate::ids::BareJid,
        /// The plain sentence.
        text: String,
        /// The offer for programs that know us.
        offer: Offer,
    },
    /// Put a contact on the roster (or change its name) and ask to see its presence.
    AddContact {
        /// Who.
        jid: crate::ids::BareJid,
        /// The name for the roster.
        name: Option<String>,
    },
    /// Take a contact off the roster; ends both subscriptions.
    RemoveContact(crate::ids::BareJid),
    /// Let somebody see our presence.
    ApproveSubscription(crate::ids::BareJid),
    /// Do not, or no longer.
    DenySubscription(crate::ids::BareJid),
}
