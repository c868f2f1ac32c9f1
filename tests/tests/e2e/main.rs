//! End-to-end tests: real daemons, a real Prosody, the command line as people type it.

mod harness;
