//! What a link is made of, and what it and its swarm say to each other.

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

/// What can be served once the metadata is known.
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
    /// The other side's metadata can be had from it, and its size.
    CanTell(u32),
    /// All that the other side has.
    Has(Bitfield),
    /// More that the other side has.
    Have(Vec<u32>),
    /// Whether the other side wants what we have.
    Interested(bool),
    /// It could take pieces of this many bytes.
    Hungry(usize),
    Full(PieceBuf),
    /// Unfinished pieces come back.
    GiveBack(Vec<PieceBuf>),
    /// It ends: unfinished pieces come back, and none are taken any more.
    Leaving(Vec<PieceBuf>),
    /// Asked for data and got none for a while.
    Stalled,
    Metadata(Vec<u8>),
    /// It would not tell the metadata.
    Untold,
    /// The other side has everything verified and in its place.
    Done,
    /// A read for the other side failed.
    Unreadable(EngineError),
    Ended,
}

/// From a swarm to a link.
pub(crate) enum Order {
    /// The metadata is known now; we have these pieces.
    Ready(View, Bitfield),
    /// We have this piece now.
    Have(u32),
    /// We have the first, of which it was told the second.
    Show(Bitfield, Bitfield),
    /// Fetch these: the answer to `Hungry`, as soon as there are any.
    Fetch(Vec<PieceBuf>),
    /// Give this piece back.
    Drop(u32),
    /// Fetch the metadata of this size.
    GetMetadata(u32),
    /// Whether to serve the other side.
    Serve(bool),
    /// We have everything.
    Complete,
    Close(CloseReason),
}

/// What a link is born with.
pub(crate) struct Start {
    pub(crate) key: ContentKey,
    pub(crate) shared: Arc<Shared>,
    pub(crate) reports: mpsc::Sender<(LinkTag, Report)>,
    pub(crate) orders: mpsc::UnboundedReceiver<Order>,
    pub(crate) ready: Option<(View, Bitfield)>,
    pub(crate) fetching: bool,
    /// The other side is served from the start.
    pub(crate) serving: bool,
    /// Where the link keeps its rate of receiving, in bytes/s, for the swarm to see.
    pub(crate) rate: Arc<AtomicU64>,
    /// What goes out, for the swarm to see.
    pub(crate) sending: Arc<Sending>,
}
