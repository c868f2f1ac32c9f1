//! Contacts and their devices on the wire.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Limits;
use crate::transfer::wire_words;

wire_words! {
    /// Who sees whose presence (RFC 6121, section 2.1.2.5).
    Subscription {
        /// Nobody.
        None = "none",
        /// We see the contact.
        To = "to",
        /// The contact sees us.
        From = "from",
        /// Both.
        Both = "both",
    }
}

wire_words! {
    /// How far the keys of a contact are trusted.
    Trust {
        /// New devices are accepted and announced.
        Unverified = "unverified",
        /// The person has compared safety numbers; unknown keys are blocked.
        Verified = "verified",
    }
}

/// A device of a contact that runs xbt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The resource of its full JID.
    pub resource: String,
    /// Its key, 64 hex digits, as soon as it is known.
    pub fingerprint: Option<String>,
    /// Whether it is online.
    pub online: bool,
    /// Whether transfers with it are allowed.
    pub trusted: bool,
    /// Whether the person has verified its key.
    pub verified: bool,
    /// Its key came beside others that were known before, and nobody has looked at it yet (`contact_verify`).
    #[serde(default)]
    pub unseen: bool,
}

wire_words! {
    /// What becomes of an offer without asking.
    Accept {
        /// Taken at once, up to a size.
        Always = "always",
        /// The person is asked.
        Ask = "ask",
        /// Declined at once.
        Never = "never",
    }
}

/// What the standing rules say about a contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// What becomes of an offer.
    pub accept: Accept,
    /// Where it is taken at once: only up to so many bytes.
    pub max_size: u64,
    /// The folder that offers go to; words in braces are filled in when one is accepted.
    pub folder: String,
    /// The number, from 1, of the `[[rule]]` that fits; none: what holds for everybody.
    #[serde(default)]
    pub rule: Option<u64>,
}

/// Somebody on the roster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The bare JID.
    pub jid: String,
    /// The name on the roster.
    pub name: Option<String>,
    /// Who sees whom.
    pub subscription: Subscription,
    /// We asked to see this contact and have no answer yet.
    #[serde(default)]
    pub asked: bool,
    /// Roster groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Whether any resource is online.
    pub online: bool,
    /// Whether any device that runs xbt is online.
    pub xbt: bool,
    /// Devices that run xbt, or have run it.
    #[serde(default)]
    pub devices: Vec<Device>,
    /// How far its keys are trusted.
    pub trust: Trust,
    /// Whether the person said that what it offers is accepted without asking (`contact_allow`).
    pub allowed: bool,
    /// What the rules make of that; none from older daemons.
    #[serde(default)]
    pub ruling: Option<Ruling>,
    /// For all transfers with this contact together.
    #[serde(default)]
    pub limits: Limits,
}

/// One device and the number to compare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceVerification {
    /// The resource it last spoke from.
    pub resource: String,
    /// Its key, 64 hex digits.
    pub fingerprint: String,
    /// The same on both devices if nobody stands between: eight groups of five digits.
    pub safety_number: String,
    /// Whether the person has verified the key.
    pub verified: bool,
    /// Whether it is blocked, because it came after the contact was verified.
    #[serde(default)]
    pub blocked: bool,
    /// Whether it came beside others that were known before, and nobody had looked at it until now.
    #[serde(default)]
    pub unseen: bool,
}

/// What two people compare, by voice or face to face.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// The contact.
    pub jid: String,
    /// The key of this device, 64 hex digits.
    pub own_fingerprint: String,
    /// The contact's devices whose keys are known.
    pub devices: Vec<DeviceVerification>,
    /// How far the keys are trusted now.
    pub trust: Trust,
}
