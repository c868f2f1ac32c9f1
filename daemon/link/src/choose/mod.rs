//! Dial requests, parked links, and whose link is taken.

pub(crate) mod dial;
pub(crate) mod exchange;
pub(crate) mod explain;
pub(crate) mod mailbox;
pub(crate) mod outcomes;
pub(crate) mod parking;
pub(crate) mod pending;
pub(crate) mod permits;
pub(crate) mod requests;
pub(crate) mod room;
pub(crate) mod search;
pub(crate) mod settle;
