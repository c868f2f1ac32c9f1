//! What a link is about to send: small messages, and the other side's requests to answer.
//!
//! Bounds: at most [`MAX_CONTROL`] bytes of small messages and [`MAX_REQUESTS`] requests of the other side; more
//! than that means that it requests without reading, and the link is closed.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use tokio::sync::Notify;

use super::framing::{self, Block};
use crate::event::CloseReason;

/// Requests of the other side that may wait. Announced as `reqq` (BEP 10).
pub(crate) const MAX_REQUESTS: usize = 2048;
/// Enough for a `have` for each of 1.7 million pieces.
const MAX_CONTROL: usize = 16 << 20;
/// Bytes of blocks read and written at once.
const BATCH: usize = 256 << 10;

/// A request of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Block(Block),
    /// A 16 KiB block of the metadata (BEP 9).
    Metadata(u32),
}

#[derive(Default)]
pub(crate) struct SendQueue {
    queue: Mutex<Queue>,
    ready: Notify,
}

#[derive(Default)]
struct Queue {
    control: BytesMut,
    requests: VecDeque<Request>,
    /// The writer has taken something and has not come back for more.
    writing: bool,
    closed: bool,
}

impl SendQueue {
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

    /// Queues a request of the other side.
    pub(crate) fn request(&self, request: Request) -> Result<(), CloseReason> {
        {
            let mut queue = self.lock();
            if queue.requests.len() >= MAX_REQUESTS {
                return Err(CloseReason::Protocol("too many requests are open"));
            }
            queue.requests.push_back(request);
        }
        self.ready.notify_one();
        Ok(())
    }

    /// The other side cancelled a request.
    pub(crate) fn cancel(&self, block: Block) {
        self.lock().requests.retain(|request| *request != Request::Block(block));
    }

    /// The other side is choked and will request again (BEP 3).
    pub(crate) fn forget_blocks(&self) {
        self.lock().requests.retain(|request| matches!(request, Request::Metadata(_)));
    }

    /// Sends the queued small messages and nothing more.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.ready.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(super) fn take_control(&self) -> BytesMut {
        let mut queue = self.lock();
        queue.writing |= !queue.control.is_empty();
        queue.control.split()
    }

    /// The next requests to answer together.
    pub(super) fn take_requests(&self) -> Vec<Request> {
        let mut queue = self.lock();
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some(request) = queue.requests.front().copied() {
            bytes += match request {
                Request::Block(block) => block.len as usize,
                Request::Metadata(_) => crate::metainfo::BLOCK,
            };
            if bytes > BATCH && !taken.is_empty() {
                break;
            }
            taken.push(request);
            queue.requests.pop_front();
        }
        queue.writing |= !taken.is_empty();
        taken
    }

    /// Whether something is on its way out.
    pub(super) fn is_busy(&self) -> bool {
        let queue = self.lock();
        queue.writing || !queue.requests.is_empty() || !queue.control.is_empty()
    }

    /// Waits until something is queued. Called when all that was taken has been written.
    pub(super) async fn ready(&self) {
        self.lock().writing = false;
        self.ready.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shorthand for a message without payload.
pub(crate) fn plain(id: u8) -> impl FnOnce(&mut BytesMut) {
    move |out| framing::put_plain(out, id)
}
