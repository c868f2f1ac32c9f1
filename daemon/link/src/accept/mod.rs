//! Taking connections in: the sockets, and the bounded number of strangers at them.

pub(crate) mod acceptor;
pub(crate) mod listen;
pub(crate) mod plain;
