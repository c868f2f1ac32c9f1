//! The names of things: who, which device, which transfer, which content.
//!
//! All of them are plain values that are valid by construction; whoever turns text from outside into
//! one of them (the XMPP room, the RPC room) does so with a real parser.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A bare JID (`alice@example.org`), normalised (RFC 7622) by whoever parsed it: a contact or an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BareJid(String);

impl BareJid {
    /// Takes text that a JID parser has already accepted and normalised.
    pub fn from_normalised(jid: impl Into<String>) -> Self {
        Self(jid.into())
    }

    /// The JID as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BareJid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A full JID (`alice@example.org/xbt-1f2e`): the address of one device while it is online.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FullJid {
    /// Whose device it is.
    pub bare: BareJid,
    /// The resource part, never empty.
    pub resource: String,
}

impl FullJid {
    /// Puts the two parts together; both were normalised by a JID parser.
    pub fn new(bare: BareJid, resource: impl Into<String>) -> Self {
        Self { bare, resource: resource.into() }
    }
}

impl fmt::Display for FullJid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.bare, self.resource)
    }
}

/// The number of a transfer as people see it: small, counted up, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransferId(pub u64);

impl fmt::Display for TransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a content in this daemon: several transfers (recipients) may share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentId(pub u64);

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Text that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {expected}")]
pub struct InvalidId {
    /// What was expected, for an error message.
    pub expected: &'static str,
}

/// The id of an offer on the wire: a UUIDv4 made by the sender, meaningful only together with the
/// bare JID it came from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OfferId(u128);

impl OfferId {
    /// Makes a UUIDv4 (RFC 9562, section 5.4) from 128 random bits.
    pub fn from_random(bits: u128) -> Self {
        const VERSION: u128 = 0xf << 76;
        const VARIANT: u128 = 0b11 << 62;
        Self(bits & !VERSION & !VARIANT | 4 << 76 | 0b10 << 62)
    }
}

impl fmt::Display for OfferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = format!("{:032x}", self.0);
        write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

impl fmt::Debug for OfferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for OfferId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = InvalidId { expected: "a UUID in lower case with dashes" };
        let digits: String = text.split('-').collect();
        let id = match u128::from_str_radix(&digits, 16) {
            Ok(value) => Self(value),
            Err(_) => return Err(invalid),
        };
        // One spelling only: two spellings of one id would be two offers.
        if id.to_string() == text { Ok(id) } else { Err(invalid) }
    }
}

impl TryFrom<String> for OfferId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<OfferId> for String {
    fn from(id: OfferId) -> Self {
        id.to_string()
    }
}

/// Writes `$name`, a fixed number of bytes that is shown as lower-case hex.
macro_rules! hex_bytes {
    ($(#[$doc:meta])* $name:ident, $len:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // A list has one for each transfer, and formatting machinery for each byte is most of its cost.
                let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
                let digits = self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
                f.write_str(&digits.collect::<String>())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let invalid = InvalidId { expected: $expected };
                let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
                if text.len() != 2 * $len || !text.bytes().all(lower_hex) {
                    return Err(invalid);
                }
                let mut bytes = [0; $len];
                for (i, byte) in bytes.iter_mut().enumerate() {
                    *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| invalid.clone())?;
                }
                Ok(Self(bytes))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    };
}

hex_bytes!(
    /// The SHA-1 of a content's info dictionary (BEP 3).
    InfoHash, 20, "40 lower-case hex digits"
);
hex_bytes!(
    /// The SHA-256 of the DER SubjectPublicKeyInfo of a device's identity key.
    Fingerprint, 32, "64 lower-case hex digits"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_id_is_a_uuid_of_version_4_and_has_one_spelling() {
        let id = OfferId::from_random(u128::MAX);
        assert_eq!(id.to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(id.to_string().parse(), Ok(id));
        for other in [
            "",
            "ffffffff-ffff-4fff-bfff-fffffffffff",
            "FFFFFFFF-ffff-4fff-bfff-ffffffffffff",
            "+ffffffffffff4fffbfffffffffffffff",
        ] {
            assert!(other.parse::<OfferId>().is_err(), "{other}");
        }
    }

    #[test]
    fn hashes_are_lower_case_hex_of_the_right_length() {
        let text = "00112233445566778899aabbccddeeff00112233";
        assert_eq!(text.parse::<InfoHash>().map(|h| h.to_string()), Ok(text.to_owned()));
        for other in [
            "",
            "00",
            &text.to_uppercase(),
            "+0112233445566778899aabbccddeeff00112233",
            "é0112233445566778899aabbccddeeff0011223",
        ] {
            assert!(other.parse::<InfoHash>().is_err(), "{other}");
        }
    }
}
