//! The byte stream of a link, whatever way it takes.

use std::fmt;

use tokio::io::{AsyncRead, AsyncWrite};

/// Any byte stream that can be a link.
pub trait LinkStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> LinkStream for T {}

impl fmt::Debug for dyn LinkStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkStream")
    }
}

/// A link's stream. One virtual call per read or write is nothing beside the encryption.
pub type BoxedStream = Box<dyn LinkStream>;
