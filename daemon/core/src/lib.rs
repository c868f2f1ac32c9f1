//! Every rule of xbt and nothing else: no clock, socket, file, SQL or randomness.
//!
//! The driver hands in what happened, with the time; the rules answer with effects, which are data.

pub mod ids;
pub mod signal;
