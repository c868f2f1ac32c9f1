//! Connections that others make to us. Only datagrams from expected addresses come this far.

use std::io;
use std::sync::Arc;

use quinn::crypto::rustls::HandshakeData;
use quinn::rustls::pki_types::CertificateDer;
use quinn::{Connection, Endpoint, Incoming};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use xbt_core::ids::Fingerprint;

use super::connections::{Connections, closing};
use super::quic::{HANDSHAKE, MOST_HANDSHAKES};
use crate::identity::tls::{ALPN, peer_of};

/// Accepts connections until the end.
pub(super) async fn accept(connections: Arc<Connections>, endpoint: Endpoint) {
    let slots = Arc::new(Semaphore::new(MOST_HANDSHAKES));
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            () = connections.ending.cancelled() => return,
        };
        let Some(incoming) = incoming else { return };
        match slots.clone().try_acquire_owned() {
            Ok(slot) => {
                let connections = connections.clone();
                tokio::spawn(async move {
                    take_in(&connections, incoming).await;
                    drop(slot);
                });
            }
            Err(_) => {
                connections.reject(incoming.remote_address(), "too many handshakes at once");
                incoming.ignore();
            }
        }
    }
}

async fn take_in(connections: &Arc<Connections>, incoming: Incoming) {
    let remote = incoming.remote_address();
    let connection = match incoming.accept() {
        Ok(handshake) => match timeout(HANDSHAKE, handshake).await {
            Ok(Ok(connection)) => connection,
            // The other side's dial was given up for a better one.
            Ok(Err(quinn::ConnectionError::ApplicationClosed(_))) => return,
            Ok(Err(error)) => return connections.reject(remote, &error.to_string()),
            Err(_) => return connections.reject(remote, "the handshake took too long"),
        },
        Err(error) => return connections.reject(remote, &error.to_string()),
    };
    match peer(&connection) {
        Ok(peer) if connections.is_expected(peer) => {
            if let Err(error) = connections.adopt(peer, connection, false).await {
                tracing::debug!(%remote, %error, "not the connection that stays");
            }
        }
        Ok(_) => {
            connection.close(closing::UNKNOWN_DEVICE, b"unknown device");
            connections.reject(remote, "a key that is not expected");
        }
        Err(error) => {
            connection.close(closing::NOT_XBT, b"not xbt");
            connections.reject(remote, &error.to_string());
        }
    }
}

/// The key that the other end has proved, if it speaks our protocol.
pub(super) fn peer(connection: &Connection) -> io::Result<Fingerprint> {
    let handshake = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    if handshake.and_then(|data| data.protocol).as_deref() != Some(ALPN) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no x-xbt/0"));
    }
    let chain = connection.peer_identity().and_then(|chain| chain.downcast::<Vec<CertificateDer<'static>>>().ok());
    peer_of(&chain.unwrap_or_default())
}
