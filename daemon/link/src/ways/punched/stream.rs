//! A QUIC stream as a link's stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use quinn::{Chunk, Connection, ReadError, RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::ReusableBoxFuture;

use super::quic;
use super::reassembly::{Amount, Reassembly, Waiting};

/// Between two chunks while too much waits beyond a gap: long beside what fills it, and slow enough to bound what else comes.
const PAUSE: Duration = Duration::from_millis(5);

/// Bytes written between two looks at how much is under way.
const LOOK: usize = 128 << 10;

/// How many streams a connection carries, and what waits in them.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    open: watch::Sender<usize>,
    waiting: Waiting,
}

impl Default for Streams {
    fn default() -> Self {
        Self { open: watch::Sender::new(0), waiting: Waiting::default() }
    }
}

impl Streams {
    /// Counts a stream of this connection until it is dropped.
    pub fn carry(&self, connection: Connection, (send, receive): (SendStream, RecvStream)) -> Stream {
        self.open.send_modify(|count| *count += 1);
        Stream {
            sending: Sending { send, connection, written: 0 },
            receiving: Receiving {
                next: ReusableBoxFuture::new(next(receive)),
                reassembly: Reassembly::new(self.waiting.clone()),
                pause: Box::pin(sleep(Duration::ZERO)),
                end: None,
            },
            _counted: Counted(self.open.clone()),
        }
    }

    pub fn watch(&self) -> watch::Receiver<usize> {
        self.open.subscribe()
    }
}

struct Counted(watch::Sender<usize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// Both directions. When it is dropped, what was written still arrives and then the end does; what the other side
/// still writes is refused.
pub(super) struct Stream {
    sending: Sending,
    receiving: Receiving,
    _counted: Counted,
}

struct Sending {
    send: SendStream,
    connection: Connection,
    /// Since the last look.
    written: usize,
}

impl Sending {
    /// What may wait for acknowledgements follows what is under way: a fast long line needs many times what a local one does.
    fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
        if self.written >= LOOK {
            self.written = 0;
            self.connection.set_send_window(quic::send_window(self.connection.stats().path.cwnd));
        }
    }
}

type Next = (RecvStream, Result<Option<Chunk>, ReadError>);

struct Receiving {
    next: ReusableBoxFuture<'static, Next>,
    reassembly: Reassembly,
    pause: Pin<Box<Sleep>>,
    end: Option<Result<(), io::Error>>,
}

/// Any chunk, whatever comes before it.
async fn next(mut receive: RecvStream) -> Next {
    let chunk = receive.read_chunk(usize::MAX, false).await;
    (receive, chunk)
}

impl Receiving {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        loop {
            self.reassembly.take(buffer);
            let is_full = buffer.remaining() == 0;
            let got_some = buffer.filled().len() > before;
            if is_full || (got_some && self.end.is_some()) {
                return Poll::Ready(Ok(()));
            }
            match &self.end {
                Some(Ok(())) => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(io::Error::new(error.kind(), error.to_string()))),
                None => {}
            }
            if self.poll_chunk(cx).is_pending() {
                return if got_some { Poll::Ready(Ok(())) } else { Poll::Pending };
            }
        }
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.reassembly.amount() {
            Amount::Little => {}
            Amount::Many => ready!(self.pause.as_mut().poll(cx)),
            Amount::TooMany => {
                self.end = Some(Err(io::Error::other("too much of the stream came before what is missing")));
                return Poll::Ready(());
            }
        }
        let (receive, chunk) = ready!(self.next.poll(cx));
        match chunk {
            Ok(Some(chunk)) => {
                self.reassembly.insert(chunk.offset, chunk.bytes);
                self.next.set(next(receive));
                if self.reassembly.amount() == Amount::Many {
                    self.pause.as_mut().reset(Instant::now() + PAUSE);
                }
            }
            Ok(None) => {
                self.end = Some(Ok(()));
                self.next.set(next(receive));
            }
            Err(error) => {
                self.end = Some(Err(error.into()));
                self.next.set(next(receive));
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.receiving.poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(AsyncWrite::poll_write(Pin::new(&mut self.sending.send), cx, bytes))?;
        self.sending.wrote(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(Pin::new(&mut self.sending.send), cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_shutdown(Pin::new(&mut self.sending.send), cx)
    }
}
