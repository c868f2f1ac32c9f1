//! A transfer: one content × one contact × one direction, with its state.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::ids::{BareJid, ContentId, Fingerprint, InfoHash, OfferId, TransferId};
use crate::rate::{Priority, RateLimits};
use crate::signal::SyncState;
use crate::time::Wall;

/// Maximum number of steps in a transfer's history; the first one and the newest are kept.
pub const MAX_HISTORY: usize = 64;

/// A device of a contact as a transfer remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The resource of its full JID, which a device keeps.
    pub resource: String,
    /// Its identity key.
    pub fingerprint: Fingerprint,
}

/// How a transfer ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The receiver has everything, verified and in place.
    Done,
    /// The receiver declined it.
    Declined {
        /// A message from person to person.
        message: Option<String>,
    },
    /// One side ended it.
    Cancelled,
    /// It was not accepted in time.
    Expired,
    /// Another device of ours has it (incoming only).
    Elsewhere,
    /// A fault ended it.
    Failed(Fault),
}

/// The states of a transfer to a contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outgoing {
    /// The content is being hashed.
    Preparing,
    /// No device of the contact has acknowledged the offer, or the device that took it waits for its turn.
    Queued,
    /// At least one device has acknowledged the offer.
    Offered,
    /// A device took it; there is no link now.
    Connecting,
    /// There is a link.
    Sending,
    /// It is over.
    Ended(End),
}

/// The states of a transfer from a contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Incoming {
    /// It waits for an answer.
    Offered,
    /// Accepted; there is no link now.
    Connecting,
    /// There is a link.
    Receiving,
    /// It is over.
    Ended(End),
}

/// Which way the content goes, with what only that way knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// To the contact.
    Out {
        /// How it stands.
        state: Outgoing,
        /// Resources of the contact that have acknowledged the offer. Once it has ended, that of the device that took it
        /// stays until the device has said how it stands there.
        acknowledged: BTreeSet<String>,
        /// The device whose `connect` was accepted first. While it is set no other device gets the content.
        taken_by: Option<Peer>,
        /// The one courtesy message has been sent.
        courtesy: bool,
    },
    /// From the contact.
    In {
        /// How it stands.
        state: Incoming,
        /// The device that sent the offer.
        from: Peer,
        /// The folder it goes to, once accepted.
        folder: Option<String>,
        /// Where it lies, once done.
        path: Option<String>,
        /// Who accepted it.
        #[serde(default)]
        accepted: Accepted,
    },
}

/// Who accepted an offer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accepted {
    /// The person, or nobody yet.
    #[default]
    ByPerson,
    /// A standing rule. `linked`: there has been a link; until then no space is reserved for it, and it expires.
    ByRule {
        /// See above.
        linked: bool,
    },
}

/// The two directions without their data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// To the contact.
    Out,
    /// From the contact.
    In,
}

/// Which sides have paused a transfer. It resumes when neither has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// The person here did, or a fault that the person has to fix first, such as a full disk.
    pub by_us: bool,
    /// The fault, if it was one.
    pub fault: Option<Fault>,
    /// The other side has paused it.
    pub by_contact: bool,
}

impl Paused {
    /// Whether either side has paused it.
    pub fn any(&self) -> bool {
        self.by_us || self.by_contact
    }
}

/// One line of a transfer's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When.
    pub at: Wall,
    /// The state it came into, or another short name of what happened.
    pub state: String,
    /// Why, if there is more to say.
    pub reason: Option<String>,
}

/// What is known of the content of a transfer; for a send only once it has been hashed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The SHA-1 of the info dictionary.
    pub info_hash: InfoHash,
    /// Bytes of all files together.
    pub size: u64,
    /// Number of files.
    pub files: u64,
    /// Bytes of the info dictionary.
    pub metadata_size: u32,
}

