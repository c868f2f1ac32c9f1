//! Sources: opened read-only, and read only while they are what was hashed.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

use super::{Handles, read_slots};
use crate::error::{EngineError, codes};
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
                compare_path(&path, &stamp)?;
                self.handles.put(index, open.clone());
                open
            }
        };
        let result = read_slots(&open.file, offset, slots);
        compare(&path, &stamp, open.file.metadata())?;
        if open.look_due() {
            compare_path(&path, &stamp)?;
        }
        result.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => changed(&path, "shrank"),
            _ => EngineError::source(&path, &error),
        })
    }

    /// Checks every file by its path. Blocks for about a microsecond per file.
    pub(crate) fn check_all(&self) -> Result<(), EngineError> {
        self.prepared.sources.iter().enumerate().try_for_each(|(index, source)| {
            let (path, stamp) = self.expected(index)?;
            match source.link {
                false => compare_path(&path, &stamp),
                true => compare_link(&path, &stamp),
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

/// Opens read-only, never through a symbolic link in the last component, never blocking on a FIFO.
pub(crate) fn open_source(path: &Path) -> Result<File, EngineError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => Ok(File::from(fd)),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Err(changed(path, "vanished")),
        Err(rustix::io::Errno::LOOP) => Err(changed(path, "was replaced by a symbolic link")),
        Err(error) => Err(EngineError::source(path, &error.into())),
    }
}

fn compare_path(path: &Path, stamp: &Stamp) -> Result<(), EngineError> {
    compare(path, stamp, std::fs::symlink_metadata(path))
}

/// Checks a symbolic link, which is sent as one.
fn compare_link(path: &Path, stamp: &Stamp) -> Result<(), EngineError> {
    match std::fs::symlink_metadata(path) {
        Ok(now) if now.is_symlink() && Stamp::of(&now) == *stamp => Ok(()),
        Ok(_) => Err(changed(path, "was replaced")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(changed(path, "vanished")),
        Err(error) => Err(EngineError::source(path, &error)),
    }
}

fn compare(path: &Path, stamp: &Stamp, now: io::Result<Metadata>) -> Result<(), EngineError> {
    match now {
        Ok(now) if !now.is_file() => Err(changed(path, "is no longer a regular file")),
        Ok(now) => stamp.change(&Stamp::of(&now)).map_or(Ok(()), |what| Err(changed(path, what))),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Err(changed(path, "vanished"))
        }
        Err(error) => Err(EngineError::source(path, &error)),
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
