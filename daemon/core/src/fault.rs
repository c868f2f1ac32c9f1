//! Errors for people: what happened, what to do, and a stable code for programs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a command was refused or a transfer has failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Stable, in kebab case; `docs/rpc.md` lists them.
    pub code: String,
    /// What happened, one sentence.
    pub message: String,
    /// What to do about it, one sentence; may be empty.
    pub hint: String,
}

impl Fault {
    /// Puts the three together.
    pub fn new(code: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), hint: hint.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

/// Why something waits: shown as `why` of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// Stable, in kebab case; `docs/rpc.md` lists them.
    pub code: &'static str,
    /// One sentence.
    pub text: String,
}

impl Why {
    /// Puts the two together.
    pub fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}
