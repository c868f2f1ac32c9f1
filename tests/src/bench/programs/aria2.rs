//! aria2, which makes no torrents itself and finds its peer by a tracker.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread;
use std::time::Instant;

use super::{Peer, free_port};
use crate::bench::timed::Timed;
use crate::bench::{Content, Contestant, Took};
use crate::ctl::text;

const ALWAYS: [&str; 9] = [
    "--enable-dht=false",
    "--enable-dht6=false",
    "--bt-enable-lpd=false",
    "--enable-peer-exchange=false",
    "--interface=127.0.0.1",
    "--no-conf=true",
    "--file-allocation=none",
    "--summary-interval=0",
    "--console-log-level=error",
];

/// Two aria2 programs. What is told is the whole life of the fetching one, as it does not say when it is done.
#[derive(Debug)]
pub struct Aria2;

impl Contestant for Aria2 {
    fn name(&self) -> &'static str {
        "aria2, in the clear"
    }

    fn hand_over(&mut self, content: &Content, into: &Path) -> Took {
        let work = tempfile::tempdir().expect("a temporary folder can be made");
        drop(Peer::libtorrent().seed(content, work.path(), 0));
        let torrent = work.path().join("content.torrent");
        let port = free_port();
        let tracker = tracker(port);
        let tracker = ["--bt-exclude-tracker=*".to_owned(), format!("--bt-tracker={tracker}")];
        let folder = content.path.parent().expect("contents lie in a folder");
        let run = |serves: bool, port: u16, dir: &Path, own: &[&str]| {
            let start = if serves { Timed::serve } else { Timed::start };
            let (port, dir) = (format!("--listen-port={port}"), format!("--dir={}", text(dir)));
            let args = [&ALWAYS[..], own, &[&tracker[0], &tracker[1], &port, &dir, text(&torrent)]].concat();
            start(&["aria2c"], &args, work.path())
        };
        let seed = run(true, port, folder, &["--seed-ratio=0.0", "--bt-seed-unverified=true"]);
        crate::wait::until("aria2 listens", crate::wait::SOON, || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
        let begun = Instant::now();
        let cost = run(false, free_port(), into, &["--seed-time=0"]).ended();
        let moved = begun.elapsed().as_secs_f64();
        Took { prepare: None, moved, cost: cost.and(seed.stop()) }
    }
}

/// A tracker (BEP 3, 23) that names one peer to everybody; its thread ends with the program.
fn tracker(peer: u16) -> String {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = socket.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        for mut stream in socket.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let mut body = b"d8:intervali1e5:peers6:\x7f\0\0\x01".to_vec();
            body.extend(peer.to_be_bytes());
            body.push(b'e');
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
        }
    });
    format!("http://127.0.0.1:{port}/announce")
}
