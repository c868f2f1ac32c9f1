//! Small TLS records for a slow way.
//!
//! TLS delivers a record only when all of it has arrived, and records have up to 16 KiB. In-band, where a few streams
//! share what a server lets through (10 kB/s by Prosody's default), such a record takes longer than the 4 s after which
//! a link that delivers nothing is taken for dead: links would replace each other and never deliver a block.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes of a record, at most: half a block of an in-band bytestream.
const MAX_RECORD: usize = 2048;

/// A TLS stream that writes small records.
#[derive(Debug)]
pub(super) struct SmallRecords<S>(pub S);

impl<S: AsyncRead + Unpin> AsyncRead for SmallRecords<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for SmallRecords<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let chunk = buf.get(..MAX_RECORD).unwrap_or(buf);
        Pin::new(&mut self.get_mut().0).poll_write(cx, chunk)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}
