//! The private parsers of what comes before a link, for the targets in `tests/fuzz` only. Not an interface: it may change
//! at any time.

use std::net::SocketAddr;

use futures::FutureExt;

use crate::handshake::{Handshake, LENGTH};

/// Reads a handshake and writes it again; none if it is no BitTorrent handshake.
pub fn handshake(bytes: &[u8; LENGTH]) -> Option<[u8; LENGTH]> {
    Handshake::parse(bytes).map(Handshake::to_bytes)
}

/// The address at which a STUN server says that it sees us; none if the datagram is no such answer.
pub fn stun(datagram: &[u8]) -> Option<SocketAddr> {
    crate::ways::punched::seen(datagram)
}

/// How many bytes of a SOCKS5 proxy's answers are read until it has agreed; none if it does not.
pub fn socks(answers: &[u8]) -> Option<usize> {
    let mut left = answers;
    let mut stream = tokio::io::join(&mut left, tokio::io::sink());
    // What is in memory is there at once.
    crate::ways::proxy65::socks::agree(&mut stream, "name").now_or_never()?.ok()?;
    Some(answers.len() - left.len())
}
