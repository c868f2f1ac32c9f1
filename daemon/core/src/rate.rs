//! How fast things may go, as a person says it; the engine sees to it.

use serde::{Deserialize, Serialize};

/// Limits in bytes per second; 0: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimits {
    /// For what goes out.
    pub up: u64,
    /// For what comes in.
    pub down: u64,
}

/// New limits in bytes per second; what is `None` stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateChange {
    /// For what goes out; 0: none.
    pub up: Option<u64>,
    /// Download limit; 0 for none.
    pub down: Option<u64>,
}

/// How much a transfer gets of the limits that it shares with others that want to move something, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// A quarter of a normal one's part.
    Low,
    /// An equal part.
    #[default]
    Normal,
    /// Four times a normal one's part.
    High,
}

impl RateLimits {
    /// Whether anything is limited.
    pub fn any(self) -> bool {
        self.up > 0 || self.down > 0
    }

    /// These limits after a change.
    pub fn changed(self, change: RateChange) -> Self {
        Self { up: change.up.unwrap_or(self.up), down: change.down.unwrap_or(self.down) }
    }
}
