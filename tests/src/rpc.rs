//! A client of the daemon's socket, written from `docs/rpc.md` alone, that may also misbehave.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::wait;

/// What a daemon tells from a moment on, one event after the other.
#[derive(Debug)]
pub struct Events {
    raw: Raw,
    after: u64,
    waiting: VecDeque<Value>,
}

impl Events {
    /// Everything that happens after this call.
    #[track_caller]
    pub fn follow(socket: &Path) -> Self {
        let raw = Raw::connect(socket, wait::SOON).expect("the daemon listens");
        let mut events = Self { raw, after: 0, waiting: VecDeque::new() };
        events.after = events.page(None)["seq"].as_u64().expect("events are numbered");
        events
    }

    /// Waits until there is an event that fits; returns it and all those before it.
    #[track_caller]
    pub fn until(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut heard = Vec::new();
        wait::until(what, wait::LONG, || {
            if self.waiting.is_empty() {
                let page = self.page(Some(self.after));
                self.after = page["seq"].as_u64().expect("events are numbered");
                self.waiting.extend(page["events"].as_array().into_iter().flatten().cloned());
            }
            while let Some(event) = self.waiting.pop_front() {
                heard.push(event);
                if heard.last().is_some_and(&fits) {
                    return Some(());
                }
            }
            None
        });
        heard
    }

    fn page(&mut self, after: Option<u64>) -> Value {
        let arguments = json!({"after_seq": after, "max_wait_ms": if after.is_some() { 1_000 } else { 0 }});
        self.raw.ask(1, "Events", arguments).expect("the daemon reads");
        self.raw.answer().expect("the daemon answers")["message"]["Ok"]["Events"]["Ok"].take()
    }
}

/// One connection.
#[derive(Debug)]
pub struct Raw {
    stream: UnixStream,
}

impl Raw {
    /// Connects; reading gives up after `patience`.
    ///
    /// # Errors
    /// What the system says.
    pub fn connect(socket: &Path, patience: Duration) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Self { stream })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// What the system says.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a document in a frame.
    ///
    /// # Errors
    /// What the system says.
    pub fn frame(&mut self, document: &Value) -> io::Result<()> {
        let text = document.to_string();
        let length = u32::try_from(text.len()).expect("tests send small frames");
        self.bytes(&[&length.to_be_bytes()[..], text.as_bytes()].concat())
    }

    /// Asks for a method without waiting for the answer.
    ///
    /// # Errors
    /// What the system says.
    pub fn ask(&mut self, id: u64, method: &str, arguments: Value) -> io::Result<()> {
        self.frame(&json!({"Request": {"id": id, "message": {method: arguments}}}))
    }

    /// The next answer.
    ///
    /// # Errors
    /// The other side closed, or was silent for too long.
    pub fn answer(&mut self) -> io::Result<Value> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut text = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut text)?;
        serde_json::from_slice(&text).map_err(io::Error::other)
    }

    /// Waits until the other side has closed the connection; what it still says does not count.
    ///
    /// # Errors
    /// It did not close in time.
    pub fn closed(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }
}
