//! The XMPP session: the only crate that knows stanzas.
//!
//! It logs one account in and keeps it logged in, and translates between `docs/protocol.md` and the words of
//! [`xbt_core::signal`]. Only `convert` knows both sides.
//!
//! | module | concern |
//! |---|---|
//! | `config`, `secret` | what a session is started with |
//! | `session`, `handle`, `call` | a session as the program holds it, and what it may ask |
//! | `task`, `backoff`, `failure`, `clock` | log in, serve, lose the connection, wait, again |
//! | `login` | from a configuration to an authenticated stream (`dns`, `tls`, `authenticate`), or to a new account (`register`) |
//! | `stream` | binding, stream management, reading and writing; `guard` keeps what would break the XML parser away from it |
//! | `agent` | stanzas and commands to stanzas and events, without I/O |
//! | `payload`, `convert`, `caps`, `jid` | our own elements, one file for each XEP, and what they mean |
//! | `in_band_stream` | an in-band bytestream, as links use it |
//!
//! Each uses those below it only, and `failure`, `config` and `secret`; nothing uses `task` but `session`.
//!
//! **The log.** The library's logger prints whole stanzas at the level `trace`, those of the login (and so the
//! password) among them. Whatever sets up logging must hold `tokio_xmpp`, `xmpp_parsers`, `rxml`, `minidom` and `sasl`
//! at `info` or above. This crate logs no password and no content of messages.

mod agent;
mod backoff;
mod call;
mod caps;
mod clock;
mod config;
mod convert;
mod failure;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod handle;
mod in_band_stream;
mod jid;
mod login;
mod payload;
mod secret;
mod session;
mod stream;
mod task;
#[cfg(any(test, feature = "test-util"))]
#[doc(hidden)]
pub mod testing;
#[cfg(test)]
mod tests;

pub use backoff::Refusals;
pub use call::RelayError;
pub use config::{SessionConfig, Silence, Tls};
pub use handle::SessionHandle;
pub use in_band_stream::InBandStream;
pub use jid::{InvalidJid, parse_bare, parse_bare_or_server};
pub use secret::Secret;
pub use session::{Session, register};
