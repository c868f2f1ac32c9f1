//! Signatures with the device's identity key, for what must be proved to come from a contact and not from its server.

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use xbt_core::ids::Fingerprint;
use xbt_core::signal::{Signature, Signer};

use super::key::{Identity, fingerprint_of};
use crate::error::LinkError;

/// What comes before the key in a DER SubjectPublicKeyInfo of an Ed25519 key (RFC 8410, section 4).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Signs for this device.
#[derive(Debug)]
pub struct IdentitySigner {
    key: Ed25519KeyPair,
}

impl IdentitySigner {
    /// With the key of this identity.
    ///
    /// # Errors
    /// A key that cannot sign.
    pub fn new(identity: &Identity) -> Result<Self, LinkError> {
        let pkcs8 = identity.private_key();
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8.secret_pkcs8_der())
            .map_err(|error| LinkError::Cryptography { reason: error.to_string() })?;
        Ok(Self { key })
    }
}

impl Signer for IdentitySigner {
    fn sign(&self, text: &[u8]) -> Option<Signature> {
        let key = self.key.public_key().as_ref().try_into().ok()?;
        let bytes = self.key.sign(text).as_ref().try_into().ok()?;
        Some(Signature { key, bytes })
    }

    fn signed_by(&self, text: &[u8], signature: &Signature) -> Option<Fingerprint> {
        UnparsedPublicKey::new(&ED25519, signature.key).verify(text, &signature.bytes).ok()?;
        Some(fingerprint_of(&[&SPKI[..], &signature.key].concat()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_signature_is_of_one_text_and_of_the_key_that_links_prove() {
        let folder = tempfile::tempdir().unwrap();
        let identity = |name| Identity::load_or_create(&folder.path().join(name)).unwrap();
        let (alice, bob) = (identity("a"), identity("b"));
        let (ours, theirs) = (IdentitySigner::new(&alice).unwrap(), IdentitySigner::new(&bob).unwrap());
        let signature = ours.sign(b"text").unwrap();
        assert_eq!(theirs.signed_by(b"text", &signature), Some(alice.fingerprint()));
        assert_eq!(theirs.signed_by(b"another", &signature), None);
        let another = theirs.sign(b"text").unwrap();
        assert_eq!(ours.signed_by(b"text", &Signature { key: another.key, ..signature }), None, "another's key");
        assert_eq!(ours.signed_by(b"text", &Signature { bytes: [0; 64], ..signature }), None);
    }
}
