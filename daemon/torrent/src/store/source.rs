//! Sources: opened read-only, through no symbolic link, and read only while they are what was hashed.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{FileType, OFlags, Stat};
use rustix::io::Errno;
use sha1::{Digest, Sha1};

use super::{Handles, read_slots};
use crate::error::{EngineError, codes};
use crate::metainfo::Metainfo;
use crate::no_symlinks::{self, LastFolder};
use crate::prepared::Prepared;
use crate::stamp::Stamp;

/// How long a check of a path is valid.
const LOOK_AGAIN: Duration = Duration::from_millis(900);

/// Most files of a wrong piece that are named.
const NAMED: usize = 3;

/// Completes "the path …".
const REPLACED: &str = "was replaced by another file";

/// The files of a prepared content.
///
/// Invariant: bytes leave [`SourceFiles::read`] only if the open file still had the stamp of the time of hashing
/// after they were read, and the path still named that file within the last second. A file whose identity alone differs
/// gets another stamp once its bytes have been hashed again and are the same.
pub(crate) struct SourceFiles {
    prepared: Arc<Prepared>,
    /// None while it is being hashed for the first time.
    meta: Option<Arc<Metainfo>>,
    /// Stamps that were taken later than those of `prepared`.
    later: Mutex<HashMap<usize, Stamp>>,
    handles: Handles<OpenSource>,
}

struct OpenSource {
    file: File,
    looked: Mutex<Instant>,
}

impl SourceFiles {
    /// Of a content that is being hashed.
    pub(crate) fn new(prepared: Arc<Prepared>) -> Self {
        Self { prepared, meta: None, later: Mutex::default(), handles: Handles::default() }
    }

    /// Of a content whose hashes are known.
    pub(crate) fn hashed(prepared: Arc<Prepared>, meta: Arc<Metainfo>) -> Self {
        Self { meta: Some(meta), ..Self::new(prepared) }
    }

