//! The BitTorrent handshake (BEP 3): 68 bytes that say which content a connection is about.

use xbt_core::ids::InfoHash;

/// Its length in bytes.
pub(super) const LENGTH: usize = 68;

const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";

/// What we can do beyond BEP 3: the extension protocol (BEP 10), nothing else.
pub(super) const RESERVED: [u8; 8] = [0, 0, 0, 0, 0, 0x10, 0, 0];

/// One side's handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handshake {
    /// Bits for extensions.
    pub reserved: [u8; 8],
    /// Which content.
    pub info_hash: InfoHash,
    /// Who, as BitTorrent sees it; means nothing to us, the key says who.
    pub peer_id: [u8; 20],
}

impl Handshake {
    /// Ours, for a content.
    pub fn ours(info_hash: InfoHash, peer_id: [u8; 20]) -> Self {
        Self { reserved: RESERVED, info_hash, peer_id }
    }

    /// As it goes over the wire.
    pub fn to_bytes(self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..20].copy_from_slice(PROTOCOL);
        bytes[20..28].copy_from_slice(&self.reserved);
        bytes[28..48].copy_from_slice(&self.info_hash.0);
        bytes[48..].copy_from_slice(&self.peer_id);
        bytes
    }

    /// As it came over the wire; none if it is no BitTorrent handshake.
    pub fn parse(bytes: &[u8; LENGTH]) -> Option<Self> {
        let (protocol, rest) = bytes.split_first_chunk::<20>()?;
        let (reserved, rest) = rest.split_first_chunk::<8>()?;
        let (info_hash, rest) = rest.split_first_chunk::<20>()?;
        let peer_id = rest.first_chunk::<20>()?;
        (protocol == PROTOCOL).then_some(Self {
            reserved: *reserved,
            info_hash: InfoHash(*info_hash),
            peer_id: *peer_id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_anything_else_is_not_a_handshake() {
        let handshake = Handshake::ours(InfoHash([7; 20]), [9; 20]);
        let mut bytes = handshake.to_bytes();
        assert_eq!(Handshake::parse(&bytes), Some(handshake));
        bytes[3] ^= 1;
        assert_eq!(Handshake::parse(&bytes), None);
    }
}
