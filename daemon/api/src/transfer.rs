//! Transfers on the wire, as `xbtctl list --json` prints them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ApiError, Limits, Priority};

macro_rules! wire_words {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])+ $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_meta])+ #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word on the wire.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// Reads the word of the wire.
            pub fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}
pub(crate) use wire_words;

wire_words! {
    /// Which way the content goes.
    Direction {
        /// From a contact to us.
        In = "in",
        /// From us to a contact.
        Out = "out",
    }
}

wire_words! {
    /// How a transfer stands.
    State {
        /// Outgoing: the content is being hashed.
        Preparing = "preparing",
        /// Outgoing: waits, see [`Transfer::why`].
        Queued = "queued",
        /// Outgoing: a device has the offer. Incoming: the person has to answer.
        Offered = "offered",
        /// Accepted; a link is being made, or waited for.
        Connecting = "connecting",
        /// Outgoing: moving.
        Sending = "sending",
        /// Incoming: moving.
        Receiving = "receiving",
        /// Ended: the receiver has everything, verified.
        Done = "done",
        /// Ended: the receiver did not want it.
        Declined = "declined",
        /// Ended by one of the two people.
        Cancelled = "cancelled",
        /// Ended: it was not accepted in time.
        Expired = "expired",
        /// Ended, incoming: another of our devices took it.
        Elsewhere = "elsewhere",
        /// Ended by a fault, see [`Transfer::error`].
        Failed = "failed",
    }
}

impl State {
    /// Whether nothing will change any more.
    pub fn has_ended(self) -> bool {
        match self {
            Self::Preparing | Self::Queued | Self::Offered | Self::Connecting | Self::Sending | Self::Receiving => {
                false
            }
            Self::Done | Self::Declined | Self::Cancelled | Self::Expired | Self::Elsewhere | Self::Failed => true,
        }
    }
}

wire_words! {
    /// The kind of link a transfer runs on.
    Way {
        /// Straight, by QUIC over IPv6.
        DirectUdp6 = "direct-udp6",
        /// Straight, by QUIC over IPv4.
        DirectUdp4 = "direct-udp4",
        /// Straight, IPv6.
        DirectTcp6 = "direct-tcp6",
        /// Straight, IPv4.
        DirectTcp4 = "direct-tcp4",
        /// Through a mapped port.
        MappedTcp4 = "mapped-tcp4",
        /// Through a hole in both routers.
        PunchedUdp = "punched-udp",
        /// Through the XMPP server's SOCKS5 proxy (XEP-0065).
        Proxy65 = "proxy65",
        /// Inside the XMPP streams (XEP-0047).
        InBand = "in-band",
    }
}

/// Why a transfer waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// One of [`crate::codes::WHY`].
    pub code: String,
    /// One sentence for people.
    pub text: String,
}

/// One content × one contact × one direction. Sizes are bytes, times RFC 3339 in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Small, counted up, never used twice.
    pub id: u64,
    /// Which way.
    pub direction: Direction,
    /// The bare JID of the other side.
    pub contact: String,
    /// The name of the content. When incoming: what the sender calls it, so show it with care.
    pub name: String,
    /// Number of files.
    pub files: u64,
    /// Bytes of all files together.
    pub size: u64,
    /// How it stands.
    pub state: State,
    /// A person on either side has paused it; [`Self::why`] says which.
    pub paused: bool,
    /// Bytes that the receiver has (while preparing: bytes that are hashed).
    pub done_bytes: u64,
    /// Bytes per second at the moment.
    pub rate: u64,
    /// Seconds until it is done at that rate.
    pub eta_s: Option<u64>,
    /// 40 hex digits; unknown while an outgoing one is prepared.
    pub info_hash: Option<String>,
    /// The way in use.
    pub way: Option<Way>,
    /// What the sender said about it, or the receiver when it declined.
    pub message: Option<String>,
    /// While queued or paused.
    pub why: Option<Why>,
    /// When it failed.
    pub error: Option<ApiError>,
    /// Outgoing: what is sent. Incoming: where it goes or lies.
    pub path: Option<String>,
    /// When it came to be.
    pub created: String,
    /// When its state last changed.
    pub updated: String,
}

/// One file of a content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// Its path inside the content, parts joined by `/`.
    pub path: String,
    /// Bytes.
    pub size: u64,
}

/// One step in the life of a transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryItem {
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// The state that began, or another short word for what happened (`paused`, `resumed`, `courtesy-message`).
    pub state: String,
    /// Why, for people.
    pub reason: Option<String>,
}

/// Why a way is not in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Which way.
    pub way: Way,
    /// What stood in its way, in words a person can act on.
    pub reason: String,
}

