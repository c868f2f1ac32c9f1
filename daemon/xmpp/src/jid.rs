//! Addresses: between the `jid` crate's types, which parse, and the core's, which are plain values.

use tokio_xmpp::jid;
use xbt_core::ids::{BareJid, FullJid};

/// Text that is not the address of a contact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJid {
    /// Not a JID at all (RFC 7622).
    #[error("“{text}” is not an XMPP address: {reason}")]
    Malformed {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A server, not a person.
    #[error("“{0}” has no user name before an @")]
    NoLocalPart(String),
    /// One device of a contact was given, not the contact.
    #[error("“{0}” names a resource; give it without the part after the /")]
    HasResource(String),
}

/// Parses and normalises the address of a contact or account (RFC 7622): `local@domain`, no resource.
///
/// # Errors
/// If the text is none, with the likely reason.
pub fn parse_bare(text: &str) -> Result<BareJid, InvalidJid> {
    let text = text.trim();
    let jid = parse_bare_or_server(text)?;
    if jid.as_str().contains('@') { Ok(jid) } else { Err(InvalidJid::NoLocalPart(shown(text))) }
}

/// Like [`parse_bare`], but the address of a server, which has no part before an @, will do too.
///
/// # Errors
/// If the text is neither, or has spaces around it.
pub fn parse_bare_or_server(text: &str) -> Result<BareJid, InvalidJid> {
    let malformed = |reason: String| InvalidJid::Malformed { text: shown(text), reason };
    let parsed = jid::Jid::new(text).map_err(|error| malformed(error.to_string()))?;
    if parsed.resource().is_some() {
        return Err(InvalidJid::HasResource(shown(text)));
    }
    // Normalising can make a part longer than it may be, or give what is normalised to something else again.
    let normal = parsed.to_string();
    match jid::Jid::new(&normal) {
        Ok(again) if again.as_str() == normal => Ok(BareJid::from_normalised(normal)),
        Ok(_) => Err(malformed("it contains characters that are not allowed".to_owned())),
        Err(error) => Err(malformed(error.to_string())),
    }
}

/// What was typed, cut for a message.
fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

/// The address of a contact as a roster has it, which may be a server too; none if its normal form is no address.
pub(super) fn listed(jid: &jid::BareJid) -> Option<BareJid> {
    let again = jid::BareJid::new(jid.as_str()).ok()?;
    (again == *jid).then(|| BareJid::from_normalised(jid.to_string()))
}

/// The bare part of any JID.
pub(super) fn bare(jid: &jid::Jid) -> BareJid {
    BareJid::from_normalised(jid.to_bare().to_string())
}

/// A full JID; none if there is no resource.
pub(super) fn full(jid: &jid::Jid) -> Option<FullJid> {
    let full = jid.try_as_full().ok()?;
    Some(FullJid::new(BareJid::from_normalised(full.to_bare().to_string()), full.resource().as_str()))
}

/// Back to the parser's type. The core's values come from [`parse_bare`] and from the network, but nothing in their
/// type says so, hence the error.
pub(super) fn from_bare(jid: &BareJid) -> Result<jid::BareJid, jid::Error> {
    jid::BareJid::new(jid.as_str())
}

/// Back to the parser's type.
pub(super) fn from_full(device: &FullJid) -> Result<jid::FullJid, jid::Error> {
    jid::FullJid::new(&device.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_normalised_and_must_be_bare() {
        assert_eq!(parse_bare(" Alice@Example.ORG ").map(|j| j.to_string()), Ok("alice@example.org".to_owned()));
        assert!(matches!(parse_bare("alice@example.org/phone"), Err(InvalidJid::HasResource(_))));
        assert!(matches!(parse_bare("example.org"), Err(InvalidJid::NoLocalPart(_))));
        for bad in ["", "@", "a@", "@b", "a b@c", "a@b@c"] {
            assert!(parse_bare(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_is_taken_only_if_its_normal_form_is_one() {
        // Normalised, the label has 80 letters: more than a domain may have (RFC 1035).
        assert!(matches!(parse_bare(&format!("alice@{}.org", "ß".repeat(40))), Err(InvalidJid::Malformed { .. })));
    }

    #[test]
    fn full_addresses_survive_the_way_there_and_back() {
        let jid = jid::Jid::new("bob@example.org/xbt 1/2").ok();
        let device = jid.as_ref().and_then(full);
        assert_eq!(device.as_ref().map(|d| d.resource.as_str()), Some("xbt 1/2"));
        let back = device.and_then(|device| from_full(&device).ok());
        assert_eq!(back.map(jid::Jid::from), jid);
    }
}
