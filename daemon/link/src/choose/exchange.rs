//! The exchange of BitTorrent handshakes that binds a link to a content.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

use crate::handshake::{Handshake, LENGTH};
use crate::stream::BoxedStream;
use crate::ways::reason::Reason;

/// Why a link failed after its TLS handshake.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    #[error("closed the link without taking it")]
    Closed,
    #[error("did not speak within {} s", .0.as_secs_f32())]
    Silent(Duration),
    #[error("does not speak BitTorrent inside the link")]
    NotBitTorrent,
    #[error("answered for another content")]
    OtherContent,
}

impl ExchangeError {
    /// As the reason why there is no link.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Closed => Reason::Closed,
            Self::Silent(_) => Reason::NoAnswer,
            Self::NotBitTorrent | Self::OtherContent => Reason::BadHandshake,
        }
    }
}

impl From<io::Error> for ExchangeError {
    /// Any error of the stream closes it.
    fn from(error: io::Error) -> Self {
        tracing::debug!(%error, "a link ended before it was taken");
        Self::Closed
    }
}

/// The side that chooses: names the content, and waits for the same.
pub(crate) async fn initiate(
    mut stream: BoxedStream,
    ours: Handshake,
    patience: Duration,
) -> Result<(BoxedStream, Handshake), ExchangeError> {
    // The other side never sends first: anything to read is the end of a link that was parked for long.
    if !is_quiet(&mut stream).await {
        return Err(ExchangeError::Closed);
    }
    let theirs = timeout(patience, async {
        stream.write_all(&ours.to_bytes()).await?;
        stream.flush().await?;
        read(&mut stream).await
    });
    let theirs = theirs.await.map_err(|_| ExchangeError::Silent(patience))??;
    if theirs.info_hash == ours.info_hash { Ok((stream, theirs)) } else { Err(ExchangeError::OtherContent) }
}

/// The other side, first part: reads which content. How long a link may be parked limits the time.
pub(crate) async fn receive(mut stream: BoxedStream) -> Result<(BoxedStream, Handshake), ExchangeError> {
    let theirs = read(&mut stream).await?;
    Ok((stream, theirs))
}

/// The other side, second part, when the content is granted.
pub(crate) async fn answer(
    mut stream: BoxedStream,
    ours: Handshake,
    patience: Duration,
) -> Result<BoxedStream, ExchangeError> {
    // The other side may have given up a link that was parked for long.
    if !is_quiet(&mut stream).await {
        return Err(ExchangeError::Closed);
    }
    let written = timeout(patience, async {
        stream.write_all(&ours.to_bytes()).await?;
        stream.flush().await
    });
    written.await.map_err(|_| ExchangeError::Silent(patience))??;
    Ok(stream)
}

async fn read(stream: &mut BoxedStream) -> Result<Handshake, ExchangeError> {
    let mut bytes = [0; LENGTH];
    stream.read_exact(&mut bytes).await?;
    Handshake::parse(&bytes).ok_or(ExchangeError::NotBitTorrent)
}

/// Whether there is neither an end nor a byte to read: the other side waits for our answer before it sends more.
async fn is_quiet(stream: &mut BoxedStream) -> bool {
    poll_fn(|context| {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        Poll::Ready(Pin::new(&mut *stream).poll_read(context, &mut buffer).is_pending())
    })
    .await
}
