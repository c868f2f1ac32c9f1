//! Who we are, and that the other end is who it says.

pub(crate) mod key;
pub(crate) mod signer;
pub(crate) mod tls;
