//! How a file is recognised as unchanged.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use rustix::fs::Stat;

/// Size, time of last change of the data (ns since 1970) and identity of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

    /// The same from the system's own answer.
    #[allow(clippy::unnecessary_cast, reason = "the types differ between systems")]
    pub(crate) fn of_stat(stat: &Stat) -> Self {
        let seconds = (stat.st_mtime as i64).saturating_mul(1_000_000_000);
        Self {
            size: stat.st_size as u64,
            mtime_ns: seconds.saturating_add(stat.st_mtime_nsec as i64),
            ino: stat.st_ino as u64,
            dev: stat.st_dev as u64,
        }
    }

    /// Whether only the identity differs, as after a disk was mounted again (USB, NFS), or where the system makes up inode
    /// numbers (FAT): it may be the same file.
    pub(crate) fn has_moved(&self, now: &Self) -> bool {
        (self.size, self.mtime_ns) == (now.size, now.mtime_ns) && (self.ino, self.dev) != (now.ino, now.dev)
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
