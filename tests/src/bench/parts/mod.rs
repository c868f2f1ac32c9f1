//! The parts of the benchmark; each can be run alone.

mod distance;
mod files;
mod many;
mod signal;
mod store;
mod wire;
mod xmpp;

use serde_json::Value;

/// How often things are done, and how large they may be.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Rounds; medians are told.
    pub rounds: usize,
    /// Whether only small contents are handed over, to try the benchmark itself out.
    pub quick: bool,
}

/// Measures and prints one part; returns its JSON.
pub type Part = fn(Effort) -> Value;

/// All parts with their names, in the order in which they are run.
pub const PARTS: [(&str, Part); 7] = [
    ("files", files::run),
    ("xmpp", xmpp::run),
    ("many", many::run),
    ("wire", wire::run),
    ("signal", signal::run),
    ("store", store::run),
    ("distance", distance::run),
];
