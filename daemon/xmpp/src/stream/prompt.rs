//! A connection to the server that tells at once what it has received.
//!
//! Servers commonly leave Nagle's algorithm on (Prosody does, RFC 9293, section 3.7.4): of two stanzas one behind the
//! other, the second stays with the server until we acknowledge the first, and the system delays acknowledgements of
//! what looks like a conversation by up to 40 ms. Setting up a transfer is such a conversation.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP stream that has its acknowledgements sent without delay.
pub(crate) struct Prompt(TcpStream);

impl Prompt {
    pub(crate) fn new(tcp: TcpStream) -> Self {
        Self(tcp)
    }

    pub(crate) fn into_inner(self) -> TcpStream {
        self.0
    }

    /// The system forgets it with what is written next, so this is said after each read.
    fn acknowledge(&self) {
        #[cfg(target_os = "linux")]
        if let Err(error) = self.0.set_quickack(true) {
            tracing::debug!(%error, "set_quickack");
        }
    }
}

impl AsyncRead for Prompt {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.0).poll_read(cx, buf))?;
        this.acknowledge();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prompt {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn acknowledgements_are_not_delayed_in_a_conversation() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let mut ours = Prompt::new(ours);
        for _ in 0..8 {
            server.write_all(b"asked").await.unwrap();
            ours.read_exact(&mut [0; 5]).await.unwrap();
            assert!(ours.0.quickack().unwrap(), "what has come is acknowledged at once");
            ours.write_all(b"answered").await.unwrap();
            server.read_exact(&mut [0; 8]).await.unwrap();
        }
    }
}
