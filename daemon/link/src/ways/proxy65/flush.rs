//! Flushes the end of a burst out of a proxy.
//!
//! Prosody's proxy reads up to 8192 bytes from us, passes 4096 on and keeps the rest until more arrives: the last piece
//! of a content would never come through. Any further bytes flush it, and TLS has a message without meaning to the
//! peer: KeyUpdate (RFC 8446, section 4.6.3). So a few of them follow each burst, at growing intervals, because the
//! proxy may be slow.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_rustls::TlsStream;

/// A burst up to this size, as sent, comes through.
const HARMLESS: usize = 4096;

/// What TLS adds to each record (RFC 8446, section 5.2), rounded up.
const RECORD: usize = 32;

/// From the end of a burst to the first key update. Each next one takes twice as long.
const FIRST: Duration = Duration::from_millis(30);

/// Key updates after a burst, over some four seconds.
const MAX_UPDATES: u32 = 7;

/// Key updates until the other device sends something. TLS libraries take 32 updates without data in between for an
/// attack, and the other side answers each of ours.
const MAX_UNANSWERED: u32 = 24;

/// A link through a proxy. Key updates go out while it is being read, as links always are.
#[derive(Debug)]
pub(super) struct Flushed<S> {
    stream: TlsStream<S>,
    /// Bytes of the burst so far.
    burst: usize,
    /// When the last byte of it was written.
    wrote: Option<Instant>,
    /// Key updates since then.
    updates: u32,
    /// Key updates since the other device sent something.
    unanswered: u32,
    /// A writer waits: more will come, and its waker must not be lost.
    writing: bool,
    timer: Option<Pin<Box<Sleep>>>,
    reader: Option<Waker>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Flushed<S> {
    pub fn new(stream: TlsStream<S>) -> Self {
        Self { stream, burst: 0, wrote: None, updates: 0, unanswered: 0, writing: false, timer: None, reader: None }
    }

    /// The burst may be over now.
    fn restart(&mut self) {
        if self.burst <= HARMLESS {
            return;
        }
        self.updates = 0;
        // The reader keeps the time: wake it once, and from then on its timer does.
        if self.wrote.replace(Instant::now()).is_none()
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
    }

    /// Sends the key updates that are due. Errors come up where the stream is read or written.
    fn poll_updates(&mut self, cx: &mut Context<'_>) {
        while let Some(wrote) = self.wrote {
            // 30 ms after the burst, then 60, 120, … after the one before: the sum of the first n is (2ⁿ − 1) × 30 ms.
            let due = wrote + FIRST * ((2 << self.updates) - 1);
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if timer.deadline() != due {
                timer.as_mut().reset(due);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return;
            }
            if self.writing {
                // The burst is not over; `track` restarts.
                self.wrote = None;
                return;
            }
            self.updates += 1;
            self.unanswered += 1;
            let may = self.unanswered <= MAX_UNANSWERED && update_keys(&mut self.stream);
            if may {
                // If it does not go out now, it precedes what is written next.
                let _ = Pin::new(&mut self.stream).poll_flush(cx);
            }
            if !may || self.updates >= MAX_UPDATES {
                (self.wrote, self.burst) = (None, 0);
            }
        }
    }

    fn track<T>(&mut self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if std::mem::replace(&mut self.writing, outcome.is_pending()) && !self.writing {
            self.restart();
        }
        outcome
    }
}

/// Whether the stream still took it.
fn update_keys<S>(stream: &mut TlsStream<S>) -> bool {
    match stream {
        TlsStream::Client(stream) => stream.get_mut().1.refresh_traffic_keys().is_ok(),
        TlsStream::Server(stream) => stream.get_mut().1.refresh_traffic_keys().is_ok(),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Flushed<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            this.unanswered = 0;
        }
        if read.is_pending() {
            this.poll_updates(cx);
            this.reader = Some(cx.waker().clone());
        }
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Flushed<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(bytes)) = &outcome {
            this.burst = this.burst.saturating_add(*bytes + RECORD);
            this.restart();
        }
        this.track(outcome)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_flush(cx);
        this.track(outcome)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
