//! Placeholder.

pub mod config;
pub mod log;
