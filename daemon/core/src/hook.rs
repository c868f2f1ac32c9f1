//! Commands of the person that run when something happens to a transfer.

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    /// A contact offers something that no rule declines.
    Offer,
    /// A transfer, of either direction, is done.
    Complete,
}

impl Hook {
    /// Its key in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Offer => "on_offer",
            Self::Complete => "on_complete",
        }
    }
}

/// The commands: a program and its arguments, never empty. No shell sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hooks {
    /// For [`Hook::Offer`].
    pub on_offer: Option<Vec<String>>,
    /// For [`Hook::Complete`].
    pub on_complete: Option<Vec<String>>,
    /// Milliseconds that each of them has.
    pub timeout_ms: u64,
}

impl Default for Hooks {
    fn default() -> Self {
        Self { on_offer: None, on_complete: None, timeout_ms: 30_000 }
    }
}

impl Hooks {
    /// The command for what happened, if there is one.
    pub fn command(&self, hook: Hook) -> Option<&[String]> {
        match hook {
            Hook::Offer => self.on_offer.as_deref(),
            Hook::Complete => self.on_complete.as_deref(),
        }
    }
}
