//! How a device shows that a request or an answer comes from it, and that it is new.
//!
//! A request is stamped with an [`Epoch`] that the *listener* chose, at random and for this one device, and with a number
//! that grows within it. So nothing has to be kept over a restart, no clock is asked, and no state that is lost can make
//! an old request new: whoever forgets an epoch chooses another. An answer covers the whole request that it answers.

use std::fmt;

use crate::ids::Fingerprint;

/// Chosen at random by the device that requests go to, for the device that they come from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub [u8; 16]);

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({:032x})", u128::from_be_bytes(self.0))
    }
}

/// What makes a request unlike every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// From the listener's answer to `hello`. In a `hello`: a random challenge of the speaker's.
    pub epoch: Epoch,
    /// Counts the requests of an epoch, from 1. In a `hello`: 0.
    pub number: u64,
}

impl Stamp {
    /// The stamp of a `hello`.
    pub fn challenge(random: u128) -> Self {
        Self { epoch: Epoch(random.to_be_bytes()), number: 0 }
    }
}

/// A request came with a valid signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Signed {
    /// Whose.
    pub key: Fingerprint,
    /// That it is new is for the rules to check.
    pub stamp: Stamp,
}

/// An Ed25519 signature (RFC 8032) and the key that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The public key.
    pub key: [u8; 32],
    /// The signature.
    pub bytes: [u8; 64],
}

/// Signs with this device's identity key and verifies signatures. The rules never call it: the XMPP room does, where
/// stanzas come in and go out.
pub trait Signer: fmt::Debug + Send + Sync {
    /// Our signature; none if signing failed.
    fn sign(&self, text: &[u8]) -> Option<Signature>;

    /// The fingerprint of the key that signed the text; none if the signature does not match.
    fn signed_by(&self, text: &[u8], signature: &Signature) -> Option<Fingerprint>;
}
