//! Why a login did not succeed, and whether trying again can help; why a stream has ended, and whether it can go on.

use std::io;

use tokio_rustls::rustls;
use tokio_xmpp::parsers::{sasl, stream_error};
use tokio_xmpp::xmlstream::{ReadError, RecvFeaturesError};
use xbt_core::login::Login;

/// A login that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// A person should do something about it.
    #[error("{0}")]
    Refused(Refused),
    /// Likely to pass; worth another try soon.
    #[error("{0}")]
    Passing(String),
    /// It may pass, but hardly soon: tried again at the longest interval.
    #[error("{0}")]
    Stubborn(String),
    /// The server sends us to another one (RFC 6120, section 4.9.3.19).
    #[error("the server sends us to {0}")]
    Elsewhere(String),
}

/// A login that was refused, by the server or by us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(super) struct Refused {
    /// Stable, kebab-case.
    pub code: &'static str,
    /// What happened, one sentence.
    pub reason: String,
    /// What to do.
    pub hint: String,
    /// Trying again is pointless until the configuration changes, and with a wrong password may lock the account. Only
    /// for what a server has said that proved who it is: a captive portal or a clock that is wrong at boot passes.
    pub is_final: bool,
    /// What the login would have been, if it was refused as weaker than earlier ones.
    pub weaker: Option<Box<Login>>,
}

impl Failure {
    /// Refused, but perhaps not next time.
    pub(super) fn refused(code: &'static str, reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused(Refused { code, reason: reason.into(), hint: hint.into(), is_final: false, weaker: None })
    }

    /// Refused until the configuration changes.
    pub(super) fn refused_for_good(code: &'static str, reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused(Refused { code, reason: reason.into(), hint: hint.into(), is_final: true, weaker: None })
    }

    pub(super) fn passing(reason: impl Into<String>) -> Self {
        Self::Passing(reason.into())
    }

    /// The server ended the stream with an error before the login was complete.
    pub(super) fn from_stream_error(error: &stream_error::StreamError) -> Self {
        use stream_error::DefinedCondition as Condition;
        match &error.condition {
            Condition::SeeOtherHost(host) => Self::Elsewhere(host.trim().to_owned()),
            Condition::HostUnknown | Condition::HostGone => Self::Stubborn(
                "the server does not serve this domain; check the JID and the server in the configuration".to_owned(),
            ),
            other => Self::Passing(format!("the server ended the connection: {other}")),
        }
    }

    /// The server did not accept who we say we are.
    pub(super) fn from_sasl(condition: &sasl::DefinedCondition) -> Self {
        use sasl::DefinedCondition as Condition;
        match condition {
            Condition::TemporaryAuthFailure => Self::passing("the server cannot check passwords right now"),
            Condition::NotAuthorized | Condition::InvalidAuthzid => Self::refused_for_good(
                "wrong-password",
                "the server rejected the password, or the account does not exist",
                "check the JID and the password, then reload the configuration",
            ),
            Condition::AccountDisabled => Self::refused_for_good(
                "account-disabled",
                "the server says that the account is disabled",
                "ask the server's operator",
            ),
            Condition::CredentialsExpired => Self::refused_for_good(
                "password-expired",
                "the server says that the password has expired",
                "set a new password with a chat program, then update the configuration",
            ),
            Condition::EncryptionRequired
            | Condition::InvalidMechanism
            | Condition::MechanismTooWeak
            | Condition::MalformedRequest
            | Condition::IncorrectEncoding
            | Condition::Aborted => Self::refused_for_good(
                "login-failed",
                format!("the server broke off the login ({condition:?})"),
                "this looks like a fault of the server or of xbtd; please report it",
            ),
        }
    }
}

/// Whether the stream simply ended. The parser calls that invalid data, as it waits for `</stream:stream>`; its text is
/// all that tells it from rubbish.
fn is_end(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof || error.to_string().contains("invalid eof")
}

