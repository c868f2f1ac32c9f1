//! Keeps the end of what was sent from being stuck in a proxy.
//!
//! Prosody's proxy reads up to 8192 bytes from us, hands on 4096 and forgets the rest until more comes: the last piece
//! of a content would never arrive. Whatever comes sets it free, and TLS has something that says nothing to anybody:
//! an update of keys (RFC 8446, section 4.6.3). So when a burst is over some follow it, later and later, for the proxy
//! may take its time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_rustls::TlsStream;

/// Nothing of a burst up to this size, as sent, can be stuck.
const HARMLESS: usize = 4096;

/// What TLS adds to each record (RFC 8446, section 5.2), rounded up.
const RECORD: usize = 32;

/// From the end of a burst to the first nudge. Each next one takes twice as long.
const FIRST: Duration = Duration::from_millis(30);

/// Nudges after a burst, over some four seconds.
const MOST: u32 = 7;

/// Nudges until the other device says something. TLS libraries take 32 updates without data in between for an attack,
/// and the other side answers each of ours.
const MOST_UNHEARD: u32 = 24;

/// A link through a proxy. Somebody must be reading for the nudges to go out, as is always so on a link.
#[derive(Debug)]
pub(crate) struct Nudged<S> {
    stream: TlsStream<S>,
    /// Bytes of the burst, if it is one that needs nudges.
    burst: usize,
    /// When the last byte of it was written.
    wrote: Option<Instant>,
    /// Nudges since then, and since the other device said something.
    nudges: u32,
    unheard: u32,
    /// A writer waits: more is to come, and its waker must not be lost.
    writing: bool,
    alarm: Option<Pin<Box<Sleep>>>,
    reader: Option<Waker>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Nudged<S> {
    pub fn new(stream: TlsStream<S>) -> Self {
        Self { stream, burst: 0, wrote: None, nudges: 0, unheard: 0, writing: false, alarm: None, reader: None }
    }

    /// The burst may be over now.
    fn begin_anew(&mut self) {
        if self.burst <= HARMLESS {
            return;
        }
        self.nudges = 0;
        // Only the reader keeps the time; it has to look at the clock once, then it wakes by itself.
        if self.wrote.replace(Instant::now()).is_none()
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
    }

    /// Sends the nudges that are due. Errors come up where the stream is read or written.
    fn keep_time(&mut self, cx: &mut Context<'_>) {
        while let Some(wrote) = self.wrote {
            // 30 ms after the burst, then 60, 120, … after the one before: the sum of the first n is (2ⁿ − 1) × 30 ms.
            let due = wrote + FIRST * ((2 << self.nudges) - 1);
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if alarm.deadline() != due {
                alarm.as_mut().reset(due);
            }
            if alarm.as_mut().poll(cx).is_pending() {
                return;
            }
            if self.writing {
                // It is not over; `track` begins anew.
                self.wrote = None;
                return;
            }
            self.nudges += 1;
            self.unheard += 1;
            let may = self.unheard <= MOST_UNHEARD && update_keys(&mut self.stream);
            if may {
                // If it does not go out at once, it goes out in front of whatever is written next.
                let _ = Pin::new(&mut self.stream).poll_flush(cx);
            }
            if !may || self.nudges >= MOST {
                (self.wrote, self.burst) = (None, 0);
            }
        }
    }

    fn track<T>(&mut self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if std::mem::replace(&mut self.writing, outcome.is_pending()) && !self.writing {
            self.begin_anew();
        }
        outcome
    }
}

/// Whether the stream is still good for it.
fn update_keys<S>(stream: &mut TlsStream<S>) -> bool {
    match stream {
        TlsStream::Client(stream) => stream.get_mut().1.refresh_traffic_keys().is_ok(),
        TlsStream::Server(stream) => stream.get_mut().1.refresh_traffic_keys().is_ok(),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Nudged<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            this.unheard = 0;
        }
        if read.is_pending() {
            this.keep_time(cx);
            this.reader = Some(cx.waker().clone());
        }
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Nudged<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(bytes)) = &outcome {
            this.burst = this.burst.saturating_add(*bytes + RECORD);
            this.begin_anew();
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
