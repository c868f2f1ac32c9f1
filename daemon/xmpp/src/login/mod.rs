//! From a configuration to an authenticated stream, or to a new account.

mod authenticate;
mod connect;
mod dns;
mod register;
mod tls;

pub(crate) use connect::{in_time, log_in};
pub(crate) use register::register;
pub(crate) use tls::client_config;
