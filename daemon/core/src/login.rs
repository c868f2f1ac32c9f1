//! How well logins of an account are protected, so that a later one is not weaker without a word (a downgrade).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::{BareJid, InvalidId};

/// The SASL mechanisms that a login may use, weakest first. One that binds the login to the TLS connection is stronger
/// than every one that does not: it alone notices somebody between us and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Mechanism {
    /// The password itself (RFC 4616).
    Plain,
    /// RFC 5802.
    ScramSha1,
    /// RFC 7677.
    ScramSha256,
    /// draft-melnikov-scram-sha-512.
    ScramSha512,
    /// With channel binding.
    ScramSha1Plus,
    /// With channel binding.
    ScramSha256Plus,
    /// With channel binding.
    ScramSha512Plus,
}

impl Mechanism {
    /// All of them, weakest first.
    pub const ALL: [Self; 7] = [
        Self::Plain,
        Self::ScramSha1,
        Self::ScramSha256,
        Self::ScramSha512,
        Self::ScramSha1Plus,
        Self::ScramSha256Plus,
        Self::ScramSha512Plus,
    ];

    /// The name that IANA knows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha512Plus => "SCRAM-SHA-512-PLUS",
        }
    }

    /// Whether it binds the login to the TLS connection (RFC 5056).
    pub fn binds(self) -> bool {
        match self {
            Self::Plain | Self::ScramSha1 | Self::ScramSha256 | Self::ScramSha512 => false,
            Self::ScramSha1Plus | Self::ScramSha256Plus | Self::ScramSha512Plus => true,
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mechanism {
    type Err = InvalidId;

    fn from_str(name: &str) -> Result<Self, InvalidId> {
        let known = Self::ALL.into_iter().find(|mechanism| mechanism.as_str() == name);
        known.ok_or(InvalidId { expected: "a SASL mechanism" })
    }
}

impl TryFrom<String> for Mechanism {
    type Error = InvalidId;

    fn try_from(name: String) -> Result<Self, InvalidId> {
        name.parse()
    }
}

impl From<Mechanism> for String {
    fn from(mechanism: Mechanism) -> Self {
        mechanism.as_str().to_owned()
    }
}

/// The certificate authority that vouches for a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Authority {
    /// The SHA-256 of its name and key, in hexadecimal.
    pub id: String,
    /// Its name, for people.
    pub name: String,
}

/// How a login was protected, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Login {
    /// Of which account.
    pub account: BareJid,
    /// How the password was proved.
    pub mechanism: Mechanism,
    /// Who vouches for the server's certificate.
    pub authority: Option<Authority>,
}

/// What makes a login weaker than an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weaker {
    /// The mechanism.
    #[error("the server offers a weaker login than before: {now} instead of {before}")]
    Mechanism {
        /// The one remembered.
        before: Mechanism,
        /// The best one that both sides have now.
        now: Mechanism,
    },
    /// Another authority, where nothing else shows that the server is the same.
    #[error("another authority than before vouches for the server's certificate: {now} instead of {before}")]
    Authority {
        /// The one remembered.
        before: String,
        /// The one that it is now.
        now: String,
    },
}

impl Login {
    /// Compares a login that is about to be made with the strongest one so far.
    ///
    /// Another authority is no objection where the mechanism binds: then only the server that knows the password can
    /// complete the login.
    ///
    /// # Errors
    /// In what it is weaker.
    pub fn check(&self, now: &Self) -> Result<(), Weaker> {
        if now.mechanism < self.mechanism {
            return Err(Weaker::Mechanism { before: self.mechanism, now: now.mechanism });
        }
        let id = |login: &Self| login.authority.as_ref().map(|authority| authority.id.clone());
        if self.authority.is_none() || id(self) == id(now) || now.mechanism.binds() {
            return Ok(());
        }
        let name = |login: &Self| login.authority.as_ref().map_or("unknown".to_owned(), |a| format!("“{}”", a.name));
        Err(Weaker::Authority { before: name(self), now: name(now) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn login(mechanism: Mechanism, authority: &str) -> Login {
        let authority = Authority { id: authority.to_owned(), name: authority.to_uppercase() };
        Login { account: BareJid::from_normalised("alice@example.org"), mechanism, authority: Some(authority) }
    }

    #[test]
    fn a_weaker_mechanism_is_refused_and_a_stronger_one_is_not() {
        for before in Mechanism::ALL {
            for now in Mechanism::ALL {
                let refused = login(before, "a").check(&login(now, "a")).is_err();
                assert_eq!(refused, now < before, "{before} {now}");
            }
        }
        let text = login(Mechanism::ScramSha256Plus, "a").check(&login(Mechanism::ScramSha512, "a"));
        assert_eq!(
            text.unwrap_err().to_string(),
            "the server offers a weaker login than before: SCRAM-SHA-512 instead of SCRAM-SHA-256-PLUS"
        );
    }

    #[test]
    fn another_authority_is_refused_unless_the_login_is_bound_to_the_connection() {
        let before = login(Mechanism::ScramSha1, "a");
        let text = before.check(&login(Mechanism::ScramSha512, "b")).unwrap_err().to_string();
        assert!(text.ends_with("“B” instead of “A”"), "{text}");
        assert_eq!(before.check(&login(Mechanism::ScramSha1Plus, "b")), Ok(()));
        assert!(before.check(&Login { authority: None, ..before.clone() }).is_err());
        assert_eq!(Login { authority: None, ..before.clone() }.check(&before), Ok(()));
    }

    #[test]
    fn a_mechanism_is_kept_by_its_name() {
        for mechanism in Mechanism::ALL {
            assert_eq!(mechanism.as_str().parse(), Ok(mechanism));
        }
        assert!("SCRAM-MD5".parse::<Mechanism>().is_err());
    }
}
