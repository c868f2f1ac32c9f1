//! How long things may take.

use std::time::Duration;

/// One value for the daemon; tests use shorter ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// From a dial request until it has failed.
    pub request: Duration,
    /// What a better way gets once the first link is there.
    pub better_way: Duration,
    /// What QUIC gets where the line is long: a lost packet of its handshake costs 300 ms (RFC 9002, section 6.2.1).
    pub quic: Duration,
    /// From one dial to the next (RFC 8305, section 5: 250 ms).
    pub stagger: Duration,
    /// A TCP connection, at most.
    pub connect: Duration,
    /// A TLS handshake, at most.
    pub tls: Duration,
    /// The head start of better ways before a proxy.
    pub before_proxy: Duration,
    /// The head start of better ways before the XMPP stream.
    pub before_in_band: Duration,
    /// Punching a hole.
    pub punch: Duration,
    /// Meeting at a relay, and the TLS handshake through it, each at most.
    pub relay: Duration,
    /// A link that no request asks for or that stays silent, at most.
    pub parked: Duration,
    /// A link of a known device that asked for a content it was not granted: its `connect` may be on its way to us.
    pub early: Duration,
    /// The other side's BitTorrent handshake, once we have sent ours.
    pub answer: Duration,
    /// Before the candidates are tried again; doubled each time.
    pub redial: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(15),
            better_way: Duration::from_millis(100),
            quic: Duration::from_millis(500),
            stagger: Duration::from_millis(250),
            connect: Duration::from_secs(10),
            tls: Duration::from_secs(10),
            before_proxy: Duration::from_millis(1_500),
            before_in_band: Duration::from_secs(4),
            punch: Duration::from_secs(8),
            relay: Duration::from_secs(8),
            parked: Duration::from_secs(10),
            early: Duration::from_secs(2),
            answer: Duration::from_secs(5),
            redial: Duration::from_millis(500),
        }
    }
}