/// Everything about one transfer: its own fields, and more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferDetails {
    /// As in a list.
    #[serde(flatten)]
    pub transfer: Transfer,
    /// The first files (at most 1,000).
    #[serde(default)]
    pub file_list: Vec<FileInfo>,
    /// Whether there are more files than [`Self::file_list`] holds.
    #[serde(default)]
    pub more_files: bool,
    /// How many things the sender left out of it (`--skip-special`), because no content can hold them.
    #[serde(default)]
    pub omitted: u64,
    /// What happened, oldest first (at most the last 100 steps).
    #[serde(default)]
    pub history: Vec<HistoryItem>,
    /// The JID of the SOCKS5 proxy that relays it, while one does.
    #[serde(default)]
    pub relay: Option<String>,
    /// Why each way that is better than the one in use, or while there is none each way at all, is not in use: one
    /// reason for each, best way first.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
    /// The device (full JID) at the other end.
    #[serde(default)]
    pub device: Option<String>,
    /// The key of that device, 64 hex digits.
    #[serde(default)]
    pub fingerprint: Option<String>,
    /// Whether the person has verified that key.
    #[serde(default)]
    pub verified: bool,
    /// When the offer expires, RFC 3339 in UTC.
    #[serde(default)]
    pub expires: Option<String>,
    /// Payload bytes sent over links since the daemon started, those with other recipients included.
    #[serde(default)]
    pub uploaded: u64,
    /// Payload bytes received over links since the daemon started, those with other recipients included.
    #[serde(default)]
    pub downloaded: u64,
    /// Other recipients of the same send who help with it and are helped.
    #[serde(default)]
    pub introduced: u64,
    /// For its content; open sends of one content to several recipients share them.
    #[serde(default)]
    pub limits: Limits,
    /// Its part in the limits that it shares with others.
    #[serde(default)]
    pub priority: Priority,
    /// Of a send that is open now: by what link any BitTorrent program fetches it, with the daemon's addresses.
    #[serde(default)]
    pub magnet: Option<String>,
}

/// What to send to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendRequest {
    /// Bare JIDs or roster names; at most [`crate::MAX_RECIPIENTS`].
    pub contacts: Vec<String>,
    /// Absolute paths that become one content; at most [`crate::MAX_PATHS`].
    pub paths: Vec<String>,
    /// What the content is called instead of its path's last part. Needed when there are several paths that
    /// are to arrive under a name of their own.
    #[serde(default)]
    pub name: Option<String>,
    /// A message to the recipients, at most [`crate::MAX_MESSAGE`] bytes.
    #[serde(default)]
    pub message: Option<String>,
    /// The offer is withdrawn after so many seconds.
    #[serde(default)]
    pub expire_s: Option<u64>,
    /// While it is offered, whoever knows its info-hash and reaches the daemon's port may read it with any BitTorrent
    /// program, without encryption; see [`TransferDetails::magnet`].
    #[serde(default)]
    pub open: bool,
    /// Leave out what no content can hold (sockets, pipes, devices, links that lead out of what is sent), instead of
    /// refusing the send with `special-file`.
    #[serde(default)]
    pub skip_special: bool,
    /// Patterns, as in `.gitignore`, of what is left out of folders, beside those in their `.xbtignore`; at most
    /// [`crate::MAX_PATTERNS`].
    #[serde(default)]
    pub exclude: Vec<String>,
}

/// What a send of some paths would be about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Survey {
    /// What the content is called.
    pub name: String,
    /// Number of files, symbolic links included.
    pub files: u64,
    /// Bytes of all files together.
    pub size: u64,
    /// How many things are left out because no content can hold them.
    pub omitted: u64,
    /// How many things are left out because a pattern matches them; a folder counts as one.
    pub excluded: u64,
    /// How many unfinished downloads are left out.
    pub unfinished: u64,
}

/// A transfer that was removed with what it brought.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Removed {
    /// Its number.
    pub id: u64,
    /// How many files, links and folders were deleted.
    pub deleted: u64,
    /// How many things stay at its path, because they are not what was received.
    pub kept: u64,
    /// The first of those (at most 10).
    pub stays: Vec<Kept>,
}

/// Something that was not deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its path, which begins with the received name.
    pub path: String,
    /// Why, in words that complete the sentence "the path …".
    pub why: String,
}

/// Which transfers to list. The default: all that have not ended and the last 20 that have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListQuery {
    /// All that have ended, too.
    pub all: bool,
    /// Only this way.
    pub direction: Option<Direction>,
    /// Only these states; empty: any. Naming a state in which transfers have ended does not imply [`Self::all`].
    pub states: Vec<State>,
    /// Only ids above this one: the last id of the page before.
    pub after_id: Option<u64>,
    /// At most so many, itself at most [`crate::MAX_PAGE`].
    pub limit: Option<u32>,
}

/// One page of a list, by rising id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListPage {
    /// At most [`crate::MAX_PAGE`].
    pub transfers: Vec<Transfer>,
    /// There are more: ask again with [`ListQuery::after_id`].
    pub more: bool,
    /// As [`crate::Status::new_keys`].
    #[serde(default)]
    pub new_keys: Vec<String>,
    /// As [`crate::Status::requests`].
    #[serde(default)]
    pub requests: Vec<String>,
}

#[cfg(test)]
mod tests;
