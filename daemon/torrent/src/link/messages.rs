//! What a link is started with, and the messages between it and its swarm.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::sending::Sending;
use crate::bitfield::Bitfield;
use crate::error::EngineError;
use crate::event::CloseReason;
use crate::limits::LinkLimits;
use crate::metainfo::Metainfo;
use crate::piece::PieceBuf;
use crate::shared::Shared;
use crate::store::Store;
use crate::{ContentKey, Group, LinkTag};

/// Any byte stream.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What pieces are read from and written to, once the metadata is known.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) meta: Arc<Metainfo>,
    pub(crate) store: Arc<Store>,
}

/// A stream waiting to become a link.
pub(crate) struct Attach {
    pub(crate) tag: LinkTag,
    pub(crate) group: Option<Group>,
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) reserved: [u8; 8],
    pub(crate) cancel: CancellationToken,
    pub(crate) limits: LinkLimits,
}

/// From a link to its swarm.
pub(crate) enum Report {
    /// The other side has the metadata, of this size.
    HasMetadata(u32),
    /// All pieces of the other side.
    Has(Bitfield),
    /// Further pieces of the other side.
    Have(Vec<u32>),
    /// Whether the other side is interested.
    Interested(bool),
    /// It can take pieces of this many bytes.
    Capacity(usize),
    PieceComplete(PieceBuf),
    /// Returns unfinished pieces.
    Released(Vec<PieceBuf>),
    /// It ends: returns unfinished pieces and takes no more.
    Leaving(Vec<PieceBuf>),
    /// Requested data that has not come for a while.
    Stalled,
    Metadata(Vec<u8>),
    /// The other side rejected the request for metadata.
    MetadataRejected,
    /// The other side has everything verified and in its place.
    Done,
    /// The other side requests the first block of this piece.
    Requested(u32),
    /// Reading for an upload failed.
    Unreadable(EngineError),
    Ended,
}

/// From a swarm to a link.
pub(crate) enum LinkCommand {
    /// The metadata is known now; we have these pieces.
    Ready(View, Bitfield),
    /// We have this piece now.
    Have(u32),
    /// Ends super-seeding: we have the first; the second was advertised already.
    HaveAll(Bitfield, Bitfield),
    /// Fetch these: the answer to `Capacity`, once there are any.
    Download(Vec<PieceBuf>),
    /// Return this piece.
    Release(u32),
    /// Fetch the metadata of this size.
    GetMetadata(u32),
    /// Whether to unchoke the other side.
    Unchoke(bool),
    /// We have everything.
    Complete,
    Close(CloseReason),
}

/// What a link is started with.
pub(crate) struct Start {
    pub(crate) key: ContentKey,
    pub(crate) shared: Arc<Shared>,
    pub(crate) reports: mpsc::Sender<(LinkTag, Report)>,
    pub(crate) commands: mpsc::UnboundedReceiver<LinkCommand>,
    pub(crate) ready: Option<(View, Bitfield)>,
    pub(crate) fetching: bool,
    /// The other side is unchoked from the start.
    pub(crate) unchoked: bool,
    /// The download rate in bytes/s, for the swarm.
    pub(crate) rate: Arc<AtomicU64>,
    /// Upload statistics, for the swarm.
    pub(crate) sending: Arc<Sending>,
}
