//! QUIC's parameters.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, EndpointConfig, ServerConfig, TransportConfig, ValidationTokenConfig, VarInt};
use xbt_core::ids::Fingerprint;

use crate::congestion::LossTolerant;
use crate::identity::tls::Tls;

/// Streams that the other side may have open on one connection. Below eight: of eight and more, quinn tells the other
/// side that one has ended only when a further one does.
const MOST_STREAMS: u32 = 7;

/// Handshakes of others under way.
pub(super) const MOST_HANDSHAKES: usize = 16;

/// A handshake of others, at most.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);

/// Bytes that one connection may hold unread: at a round trip of 300 ms, 500 Mbit/s.
const WINDOW: u32 = 24 << 20;

/// Bytes that one stream may hold unread, so that a link which is not read leaves the others their part.
const STREAM_WINDOW: u32 = 16 << 20;

/// Bytes that may wait for acknowledgements: at first and at least, and at most.
const SEND_WINDOW: (u64, u64) = (2 << 20, 24 << 20);

/// A connection on which nothing arrives is dead after this time. The side that only receives sends every
/// `KEEP_ALIVE`, and its time restarts with the first unanswered packet: at most 12 s from the cut to its notice.
const SILENCE: Duration = Duration::from_secs(9);

/// A side that receives nothing sends after [`KEEP_ALIVE`] and is answered at once: a connection on which nothing has
/// arrived for this time is not relied on, although it may not be dead yet. Otherwise every link to a device whose hole
/// has closed would fail until [`SILENCE`] is over, and relays would not be tried at all.
pub(super) const SILENT: Duration = Duration::from_millis(4_500);

/// How often it is checked whether something has arrived.
pub(super) const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// Far below every router's UDP timeout (RFC 4787, section 4.3: 2 min; found: 30 s).
const KEEP_ALIVE: Duration = Duration::from_secs(3);

/// The first packets are the ones that closed holes swallow; they are repeated after three times this.
const INITIAL_RTT: Duration = Duration::from_millis(100);

/// The largest datagram we take: what fits into an Ethernet frame. The receive buffers are in proportion.
const LARGEST_DATAGRAM: u16 = 1500;

/// Stateless resets for connections that we have forgotten, at most one in this time. Silence ends them too.
const BETWEEN_RESETS: Duration = Duration::from_secs(1);

/// Bytes that may wait for acknowledgements if so many may be under way. One lost packet keeps all that was sent after it
/// waiting, for a round trip each time that it is lost.
pub(crate) fn send_window(congestion_window: u64) -> u64 {
    (congestion_window * 3).clamp(SEND_WINDOW.0, SEND_WINDOW.1)
}

/// What both sides of a connection keep to.
pub(crate) fn transport() -> io::Result<TransportConfig> {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(MOST_STREAMS))
        // For the mark by which a side says yes to a connection.
        .max_concurrent_uni_streams(VarInt::from_u32(1))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(WINDOW))
        .send_window(SEND_WINDOW.0)
        .congestion_controller_factory(Arc::new(LossTolerant))
        .initial_rtt(INITIAL_RTT)
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(SILENCE.try_into().map_err(io::Error::other)?));
    Ok(transport)
}

/// For connections that come to us.
pub(crate) fn server(tls: &Tls) -> io::Result<ServerConfig> {
    let crypto = QuicServerConfig::try_from(tls.server()).map_err(io::Error::other)?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(Arc::new(transport()?));
    config.max_incoming(MOST_HANDSHAKES);
    // No tokens: a device that comes back proves its address anew.
    let mut no_tokens = ValidationTokenConfig::default();
    no_tokens.sent(0);
    config.validation_token_config(no_tokens);
    Ok(config)
}

/// For connections to this device.
pub(crate) fn client(tls: &Tls, peer: Fingerprint) -> io::Result<ClientConfig> {
    let crypto = QuicClientConfig::try_from(tls.client(peer)?).map_err(io::Error::other)?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport()?));
    Ok(config)
}

/// For a socket.
pub(crate) fn endpoint() -> io::Result<EndpointConfig> {
    let mut config = EndpointConfig::default();
    config.max_udp_payload_size(LARGEST_DATAGRAM).map_err(io::Error::other)?;
    // The fixed bit tells QUIC from STUN.
    config.grease_quic_bit(false);
    config.min_reset_interval(BETWEEN_RESETS);
    Ok(config)
}
