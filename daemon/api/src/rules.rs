//! The standing rules about offers.

use serde::{Deserialize, Serialize};

use crate::{Accept, Ruling};

/// One `[[rule]]` of the configuration in effect. What it leaves open is as for everybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its place in the configuration, from 1.
    pub number: u64,
    /// Bare JIDs and roster groups; empty: everybody.
    pub who: Vec<String>,
    /// What becomes of an offer.
    pub accept: Option<Accept>,
    /// Where it is taken at once: only up to so many bytes.
    pub max_size: Option<u64>,
    /// The folder that offers go to; words in braces are filled in when one is accepted.
    pub folder: Option<String>,
}

/// An answer to `rules`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// In the order in which they are looked at: the first that fits a contact decides.
    pub rules: Vec<Rule>,
    /// Where no rule says it: contacts and groups (beside those who were allowed) whose offers are taken at once.
    pub from: Vec<String>,
    /// Where no rule says it: they are taken at once up to so many bytes.
    pub max_size: u64,
    /// Where no rule says it: the folder that offers go to.
    pub folder: String,
    /// For the contact that was asked about.
    pub contact: Option<RulesFor>,
}

/// What would become of an offer of one contact now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesFor {
    /// The bare JID.
    pub jid: String,
    /// Whether offers are heard at all: those of people who are not on the contact list are turned away before any rule.
    pub heard: bool,
    /// What the rules say, and which one.
    pub ruling: Ruling,
    /// The folder as it would be filled in today.
    pub folder: String,
}
