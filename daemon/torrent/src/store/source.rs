//! Sources: opened read-only, through no symbolic link, and read only while they are what was hashed.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{FileType, OFlags, Stat};
use rustix::io::Errno;

use super::{Handles, read_slots};
use crate::error::{EngineError, codes};
use crate::no_symlinks::{self, LastFolder};
use crate::prepared::Prepared;
use crate::stamp::Stamp;

/// How long a check of a path is valid.
const LOOK_AGAIN: Duration = Duration::from_millis(900);

/// The files of a prepared content.
///
/// Invariant: bytes leave [`SourceFiles::read`] only if the open file still had the stamp of the time of hashing
/// after they were read, and the path still named that file within the last second.
pub(crate) struct SourceFiles {
    prepared: Arc<Prepared>,
    handles: Handles<OpenSource>,
}

struct OpenSource {
    file: File,
    looked: Mutex<Instant>,
}

impl SourceFiles {
    pub(crate) fn new(prepared: Arc<Prepared>) -> Self {
        Self { prepared, handles: Handles::default() }
    }

    pub(super) fn read(&self, index: usize, offset: u64, slots: &mut [&mut [u8]]) -> Result<(), EngineError> {
        let (path, stamp) = self.expected(index)?;
        let open = match self.handles.get(index) {
            Some(open) => open,
            None => {
                let open = Arc::new(OpenSource { file: open_source(&path)?, looked: Mutex::new(Instant::now()) });
                self.handles.put(index, open.clone());
                open
            }
        };
        let result = read_slots(&open.file, offset, slots);
        compare(&path, &stamp, rustix::fs::fstat(&open.file))?;
        if open.look_due() {
            compare(&path, &stamp, LastFolder::default().stat(&path))?;
        }
        result.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => changed(&path, "shrank"),
            _ => EngineError::source(&path, &error),
        })
    }

    /// Checks every file by its path. Blocks for about a microsecond per file.
    pub(crate) fn check_all(&self) -> Result<(), EngineError> {
        let mut folders = LastFolder::default();
        self.prepared.sources.iter().enumerate().try_for_each(|(index, source)| {
            let (path, stamp) = self.expected(index)?;
            match source.link {
                false => compare(&path, &stamp, folders.stat(&path)),
                true => compare_link(&path, &stamp, folders.stat(&path)),
            }
        })
    }

    fn expected(&self, index: usize) -> Result<(PathBuf, Stamp), EngineError> {
        let path = self.prepared.path(index);
        let stamp = self.prepared.sources.get(index).map(|source| source.stamp);
        path.zip(stamp).ok_or_else(|| {
            EngineError::new(codes::BAD_STATE, "the stored list of files does not fit its content", "send it again")
        })
    }
}

impl OpenSource {
    fn look_due(&self) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let due = looked.elapsed() >= LOOK_AGAIN;
        if due {
            *looked = Instant::now();
        }
        due
    }
}

/// Opens read-only, never blocking on a FIFO.
fn open_source(path: &Path) -> Result<File, EngineError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    no_symlinks::open(path, flags).map(File::from).map_err(|error| unreachable(path, error))
}

/// Checks a symbolic link, which is sent as one.
fn compare_link(path: &Path, stamp: &Stamp, now: Result<Stat, Errno>) -> Result<(), EngineError> {
    let now = now.map_err(|error| unreachable(path, error))?;
    match FileType::from_raw_mode(now.st_mode) {
        FileType::Symlink if Stamp::of_stat(&now) == *stamp => Ok(()),
        _ => Err(changed(path, "was replaced")),
    }
}

fn compare(path: &Path, stamp: &Stamp, now: Result<Stat, Errno>) -> Result<(), EngineError> {
    let now = now.map_err(|error| unreachable(path, error))?;
    match FileType::from_raw_mode(now.st_mode) {
        FileType::RegularFile => stamp.change(&Stamp::of_stat(&now)).map_or(Ok(()), |what| Err(changed(path, what))),
        _ => Err(changed(path, "is no longer a regular file")),
    }
}

fn unreachable(path: &Path, error: Errno) -> EngineError {
    match error {
        Errno::LOOP => changed(path, "was replaced by a symbolic link, or a folder that it lies in was,"),
        Errno::NOENT | Errno::NOTDIR => changed(path, "vanished"),
        error => EngineError::source(path, &error.into()),
    }
}

/// The error for a source that changed.
pub(crate) fn changed(path: &Path, what: &str) -> EngineError {
    EngineError::new(
        codes::SOURCE_CHANGED,
        format!("{} {what} since it was prepared", path.display()),
        "send it again to offer it as it is now",
    )
}