/// One transfer, as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// The number that people see.
    pub id: TransferId,
    /// The id on the wire.
    pub offer: OfferId,
    /// Our own bare JID at the time; a transfer never moves to another account.
    pub account: BareJid,
    /// The other side.
    pub contact: BareJid,
    /// What is moved. Sends to several recipients share one content.
    pub content: ContentId,
    /// Direction and state.
    pub side: Side,
    /// The name of the file or folder as the sender calls it.
    pub name: String,
    /// Size, hash and so on.
    pub facts: Option<Facts>,
    /// What the sender says about it.
    pub message: Option<String>,
    /// Who holds it up.
    pub paused: Paused,
    /// For its content: the open sends of one content have the same.
    #[serde(default)]
    pub limits: RateLimits,
    /// Its part in the limits that it shares with others; the open sends of one content have the same.
    #[serde(default)]
    pub priority: Priority,
    /// The `on_complete` hook has not ended yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hook_due: bool,
    /// When the offer expires if it has not been accepted.
    pub expires: Option<Wall>,
    /// When it began here.
    pub created: Wall,
    /// When it last changed its state.
    pub updated: Wall,
    /// What happened, oldest first.
    pub history: Vec<Step>,
    /// How many steps there have been, also those that the history has no room for any more.
    #[serde(default)]
    pub steps: u64,
}

impl Facts {
    /// Bytes that a standing rule looks at: what the content takes on a disk at most, or the metadata where that is more.
    ///
    /// Beside the first, each file and folder takes a block that is not full. An offer does not say how many folders there
    /// are: they are in the metadata that pieces (20 bytes for each 16 KiB) and files do not explain.
    pub fn cost(&self) -> u64 {
        const BLOCK: u64 = 4096;
        const METADATA_OF_FILE: u64 = 64;
        const METADATA_OF_FOLDER: u64 = 16;
        let metadata = u64::from(self.metadata_size);
        let pieces = self.size.div_ceil(16 << 10).saturating_mul(20);
        let explained = pieces.saturating_add(self.files.saturating_mul(METADATA_OF_FILE)).saturating_add(1024);
        let folders = metadata.saturating_sub(explained) / METADATA_OF_FOLDER;
        let further = self.files.saturating_sub(1).saturating_add(folders);
        self.size.saturating_add(further.saturating_mul(BLOCK)).max(metadata)
    }

    /// Bytes that it takes on the disk, with its metadata and a block for each file.
    pub fn disk(&self) -> u64 {
        const BLOCK: u64 = 4 << 10;
        let files = self.files.saturating_mul(BLOCK);
        self.size.saturating_add(u64::from(self.metadata_size)).saturating_add(files)
    }
}

impl Transfer {
    /// Which way the content goes.
    pub fn direction(&self) -> Direction {
        match self.side {
            Side::Out { .. } => Direction::Out,
            Side::In { .. } => Direction::In,
        }
    }

    /// The state's name in JSON and in the word list of the design.
    pub fn state_name(&self) -> &'static str {
        match &self.side {
            Side::Out { state, .. } => match state {
                Outgoing::Preparing => "preparing",
                Outgoing::Queued => "queued",
                Outgoing::Offered => "offered",
                Outgoing::Connecting => "connecting",
                Outgoing::Sending => "sending",
                Outgoing::Ended(end) => end.name(),
            },
            Side::In { state, .. } => match state {
                Incoming::Offered => "offered",
                Incoming::Connecting => "connecting",
                Incoming::Receiving => "receiving",
                Incoming::Ended(end) => end.name(),
            },
        }
    }

    /// How it ended, if it has.
    pub fn end(&self) -> Option<&End> {
        match &self.side {
            Side::Out { state: Outgoing::Ended(end), .. } | Side::In { state: Incoming::Ended(end), .. } => Some(end),
            Side::Out { .. } | Side::In { .. } => None,
        }
    }

    /// The device on the other end, as far as one is settled.
    pub fn peer(&self) -> Option<&Peer> {
        match &self.side {
            Side::Out { taken_by, .. } => taken_by.as_ref(),
            Side::In { from, .. } => Some(from),
        }
    }

    /// The same, to be changed.
    pub(crate) fn peer_mut(&mut self) -> Option<&mut Peer> {
        match &mut self.side {
            Side::Out { taken_by, .. } => taken_by.as_mut(),
            Side::In { from, .. } => Some(from),
        }
    }

    /// Both sides have agreed on it and it has not ended: a link is wanted unless it is paused.
    pub fn agreed(&self) -> bool {
        match &self.side {
            Side::Out { state, .. } => matches!(state, Outgoing::Connecting | Outgoing::Sending),
            Side::In { state, .. } => matches!(state, Incoming::Connecting | Incoming::Receiving),
        }
    }

    /// A send that a device took and that waits for its turn.
    pub fn is_taken(&self) -> bool {
        matches!(self.side, Side::Out { state: Outgoing::Queued, taken_by: Some(_), .. })
    }

    /// A send that was given up after a device had taken it, and whose state at that device is not known yet: it may
    /// have had everything at that moment.
    pub fn is_unsure(&self) -> bool {
        match &self.side {
            Side::Out { state: Outgoing::Ended(End::Cancelled | End::Failed(_)), acknowledged, taken_by, .. } => {
                taken_by.as_ref().is_some_and(|peer| acknowledged.contains(&peer.resource))
            }
            Side::Out { .. } | Side::In { .. } => false,
        }
    }

    /// Has a link.
    pub fn linked(&self) -> bool {
        matches!(self.side, Side::Out { state: Outgoing::Sending, .. } | Side::In { state: Incoming::Receiving, .. })
    }

    /// Adds a step to the history, within its bound, and sets `updated`.
    pub fn note(&mut self, at: Wall, state: &str, reason: Option<String>) {
        self.updated = at;
        if self.history.len() >= MAX_HISTORY {
            self.history.remove(1);
        }
        self.history.push(Step { at, state: state.to_owned(), reason });
        self.steps = self.steps.saturating_add(1);
    }

    /// The steps since there were this many, as far as the history still has them.
    pub fn steps_since(&self, steps: u64) -> &[Step] {
        let new = usize::try_from(self.steps.saturating_sub(steps)).unwrap_or(usize::MAX);
        let first = self.history.len().saturating_sub(new);
        self.history.get(first..).unwrap_or_default()
    }
}

