//! What the configuration tells the rules.

use crate::folder::FolderPattern;
use crate::hook::Hooks;
use crate::ids::{BareJid, Fingerprint};
use crate::rate::RateLimits;
use crate::rule::Rule;
use crate::schedule::Schedule;
use crate::way::Ways;

/// Which subscription requests are answered without asking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Subscriptions {
    /// Those of contacts that we added ourselves.
    #[default]
    Added,
    /// The same, and the person is asked about the others.
    Ask,
}

/// The standing rules and who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Our own bare JID.
    pub account: BareJid,
    /// The resource of this device, to know it among our own.
    pub resource: String,
    /// Our own identity key.
    pub fingerprint: Fingerprint,
    /// Contacts or roster groups whose offers are accepted without asking.
    pub accept_from: Vec<String>,
    /// Being in a group is enough for that only for contacts that the person has verified.
    pub verified_groups: bool,
    /// Only up to this size in bytes.
    pub accept_max_size: u64,
    /// Bytes accepted automatically from one contact within a day; 0: no limit.
    pub accept_quota: u64,
    /// What holds for some contacts instead; the first that fits decides.
    pub rules: Vec<Rule>,
    /// Where accepted offers go when neither the person nor a rule names a folder.
    pub folder: FolderPattern,
    /// Who may see our presence.
    pub subscriptions: Subscriptions,
    /// Write one chat message to contacts who have never run xbt.
    pub courtesy_message: bool,
    /// What is offered to contacts, and what is tried.
    pub ways: Ways,
    /// Recipients of the same content may be introduced to each other: by us, and we by others.
    pub introduce: bool,
    /// Contents up to this size in bytes may go in-band.
    pub in_band_max_size: u64,
    /// For everything together, at times that no schedule is for.
    pub limits: RateLimits,
    /// Limits at certain times; the first whose time it is holds.
    pub schedules: Vec<Schedule>,
    /// The person's own commands.
    pub hooks: Hooks,
}
