//! The xbt daemon, room by room. Each room translates between the outside and the domain (`xbt-core`), which holds
//! every rule; the [`driver`] owns the domain and carries its effects out.
//!
//! `docs/architecture.md` draws the picture.

pub mod config;
pub mod daemon;
pub mod driver;
mod files;
mod hooks;
pub mod log;
mod mapped_port;
mod ownership;
mod process;
pub mod rpc;
pub mod supervisor;
pub mod try_login;
