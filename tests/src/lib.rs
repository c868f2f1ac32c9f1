//! The harness of xbt's end-to-end tests: real parts only.
//!
//! A [`Stage`] is a private Prosody with accounts that know each other, and room for daemons. A [`Daemon`] is a real
//! `xbtd` process with a home of its own; [`Ctl`] runs the real `xbtctl` against it. Everything that a stage
//! starts ends with it, also when the test fails or is killed, and a failing test prints the ends of all logs.
//!
//! The harness fails by panicking: it is used by tests, by the demo and by measurements only. It waits for
//! conditions ([`wait::until`]) and takes its ports from the kernel.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test harness fails by panicking")]

pub mod bench;
pub mod certs;
pub mod chat;
pub mod clock;
pub mod content;
pub mod ctl;
pub mod daemon;
pub mod desktop;
pub mod device;
pub mod disk;
pub mod foreign_disk;
pub mod lab;
pub mod machine;
pub mod manager;
pub mod net;
pub mod one_to_many;
pub mod picture;
pub mod ports;
pub mod power;
pub mod process;
pub mod programs;
pub mod prosody;
pub mod rpc;
pub mod stage;
pub mod stranger;
pub mod terminal;
pub mod trial;
pub mod wait;

pub use chat::ChatClient;
pub use ctl::Ctl;
pub use daemon::Daemon;
pub use desktop::Desktop;
pub use lab::Lab;
pub use machine::Machine;
pub use manager::Manager;
pub use net::Net;
pub use prosody::Prosody;
pub use stage::Stage;
