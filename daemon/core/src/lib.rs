//! Every rule of xbt and nothing else: no clock, socket, file, SQL or randomness.
//!
//! The driver hands in what happened, with the time ([`Domain::handle`]); the rules answer with effects, which are
//! data. Whoever wants to know why xbt does something reads this crate only.

pub mod contact;
pub mod domain;
pub mod effect;
pub mod fault;
pub mod folder;
pub mod hook;
pub mod ids;
pub mod input;
pub mod limits;
pub mod login;
pub mod magnet;
pub mod rate;
pub mod rule;
pub mod schedule;
pub mod session;
pub mod settings;
pub mod signal;
pub mod time;
pub mod transfer;
pub mod way;
pub use domain::Domain;
