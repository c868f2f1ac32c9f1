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

impl Rule {
    /// Whether the rule is about this contact.
    pub fn fits(&self, contact: &BareJid, known: Option<&Contact>) -> bool {
        self.who.is_empty() || names(&self.who, contact, known)
    }
}

/// Whether a list of contacts and groups has this contact.
pub fn names(who: &[String], contact: &BareJid, known: Option<&Contact>) -> bool {
    let groups = known.filter(|c| c.listed).map(|c| c.groups.as_slice()).unwrap_or_default();
    who.iter().any(|who| who == contact.as_str() || groups.contains(who))
}
