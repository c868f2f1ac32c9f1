//! Events for the caller.

use std::path::PathBuf;

use bytes::Bytes;

use crate::error::EngineError;
use crate::prepared::Prepared;
use crate::{ContentKey, LinkTag};

/// Something happened. Progress may be dropped when the caller is slow; everything else arrives exactly once.
#[derive(Clone, Debug)]
pub enum Event {
    /// A preparation goes on.
    PrepareProgress {
        /// Which content.
        key: ContentKey,
        /// Bytes hashed.
        bytes: u64,
        /// Bytes to hash; 0 while files are still being listed.
        total: u64,
    },
    /// A preparation is complete.
    Prepared {
        /// Which content.
        key: ContentKey,
        /// All that is needed to seed.
        prepared: Prepared,
        /// The same as bytes, for [`crate::Engine::seed_stored`].
        stored: Bytes,
    },
    /// A preparation failed or was cancelled.
    PrepareFailed {
        /// Which content.
        key: ContentKey,
        /// Why.
        error: EngineError,
    },
    /// The metadata of a fetch was received and is what was offered. The engine keeps it until the content is forgotten.
    Metadata {
        /// Which content.
        key: ContentKey,
    },
    /// The destination's disk refuses some names, so these paths of a fetch have other ones there. Again each time that the
    /// fetch is taken up.
    Renamed {
        /// Which content.
        key: ContentKey,
        /// Each path as it was sent, and as it is on the disk.
        renamed: Vec<(String, String)>,
    },
    /// A fetch goes on.
    Progress {
        /// Which content.
        key: ContentKey,
        /// Bytes verified and written.
        verified: u64,
    },
    /// A link moves data or the other side has more.
    PeerProgress {
        /// Which content.
        key: ContentKey,
        /// Which link.
        tag: LinkTag,
        /// Verified bytes the other side says it has.
        has: u64,
        /// Payload bytes sent on this link.
        uploaded: u64,
        /// Payload bytes received on this link.
        downloaded: u64,
    },
    /// The other side says that it has everything verified and in place. At most once for each link.
    PeerDone {
        /// Which content.
        key: ContentKey,
        /// Which link.
        tag: LinkTag,
    },
    /// For 4 s a link has received nothing of what was requested, or its stream has taken none of what is to be sent.
    /// Not while the other side chokes us or while our own limit holds the link up. Once per stall: again only after
    /// data moved in between.
    LinkStalled {
        /// Which content.
        key: ContentKey,
        /// Which link.
        tag: LinkTag,
    },
    /// Everything verified and moved into place.
    Completed {
        /// Which content.
        key: ContentKey,
        /// The file or folder.
        path: PathBuf,
        /// A record of it for [`crate::delete_received`], to be kept. Empty if it is not known any more.
        received: Bytes,
    },
    /// The content stopped and keeps its data; `fetch`, `seed` or `resume` tries again.
    Failed {
        /// Which content.
        key: ContentKey,
        /// Why.
        error: EngineError,
    },
    /// A link ended: exactly once per `attach`.
    LinkClosed {
        /// Which content.
        key: ContentKey,
        /// Which link.
        tag: LinkTag,
        /// Why.
        reason: CloseReason,
    },
}

/// Why a link ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// `detach` was called.
    #[error("it was closed here")]
    Detached,
    /// The content is not known, or was forgotten.
    #[error("the content is unknown here")]
    Unknown,
    /// The content is paused.
    #[error("the content is paused")]
    Paused,
    /// The content failed; the reason came with [`Event::Failed`].
    #[error("the content stopped: {0}")]
    Stopped(String),
    /// The engine shuts down.
    #[error("the engine shuts down")]
    Shutdown,
    /// The other side closed the stream.
    #[error("the other side closed it")]
    Ended,
    /// The stream failed.
    #[error("the connection failed: {0}")]
    Io(String),
    /// Nothing was received for 60 s.
    #[error("nothing was received for a minute")]
    Silent,
    /// The other side broke the protocol or a bound.
    #[error("the other side broke the protocol: {0}")]
    Protocol(&'static str),
    /// The other side sent wrong data repeatedly.
    #[error("the other side sent wrong data")]
    Corrupt,
    /// There are too many links for this content.
    #[error("there are too many links for this content")]
    TooMany,
}
