//! One daemon per state: a lock file beside the database, held while the store is open.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::error::Problem;

const FILE: &str = "xbtd.lock";

/// Held until it is dropped or the process ends, however it ends: the kernel releases it (`flock(2)`).
/// The file itself stays, because removing it would let two daemons lock two files of one name.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Takes the lock of the state in `folder`, or says who has it.
    pub(super) fn take(folder: &Path) -> Result<Self, Problem> {
        let path = folder.join(FILE);
        let failed = |source| Problem::Folder { path: folder.to_owned(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Problem::AlreadyRunning { folder: folder.to_owned(), pid: holder(&file) });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        // The number only helps a person to find the process; the lock holds without it, also on a full disk.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self(file))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // So that nobody is told the number of a process that has ended.
        let _ = self.0.set_len(0);
        // Not left to closing: a child that is being started may hold a copy of the file until its `exec`.
        let _ = self.0.unlock();
    }
}

/// The process that wrote itself down, if it did.
fn holder(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