impl End {
    /// The state's name in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Declined { .. } => "declined",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Elsewhere => "elsewhere",
            Self::Failed(_) => "failed",
        }
    }

    /// As a `sync` reports it.
    pub fn sync_state(&self) -> SyncState {
        match self {
            Self::Done => SyncState::Done,
            Self::Declined { .. } => SyncState::Declined,
            Self::Cancelled => SyncState::Cancelled,
            Self::Expired => SyncState::Expired,
            Self::Elsewhere => SyncState::Taken,
            Self::Failed(_) => SyncState::Failed,
        }
    }
}

/// What outlives a removed transfer, so that a replay resurrects nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// Our own bare JID.
    pub account: BareJid,
    /// The other side.
    pub contact: BareJid,
    /// The id on the wire.
    pub offer: OfferId,
    /// Which way it went.
    pub direction: Direction,
    /// How it had ended.
    pub end: End,
    /// When it was removed.
    pub at: Wall,
}

/// What a send moves: known by its paths, shared by all its recipients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Its number.
    pub id: ContentId,
    /// Absolute paths of what is sent; empty for what is received.
    pub paths: Vec<String>,
    /// The name that the person gave, if it is not the one of the path.
    pub name: Option<String>,
    /// Marked open: while it is offered, any peer that knows its info-hash and reaches our port may read it.
    #[serde(default)]
    pub open: bool,
    /// What no content can hold is left out of it, instead of failing it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skip_special: bool,
    /// Patterns of what the person leaves out of its folders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
}

/// Received data that the person wants deleted, unless it has changed since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// The content that it was.
    pub content: ContentId,
    /// The transfer that it came with, which is gone.
    pub transfer: TransferId,
    /// Where it lies.
    pub path: String,
}

/// The outcome of a deletion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Files, links and folders that are gone.
    pub gone: u64,
    /// How many stay.
    pub kept: u64,
    /// The first that stay.
    pub named: Vec<Kept>,
}

/// Something that was not deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its path, which begins with the received name.
    pub path: String,
    /// Why, in words that complete the sentence "the path …".
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(size: u64, files: u64, metadata_size: u32) -> u64 {
        Facts { info_hash: InfoHash([0; 20]), size, files, metadata_size }.cost()
    }

    #[test]
    fn small_files_and_folders_count_by_the_blocks_they_take() {
        assert_eq!(cost(1 << 30, 1, 90_000), 1 << 30, "one file counts as it is");
        assert_eq!(cost(12_000, 12, 900), 12_000 + 11 * 4096);
        assert!(cost(1, 1_000_000, 20_000_000) > 4_000_000_000, "a million files of hardly a byte");
        assert!(cost(1, 1, 4 << 20) > 1_000_000_000, "metadata that only folders explain");
        assert_eq!(cost(10 << 30, 2, 819_200), (10 << 30) + 4096, "pieces explain it");
        assert_eq!(cost(u64::MAX, u64::MAX, u32::MAX), u64::MAX);
    }
}
