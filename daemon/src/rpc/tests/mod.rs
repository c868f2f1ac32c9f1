//! The server over real sockets, with a backend that is only a list.
#![allow(clippy::unwrap_used, clippy::panic)]

mod connections;
mod document;
mod fake;
mod python;
mod socket;
