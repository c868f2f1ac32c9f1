//! The server over real sockets, with a backend that is only a list.
#![allow(clippy::unwrap_used, clippy::panic)]

mod connections;
mod fake;
mod python;
mod socket;
