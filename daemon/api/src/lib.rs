//! How programs talk to `xbtd`: one tarpc service over a Unix socket, its wire types, its error codes and a client.
//!
//! Frames are length-delimited (four bytes, big endian) JSON documents; `docs/rpc.md` shows them byte for byte
//! for people who write a client in another language. What is here is the same promise as types:
//! a field may be added in any version, but is renamed or removed only together with [`PROTOCOL`].

mod client;
mod codec;
pub mod codes;
mod contact;
mod error;
mod event;
mod limits;
mod login;
mod naming;
mod network;
mod rules;
mod service;
pub mod size;
mod socket;
mod status;
pub mod text;
mod transfer;

pub use client::{Client, ClientError, Unreachable};
pub use contact::{Accept, Contact, Device, DeviceVerification, Ruling, Subscription, Trust, Verification};
pub use error::ApiError;
pub use event::{Event, EventKind, Events};
pub use limits::{LimitChange, Limits, LimitsBy, Pace, Priority};
pub use login::{Login, LoginProtection};
pub use naming::{Named, named};
pub use network::{Address, AddressKind, Folder, Folders, Mapping, Network, Server, Strangers, Stun};
pub use rules::{Rule, Rules, RulesFor};
pub use service::{METHODS, ServeXbt, Xbt, XbtClient, XbtRequest, XbtResponse};
pub use socket::{default_socket, find_socket};
pub use status::{Connection, Counts, Discarded, Hello, LedgerEntry, Open, Status};
pub use transfer::{
    Attempt, Direction, FileInfo, HistoryItem, Kept, ListPage, ListQuery, Removed, SendRequest, State, Survey,
    Transfer, TransferDetails, Way, Why,
};

/// The version of everything in this crate that goes over the wire. It is counted up when something is renamed,
/// removed or changes its meaning, not when something is added.
pub const PROTOCOL: u32 = 1;

/// Largest frame that a daemon takes, in bytes.
pub const MAX_REQUEST_FRAME: usize = 1 << 20;

/// Largest frame that a daemon sends, in bytes.
pub const MAX_RESPONSE_FRAME: usize = 16 << 20;

/// Longest that a daemon works on one call, in seconds; later deadlines are brought down to it.
pub const MAX_DEADLINE_S: u64 = 600;

/// Longest that `events` waits for something to happen, in milliseconds; more is brought down to it.
pub const MAX_WAIT_MS: u64 = 60_000;

/// Most transfers in one page of `list`; also what a page holds when the caller does not say.
pub const MAX_PAGE: u32 = 1_000;

/// Contacts in [`Status::ledger`].
pub const MAX_LEDGER: usize = 64;

/// Most recipients of one `send`.
pub const MAX_RECIPIENTS: usize = 100;

/// Most paths of one `send`.
pub const MAX_PATHS: usize = 1_000;
/// Most patterns of what a send leaves out.
pub const MAX_PATTERNS: usize = 1_000;

/// Most ids in one call.
pub const MAX_IDS: usize = 1_000;

/// Longest word from person to person (`message`), in bytes as XML (`&` has five): an offer stays below the 10,000 bytes
/// that every XMPP server takes.
pub const MAX_MESSAGE: usize = 4_096;

/// Longest name, JID or safety number in a call, in bytes (RFC 7622 allows a JID 3,071).
pub const MAX_NAME: usize = 3_071;

/// Longest path in a call, in bytes (`PATH_MAX`).
pub const MAX_PATH: usize = 4_096;
