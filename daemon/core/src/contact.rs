//! Contacts and their devices, as the store keeps them.

use serde::{Deserialize, Serialize};

use crate::ids::{BareJid, Fingerprint};
use crate::rate::RateLimits;
use crate::session::{RosterItem, Subscription};
use crate::time::Wall;

/// A line of the roster and what we remember beside it. Kept so that a send can be judged while the server is away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Whose roster it is on.
    pub account: BareJid,
    /// Who.
    pub jid: BareJid,
    /// The name on the roster.
    pub name: Option<String>,
    /// Who sees whom.
    pub subscription: Subscription,
    /// We asked to see the contact and wait for an answer.
    pub ask: bool,
    /// Roster groups.
    pub groups: Vec<String>,
    /// Is (still) on the roster. A contact that was taken off is remembered for its devices.
    pub listed: bool,
    /// A device that runs xbt has been seen.
    pub has_xbt: bool,
    /// The person has compared a safety number: from then on an unknown key blocks.
    pub verified: bool,
    /// The person said that what this contact offers is accepted without asking.
    #[serde(default)]
    pub allowed: bool,
    /// For all links with this contact together.
    #[serde(default)]
    pub limits: RateLimits,
    /// The names by which the person meant this contact when they last used them, in lower case.
    #[serde(default)]
    pub called: Vec<String>,
}

impl Contact {
    /// A contact of which nothing is known yet.
    pub fn new(account: BareJid, jid: BareJid) -> Self {
        Self {
            account,
            jid,
            name: None,
            subscription: Subscription::None,
            ask: false,
            groups: Vec::new(),
            listed: false,
            has_xbt: false,
            verified: false,
            allowed: false,
            limits: RateLimits::default(),
            called: Vec::new(),
        }
    }

    /// Takes over what the roster says.
    pub fn update(&mut self, item: RosterItem) {
        self.name = item.name;
        self.subscription = item.subscription;
        self.ask = item.ask;
        self.groups = item.groups;
        self.listed = true;
    }
}

/// What we think of a device's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// Accepted on first sight, before any verification of this contact.
    #[serde(alias = "blind")]
    Unverified,
    /// The person compared the safety number.
    Verified,
    /// Came after the contact was verified: nothing goes to it or comes from it until the person verifies it.
    Blocked,
}

/// A device of a contact, known by its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Our own bare JID.
    pub account: BareJid,
    /// Whose device it is.
    pub contact: BareJid,
    /// Its key.
    pub fingerprint: Fingerprint,
    /// The resource it last spoke from.
    pub resource: String,
    /// When the key was first seen.
    pub first_seen: Wall,
    /// What we think of it.
    pub trust: Trust,
    /// It came when another key of the contact was known already, and the person has not looked at it yet.
    #[serde(default)]
    pub unseen: bool,
}
