//! One end of an in-band bytestream (XEP-0047), as the program sees it and as the session does.
//!
//! Between the two lies a bounded buffer for each direction. [`super::agent`] makes blocks of what was written and
//! acknowledges a block when the reader has taken it, so a slow reader slows the other device's writer.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

/// Bytes written that no block was made of yet; a writer waits beyond that.
const OUTGOING: usize = 8 * 1024;

/// Bytes received that the reader has not taken; the other device breaks the rules beyond that.
pub(super) const INCOMING: usize = 64 * 1024;

/// How a bytestream has ended.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// By one of the two sides, in good order.
    Closed,
    /// Not in good order.
    Failed(io::ErrorKind, String),
}

#[derive(Debug, Default)]
struct State {
    incoming: VecDeque<u8>,
    /// Bytes that the reader has taken since the beginning.
    taken: u64,
    /// The reader is gone: discard what comes.
    deaf: bool,
    outgoing: VecDeque<u8>,
    /// Nothing more will be written.
    finished: bool,
    end: Option<End>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl State {
    fn wake_reader(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    fn wake_writer(&mut self) {
        if let Some(waker) = self.writer.take() {
            waker.wake();
        }
    }
}

/// What both sides share.
#[derive(Debug)]
pub(super) struct Pipe {
    state: Mutex<State>,
    /// Wakes the session.
    bell: Arc<Notify>,
}

impl Pipe {
    /// A stream for the program and the session's side of it.
    pub(super) fn new(bell: Arc<Notify>) -> (InBandStream, Arc<Self>) {
        let pipe = Arc::new(Self { state: Mutex::default(), bell });
        (InBandStream { pipe: pipe.clone() }, pipe)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics with the lock held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next block of at most `most` bytes: a full one, or what there is if `also_part`.
    pub(super) fn take_block(&self, most: usize, also_part: bool) -> Option<Vec<u8>> {
        let mut state = self.state();
        let count = state.outgoing.len().min(most);
        if count == 0 || (count < most && !also_part && !state.finished) {
            return None;
        }
        let block = state.outgoing.drain(..count).collect();
        state.wake_writer();
        Some(block)
    }

    /// Whether everything was written that ever will be, and blocks were made of it.
    pub(super) fn is_finished(&self) -> bool {
        let state = self.state();
        state.finished && state.outgoing.is_empty()
    }

    /// Hands over what came; false: there is no room, the sender does not wait for acknowledgements.
    pub(super) fn deliver(&self, data: &[u8]) -> bool {
        let mut state = self.state();
        if state.deaf {
            state.taken += data.len() as u64;
            return true;
        }
        if state.incoming.len() + data.len() > INCOMING {
            return false;
        }
        state.incoming.extend(data);
        state.wake_reader();
        true
    }

    /// Bytes that the reader has taken since the beginning.
    pub(super) fn taken(&self) -> u64 {
        self.state().taken
    }

    /// Nothing goes either way any more; the reader still gets what has arrived.
    pub(super) fn end(&self, end: End) {
        let mut state = self.state();
        state.end.get_or_insert(end);
        state.outgoing.clear();
        state.wake_reader();
        state.wake_writer();
    }
}

/// A byte stream to a device through the XMPP servers. Slow: at most two blocks of 4 KiB are under way.
///
/// Shutting down waits until the other device has taken everything, and ends both directions: XEP-0047 knows no half of
/// a stream. Dropping does the same without waiting. If the stream is lost both directions give an error, the reading
/// one after what has arrived.
#[derive(Debug)]
pub struct InBandStream {
    pipe: Arc<Pipe>,
}

impl AsyncRead for InBandStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.pipe.state();
        if state.incoming.is_empty() {
            return match &state.end {
                Some(End::Closed) => Poll::Ready(Ok(())),
                Some(End::Failed(kind, text)) => Poll::Ready(Err(io::Error::new(*kind, text.clone()))),
                None => {
                    state.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
            };
        }
        let (first, _) = state.incoming.as_slices();
        let count = first.len().min(buf.remaining());
        buf.put_slice(&first[..count]);
        state.incoming.drain(..count);
        state.taken += count as u64;
        drop(state);
        self.pipe.bell.notify_one();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for InBandStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.pipe.state();
        match &state.end {
            Some(End::Failed(kind, text)) => return Poll::Ready(Err(io::Error::new(*kind, text.clone()))),
            Some(End::Closed) => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            None if state.finished => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            None => {}
        }
        let count = data.len().min(OUTGOING.saturating_sub(state.outgoing.len()));
        if count == 0 && !data.is_empty() {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.outgoing.extend(&data[..count]);
        drop(state);
        self.pipe.bell.notify_one();
        Poll::Ready(Ok(count))
    }

    /// Has nothing to do: what was written goes out as soon as the rules of the way allow it.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.pipe.state();
        match &state.end {
            Some(End::Closed) => return Poll::Ready(Ok(())),
            Some(End::Failed(kind, text)) => return Poll::Ready(Err(io::Error::new(*kind, text.clone()))),
            None => {}
        }
        state.finished = true;
        state.writer = Some(cx.waker().clone());
        drop(state);
        self.pipe.bell.notify_one();
        Poll::Pending
    }
}

impl Drop for InBandStream {
    fn drop(&mut self) {
        let mut state = self.pipe.state();
        (state.finished, state.deaf) = (true, true);
        state.taken += state.incoming.len() as u64;
        state.incoming.clear();
        drop(state);
        self.pipe.bell.notify_one();
    }
}
