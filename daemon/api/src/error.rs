//! What goes wrong, on the wire.

use serde::{Deserialize, Serialize};

/// Why something was refused or failed: for programs a stable code, for people one sentence and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// One of [`crate::codes`]; a newer daemon may know more of them.
    pub code: String,
    /// What happened, one sentence without a full stop.
    pub message: String,
    /// What to do about it; empty when there is nothing to say.
    #[serde(default)]
    pub hint: String,
}

impl ApiError {
    /// Puts the three together.
    pub fn new(code: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), hint: hint.into() }
    }
}
