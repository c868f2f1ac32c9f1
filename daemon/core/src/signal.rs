//! The signalling, as the rules see it: what one device asks of another, and what it answers.
//!
//! `docs/protocol.md` specifies the stanzas; the XMPP room translates. Every request is idempotent by
//! (contact, id), so a request whose answer was lost is simply sent again.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::ids::{Fingerprint, InfoHash, OfferId};
use crate::way::Way;

/// Maximum number of candidates in one `connect`; the rest is ignored.
pub const MAX_CANDIDATES: usize = 16;

/// Maximum number of items in one page of a `sync`. Each has some 85 bytes, and servers need not take stanzas of more
/// than 10,000 (RFC 6120, section 13.12).
pub const MAX_SYNC_ITEMS: usize = 80;

/// Offers a content. Carries no address.
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
    /// A message from the sender.
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
    /// The device's UDP socket as seen from outside: for hole punching, never dialled over TCP.
    Reflexive,
}

/// An address at which a device may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Candidate {
    /// What kind of address it is.
    pub kind: CandidateKind,
    /// Where to dial.
    pub address: SocketAddr,
}

impl Candidate {
    /// Whether it is dialled over TCP.
    pub fn is_tcp(&self) -> bool {
        match self.kind {
            CandidateKind::Host | CandidateKind::Mapped => true,
            CandidateKind::Reflexive => false,
        }
    }
}

/// Maximum number of proxies in one `connect`; the rest is ignored.
pub const MAX_PROXIES: usize = 4;

/// Maximum length of the name of a bytestream, in bytes.
pub const MAX_STREAM_ID: usize = 128;

/// A SOCKS5 proxy of an XMPP server (XEP-0065) that the device which names it may use.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Proxy {
    /// The JID of the service.
    pub jid: String,
    /// A name or an address.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
}

/// How a device may be reached for one link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Best first, at most [`MAX_CANDIDATES`].
    pub candidates: Vec<Candidate>,
    /// At most [`MAX_PROXIES`]. The device that names a proxy activates it.
    pub proxies: Vec<Proxy>,
    /// Names the bytestreams that this device opens (XEP-0065, XEP-0047): random, and the same until there is a link
    /// or no link. None: no relays.
    pub stream_id: Option<String>,
    /// Whether an in-band bytestream (XEP-0047) will do if nothing else does.
    pub in_band: bool,
}

/// Asks for a link: the identity and the addresses of the speaker. The answer carries those of the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// The offer that is accepted or whose link is re-established.
    pub id: OfferId,
    /// Must be the one of the offer.
    pub info_hash: InfoHash,
    /// The identity key of the device that speaks.
    pub fingerprint: Fingerprint,
    /// Where the speaker may be reached.
    pub reach: Reach,
    /// In a request: the speaker's estimate of how long an answer takes to reach it, in milliseconds. The other side starts
    /// hole punching that long after its answer, the speaker on receiving it: at about the same moment.
    pub delay: u32,
    /// There is a link by this way; only a better one is wanted.
    pub better_than: Option<Way>,
    /// From the receiver: others who receive this content from the listener may learn these addresses.
    pub introduce: bool,
}

/// Introduces a device that receives the same content, so that the two can exchange pieces. Carries no name and no JID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// The offer that the listener has accepted from the speaker.
    pub id: OfferId,
    /// Must be the one of the offer.
    pub info_hash: InfoHash,
    /// The identity key of the device that is introduced.
    pub fingerprint: Fingerprint,
    /// Where that device may be reached over TCP, best first, at most [`MAX_CANDIDATES`].
    pub candidates: Vec<Candidate>,
    /// Of the speaker's identity key over [`Introduction::text`].
    pub signature: Option<Signature>,
}

/// An Ed25519 signature (RFC 8032) and the key that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The public key.
    pub key: [u8; 32],
    /// The signature.
    pub bytes: [u8; 64],
}

/// Signs with this device's identity key and verifies signatures.
pub trait Signer: Send {
    /// Our signature; none if signing failed.
    fn sign(&self, text: &[u8]) -> Option<Signature>;

    /// The fingerprint of the key that signed the text; none if the signature does not match.
    fn signed_by(&self, text: &[u8], signature: &Signature) -> Option<Fingerprint>;
}

