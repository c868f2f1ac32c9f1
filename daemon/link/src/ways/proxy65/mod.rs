//! SOCKS5 bytestreams through a proxy (XEP-0065).

pub(crate) mod flush;
pub(crate) mod socks;
