//! Those who take part.

mod aria2;
mod floor;
mod peer;
mod scp;
mod wormhole;
pub mod xbt;

pub use aria2::Aria2;
pub use floor::{Copy, Tcp};
pub use peer::Peer;
pub use scp::Scp;
pub use wormhole::Wormhole;
pub use xbt::{Watch, Xbt};

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use super::Contestant;

/// Everybody who can hand files over.
pub fn everybody() -> Vec<Box<dyn Contestant>> {
    vec![
        Box::new(Peer::engine()),
        Box::new(Xbt::new()),
        Box::new(Peer::libtorrent()),
        Box::new(Aria2),
        Box::new(Peer::librqbit()),
        Box::new(Scp::new()),
        Box::new(Wormhole::new()),
        Box::new(Copy),
        Box::new(Tcp),
    ]
}

/// The folder for all that is built.
fn target() -> PathBuf {
    crate::programs::folder().parent().expect("programs lie below target").to_owned()
}

/// Where Python programs from PyPI were installed (tests/bench/setup.sh).
pub fn venv(program: &str) -> PathBuf {
    target().join("bench/venv/bin").join(program)
}

/// A file of the repository below `tests/`.
pub fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A port that was free a moment ago, for programs that cannot say which one they took.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port is free").port()
}
