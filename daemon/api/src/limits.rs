//! Limits and priorities on the wire.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::transfer::wire_words;

wire_words! {
    /// How much a transfer gets of the limits that it shares with others: each step is four times the one below.
    #[derive(Default)]
    Priority {
        /// A quarter of a normal one's part.
        Low = "low",
        /// An equal part.
        #[default]
        Normal = "normal",
        /// Four times a normal one's part.
        High = "high",
    }
}

/// Limits in bytes per second, payload and what goes with it; 0: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// For what goes out.
    pub upload: u64,
    /// For what comes in.
    pub download: u64,
}

wire_words! {
    /// Who set the limits that hold for everything together.
    LimitsBy {
        /// The configuration, for all times that no schedule is for.
        Configuration = "configuration",
        /// A schedule of the configuration.
        Schedule = "schedule",
        /// `limit_all`, until the configuration is read again.
        Hand = "hand",
    }
}

/// Why the limits for everything together are as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// Who set them.
    pub by: LimitsBy,
    /// The number, from 1, of the schedule whose time it is; its limits hold unless some were set by hand.
    #[serde(default)]
    pub schedule: Option<u64>,
    /// When the schedules say something else, RFC 3339 in UTC; none: never.
    #[serde(default)]
    pub until: Option<String>,
}

/// New limits in bytes per second, 0: none, at most [`crate::size::MAX`]; what is left out stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitChange {
    /// For what goes out.
    pub upload: Option<u64>,
    /// For what comes in.
    pub download: Option<u64>,
}
