//! The signalling, as the rules see it: what one device asks of another, and what it answers.
//!
//! `docs/protocol.md` specifies the stanzas; the XMPP room translates. Every request is idempotent by
//! (contact, id), so a request whose answer was lost is simply sent again. Requests and answers are signed: [`proof`]
//! says with what, [`text`] what exactly.

pub mod proof;
mod reach;
mod refusal;
mod sync;
pub mod text;

use serde::{Deserialize, Serialize};

use crate::ids::{Fingerprint, InfoHash, OfferId};
use crate::way::Way;

pub use proof::{Epoch, Signature, Signed, Signer, Stamp};
pub use reach::{Candidate, CandidateKind, MAX_CANDIDATES, MAX_PROXIES, MAX_STREAM_ID, Proxy, Reach};
pub use refusal::{Condition, ErrorType, Refusal, Wait};
pub use sync::{MAX_SYNC_ITEMS, Role, SyncItem, SyncState};

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
}

/// What one device asks of another (an IQ set between full JIDs).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Asks for proof of the listener's key, and for the epoch of further requests.
    Hello,
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
    /// The offer that the request is about; none for `hello` and `sync`.
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
            Self::Hello | Self::Sync(_) => None,
        }
    }
}

/// A positive answer (an IQ result).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Understood and kept: an empty result.
    Acknowledged,
    /// To `hello`: what the asker's requests are to be stamped with.
    Hello(Epoch),
    /// To `connect`: the other side's identity and candidates.
    Connect(Connect),
    /// To `sync`: where the answering side differs.
    Sync(Vec<SyncItem>),
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
