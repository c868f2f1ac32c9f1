//! The rules, and the room against real and false routers in network namespaces.

#![allow(clippy::unwrap_used, clippy::panic)]

mod external;
mod fake;
mod lab;
mod message;
mod real;
mod refusal;
mod route;
mod schedule;
mod want;
