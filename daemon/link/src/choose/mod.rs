//! Dial requests, parked links, and which link is used.
//!
//! - `room`: the one owner of all of it; `settle`, `search`, `outcomes`: what it does by time, for a request, and at its end;
//! - `mailbox`, `report`, `pending`: what comes in from the owner and from tasks, and what waits to go out;
//! - `requests`, `dial`, `permits`: requests and their dials; `parking`: links that are not used yet;
//! - `exchange`: the BitTorrent handshakes that bind a link to a content; `explain`: why there is no link.

pub(crate) mod dial;
pub(crate) mod exchange;
pub(crate) mod explain;
pub(crate) mod mailbox;
mod outcomes;
pub(crate) mod parking;
pub(crate) mod pending;
pub(crate) mod permits;
pub(crate) mod report;
pub(crate) mod requests;
pub(crate) mod room;
mod search;
mod settle;
