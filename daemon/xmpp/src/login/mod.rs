//! From a configuration to an authenticated stream, or to a new account.

mod authenticate;
mod authority;
mod connect;
mod dns;
mod register;
mod scram;
mod tls;

pub(crate) use connect::{in_time, log_in};
pub(crate) use register::register;
#[cfg(feature = "fuzzing")]
pub(crate) use scram::{Binding, Challenge, Expected, ROUNDS, Scram};
pub(crate) use tls::Trust;
