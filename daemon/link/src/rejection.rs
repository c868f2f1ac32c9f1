//! Connections that are turned away.

use std::net::SocketAddr;

use xbt_core::ids::Fingerprint;

/// Why a connection was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// A key that no transfer waits for.
    UnknownDevice,
    /// A known key that asked for a content which is not granted to it.
    NotGranted,
    /// Plain BitTorrent for a content that is not open.
    NotOpen,
    /// What came, inside TLS or instead of it, was no BitTorrent handshake.
    BadHandshake,
    /// The TLS handshake failed: no TLS 1.3, another protocol name, no certificate, or not TLS at all.
    BadTls,
    /// The TLS handshake did not end in time.
    TooSlow,
    /// Over a limit.
    TooMany,
    /// Our own key came back to us.
    OwnDevice,
}

impl Rejection {
    /// A stable code for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::UnknownDevice => "unknown-device",
            Self::NotGranted => "not-granted",
            Self::NotOpen => "not-open",
            Self::BadHandshake => "bad-handshake",
            Self::BadTls => "bad-tls",
            Self::TooSlow => "too-slow",
            Self::TooMany => "too-many",
            Self::OwnDevice => "own-device",
        }
    }
}

/// A connection that was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Where it came from.
    pub remote: SocketAddr,
    /// Why.
    pub reason: Rejection,
    /// The key that was proved, if it came that far.
    pub peer: Option<Fingerprint>,
}
