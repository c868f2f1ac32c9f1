//! Taking connections in: the sockets, and the bounded number of connections that have proved no key.

pub(crate) mod acceptor;
pub(crate) mod listen;
