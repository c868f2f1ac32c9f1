//! What the session does for links beside signalling: proxies are activated (XEP-0065), in-band bytestreams opened
//! and taken (XEP-0047), and the connection is looked after when the network changes.

use std::time::Duration;

use tokio::sync::oneshot;
use xbt_core::ids::FullJid;
use xbt_core::session::SessionCommand;
use xbt_core::signal::Proxy;

use super::{InBandStream, SessionHandle};

/// Why there is no relay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// The session is not logged in, or its stream was lost before there was an answer.
    #[error("there is no connection to the XMPP server")]
    Offline,
    /// Nothing came back within 20 s.
    #[error("{0} did not answer in time")]
    NoAnswer(String),
    /// A proxy has not seen both ends of the bytestream; worth another try after a moment.
    #[error("{who} does not have both ends of the bytestream yet ({text})")]
    NotReady {
        /// The JID of the proxy.
        who: String,
        /// What it said.
        text: String,
    },
    /// The proxy or the device does not want to.
    #[error("{who} refused ({text})")]
    Refused {
        /// Its JID.
        who: String,
        /// What it said.
        text: String,
    },
    /// The session carries as many relays as it may.
    #[error("too many relays are in use")]
    TooMany,
    /// What was to be used is no address or no name of a bytestream.
    #[error("“{0}” cannot name a relay")]
    BadName(String),
}

impl RelayError {
    /// A stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::NoAnswer(_) => "no-answer",
            Self::NotReady { .. } => "not-activated",
            Self::Refused { .. } => "refused",
            Self::TooMany => "too-many-relays",
            Self::BadName(_) => "bad-relay",
        }
    }
}

/// Between two tries to activate a bytestream whose other end is not there yet.
const NEXT_TRY: Duration = Duration::from_millis(300);

/// Where an outcome goes. Whoever waits for it may have given up: then nobody listens.
pub(super) type Reply<T> = oneshot::Sender<Result<T, RelayError>>;

/// What comes in by a [`SessionHandle`].
#[derive(Debug)]
pub(super) enum Order {
    /// From the rules.
    Command(SessionCommand),
    /// A proxy is to connect the two ends of a bytestream.
    Activate { proxy: Proxy, stream_id: String, target: FullJid, reply: Reply<()> },
    /// A bytestream is to be opened with a device.
    OpenInBand { device: FullJid, stream_id: String, reply: Reply<InBandStream> },
    /// A bytestream that a device opens is to be taken.
    ExpectInBand { device: FullJid, stream_id: String, reply: Reply<InBandStream> },
}

impl SessionHandle {
    /// Asks a proxy once to connect the two ends of a bytestream (XEP-0065, section 6.3.5): for the device that told
    /// of the proxy, when it has connected to it itself.
    ///
    /// # Errors
    /// [`RelayError::NotReady`] as long as the other end is not there.
    pub async fn activate(&self, proxy: Proxy, stream_id: String, target: FullJid) -> Result<(), RelayError> {
        self.ask(|reply| Order::Activate { proxy, stream_id, target, reply }).await
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
        self.ask(|reply| Order::OpenInBand { device, stream_id, reply }).await
    }

    /// Waits for an in-band bytestream of exactly this name from exactly this device, for as long as the caller
    /// wants: a dropped future is a withdrawn expectation. What comes unexpected is refused; what comes up to three
    /// seconds too early is not.
    ///
    /// # Errors
    /// When the stream to the server is lost meanwhile, or too much is expected (16 streams, 4 of one contact).
    pub async fn expect_in_band(&self, device: FullJid, stream_id: String) -> Result<InBandStream, RelayError> {
        self.ask(|reply| Order::ExpectInBand { device, stream_id, reply }).await
    }

    /// The addresses of this computer have changed: the session finds out within five seconds whether its connection
    /// still stands, and does not wait out a pause before the next attempt. Cheap; may be called for every change.
    ///
    /// Does not wait, and is heard however much else waits for the session: a dead connection is what fills its queue.
    pub fn network_changed(&self) {
        self.network.notify_one();
    }

    async fn ask<T>(&self, order: impl FnOnce(Reply<T>) -> Order) -> Result<T, RelayError> {
        let (reply, outcome) = oneshot::channel();
        self.order(order(reply)).await;
        // A session that has ended, or drops what it cannot carry out, has no connection.
        outcome.await.unwrap_or(Err(RelayError::Offline))
    }
}
