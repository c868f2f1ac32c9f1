//! Why a way gave no link.

use std::fmt;

/// Why a way gave no link, the most telling reason first: a wrong answer says more than silence, and silence more than
/// a way that was never tried. Of several failures of one way people see the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Another device answered.
    WrongDevice,
    /// What answered does not speak xbt's encryption.
    BadTls,
    /// No BitTorrent inside the link, or another content.
    BadHandshake,
    /// The request asks for a link with this very device.
    OwnDevice,
    /// The other device closed the connection.
    Closed,
    /// The SOCKS5 proxy refused.
    ProxyRefused,
    /// The other device, or a server, refused.
    Refused,
    /// The other device did not come to the proxy.
    NotActivated,
    /// Nothing listens there.
    ConnectionRefused,
    /// Our router gives every destination another port.
    SymmetricNat,
    /// The session carries as many relays as it may.
    TooManyRelays,
    /// What was to be used cannot name a relay.
    BadRelay,
    /// No answer in time.
    NoAnswer,
    /// The system reported an error.
    IoError,
    /// No route leads there.
    Unreachable,
    /// An address that must not be dialed.
    NotDialed,
    /// There is no connection to the XMPP server.
    Offline,
    /// One of the sides has nothing to offer for this way.
    NotOffered,
    /// The configuration does not allow this way.
    WayOff,
    /// Another way opened first.
    PassedOver,
    /// This way is of no use here, as on a line too short for it; no failure for people.
    ShortLine,
}

impl Reason {
    /// A stable code for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::WrongDevice => "wrong-device",
            Self::BadTls => "bad-tls",
            Self::BadHandshake => "bad-handshake",
            Self::OwnDevice => "own-device",
            Self::Closed => "closed",
            Self::ProxyRefused => "proxy-refused",
            Self::Refused => "refused",
            Self::NotActivated => "not-activated",
            Self::ConnectionRefused => "connection-refused",
            Self::SymmetricNat => "symmetric-nat",
            Self::TooManyRelays => "too-many-relays",
            Self::BadRelay => "bad-relay",
            Self::NoAnswer => "no-answer",
            Self::IoError => "io-error",
            Self::Unreachable => "unreachable",
            Self::NotDialed => "not-dialled",
            Self::Offline => "offline",
            Self::NotOffered => "not-told",
            Self::WayOff => "way-off",
            Self::PassedOver => "passed-over",
            Self::ShortLine => "short-line",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Why there is no link: a reason for programs, and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The reason.
    pub reason: Reason,
    /// The same as a sentence.
    pub text: String,
}

impl Failure {
    /// A failure with this sentence.
    pub fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self { reason, text: text.into() }
    }

    /// The same sentence, followed by what may help.
    pub(crate) fn with_advice(self, advice: impl fmt::Display) -> Self {
        Self { text: format!("{}; {advice}", self.text), ..self }
    }
}
