//! What two devices compare of the transfers between them.

use serde::{Deserialize, Serialize};

use crate::ids::OfferId;

/// Maximum number of items in one page of a `sync`. Each has some 85 bytes, and servers need not take stanzas of more
/// than 10,000 (RFC 6120, section 13.12).
pub const MAX_SYNC_ITEMS: usize = 80;

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
