//! The exchange of BitTorrent handshakes that binds a link to a content.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

use crate::BoxedStream;
use crate::handshake::{Handshake, LENGTH};

/// Why a link came to nothing after its TLS handshake.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TalkError {
    #[error("closed the link without taking it")]
    Closed,
    #[error("did not speak within {} s", .0.as_secs_f32())]
    Silent(Duration),
    #[error("does not speak BitTorrent inside the link")]
    NotBitTorrent,
    #[error("answered for another content")]
    OtherContent,
}

impl TalkError {
    /// A stable code, see [`crate::Attempt`].
    pub fn code(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Silent(_) => "no-answer",
            Self::NotBitTorrent | Self::OtherContent => "bad-handshake",
        }
    }
}

impl From<io::Error> for TalkError {
    /// Whatever ended the stream: for us it is closed.
    fn from(error: io::Error) -> Self {
        tracing::debug!(%error, "a link ended before it was taken");
        Self::Closed
    }
}

/// The side that chooses: says which content, and waits for the same.
pub(crate) async fn speak(
    mut stream: BoxedStream,
    ours: Handshake,
    patience: Duration,
) -> Result<(BoxedStream, Handshake), TalkError> {
    // Nobody speaks before us: what is there to be read is the end of a link that was parked for long.
    if !is_quiet(&mut stream).await {
        return Err(TalkError::Closed);
    }
    let theirs = timeout(patience, async {
        stream.write_all(&ours.to_bytes()).await?;
        stream.flush().await?;
        read(&mut stream).await
    });
    let theirs = theirs.await.map_err(|_| TalkError::Silent(patience))??;
    if theirs.info_hash == ours.info_hash { Ok((stream, theirs)) } else { Err(TalkError::OtherContent) }
}

/// The other side, first part: listens for the content. Its time is bounded by the parking.
pub(crate) async fn heed(mut stream: BoxedStream) -> Result<(BoxedStream, Handshake), TalkError> {
    let theirs = read(&mut stream).await?;
    Ok((stream, theirs))
}

/// The other side, second part, when the content is granted.
pub(crate) async fn answer(
    mut stream: BoxedStream,
    ours: Handshake,
    patience: Duration,
) -> Result<BoxedStream, TalkError> {
    // A link that was parked for long may have been given up by the one who spoke on it.
    if !is_quiet(&mut stream).await {
        return Err(TalkError::Closed);
    }
    let written = timeout(patience, async {
        stream.write_all(&ours.to_bytes()).await?;
        stream.flush().await
    });
    written.await.map_err(|_| TalkError::Silent(patience))??;
    Ok(stream)
}

async fn read(stream: &mut BoxedStream) -> Result<Handshake, TalkError> {
    let mut bytes = [0; LENGTH];
    stream.read_exact(&mut bytes).await?;
    Handshake::parse(&bytes).ok_or(TalkError::NotBitTorrent)
}

/// Whether there is neither an end nor a byte to read: who has spoken waits for the answer before anything else.
async fn is_quiet(stream: &mut BoxedStream) -> bool {
    poll_fn(|context| {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        Poll::Ready(Pin::new(&mut *stream).poll_read(context, &mut buffer).is_pending())
    })
    .await
}
