//! Placeholder.

pub mod config;
pub mod log;
pub mod store;
pub mod link;
pub mod xmpp;
