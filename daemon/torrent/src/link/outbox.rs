//! What a link is about to send.
//!
//! Bounds: at most [`MAX_CONTROL`] bytes of small messages and [`MAX_REQUESTS`] requests of the other side; more
//! than that means that it asks without reading, and the link is closed.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use tokio::sync::Notify;

use super::wire::{self, Block};
use crate::event::CloseReason;

/// Requests of the other side that may wait. Announced as `reqq` (BEP 10).
pub(crate) const MAX_REQUESTS: usize = 2048;
/// Enough for a `have` for each of 1.7 million pieces.
const MAX_CONTROL: usize = 16 << 20;
/// Bytes of blocks read and written at once.
const BATCH: usize = 256 << 10;

/// Something the other side asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Block(Block),
    /// A 16 KiB block of the metadata (BEP 9).
    Metadata(u32),
}

#[derive(Default)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    ready: Notify,
}

#[derive(Default)]
struct Queue {
    control: BytesMut,
    wanted: VecDeque<Wanted>,
    /// The writer has taken something and has not come back for more.
    taken: bool,
    closed: bool,
}

impl Outbox {
    /// Adds small messages.
    pub(crate) fn control(&self, put: impl FnOnce(&mut BytesMut)) -> Result<(), CloseReason> {
        {
            let mut queue = self.lock();
            put(&mut queue.control);
            if queue.control.len() > MAX_CONTROL {
                return Err(CloseReason::Protocol("it does not read what it causes"));
            }
        }
        self.ready.notify_one();
        Ok(())
    }

    /// Queues what the other side asked for.
    pub(crate) fn want(&self, wanted: Wanted) -> Result<(), CloseReason> {
        {
            let mut queue = self.lock();
            if queue.wanted.len() >= MAX_REQUESTS {
                return Err(CloseReason::Protocol("too many requests are open"));
            }
            queue.wanted.push_back(wanted);
        }
        self.ready.notify_one();
        Ok(())
    }

    /// The other side no longer wants a block.
    pub(crate) fn cancel(&self, block: Block) {
        self.lock().wanted.retain(|wanted| *wanted != Wanted::Block(block));
    }

    /// The other side is choked: it asks again (BEP 3).
    pub(crate) fn forget_blocks(&self) {
        self.lock().wanted.retain(|wanted| matches!(wanted, Wanted::Metadata(_)));
    }

    /// Nothing more will be sent than what is queued as small messages.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.ready.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(super) fn take_control(&self) -> BytesMut {
        let mut queue = self.lock();
        queue.taken |= !queue.control.is_empty();
        queue.control.split()
    }

    /// The next requests to answer together.
    pub(super) fn take_wanted(&self) -> Vec<Wanted> {
        let mut queue = self.lock();
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some(wanted) = queue.wanted.front().copied() {
            bytes += match wanted {
                Wanted::Block(block) => block.len as usize,
                Wanted::Metadata(_) => crate::metainfo::BLOCK,
            };
            if bytes > BATCH && !taken.is_empty() {
                break;
            }
            taken.push(wanted);
            queue.wanted.pop_front();
        }
        queue.taken |= !taken.is_empty();
        taken
    }

    /// Whether something is on its way out.
    pub(super) fn is_busy(&self) -> bool {
        let queue = self.lock();
        queue.taken || !queue.wanted.is_empty() || !queue.control.is_empty()
    }

    /// Waits until something was queued; all that was taken is out.
    pub(super) async fn ready(&self) {
        self.lock().taken = false;
        self.ready.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shorthand for a message without payload.
pub(crate) fn plain(id: u8) -> impl FnOnce(&mut BytesMut) {
    move |out| wire::put_plain(out, id)
}
