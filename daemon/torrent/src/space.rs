//! How much room a disk has.

use std::io;
use std::path::Path;

/// Bytes that an ordinary account may still write on the file system that holds `path`.
pub fn free_space(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}
