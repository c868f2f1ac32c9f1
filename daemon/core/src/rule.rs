//! Standing rules: what becomes of offers without asking, by contact and group.

use crate::contact::Contact;
use crate::folder::FolderPattern;
use crate::ids::BareJid;

/// What a rule says about an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// Taken at once, up to the size.
    Always,
    /// The person is asked.
    Ask,
    /// Declined at once, whatever its size.
    Never,
}

impl Accept {
    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Ask => "ask",
            Self::Never => "never",
        }
    }
}

/// One rule. The first that fits the contact decides; what it leaves open is as for everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Bare JIDs and roster groups; empty: everybody.
    pub who: Vec<String>,
    /// What becomes of an offer.
    pub accept: Option<Accept>,
    /// Bytes up to which it is accepted without asking.
    pub max_size: Option<u64>,
    /// Where it goes unless the person names a folder.
    pub folder: Option<FolderPattern>,
}

/// By what a contact is among those whom a rule names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// The rule is for everybody.
    Everybody,
    /// By its address.
    Address,
    /// By a group of the roster, that is by what the server says.
    Group,
}

impl Rule {
    /// Whether the rule is about this contact, and by what.
    pub fn fits(&self, contact: &BareJid, known: Option<&Contact>) -> Option<Named> {
        if self.who.is_empty() { Some(Named::Everybody) } else { named(&self.who, contact, known) }
    }
}

/// Whether a list of contacts and groups has this contact. What has an `@` is an address, whatever groups there are.
pub fn named(who: &[String], contact: &BareJid, known: Option<&Contact>) -> Option<Named> {
    if who.iter().any(|who| who == contact.as_str()) {
        return Some(Named::Address);
    }
    let groups = known.filter(|c| c.listed).map(|c| c.groups.as_slice()).unwrap_or_default();
    let in_group = who.iter().any(|who| !who.contains('@') && groups.contains(who));
    in_group.then_some(Named::Group)
}
