//! What `make bench` is made of: programs that hand the same contents over, one beside the other, and what xbt costs.
//!
//! Nothing here is a test: it measures, and fails by panicking.

pub mod bars;
pub mod machine;
pub mod parts;
pub mod programs;
pub mod report;
pub mod timed;

use std::path::{Path, PathBuf};

/// What is handed over.
#[derive(Clone, Debug)]
pub struct Content {
    /// How the report calls it.
    pub label: &'static str,
    /// Where it lies.
    pub path: PathBuf,
    /// Its bytes.
    pub size: u64,
    /// The starts of the names of those who hand it over; empty: everybody.
    pub only: &'static [&'static str],
}

impl Content {
    /// Whether a program takes part with this one; not everybody with all.
    pub fn takes(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|start| name.starts_with(start))
    }

    /// Length of a piece, for programs that have to be told: between 32 KiB and 4 MiB, about 1500 pieces.
    pub fn piece(&self) -> u64 {
        (self.size / 1500).next_power_of_two().clamp(32 << 10, 4 << 20)
    }
}

/// One handing over.
#[derive(Clone, Copy, Debug, Default)]
pub struct Took {
    /// Seconds until the sender had hashed it; `None` where that is not told apart or not done.
    pub prepare: Option<f64>,
    /// Seconds until the receiver had everything, without `prepare`.
    pub moved: f64,
    /// What it cost.
    pub cost: Cost,
}

/// What programs used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Processor time of all, in seconds.
    pub cpu: f64,
    /// Most memory of the largest one, in bytes.
    pub memory: u64,
}

impl Cost {
    /// Of two programs.
    pub fn and(self, other: Self) -> Self {
        Self { cpu: self.cpu + other.cpu, memory: self.memory.max(other.memory) }
    }
}

/// A program that hands contents over from one place of this machine to another.
pub trait Contestant {
    /// How the report calls it.
    fn name(&self) -> &'static str;

    /// Hands it over into an empty folder.
    fn hand_over(&mut self, content: &Content, into: &Path) -> Took;
}

/// The one in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
