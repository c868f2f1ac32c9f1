//! What the machine itself can do.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Instant;

use sha1::{Digest, Sha1};

use crate::bench::timed::Timed;
use crate::bench::{Content, Contestant, Cost, Took};
use crate::ctl::text;

/// Bytes that are sent and hashed at a time.
const PART: usize = 256 << 10;

/// `cp` and `sync`.
#[derive(Debug)]
pub struct Copy;

impl Contestant for Copy {
    fn name(&self) -> &'static str {
        "cp and sync"
    }

    fn hand_over(&mut self, content: &Content, into: &Path) -> Took {
        let begun = Instant::now();
        let line = "cp -r --reflink=never \"$0\" \"$1\" && sync -f \"$1\"";
        let cost = Timed::start(&["sh"], &["-c", line, text(&content.path), text(into)], into).ended();
        Took { prepare: None, moved: begun.elapsed().as_secs_f64(), cost }
    }
}

/// All bytes over one TCP connection into one file, hashed where they arrive; without the names.
#[derive(Debug)]
pub struct Tcp;

impl Contestant for Tcp {
    fn name(&self) -> &'static str {
        "TCP into a file, SHA-1"
    }

    fn hand_over(&mut self, content: &Content, into: &Path) -> Took {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = socket.local_addr().expect("it is bound");
        let source = content.path.clone();
        let begun = Instant::now();
        let sender = thread::spawn(move || send(&source, &mut TcpStream::connect(address).expect("it listens")));
        let (mut stream, _) = socket.accept().expect("somebody connects");
        let mut file = File::create(into.join("all")).expect("the folder can be written");
        let mut buffer = vec![0; PART];
        let mut hashes = Vec::new();
        loop {
            let mut filled = 0;
            while filled < PART {
                match stream.read(&mut buffer[filled..]).expect("loopback does not fail") {
                    0 => break,
                    read => filled += read,
                }
            }
            if filled == 0 {
                break;
            }
            hashes.push(Sha1::digest(&buffer[..filled]));
            file.write_all(&buffer[..filled]).expect("there is room");
        }
        file.sync_all().expect("the file can be synced");
        sender.join().expect("the sender ends");
        Took { prepare: None, moved: begun.elapsed().as_secs_f64(), cost: Cost::default() }
    }
}

fn send(path: &Path, stream: &mut TcpStream) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("our own folder").flatten() {
            send(&entry.path(), stream);
        }
    } else {
        let mut file = File::open(path).expect("our own file");
        let mut buffer = vec![0; PART];
        while let Ok(read @ 1..) = file.read(&mut buffer) {
            stream.write_all(&buffer[..read]).expect("loopback does not fail");
        }
    }
}
