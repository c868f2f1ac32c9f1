//! Upload statistics of the writing half: bytes sent, and whether it waits for the stream.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncWrite, AsyncWriteExt};

#[derive(Default)]
pub(crate) struct Sending {
    /// Payload bytes sent.
    uploaded: AtomicU64,
    /// Bytes that the stream has taken, whatever they are.
    accepted: AtomicU64,
    /// The stream was given something and has not taken all of it.
    writing: AtomicBool,
}

impl Sending {
    /// Writes all of it and flushes.
    pub(super) async fn write<W: AsyncWrite + Unpin>(&self, stream: &mut W, mut bytes: &[u8]) -> io::Result<()> {
        self.writing.store(true, Ordering::Relaxed);
        while !bytes.is_empty() {
            let taken = stream.write(bytes).await?;
            bytes = bytes.get(taken..).filter(|_| taken > 0).ok_or(io::ErrorKind::WriteZero)?;
            self.accepted.fetch_add(taken as u64, Ordering::Relaxed);
        }
        stream.flush().await?;
        self.writing.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Payload went out.
    pub(super) fn sent(&self, payload: usize) {
        self.uploaded.fetch_add(payload as u64, Ordering::Relaxed);
    }

    pub(crate) fn uploaded(&self) -> u64 {
        self.uploaded.load(Ordering::Relaxed)
    }

    pub(super) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    pub(super) fn is_writing(&self) -> bool {
        self.writing.load(Ordering::Relaxed)
    }
}
