//! How a file is recognised as unchanged.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// Size, time of last change of the data (ns since 1970) and identity of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) size: u64,
    pub(crate) mtime_ns: i64,
    pub(crate) ino: u64,
    pub(crate) dev: u64,
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let seconds = metadata.mtime().saturating_mul(1_000_000_000);
        Self {
            size: metadata.size(),
            mtime_ns: seconds.saturating_add(metadata.mtime_nsec()),
            ino: metadata.ino(),
            dev: metadata.dev(),
        }
    }

    /// What became of the file, in a word that completes "the file …".
    pub(crate) fn change(&self, now: &Self) -> Option<&'static str> {
        if self == now {
            None
        } else if now.size > self.size {
            Some("grew")
        } else if now.size < self.size {
            Some("shrank")
        } else if (now.ino, now.dev) != (self.ino, self.dev) {
            Some("was replaced by another file")
        } else {
            Some("was edited")
        }
    }
}
