//! What the program asks of a session, and why it may not get it.

use tokio::sync::oneshot;
use xbt_core::ids::FullJid;
use xbt_core::session::SessionCommand;
use xbt_core::signal::Proxy;

use crate::in_band_stream::InBandStream;

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

/// Where an outcome goes. The receiver is gone if the caller has given up.
pub(super) type Reply<T> = oneshot::Sender<Result<T, RelayError>>;

/// What comes in by a [`SessionHandle`](crate::SessionHandle).
#[derive(Debug)]
pub(super) enum SessionCall {
    /// From the rules.
    Command(SessionCommand),
    /// A proxy is to connect the two ends of a bytestream.
    Activate { proxy: Proxy, stream_id: String, target: FullJid, reply: Reply<()> },
    /// A bytestream is to be opened with a device.
    OpenInBand { device: FullJid, stream_id: String, reply: Reply<InBandStream> },
    /// A bytestream that a device opens is to be taken.
    ExpectInBand { device: FullJid, stream_id: String, reply: Reply<InBandStream> },
}
