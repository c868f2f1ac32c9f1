//! Entries that no content can hold: counted, and the first ones named.

use std::fs::FileType;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use crate::error::{EngineError, codes};

/// How many entries are named.
const NAMED: usize = 5;

#[derive(Default)]
pub(super) struct Special {
    count: u64,
    named: Vec<String>,
}

impl Special {
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// `what` completes the sentence "the path …".
    pub(super) fn add(&mut self, path: &Path, what: &str) {
        self.count += 1;
        if self.named.len() < NAMED {
            self.named.push(format!("{} {what}", path.display()));
        }
    }

    /// A symbolic link that may lead outside.
    pub(super) fn add_link(&mut self, path: &Path) {
        let what = match std::fs::read_link(path) {
            Ok(to) => format!("is a symbolic link that leads out of what is sent, to {}", to.display()),
            Err(_) => "is a symbolic link that cannot be read".to_owned(),
        };
        self.add(path, &what);
    }

    pub(super) fn add_kind(&mut self, path: &Path, kind: FileType) {
        let what = if kind.is_socket() {
            "is a socket"
        } else if kind.is_fifo() {
            "is a named pipe"
        } else {
            "is a device"
        };
        self.add(path, what);
    }

    /// The error that refuses all of them.
    pub(super) fn refusal(&self) -> EngineError {
        let mut message = self.named.join("; ");
        if self.count > self.named.len() as u64 {
            message += &format!("; and {} more", self.count - self.named.len() as u64);
        }
        EngineError::new(codes::SPECIAL_FILE, message, "--skip-special leaves out what cannot be sent")
    }
}
