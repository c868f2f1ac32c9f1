//! Keeps what the XML parser refuses away from it.
//!
//! Any contact, and any stranger through a subscription request, can make a server send a stanza. Servers pass on what
//! they were sent and store some of it, and their serialisers write text that our parser refuses: a carriage return
//! inside an attribute, a prefix that nothing declares. A parser that has refused anything is of no use afterwards, so
//! one such stanza would end the session, and the next one too when the server sends the same again after the login.
//!
//! So no stanza reaches the parser that it would refuse. [`filter`] cuts the stream into its stanzas, [`check`] parses
//! each of them with a parser of its own, and what fails is replaced by an empty stanza of the same name, because both
//! sides count stanzas (XEP-0198, section 4). The sender of an IQ still gets an error, as the shell keeps its `from`,
//! `id` and `type`.
//!
//! The same holds for what the parser takes but we cannot afford: see the bounds in [`filter`].

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;

mod check;
mod filter;
#[cfg(test)]
mod tests;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use filter::MAX_DEPTH;
pub(crate) use filter::{Discarded, Filter};

/// Notices of discarded stanzas that may wait for their reader; more are lost.
const MOST_NOTICES: usize = 64;

/// A byte stream whose reading side goes through a [`Filter`].
pub(crate) struct Guard<I> {
    inner: I,
    filter: Filter,
    raw: Box<[u8]>,
    clean: Vec<u8>,
    /// How much of `clean` has been handed out.
    given: usize,
    notices: mpsc::Sender<Discarded>,
    arriving: Arc<AtomicBool>,
}

/// What a [`Guard`] says about the stream beside its bytes.
pub(crate) struct Notices {
    discarded: mpsc::Receiver<Discarded>,
    arriving: Arc<AtomicBool>,
}

impl Notices {
    /// The next stanza that was discarded.
    pub(crate) fn poll_discarded(&mut self, cx: &mut Context<'_>) -> Poll<Option<Discarded>> {
        self.discarded.poll_recv(cx)
    }

    /// Whether a part of a stanza has arrived since the last call.
    pub(crate) fn take_arriving(&self) -> bool {
        self.arriving.swap(false, Ordering::Relaxed)
    }
}

impl<I> Guard<I> {
    /// The guarded stream, and what there is to say about it.
    pub(crate) fn new(inner: I) -> (Self, Notices) {
        let (notices, discarded) = mpsc::channel(MOST_NOTICES);
        let arriving = Arc::new(AtomicBool::new(false));
        let raw = vec![0; 8192].into();
        let guard = Self {
            inner,
            filter: Filter::new(),
            raw,
            clean: Vec::new(),
            given: 0,
            notices,
            arriving: Arc::clone(&arriving),
        };
        (guard, Notices { discarded, arriving })
    }

    /// Gives the stream back; what was read and not yet handed out is dropped.
    pub(crate) fn into_inner(self) -> I {
        self.inner
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Guard<I> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.given == this.clean.len() {
            this.clean.clear();
            this.given = 0;
            let mut raw = ReadBuf::new(&mut this.raw);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut raw))?;
            if raw.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.filter.feed(raw.filled(), &mut this.clean);
            while let Some(discarded) = this.filter.take_discarded() {
                // The notice is for people; a flood of them needs no more than the first ones.
                let _ = this.notices.try_send(discarded);
            }
            if this.clean.is_empty() && this.filter.is_within_stanza() {
                // The parser sees nothing of a stanza before its end, and would take a long one on a slow line for
                // silence. White space between stanzas is a sign of life (RFC 6120, section 4.6.1).
                this.clean.push(b' ');
                this.arriving.store(true, Ordering::Relaxed);
            }
        }
        let count = buf.remaining().min(this.clean.len() - this.given);
        buf.put_slice(&this.clean[this.given..this.given + count]);
        this.given += count;
        if this.given == this.clean.len() {
            // A long stanza must not keep its memory until the next one.
            this.clean.clear();
            this.clean.shrink_to(KEPT);
            this.given = 0;
        }
        Poll::Ready(Ok(()))
    }
}

/// Bytes of a buffer that are kept from one stanza to the next.
const KEPT: usize = 64 * 1024;

impl<I: AsyncWrite + Unpin> AsyncWrite for Guard<I> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}
