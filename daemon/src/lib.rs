//! The daemon's rooms.

pub mod rpc;
