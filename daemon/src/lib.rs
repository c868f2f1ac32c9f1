//! Placeholder.
pub mod xmpp;