/// Why a certificate is not trusted.
fn distrust(why: &rustls::CertificateError) -> String {
    use rustls::CertificateError as Error;
    let text = match why {
        Error::UnknownIssuer => "the server's certificate is not signed by an authority this computer trusts",
        Error::NotValidForName | Error::NotValidForNameContext { .. } => "the server's certificate is for another name",
        Error::Expired | Error::ExpiredContext { .. } => "the server's certificate has expired",
        Error::NotValidYet | Error::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet (is this computer's clock right?)"
        }
        Error::Revoked => "the server's certificate was revoked",
        // What many make by hand (`openssl req -x509`); rustls has no variant for it, only what webpki calls it.
        Error::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "the server's certificate was made for an authority and not for a server (basicConstraints CA:TRUE)"
        }
        // A foreign enum, and these are rare.
        other => return format!("the server's certificate is not valid: {other:?}"),
    };
    text.to_owned()
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(rustls::Error::InvalidCertificate(why)) => Self::refused(
                "bad-certificate",
                distrust(why),
                "if the server uses its own authority, set `ca_file` in [account]; otherwise someone may be intercepting the connection",
            ),
            Some(rustls::Error::AlertReceived(rustls::AlertDescription::UnrecognisedName)) => Self::Stubborn(
                "the server does not serve this domain; check the JID and the server in the configuration".to_owned(),
            ),
            Some(other) => Self::passing(format!("no encrypted connection: {other}")),
            None if is_end(&error) => Self::passing("the server closed the connection"),
            None => Self::passing(format!("the connection broke: {error}")),
        }
    }
}

impl From<RecvFeaturesError> for Failure {
    fn from(error: RecvFeaturesError) -> Self {
        match error {
            RecvFeaturesError::Io(error) => error.into(),
            RecvFeaturesError::StreamError(error) => Self::from_stream_error(&error.0),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::HardError(error) => error.into(),
            ReadError::ParseError(error) => Self::passing(format!("the server sent an invalid answer: {error}")),
            ReadError::StreamFooterReceived => Self::passing("the server closed the connection"),
            ReadError::SoftTimeout => Self::passing("the server does not answer"),
        }
    }
}

/// Why a stream has ended.
#[derive(Debug)]
pub(super) struct Lost {
    /// For people.
    pub reason: String,
    /// Whether the stream may go on over a new connection. Not after an error in the stream itself: the server
    /// would send the same again.
    pub resumable: bool,
    /// The server sends us to another one.
    pub elsewhere: Option<String>,
    /// Something that we sent violates a policy of the server (RFC 6120, section 4.9.3.14).
    pub policy: bool,
}

impl Lost {
    pub(super) fn for_good(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), resumable: false, elsewhere: None, policy: false }
    }

    pub(super) fn from_io(error: &io::Error) -> Self {
        let (reason, resumable) = match error.kind() {
            _ if is_end(error) => ("the server closed the connection".to_owned(), true),
            io::ErrorKind::TimedOut => ("the server does not answer".to_owned(), true),
            io::ErrorKind::InvalidData => (format!("the server sent what cannot be read: {error}"), false),
            _ => (format!("the connection broke: {error}"), true),
        };
        Self { reason, resumable, elsewhere: None, policy: false }
    }

    pub(super) fn from_stream_error(error: &stream_error::StreamError) -> Self {
        use stream_error::DefinedCondition as Condition;
        let reason = match &error.condition {
            Condition::Conflict => {
                "another client logged in with our resource; does a second xbtd use the same state directory?"
                    .to_owned()
            }
            Condition::SystemShutdown => "the server is shutting down".to_owned(),
            other => format!("the server ended the connection: {other}"),
        };
        let elsewhere = match &error.condition {
            Condition::SeeOtherHost(host) => Some(host.trim().to_owned()),
            _ => None,
        };
        let policy = matches!(error.condition, Condition::PolicyViolation);
        Self { reason, resumable: false, elsewhere, policy }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_stream_that_just_ends_is_told_as_such_and_can_be_resumed() {
        let from_parser = io::Error::new(io::ErrorKind::InvalidData, "invalid eof in text node");
        for error in [from_parser, io::ErrorKind::UnexpectedEof.into()] {
            let lost = Lost::from_io(&error);
            assert_eq!((lost.reason.as_str(), lost.resumable), ("the server closed the connection", true));
        }
        let rubbish = io::Error::new(io::ErrorKind::InvalidData, "invalid syntax");
        assert!(!Lost::from_io(&rubbish).resumable);
    }

    #[test]
    fn a_certificate_of_an_authority_is_told_in_plain_words() {
        let params = |authority| {
            let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
            params.is_ca = authority;
            params
        };
        let key = rcgen::KeyPair::generate().unwrap();
        let own = params(rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained)).self_signed(&key).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(own.der().clone()).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            rustls::client::WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
        let name = "localhost".try_into().unwrap();
        let now = rustls::pki_types::UnixTime::now();
        let refused =
            rustls::client::danger::ServerCertVerifier::verify_server_cert(&*verifier, own.der(), &[], &name, &[], now);
        let Err(rustls::Error::InvalidCertificate(why)) = refused else { unreachable!("it is refused: {refused:?}") };
        assert!(distrust(&why).contains("made for an authority"), "{}", distrust(&why));
    }
}
