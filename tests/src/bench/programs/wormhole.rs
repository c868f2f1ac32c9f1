//! magic-wormhole with a mailbox server and a transit relay of our own.

use std::path::Path;
use std::time::Instant;

use tempfile::TempDir;

use super::{free_port, venv};
use crate::bench::timed::Timed;
use crate::bench::{Content, Contestant, Took};
use crate::ctl::text;

/// Two wormhole programs, by a code that both know.
#[derive(Debug)]
pub struct Wormhole {
    folder: TempDir,
    mailbox: u16,
    _server: Timed,
    round: u32,
}

impl Wormhole {
    /// Starts the mailbox. There is no transit relay: both sides reach each other directly.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mailbox = free_port();
        let args = ["wormhole-mailbox", &format!("--port=tcp:{mailbox}:interface=127.0.0.1")];
        let server = Timed::serve(&[venv("twist")], &args, folder.path());
        crate::wait::until("the mailbox listens", crate::wait::SOON, || {
            std::net::TcpStream::connect(("127.0.0.1", mailbox)).ok()
        });
        Self { folder, mailbox, _server: server, round: 0 }
    }

    fn run(&self, folder: &Path, args: &[&str]) -> Timed {
        let relay = format!("ws://127.0.0.1:{}/v1", self.mailbox);
        let all = [&["--relay-url", relay.as_str(), "--transit-helper", "", "--no-tor"][..4], args].concat();
        Timed::start(&[venv("wormhole")], &all, folder)
    }
}

impl Default for Wormhole {
    fn default() -> Self {
        Self::new()
    }
}

impl Contestant for Wormhole {
    fn name(&self) -> &'static str {
        "magic-wormhole"
    }

    fn hand_over(&mut self, content: &Content, into: &Path) -> Took {
        self.round += 1;
        let code = format!("{}-bench-mark", self.round);
        let begun = Instant::now();
        let work = self.folder.path();
        let send = self.run(work, &["send", "--hide-progress", "--no-qr", "--code", &code, text(&content.path)]);
        let get = self.run(into, &["receive", "--hide-progress", "--accept-file", &code]);
        let cost = get.ended().and(send.ended());
        Took { prepare: None, moved: begun.elapsed().as_secs_f64(), cost }
    }
}