    pub(super) fn read(&self, index: usize, offset: u64, slots: &mut [&mut [u8]]) -> Result<(), EngineError> {
        let (path, stamp) = self.expected(index)?;
        let mut open = self.open(index, &path)?;
        let mut result = read_slots(&open.file, offset, slots);
        if let Seen::Moved(_) = look(&path, &stamp, rustix::fs::fstat(&open.file))? {
            // It was opened before its path was found to name another file with the same bytes.
            self.handles.remove(index);
            open = self.open(index, &path)?;
            result = read_slots(&open.file, offset, slots);
            let (_, stamp) = self.expected(index)?;
            if let Seen::Moved(_) = look(&path, &stamp, rustix::fs::fstat(&open.file))? {
                return Err(changed(&path, REPLACED));
            }
        }
        if open.look_due() {
            let (_, stamp) = self.expected(index)?;
            if let Seen::Moved(now) = look(&path, &stamp, LastFolder::default().stat(&path))? {
                self.recognize(&[(index, now)], &AtomicBool::new(false))?;
                self.handles.remove(index);
            }
        }
        result.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => changed(&path, "shrank"),
            _ => EngineError::source(&path, &error),
        })
    }

    /// The open file, which is what was hashed or has just been recognized.
    fn open(&self, index: usize, path: &Path) -> Result<Arc<OpenSource>, EngineError> {
        if let Some(open) = self.handles.get(index) {
            return Ok(open);
        }
        let file = open_source(path)?;
        let (_, stamp) = self.expected(index)?;
        if let Seen::Moved(now) = look(path, &stamp, rustix::fs::fstat(&file))? {
            self.recognize(&[(index, now)], &AtomicBool::new(false))?;
        }
        let open = Arc::new(OpenSource { file, looked: Mutex::new(Instant::now()) });
        self.handles.put(index, open.clone());
        Ok(open)
    }

    /// Checks every file by its path. Blocks for about a microsecond per file, and as long as hashing takes for files
    /// that seem to be others. Ends early when `stop` is set.
    pub(crate) fn check_all(&self, stop: &AtomicBool) -> Result<(), EngineError> {
        let (mut folders, mut moved) = (LastFolder::default(), Vec::new());
        for (index, source) in self.prepared.sources.iter().enumerate() {
            let (path, stamp) = self.expected(index)?;
            let stat = folders.stat(&path);
            if source.link {
                self.look_at_link(index, &path, &stamp, stat)?;
            } else if let Seen::Moved(now) = look(&path, &stamp, stat)? {
                moved.push((index, now));
            }
        }
        self.recognize(&moved, stop)
    }

    /// Hashes files again whose identity differs, and takes the new stamps if they are the same.
    fn recognize(&self, moved: &[(usize, Stamp)], stop: &AtomicBool) -> Result<(), EngineError> {
        let pieces = |meta: &Metainfo, index: usize| {
            let span = meta.files.get(index).filter(|span| span.len > 0)?;
            Some(meta.piece_at(span.offset)..=meta.piece_at(span.offset + span.len - 1))
        };
        let mut right = HashSet::new();
        for (index, now) in moved {
            let (path, _) = self.expected(*index)?;
            let Some(meta) = &self.meta else { return Err(changed(&path, REPLACED)) };
            for piece in pieces(meta, *index).into_iter().flatten() {
                if stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                if !right.contains(&piece) && !self.is_right(meta, piece)? {
                    return Err(changed(&path, REPLACED));
                }
                right.insert(piece);
            }
            tracing::info!(path = %path.display(), "a source has another identity and the same bytes");
            self.later().insert(*index, *now);
        }
        Ok(())
    }

    /// Whether a piece has its hash, whatever files it is read from now.
    fn is_right(&self, meta: &Metainfo, piece: u32) -> Result<bool, EngineError> {
        let mut bytes = vec![0; meta.piece_len(piece)];
        let mut at = 0;
        for segment in meta.segments(meta.piece_offset(piece), bytes.len()) {
            let (path, _) = self.expected(segment.file)?;
            let file = open_source(&path)?;
            let part = bytes.get_mut(at..at + segment.len).unwrap_or_default();
            match file.read_exact_at(part, segment.offset) {
                Ok(()) => at += segment.len,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                Err(error) => return Err(EngineError::source(&path, &error)),
            }
        }
        Ok(meta.piece_hash(piece) == Some(&Sha1::digest(&bytes)[..]))
    }

    /// Checks a symbolic link, which is sent as one.
    fn look_at_link(
        &self,
        index: usize,
        path: &Path,
        stamp: &Stamp,
        now: Result<Stat, Errno>,
    ) -> Result<(), EngineError> {
        let now = now.map_err(|error| unreachable(path, error))?;
        let is = Stamp::of_stat(&now);
        let same = || {
            let text = self.meta.as_ref()?.files.get(index)?.link.as_deref()?;
            let mut folders = LastFolder::default();
            let (folder, name) = folders.of(path).ok()?;
            let there = rustix::fs::readlinkat(folder, name, Vec::new()).ok()?;
            Some(there.to_str().is_ok_and(|there| crate::prepare::normal(there) == text))
        };
        match FileType::from_raw_mode(now.st_mode) {
            FileType::Symlink if is == *stamp => Ok(()),
            FileType::Symlink if stamp.has_moved(&is) && same().unwrap_or(false) => {
                self.later().insert(index, is);
                Ok(())
            }
            _ => Err(changed(path, "was replaced")),
        }
    }

    /// The error for a piece whose bytes are not those that were hashed, although nothing else tells of a change.
    pub(crate) fn wrong(&self, meta: &Metainfo, piece: u32) -> EngineError {
        let files = meta.segments(meta.piece_offset(piece), meta.piece_len(piece));
        let paths: Vec<String> =
            files.take(NAMED).filter_map(|part| Some(self.prepared.path(part.file)?.display().to_string())).collect();
        let one = if paths.len() > 1 { "one of them " } else { "" };
        let message = format!(
            "{}: {one}does not have the bytes any more that were hashed, although its time says so: it was edited and its time set back, \
             or the disk gives wrong data",
            paths.join(", ")
        );
        EngineError::new(codes::SOURCE_CHANGED, message, "check the disk, then send it again")
    }

    fn expected(&self, index: usize) -> Result<(PathBuf, Stamp), EngineError> {
        let later = self.later().get(&index).copied();
        let path = self.prepared.path(index);
        let stamp = later.or_else(|| self.prepared.sources.get(index).map(|source| source.stamp));
        path.zip(stamp).ok_or_else(|| {
            EngineError::new(codes::BAD_STATE, "the stored list of files does not fit its content", "send it again")
        })
    }

    fn later(&self) -> MutexGuard<'_, HashMap<usize, Stamp>> {
        self.later.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a look at a source showed.
enum Seen {
    Same,
    /// Its identity differs, and nothing else.
    Moved(Stamp),
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

fn look(path: &Path, stamp: &Stamp, now: Result<Stat, Errno>) -> Result<Seen, EngineError> {
    let now = now.map_err(|error| unreachable(path, error))?;
    if FileType::from_raw_mode(now.st_mode) != FileType::RegularFile {
        return Err(changed(path, "is no longer a regular file"));
    }
    let now = Stamp::of_stat(&now);
    if stamp.has_moved(&now) {
        return Ok(Seen::Moved(now));
    }
    stamp.change(&now).map_or(Ok(Seen::Same), |what| Err(changed(path, what)))
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
