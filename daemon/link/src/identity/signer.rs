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
    use xbt_core::ids::{BareJid, FullJid};
    use xbt_core::signal::{Answer, Epoch, Request, Stamp, text};

    /// The example of `docs/protocol.md`, section 5.3: its text, key and signature, as OpenSSL made them.
    #[test]
    fn the_signature_of_the_example_is_the_one_in_the_document() {
        let document = include_str!("../../../../docs/protocol.md");
        let (_, example) = document.split_once("*Example*. The key").unwrap();
        let digits: String =
            example.split("```text\n").nth(1).unwrap().split("```").next().unwrap().split_whitespace().collect();
        let text: Vec<u8> = digits
            .as_bytes()
            .chunks(2)
            .map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap())
            .collect();
        let device = |name: &str, resource: &str| FullJid::new(BareJid::from_normalised(name), resource);
        let stamp = Stamp { epoch: Epoch(std::array::from_fn(|at| at as u8)), number: 3 };
        let done = Request::Done { id: "0b5e1c2a-7d3f-4a6b-8c9d-0e1f2a3b4c5d".parse().unwrap() };
        let (from, to) = (device("bob@example.org", "xbt-7c1f"), device("alice@example.org", "xbt-1f2e"));
        assert_eq!(text::request(&done, &from, &to, stamp), text);
        let seed: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&SEED[2 * at..2 * at + 2], 16).unwrap()).collect();
        let signer = IdentitySigner { key: Ed25519KeyPair::from_seed_unchecked(&seed).unwrap() };
        let said = [text.clone(), text::answer(&text, &Ok(Answer::Acknowledged))];
        for (text, quote) in said.iter().zip(["number='3' signature='", "its signature would be\n`"]) {
            let signature = signer.sign(text).unwrap();
            let expected = example.split(quote).nth(1).unwrap().split(['\'', '`']).next().unwrap();
            assert_eq!(base64(&signature.bytes), expected);
            assert!(example.contains(&base64(&signature.key)));
            let by = signer.signed_by(text, &signature).unwrap();
            assert!(example.contains(&by.to_string()), "{by}");
        }
    }

    /// RFC 8032, section 7.1, test 1.
    const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";

    fn base64(bytes: &[u8]) -> String {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let three = |three: &[u8]| {
            let bits = three.iter().chain([&0; 2]).take(3).fold(0, |bits, byte| bits << 8 | usize::from(*byte));
            let digit = |place: usize| char::from(DIGITS[bits >> (18 - 6 * place) & 63]);
            (0..4).map(|place| if place > three.len() { '=' } else { digit(place) }).collect::<String>()
        };
        bytes.chunks(3).map(three).collect()
    }

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
