//! Connections that others make to us. Only datagrams from expected addresses come this far.

use std::io;
use std::sync::Arc;

use quinn::crypto::rustls::HandshakeData;
use quinn::rustls::pki_types::CertificateDer;
use quinn::{Connection, Endpoint, Incoming};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use xbt_core::ids::Fingerprint;

use super::connections::{Held, closing};
use super::quic::{HANDSHAKE, MOST_HANDSHAKES};
use crate::identity::tls::{ALPN, peer_of};

/// Takes connections in until the end.
pub(super) async fn keep(held: Arc<Held>, endpoint: Endpoint) {
    let places = Arc::new(Semaphore::new(MOST_HANDSHAKES));
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            () = held.ending.cancelled() => return,
        };
        let Some(incoming) = incoming else { return };
        match places.clone().try_acquire_owned() {
            Ok(place) => {
                let held = held.clone();
                tokio::spawn(async move {
                    take_in(&held, incoming).await;
                    drop(place);
                });
            }
            Err(_) => {
                held.refuse(incoming.remote_address(), "too many handshakes at once");
                incoming.ignore();
            }
        }
    }
}

async fn take_in(held: &Arc<Held>, incoming: Incoming) {
    let remote = incoming.remote_address();
    let connection = match incoming.accept() {
        Ok(handshake) => match timeout(HANDSHAKE, handshake).await {
            Ok(Ok(connection)) => connection,
            // The other side's dial was given up for a better one.
            Ok(Err(quinn::ConnectionError::ApplicationClosed(_))) => return,
            Ok(Err(error)) => return held.refuse(remote, &error.to_string()),
            Err(_) => return held.refuse(remote, "the handshake took too long"),
        },
        Err(error) => return held.refuse(remote, &error.to_string()),
    };
    match peer(&connection) {
        Ok(peer) if held.is_expected(peer) => {
            if let Err(error) = held.adopt(peer, connection, false).await {
                tracing::debug!(%remote, %error, "not the connection that stays");
            }
        }
        Ok(_) => {
            connection.close(closing::UNKNOWN_DEVICE, b"unknown device");
            held.refuse(remote, "a key that nobody expects");
        }
        Err(error) => {
            connection.close(closing::NOT_XBT, b"not xbt");
            held.refuse(remote, &error.to_string());
        }
    }
}

/// Whose key the other end has proved, if it speaks our protocol.
pub(super) fn peer(connection: &Connection) -> io::Result<Fingerprint> {
    let handshake = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    if handshake.and_then(|data| data.protocol).as_deref() != Some(ALPN) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no x-xbt/0"));
    }
    let chain = connection.peer_identity().and_then(|chain| chain.downcast::<Vec<CertificateDer<'static>>>().ok());
    peer_of(&chain.unwrap_or_default())
}
