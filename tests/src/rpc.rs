//! A client of the daemon's socket, written from `docs/rpc.md` alone, that may also misbehave.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

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
