//! The private parser of the preamble, for the targets in `tests/fuzz` alone. Not an interface: it may change at any
//! time.

use super::handshake::{Handshake, LENGTH};

/// Reads a handshake and writes it again; none if it is no BitTorrent handshake.
pub fn handshake(bytes: &[u8; LENGTH]) -> Option<[u8; LENGTH]> {
    Handshake::parse(bytes).map(Handshake::to_bytes)
}
