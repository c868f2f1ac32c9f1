//! The rules in a small deterministic world: devices, a server, engines and links, all of it simulated.
#![allow(clippy::unwrap_used, clippy::panic)]

mod world;
mod send;
