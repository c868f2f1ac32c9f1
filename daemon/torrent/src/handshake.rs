//! The 68 bytes that open a BitTorrent connection (BEP 3).
//!
//! The engine takes streams on which these bytes have already gone both ways: who may have which content is
//! decided by the caller, between reading the other side's handshake and answering it.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The length of a handshake.
pub const LENGTH: usize = 68;
const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";

/// The reserved bits we send: the extension protocol (BEP 10) and nothing else, above all not Fast (BEP 6).
pub const OUR_RESERVED: [u8; 8] = [0, 0, 0, 0, 0, 0x10, 0, 0];

/// One side's handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// Which extensions the side speaks.
    pub reserved: [u8; 8],
    /// Which content it is about.
    pub info_hash: [u8; 20],
    /// Who speaks.
    pub peer_id: [u8; 20],
}

impl Handshake {
    /// Our handshake for a content.
    pub fn ours(info_hash: [u8; 20], peer_id: [u8; 20]) -> Self {
        Self { reserved: OUR_RESERVED, info_hash, peer_id }
    }

    /// Whether the side speaks the extension protocol (BEP 10).
    pub fn extended(&self) -> bool {
        speaks_extended(self.reserved)
    }

    /// Reads exactly 68 bytes, never one more. The caller bounds the time. `InvalidData`: not BitTorrent.
    pub async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Self> {
        let mut bytes = [0u8; LENGTH];
        stream.read_exact(&mut bytes).await?;
        Self::decode(&bytes).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a BitTorrent handshake"))
    }

    /// Writes and flushes the handshake.
    pub async fn write<S: AsyncWrite + Unpin>(&self, stream: &mut S) -> io::Result<()> {
        stream.write_all(&self.encode()).await?;
        stream.flush().await
    }

    /// The 68 bytes.
    pub fn encode(&self) -> [u8; LENGTH] {
        let mut bytes = [0u8; LENGTH];
        bytes[..20].copy_from_slice(PROTOCOL);
        bytes[20..28].copy_from_slice(&self.reserved);
        bytes[28..48].copy_from_slice(&self.info_hash);
        bytes[48..].copy_from_slice(&self.peer_id);
        bytes
    }

    /// Takes the 68 bytes apart; `None`: not BitTorrent.
    pub fn decode(bytes: &[u8; LENGTH]) -> Option<Self> {
        let (protocol, rest) = bytes.split_first_chunk::<20>()?;
        let (reserved, rest) = rest.split_first_chunk::<8>()?;
        let (info_hash, rest) = rest.split_first_chunk::<20>()?;
        let (peer_id, _) = rest.split_first_chunk::<20>()?;
        (protocol == PROTOCOL).then_some(Self { reserved: *reserved, info_hash: *info_hash, peer_id: *peer_id })
    }
}

/// Bit 20 from the right (BEP 10).
pub(crate) fn speaks_extended(reserved: [u8; 8]) -> bool {
    reserved[5] & 0x10 != 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[tokio::test]
    async fn a_handshake_is_read_back_and_nothing_after_it() {
        let (mut a, mut b) = tokio::io::duplex(1024);
        let ours = Handshake::ours([7; 20], *b"-XB0001-abcdefghijkl");
        ours.write(&mut a).await.unwrap();
        a.write_all(b"next").await.unwrap();
        let read = Handshake::read(&mut b).await.unwrap();
        assert_eq!(read, ours);
        assert!(read.extended());
        let mut next = [0; 4];
        b.read_exact(&mut next).await.unwrap();
        assert_eq!(&next, b"next");
    }

    #[tokio::test]
    async fn something_else_is_refused() {
        let (mut a, mut b) = tokio::io::duplex(1024);
        a.write_all(&[b'G'; LENGTH]).await.unwrap();
        assert_eq!(Handshake::read(&mut b).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
