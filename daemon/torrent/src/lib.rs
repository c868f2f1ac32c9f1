//! A small BitTorrent swarm engine over any byte stream.
//!
//! The engine opens no socket, knows no tracker, no DHT and no peer exchange: the caller decides who may have what,
//! and hands over authenticated streams ([`Engine::attach`]). On those it speaks plain BitTorrent (BEP 3) with the
//! extension protocol (BEP 10) for metadata (BEP 9), so any other BitTorrent program can be at the far end.
//!
//! # What is used of librqbit's codec crates, and what is not
//! `librqbit-bencode` encodes and decodes (behind a guard, see `bencode.rs`: its integers overflow). Not used:
//! * `librqbit-peer-protocol`: a message must lie whole in one or two buffers before it is decoded, which costs a
//!   copy of every 16 KiB block; it has no cap on lengths; and it takes the Fast extension's ids as errors. Ten
//!   message types are framed in `link/framing.rs`, which hands out payload slices as they arrive.
//! * `librqbit-core`: `Lengths::new` divides by an unchecked piece length, refuses an empty content and sums
//!   unchecked. Metadata needs our own checks anyway (`metainfo.rs`), and nothing of it was left to use.
//!
//! # Memory
//! 32 MiB of pieces being received, for all contents together, shared fairly between owners (`budget.rs`); per link 256 KiB to read and twice
//! 256 KiB to read ahead; at most 64 links per content; metadata of contents being received, shared between owners
//! (`metadata_budget.rs`) and only while they have links.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod bencode;
mod bitfield;
mod budget;
mod content;
mod engine;
mod error;
mod event;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod handshake;
mod hex;
mod limit;
mod limits;
mod link;
mod metadata_budget;
mod metainfo;
pub mod names;
mod no_symlinks;
mod piece;
mod prepare;
mod prepared;
mod registry;
mod shared;
mod space;
mod stamp;
mod store;
mod swarm;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use content::{Data, Fetch};
pub use engine::{Engine, EngineConfig, Usage};
pub use error::{EngineError, codes};
pub use event::{CloseReason, Event};
pub use limits::Priority;
pub use metainfo::{Listing, MAX_FILES, MAX_METADATA, list};
pub use prepare::{Sources, Survey, survey};
pub use prepared::Prepared;
pub use space::{free_space, largest_file};
pub use store::received::{Deleted, Kept, delete_received, list_received};

/// The caller's number of a content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ContentKey(pub u64);

/// The caller's number of a link, unique while the process runs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LinkTag(pub u64);

/// The caller's number of a group of links that share limits, a contact's for example.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Group(pub u64);

/// The least time between two reports of progress.
pub(crate) const PROGRESS_EVERY: Duration = Duration::from_millis(250);
