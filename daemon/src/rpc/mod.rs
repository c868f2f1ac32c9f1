//! The socket through which programs of the same user drive the daemon: a tarpc server (`xbt-api`) that believes
//! nothing it is told. [`bind`] owns the socket file ([`adopt`] takes systemd's), [`serve`] the connections, the driver implements [`Backend`],
//! [`EventRing`] keeps what `events` tells.

mod backend;
mod calls;
mod check;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod listen;
mod ring;
mod serve;
mod wire;

pub use backend::Backend;
pub use listen::{Listener, RpcError, adopt, bind};
pub use ring::EventRing;
pub use serve::{Limits, serve, serve_with};

#[cfg(test)]
mod tests;
