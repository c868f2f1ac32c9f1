//! What the program does with a session: commands, proxies that are activated (XEP-0065), in-band bytestreams that are
//! opened and taken (XEP-0047), and a hint that the network has changed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use xbt_core::ids::FullJid;
use xbt_core::session::SessionCommand;
use xbt_core::signal::Proxy;

use crate::call::{RelayError, Reply, SessionCall};
use crate::in_band_stream::InBandStream;

/// Between two tries to activate a bytestream whose other end is not there yet.
const NEXT_TRY: Duration = Duration::from_millis(300);

/// Sends commands to a session, and asks it for relays.
#[derive(Clone, Debug)]
pub struct SessionHandle {
    calls: mpsc::Sender<SessionCall>,
    /// Rung when the computer has other addresses.
    network: Arc<Notify>,
}

impl SessionHandle {
    pub(crate) fn new(calls: mpsc::Sender<SessionCall>, network: Arc<Notify>) -> Self {
        Self { calls, network }
    }

    /// Waits for a place in the queue. A command to a session that has ended is dropped.
    pub async fn send(&self, command: SessionCommand) {
        self.call(SessionCall::Command(command)).await;
    }

    async fn call(&self, call: SessionCall) {
        if self.calls.send(call).await.is_err() {
            tracing::debug!("a call for a session that has ended");
        }
    }

    /// Does not wait.
    ///
    /// # Errors
    /// Gives the command back if the queue (256 commands) is full or the session has ended.
    #[expect(clippy::result_large_err, reason = "the caller gets its command back")]
    pub fn try_send(&self, command: SessionCommand) -> Result<(), SessionCommand> {
        match self.calls.try_reserve() {
            Ok(place) => {
                place.send(SessionCall::Command(command));
                Ok(())
            }
            Err(_) => Err(command),
        }
    }

    /// Asks a proxy once to connect the two ends of a bytestream (XEP-0065, section 6.3.5): for the device that named
    /// the proxy, once it has connected to it itself.
    ///
    /// # Errors
    /// [`RelayError::NotReady`] as long as the other end is not there.
    pub async fn activate(&self, proxy: Proxy, stream_id: String, target: FullJid) -> Result<(), RelayError> {
        self.ask(|reply| SessionCall::Activate { proxy, stream_id, target, reply }).await
    }

    /// As [`Self::activate`], again and again until both ends are there, for as long as the caller waits.
    ///
    /// # Errors
    /// What another try would not change.
    pub async fn activate_once_met(&self, proxy: Proxy, stream_id: String, target: FullJid) -> Result<(), RelayError> {
        loop {
            match self.activate(proxy.clone(), stream_id.clone(), target.clone()).await {
                Err(RelayError::NotReady { .. }) => tokio::time::sleep(NEXT_TRY).await,
                outcome => return outcome,
            }
        }
    }

    /// Opens an in-band bytestream (XEP-0047) with a device. At most six are open at once, of either direction, and two
    /// with one contact.
    ///
    /// # Errors
    /// Also when the device does not expect it.
    pub async fn open_in_band(&self, device: FullJid, stream_id: String) -> Result<InBandStream, RelayError> {
        self.ask(|reply| SessionCall::OpenInBand { device, stream_id, reply }).await
    }

    /// Waits for an in-band bytestream of exactly this name from exactly this device, for as long as the caller
    /// wants: a dropped future is a withdrawn expectation. What comes unexpected is refused; what comes up to three
    /// seconds too early is not.
    ///
    /// # Errors
    /// When the stream to the server is lost meanwhile, or too much is expected (16 streams, 4 of one contact).
    pub async fn expect_in_band(&self, device: FullJid, stream_id: String) -> Result<InBandStream, RelayError> {
        self.ask(|reply| SessionCall::ExpectInBand { device, stream_id, reply }).await
    }

    /// The addresses of this computer have changed: the session finds out within five seconds whether its connection
    /// still stands, and does not wait out a pause before the next attempt. Cheap; may be called for every change.
    ///
    /// Does not wait, and is heard however much else waits for the session: a dead connection is what fills its queue.
    pub fn network_changed(&self) {
        self.network.notify_one();
    }

    async fn ask<T>(&self, call: impl FnOnce(Reply<T>) -> SessionCall) -> Result<T, RelayError> {
        let (reply, outcome) = oneshot::channel();
        self.call(call(reply)).await;
        // A session that has ended, or drops what it cannot carry out, has no connection.
        outcome.await.unwrap_or(Err(RelayError::Offline))
    }
}
