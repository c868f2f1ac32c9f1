//! The rules, and the room against real and false routers in network namespaces.

#![allow(clippy::unwrap_used, clippy::panic)]

mod error;
mod external;
mod fake;
mod lab;
mod mapping;
mod message;
mod real;
mod route;
mod schedule;
