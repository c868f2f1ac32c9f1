//! How the account is logged in.

use serde::{Deserialize, Serialize};

/// An answer to `login` and `login_allow_weaker`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The account's bare JID.
    pub jid: String,
    /// The strongest login so far: a weaker one is refused. None before the first one.
    pub known: Option<LoginProtection>,
    /// What the login would have been that was last refused as weaker; none if the connection does not fail for that.
    pub refused: Option<LoginProtection>,
}

/// What protects a login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginProtection {
    /// The SASL mechanism, such as `SCRAM-SHA-256-PLUS`.
    pub mechanism: String,
    /// Whether the mechanism binds the login to the TLS connection.
    pub channel_binding: bool,
    /// The certificate authority that vouches for the server.
    pub authority: Option<String>,
    /// The SHA-256 of its name and key.
    pub authority_id: Option<String>,
}
