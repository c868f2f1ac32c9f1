//! Entries that no content can hold: counted, and the first ones named.

use std::ffi::CStr;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::FileType;
use rustix::io::Errno;

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

    /// A symbolic link that leads outside.
    pub(super) fn add_link(&mut self, path: &Path, to: &CStr) {
        let to = to.to_string_lossy();
        self.add(path, &format!("is a symbolic link that leads out of what is sent, to {to}"));
    }

    pub(super) fn add_kind(&mut self, path: &Path, kind: FileType) {
        let what = match kind {
            FileType::Socket => "is a socket",
            FileType::Fifo => "is a named pipe",
            _ => "is a device",
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

/// Whether the files of a file system are made up while they are read, so that their size is not known before: it holds what
/// the kernel has to say.
pub(super) fn made_up_on_reading(folder: impl AsFd) -> Result<bool, Errno> {
    // proc, sysfs, debugfs, tracefs, cgroup, cgroup2, securityfs: <linux/magic.h>.
    const OF_THE_KERNEL: [i64; 7] =
        [0x9fa0, 0x6265_6572, 0x6462_6720, 0x7472_6163, 0x0027_e0eb, 0x6367_7270, 0x7363_6673];
    Ok(OF_THE_KERNEL.contains(&rustix::fs::fstatfs(folder)?.f_type))
}
