//! End-to-end tests: real daemons, a real Prosody, the command line as people type it.
//!
//! Each test has a server and homes of its own, so they run beside each other. What holds a transfer in mid-flight is a
//! configured limit, not luck.
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

mod chat;
mod cli;
mod crash;
mod delete;
mod desktop;
mod devices;
mod disks;
mod fire;
mod folder;
mod harness;
mod installed;
mod introduce;
mod intruder;
mod limit;
mod names;
mod open;
mod packaging;
mod people;
mod prerequisites;
mod queue;
mod reach;
mod readme;
mod refusals;
mod rules;
mod server;
mod setup;
mod source;
mod space;
mod startup;
mod systemd;
mod transfer;
mod unreadable;