impl Introduction {
    /// What is signed: the key that is admitted, and to which content. The id of an offer is random, so the signature is of
    /// use to one device only. Addresses are not part of it: an attacker that changes them can only keep the two apart.
    pub fn text(&self) -> Vec<u8> {
        let id = self.id.to_string();
        [b"xbt introduce\0", id.as_bytes(), &self.info_hash.0, &self.fingerprint.0].concat()
    }
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
    /// It was not accepted in time.
    Expired,
    /// Another device of the receiver has it.
    Taken,
    /// Ended by a fault.
    Failed,
    /// The speaker does not know it (any more).
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
    /// The receiver declines it.
    Decline {
        /// Which offer.
        id: OfferId,
        /// A message from person to person.
        message: Option<String>,
    },
    /// The speaker ends it.
    Cancel {
        /// Which offer.
        id: OfferId,
    },
    /// The sender ends it because it was not accepted before the offer expired.
    Expired {
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
    /// Another receiver of the same content.
    Introduce(Introduction),
    /// The speaker's side of open transfers; the answer holds the items in which the listener differs.
    Sync(Vec<SyncItem>),
}

impl Request {
    /// The offer that the request is about; none for a `sync`.
    pub fn offer_id(&self) -> Option<OfferId> {
        match self {
            Self::Offer(offer) => Some(offer.id),
            Self::Connect(connect) => Some(connect.id),
            Self::Introduce(introduction) => Some(introduction.id),
            Self::Decline { id, .. }
            | Self::Cancel { id }
            | Self::Expired { id }
            | Self::Done { id }
            | Self::Failed { id, .. }
            | Self::Taken { id } => Some(*id),
            Self::Sync(_) => None,
        }
    }
}

/// A positive answer (an IQ result).
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
    /// The other side's server cannot be found or reached.
    RemoteServerNotFound,
    /// The other side's server does not answer ours.
    RemoteServerTimeout,
    /// The other side is not online.
    RecipientUnavailable,
    /// A fault of a server or of a program.
    InternalServerError,
    /// Any other condition.
    Other,
}

impl Condition {
    /// The type that goes with it (RFC 6120, section 8.3.3).
    pub fn usual_type(self) -> ErrorType {
        match self {
            Self::Forbidden => ErrorType::Auth,
            Self::NotAcceptable | Self::BadRequest => ErrorType::Modify,
            Self::ResourceConstraint | Self::RemoteServerTimeout | Self::RecipientUnavailable => ErrorType::Wait,
            Self::ItemNotFound
            | Self::Conflict
            | Self::ServiceUnavailable
            | Self::FeatureNotImplemented
            | Self::RemoteServerNotFound
            | Self::InternalServerError
            | Self::Other => ErrorType::Cancel,
        }
    }
}

/// What the sender of a stanza can do about an error (RFC 6120, section 8.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorType {
    /// Try again with other credentials.
    Auth,
    /// Nothing.
    Cancel,
    /// Go on: it was only a warning.
    Continue,
    /// Change the request.
    Modify,
    /// Try again later.
    Wait,
}

/// The names of waits inside a refusal with [`Condition::ResourceConstraint`], so that programs need not parse prose.
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
    /// What can be done about it.
    pub kind: ErrorType,
    /// With [`Condition::ResourceConstraint`]: what is waited for.
    pub wait: Option<Wait>,
    /// For the person; may be empty when it came from outside.
    pub text: String,
}

impl Refusal {
    /// A refusal with a condition and a sentence.
    pub fn new(condition: Condition, text: impl Into<String>) -> Self {
        Self { condition, kind: condition.usual_type(), wait: None, text: text.into() }
    }

    /// "Not now."
    pub fn wait(wait: Wait, text: impl Into<String>) -> Self {
        Self { wait: Some(wait), ..Self::new(Condition::ResourceConstraint, text) }
    }

    /// Whether the same request may succeed later. A server answers for a device that has just gone with
    /// `service-unavailable`, and servers do not agree on the type of errors about other servers: Prosody and ejabberd
    /// say `cancel` where a restart of the other server is all that is needed.
    pub fn may_pass(&self) -> bool {
        self.kind == ErrorType::Wait
            || matches!(
                self.condition,
                Condition::ServiceUnavailable
                    | Condition::RemoteServerNotFound
                    | Condition::RemoteServerTimeout
                    | Condition::RecipientUnavailable
                    | Condition::InternalServerError
            )
    }

    /// The text, or what the condition says to a person.
    pub fn sentence(&self) -> &str {
        if !self.text.is_empty() {
            return &self.text;
        }
        match self.condition {
            Condition::RemoteServerNotFound => "our server cannot reach theirs",
            Condition::RemoteServerTimeout => "their server does not answer ours",
            Condition::RecipientUnavailable | Condition::ServiceUnavailable => "the device is gone",
            Condition::InternalServerError => "a server reports a fault of its own",
            Condition::ResourceConstraint => "the device is busy",
            Condition::Forbidden => "it is forbidden there",
            Condition::ItemNotFound => "it is unknown there",
            Condition::Conflict => "another device has it",
            Condition::NotAcceptable => "it is not acceptable there",
            Condition::BadRequest => "the request was not understood there",
            Condition::FeatureNotImplemented => "the program there does not support this request",
            Condition::Other => "the request was refused",
        }
    }
}

/// The outcome of a request that we sent.
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
