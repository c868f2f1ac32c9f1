//! What the ways through XMPP servers need of the XMPP session, and have in common.
//!
//! Inside runs the same TLS as everywhere: servers see ciphertext. The side that activates the proxy, or opens the
//! in-band bytestream, is the TLS client.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tokio_rustls::TlsStream;
use xbt_core::ids::{Fingerprint, FullJid};
use xbt_core::signal::Proxy;

use super::reason::{Failure, Reason};
use crate::identity::tls::{Tls, is_other_device};
use crate::stream::{BoxedStream, LinkStream};

/// A relay that is being set up.
pub type Opening<T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send>>;

/// What links need of the XMPP session.
pub trait Relays: Send + Sync {
    /// Activates the bytestream to `target` at a proxy to which both sides are connected; tries again until they are.
    fn activate(&self, proxy: Proxy, stream_id: String, target: FullJid) -> Opening<()>;
    /// Opens an in-band bytestream.
    fn open_in_band(&self, device: FullJid, stream_id: String) -> Opening<BoxedStream>;
    /// Waits until that device opens an in-band bytestream with that name; dropped: it is refused.
    fn expect_in_band(&self, device: FullJid, stream_id: String) -> Opening<BoxedStream>;
}

/// The relays of the present session; none while the daemon logs in to another account.
#[derive(Clone, Default)]
pub(crate) struct CurrentRelays(Arc<RwLock<Option<Arc<dyn Relays>>>>);

impl fmt::Debug for CurrentRelays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CurrentRelays")
    }
}

impl CurrentRelays {
    pub fn set(&self, relays: Option<Arc<dyn Relays>>) {
        // Nothing panics while the lock is held, so a poisoned one is good.
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = relays;
    }

    pub fn get(&self) -> Result<Arc<dyn Relays>, Failure> {
        let relays = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        relays.ok_or_else(|| Failure::new(Reason::Offline, "there is no connection to the XMPP server"))
    }
}

/// Encrypts a stream through a relay, which people know as `name`.
pub(crate) async fn as_client<S: LinkStream + 'static>(
    tls: &Tls,
    peer: Fingerprint,
    stream: S,
    patience: Duration,
    name: &str,
) -> Result<TlsStream<S>, Failure> {
    encrypted(timeout(patience, tls.connect(peer, stream)).await, name)
}

/// The same as TLS server.
pub(crate) async fn as_server<S: LinkStream + 'static>(
    tls: &Tls,
    peer: Fingerprint,
    stream: S,
    patience: Duration,
    name: &str,
) -> Result<TlsStream<S>, Failure> {
    let (found, stream) = encrypted(timeout(patience, tls.accept(stream)).await, name)?;
    if found == peer { Ok(stream) } else { Err(other_device(name)) }
}

fn encrypted<T>(handshake: Result<io::Result<T>, Elapsed>, name: &str) -> Result<T, Failure> {
    match handshake {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) if is_other_device(&error) => Err(other_device(name)),
        Ok(Err(error)) => Err(Failure::new(Reason::BadTls, format!("{name} carried no encrypted link ({error})"))),
        Err(_) => Err(Failure::new(Reason::NoAnswer, format!("{name}: the other device did not answer in time"))),
    }
}

fn other_device(name: &str) -> Failure {
    let text = format!("{name} led to another device");
    Failure::new(Reason::WrongDevice, text)
}
