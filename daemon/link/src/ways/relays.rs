//! The ways through XMPP servers: a SOCKS5 proxy (XEP-0065) and the XMPP streams themselves (XEP-0047).
//!
//! Inside runs the same TLS as everywhere: servers see ciphertext. Who activates the proxy, or opens the in-band
//! bytestream, is the TLS client.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tokio_rustls::TlsStream;
use xbt_core::effect::Want;
use xbt_core::ids::{Fingerprint, FullJid};
use xbt_core::signal::Proxy;

use crate::accept::listen::prepare;
use crate::addresses::candidates::Ourselves;
use crate::identity::tls::{Tls, is_other_device};
use crate::ways::in_band::small_records::Sliced;
use crate::ways::proxy65::{flush::Nudged, socks};
use crate::{BoxedStream, LinkStream, Times};

/// Why there is no link: a code and a sentence for [`crate::Attempt`].
pub type Reason = (&'static str, String);

/// What a relay gives, some time.
pub type Opening<T> = Pin<Box<dyn Future<Output = Result<T, Reason>> + Send>>;

/// What links need of the XMPP session.
pub trait Relays: Send + Sync {
    /// Activates the bytestream to `target` at a proxy to which both sides are connected; tries again until they are.
    fn activate(&self, proxy: Proxy, stream_id: String, target: FullJid) -> Opening<()>;
    /// Opens an in-band bytestream.
    fn open_in_band(&self, device: FullJid, stream_id: String) -> Opening<BoxedStream>;
    /// Waits until that device opens an in-band bytestream with that name; dropped: it is refused.
    fn expect_in_band(&self, device: FullJid, stream_id: String) -> Opening<BoxedStream>;
}

/// The session as it is now; there is none while the daemon logs in to another account.
#[derive(Clone, Default)]
pub(crate) struct Session(Arc<RwLock<Option<Arc<dyn Relays>>>>);

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

impl Session {
    pub fn set(&self, relays: Option<Arc<dyn Relays>>) {
        // Held for a moment only; nothing in here panics half-way, so a poisoned lock is good.
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = relays;
    }

    fn get(&self) -> Result<Arc<dyn Relays>, Reason> {
        let session = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        session.ok_or_else(|| ("offline", "there is no connection to the XMPP server".to_owned()))
    }
}

/// Meets the other device at a proxy.
pub(crate) async fn at_proxy(
    session: &Session,
    tls: &Tls,
    want: &Want,
    (proxy, ours): (&Proxy, bool),
    ourselves: &Ourselves,
    times: &Times,
) -> Result<BoxedStream, Reason> {
    let reach = if ours { &want.ours } else { &want.theirs };
    let stream_id = reach.stream_id.clone().unwrap_or_default();
    let (requester, target) = if ours { (&want.own, &want.device) } else { (&want.device, &want.own) };
    // Our own server is trusted to name a proxy; a contact could name anything that we can reach.
    let may_dial = |address| ours || ourselves.objection(address).is_none();
    let stream = socks::connect(proxy, &stream_id, requester, target, &may_dial, times.connect).await?;
    prepare(&stream)
        .map_err(|error| ("io-error", format!("the proxy {} is not there any more ({error})", proxy.jid)))?;
    let what = format!("the proxy {}", proxy.jid);
    if ours {
        let activated = session.get()?.activate(proxy.clone(), stream_id, want.device.clone());
        let silent = || ("not-activated", format!("{what}: the other device did not come to it in time"));
        timeout(times.relay, activated).await.map_err(|_| silent())??;
        let stream = as_client(tls, want.peer, stream, times, &what).await?;
        Ok(Box::new(Nudged::new(stream)))
    } else {
        let stream = as_server(tls, want.peer, stream, times, &what).await?;
        Ok(Box::new(Nudged::new(stream)))
    }
}

/// Opens the in-band bytestream.
pub(crate) async fn open_in_band(
    session: &Session,
    tls: &Tls,
    want: &Want,
    times: &Times,
) -> Result<BoxedStream, Reason> {
    let stream_id = want.ours.stream_id.clone().unwrap_or_default();
    let stream = session.get()?.open_in_band(want.device.clone(), stream_id).await?;
    Ok(Box::new(Sliced(as_client(tls, want.peer, stream, times, "the XMPP stream").await?)))
}

/// Takes the in-band bytestream that the other device opens.
pub(crate) async fn expect_in_band(
    session: &Session,
    tls: &Tls,
    want: &Want,
    times: &Times,
) -> Result<BoxedStream, Reason> {
    let stream_id = want.theirs.stream_id.clone().unwrap_or_default();
    let stream = session.get()?.expect_in_band(want.device.clone(), stream_id).await?;
    Ok(Box::new(Sliced(as_server(tls, want.peer, stream, times, "the XMPP stream").await?)))
}

async fn as_client<S: LinkStream + 'static>(
    tls: &Tls,
    peer: Fingerprint,
    stream: S,
    times: &Times,
    what: &str,
) -> Result<TlsStream<S>, Reason> {
    encrypted(timeout(times.relay, tls.connect(peer, stream)).await, what)
}

async fn as_server<S: LinkStream + 'static>(
    tls: &Tls,
    peer: Fingerprint,
    stream: S,
    times: &Times,
    what: &str,
) -> Result<TlsStream<S>, Reason> {
    let (found, stream) = encrypted(timeout(times.relay, tls.accept(stream)).await, what)?;
    if found == peer { Ok(stream) } else { Err(other_device(what)) }
}

/// What a TLS handshake that had its time came to.
fn encrypted<T>(handshake: Result<io::Result<T>, Elapsed>, what: &str) -> Result<T, Reason> {
    match handshake {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) if is_other_device(&error) => Err(other_device(what)),
        Ok(Err(error)) => Err(("bad-tls", format!("{what} carried no encrypted link ({error})"))),
        Err(_) => Err(silent(what)),
    }
}

fn other_device(what: &str) -> Reason {
    ("wrong-device", format!("{what} led to another device than the one that was to be reached"))
}

fn silent(what: &str) -> Reason {
    ("no-answer", format!("{what}: the other device did not answer in time"))
}
