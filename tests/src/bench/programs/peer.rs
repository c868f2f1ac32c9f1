//! BitTorrent programs that speak the protocol of `seed` and `get`: xbt's engine (`examples/peer.rs`), libtorrent
//! (`tests/bench/libtorrent_peer.py`), librqbit (`tests/peers/librqbit`).

use std::ffi::OsString;
use std::path::Path;

use super::source;
use crate::bench::timed::Timed;
use crate::bench::{Content, Contestant, Took};
use crate::ctl::text;
use crate::programs;

/// Such a program.
#[derive(Debug)]
pub struct Peer {
    name: &'static str,
    program: Vec<OsString>,
}

impl Peer {
    /// xbt's engine alone, over TCP in the clear.
    pub fn engine() -> Self {
        Self { name: "xbt's engine, in the clear", program: vec![programs::folder().join("examples/peer").into()] }
    }

    /// libtorrent 2.0, by its Python bindings.
    pub fn libtorrent() -> Self {
        let script = source("bench/libtorrent_peer.py");
        Self { name: "libtorrent, in the clear", program: vec!["/usr/bin/python3".into(), script.into()] }
    }

    /// librqbit.
    pub fn librqbit() -> Self {
        let program = super::target().join("librqbit/release/xbt-peer-librqbit");
        Self { name: "librqbit, in the clear", program: vec![program.into()] }
    }

    /// A seeding one with a limit in bytes per second (0: none); with its seconds of hashing and its port.
    pub fn seed(&self, content: &Content, work: &Path, limit: u64) -> (Timed, f64, u16) {
        let args = ["seed", text(&content.path), text(work), &content.piece().to_string(), &limit.to_string()];
        let mut seed = Timed::start(&self.program, &args, work);
        let prepared = seed.number("prepared");
        let port = seed.number("port") as u16;
        (seed, prepared, port)
    }

    /// A fetching one that waits for the addresses of its peers; with its port.
    pub fn get(&self, torrent: &Path, into: &Path) -> (Timed, u16) {
        let mut get = Timed::start(&self.program, &["get", text(torrent), text(into)], into);
        let port = get.number("port") as u16;
        (get, port)
    }
}

impl Contestant for Peer {
    fn name(&self) -> &'static str {
        self.name
    }

    fn hand_over(&mut self, content: &Content, into: &Path) -> Took {
        let work = tempfile::tempdir().expect("a temporary folder can be made");
        let (seed, prepared, port) = self.seed(content, work.path(), 0);
        let (mut get, _) = self.get(&work.path().join("content.torrent"), into);
        get.tell(&format!("127.0.0.1:{port}"));
        let moved = get.number("done");
        Took { prepare: Some(prepared), moved, cost: get.stop().and(seed.stop()) }
    }
}
