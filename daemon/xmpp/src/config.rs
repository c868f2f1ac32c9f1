//! What a session is started with.

use std::path::PathBuf;
use std::time::Duration;

use xbt_core::ids::BareJid;
use xbt_core::login::{Login, Mechanism};

use crate::Secret;

/// How TLS with the XMPP server starts. There is no plain text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Asked for inside the XMPP stream (RFC 6120, section 5), and required. Where SRV records offer direct TLS as
    /// well, that is used in the order they say (XEP-0368).
    StartTls,
    /// From the first byte (XEP-0368).
    Direct,
}

/// What a session needs to know.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// The account.
    pub jid: BareJid,
    /// Asked of the server; made at random at the first start of the device and then kept.
    pub resource: String,
    /// The account's password.
    pub password: Secret,
    /// `host`, `host:port` or an address, instead of the domain's SRV records. The certificate must still be the
    /// domain's.
    pub server: Option<String>,
    /// How the connection is encrypted.
    pub tls: Tls,
    /// PEM file with the only authorities to be trusted; none: those of the system.
    pub ca_file: Option<PathBuf>,
    /// The weakest SASL mechanism that may be used.
    pub least_mechanism: Mechanism,
    /// The strongest login so far: a weaker one is refused.
    pub known: Option<Login>,
    /// How long the server may be silent.
    pub silence: Silence,
}

/// A silent server is asked for a sign of life after the first span, and given up when the second has passed as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// 45 s usually.
    pub asked_after: Duration,
    /// 20 s usually: a dead server is noticed within 65 s.
    pub given_up_after: Duration,
}

impl Default for Silence {
    fn default() -> Self {
        Self { asked_after: Duration::from_secs(30), given_up_after: Duration::from_secs(15) }
    }
}

impl SessionConfig {
    /// An account with a password, and what is usual for the rest.
    pub fn new(jid: BareJid, resource: impl Into<String>, password: Secret) -> Self {
        Self {
            jid,
            resource: resource.into(),
            password,
            server: None,
            tls: Tls::StartTls,
            ca_file: None,
            least_mechanism: Mechanism::ScramSha1,
            known: None,
            silence: Silence::default(),
        }
    }
}
