//! Content on its way in, under a hidden name in the destination folder.
//!
//! Invariant: every file is reached from an open folder by single components without following symbolic links,
//! and was either made here (exclusively) or is a plain file with one name below our own partial folder.
//! Open handles stay good after the final rename, so that pieces can be served on.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{Handles, read_slots};
use crate::error::{EngineError, codes};
use crate::metainfo::Metainfo;
use crate::stamp::Stamp;

/// From this many files on, one sync of the file system beats one per file.
const SYNC_ALL_FROM: usize = 16;

pub(crate) struct PartialFiles {
    meta: Arc<Metainfo>,
    /// For messages only.
    path: PathBuf,
    root: Root,
    /// The single file was there with another size, so its bytes are in doubt.
    resized: bool,
    handles: Handles<File>,
    /// Files that were here at some time: such a one is never made again, or its bytes would become zeros unnoticed.
    seen: Vec<AtomicBool>,
    /// Set when complete; from then on a file that changes is not served.
    finished: OnceLock<Vec<Stamp>>,
}

enum Root {
    File(Arc<File>),
    Folder(OwnedFd),
}

impl PartialFiles {
    /// Opens what is at `path`, or makes it. `true`: it was there.
    pub(crate) fn open(meta: Arc<Metainfo>, path: &Path) -> Result<(Self, bool), EngineError> {
        let fail = |error: Errno| EngineError::destination(path, &error.into());
        let mut resized = false;
        let (root, existed) = if meta.single {
            let size = std::fs::symlink_metadata(path).map(|metadata| metadata.size()).ok();
            resized = size.is_some_and(|size| size != meta.size);
            let (file, existed) = open_file(rustix::fs::CWD, path, &meta, 0).map_err(fail)?;
            (Root::File(Arc::new(file)), existed)
        } else {
            let existed = match rustix::fs::mkdir(path, Mode::from_raw_mode(0o777)) {
                Ok(()) => false,
                Err(Errno::EXIST) => true,
                Err(error) => return Err(fail(error)),
            };
            (Root::Folder(rustix::fs::open(path, FOLDER, Mode::empty()).map_err(fail)?), existed)
        };
        let path = path.to_owned();
        let seen = meta.files.iter().map(|_| AtomicBool::new(false)).collect();
        let files = Self { meta, path, root, resized, handles: Handles::default(), seen, finished: OnceLock::new() };
        Ok((files, existed))
    }

    /// The identity of the file or folder: stays the same when it is renamed.
    pub(crate) fn identity(&self) -> Result<(u64, u64), EngineError> {
        let stat = match &self.root {
            Root::File(file) => rustix::fs::fstat(file),
            Root::Folder(folder) => rustix::fs::fstat(folder),
        };
        stat.map(|stat| (stat.st_dev, stat.st_ino)).map_err(|error| self.error(error.into()))
    }

    /// Writes one piece's bytes, one write per file they lie in.
    pub(crate) fn write(&self, offset: u64, mut bytes: &[u8]) -> Result<(), EngineError> {
        let mut folders = LastFolder::default();
        for segment in self.meta.segments(offset, bytes.len()) {
            let (head, rest) = bytes.split_at(segment.len);
            let file = self.file(segment.file, &mut folders).map_err(|error| self.error(error))?;
            file.write_all_at(head, segment.offset).map_err(|error| self.error(error))?;
            bytes = rest;
        }
        Ok(())
    }

    pub(super) fn read(&self, index: usize, offset: u64, slots: &mut [&mut [u8]]) -> Result<(), EngineError> {
        let file = self.file(index, &mut LastFolder::default()).map_err(|error| self.error(error))?;
        read_slots(&file, offset, slots).map_err(|error| self.error(error))?;
        if let Some(stamp) = self.finished.get().and_then(|stamps| stamps.get(index)) {
            let now = file.metadata().map_err(|error| self.error(error))?;
            if let Some(what) = stamp.change(&Stamp::of(&now)) {
                return Err(super::source::changed(&self.path, what));
            }
        }
        Ok(())
    }

    /// Whether a file is there with its full size, without making it.
    pub(crate) fn is_there(&self, index: usize) -> bool {
        let Some(span) = self.meta.files.get(index) else { return false };
        let stamp = self.stamp(index, &mut LastFolder::default());
        let there = stamp.is_ok_and(|stamp| stamp.size == span.len);
        if there {
            self.saw(index);
        }
        there
    }

    /// The file as it is now, reached by its path, without making it.
    fn stamp<'a>(&'a self, index: usize, folders: &mut LastFolder<'a>) -> Result<Stamp, Errno> {
        let span = self.meta.files.get(index).ok_or(Errno::NOENT)?;
        let stat = match &self.root {
            Root::File(file) => rustix::fs::fstat(file)?,
            Root::Folder(root) => {
                let (folder, name) = folders.of(root, &span.path, false)?;
                rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?
            }
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(Stamp::of_stat(&stat)),
            _ => Err(Errno::NOENT),
        }
    }

    fn saw(&self, index: usize) {
        if let Some(seen) = self.seen.get(index) {
            seen.store(true, Ordering::Relaxed);
        }
    }

    /// Starts writing back, so that [`Self::finish`] has little left to wait for.
    pub(crate) fn flush(&self) {
        let handle = match &self.root {
            Root::File(file) => Some(file.clone()),
            Root::Folder(_) => None,
        };
        // An error shows again, and counts, in `finish`.
        let _ = handle.map(|file| file.sync_data());
    }

    /// Makes every file that holds no byte, checks that all are distinct, and puts everything on the disk.
    pub(crate) fn finish(&self) -> Result<(), EngineError> {
        let (mut seen, mut folders) = (HashSet::new(), LastFolder::default());
        let mut stamps = Vec::with_capacity(self.meta.files.len());
        for (index, span) in self.meta.files.iter().enumerate() {
            // Only what holds no byte may be made here: anything else would be made of zeros.
            if span.len == 0 {
                self.file(index, &mut folders).map_err(|error| self.error(error))?;
            }
            let stamp = self.stamp(index, &mut folders).map_err(|error| self.error(error.into()))?;
            if stamp.size != span.len {
                return Err(self.tampered());
            }
            if self.meta.files.len() < SYNC_ALL_FROM {
                let file = self.file(index, &mut folders).map_err(|error| self.error(error))?;
                file.sync_all().map_err(|error| self.error(error))?;
            }
            // Two names for one file: a file system that ignores case. One has overwritten the other.
            if !seen.insert(stamp.ino) {
                return Err(EngineError::new(
                    codes::BAD_NAME,
                    format!("two files differ only in their case, which the disk of {} ignores", self.path.display()),
                    "choose a destination on another file system",
                ));
            }
            stamps.push(stamp);
        }
        if let Root::Folder(folder) = &self.root {
            let synced = if self.meta.files.len() < SYNC_ALL_FROM {
                rustix::fs::fsync(folder)
            } else {
                rustix::fs::syncfs(folder)
            };
            synced.map_err(|error| self.error(error.into()))?;
        }
        let _ = self.finished.set(stamps);
        Ok(())
    }

    fn file<'a>(&'a self, index: usize, folders: &mut LastFolder<'a>) -> io::Result<Arc<File>> {
        let root = match &self.root {
            Root::File(file) => return Ok(file.clone()),
            Root::Folder(root) => root,
        };
        if let Some(file) = self.handles.get(index) {
            return Ok(file);
        }
        let span = self.meta.files.get(index).ok_or(io::ErrorKind::NotFound)?;
        // Once complete nothing is ever made again either: what the person deleted stays deleted.
        let finished = self.finished.get().is_some();
        let make = !finished && !self.seen.get(index).is_some_and(|seen| seen.load(Ordering::Relaxed));
        let (folder, name) = folders.of(root, &span.path, make)?;
        let file = if make {
            Arc::new(open_file(folder, Path::new(name), &self.meta, index)?.0)
        } else {
            let access = if finished { OFlags::RDONLY } else { OFlags::RDWR };
            Arc::new(File::from(rustix::fs::openat(folder, name, access | FILE, Mode::empty())?))
        };
        self.saw(index);
        self.handles.put(index, file.clone());
        Ok(file)
    }

    /// Whether the single file was there with another size: then no claim about it is believed without a look.
    pub(crate) fn was_resized(&self) -> bool {
        self.resized
    }

    /// Somebody else was at the partial data.
    pub(crate) fn tampered(&self) -> EngineError {
        EngineError::new(
            codes::DESTINATION_UNWRITABLE,
            format!("The unfinished data in {} was changed by another program.", self.path.display()),
            "Resume: what is missing is fetched again.",
        )
    }

    fn error(&self, error: io::Error) -> EngineError {
        if error.kind() == io::ErrorKind::NotFound {
            return self.tampered();
        }
        EngineError::destination(&self.path, &error)
    }
}

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const FILE: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// The folder that was reached last: neighbours mostly share it. Kept for one piece of work only, so that what happens to
/// the folder meanwhile shows in the next.
#[derive(Default)]
struct LastFolder<'a>(Option<(&'a str, OwnedFd)>);

impl<'a> LastFolder<'a> {
    /// The open folder that holds the last component of `path`, and that component.
    fn of<'p: 'a>(&mut self, root: &'p OwnedFd, path: &'p str, make: bool) -> Result<(BorrowedFd<'_>, &'p str), Errno> {
        let Some((folders, name)) = path.rsplit_once('/') else { return Ok((root.as_fd(), path)) };
        let fd = match self.0.take() {
            Some((known, fd)) if known == folders => fd,
            Some(_) | None => descend(root, folders, make)?,
        };
        let (_, fd) = self.0.insert((folders, fd));
        Ok((OwnedFd::as_fd(fd), name))
    }
}

/// Opens a folder below the root, component by component.
fn descend(root: &OwnedFd, folders: &str, make: bool) -> Result<OwnedFd, Errno> {
    let mut open: Option<OwnedFd> = None;
    for component in folders.split('/') {
        let inside = open.as_ref().map_or(root.as_fd(), AsFd::as_fd);
        let folder = match rustix::fs::openat(inside, component, FOLDER, Mode::empty()) {
            Err(Errno::NOENT) if make => {
                match rustix::fs::mkdirat(inside, component, Mode::from_raw_mode(0o777)) {
                    // Another job may have been faster.
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error),
                }
                rustix::fs::openat(inside, component, FOLDER, Mode::empty())
            }
            opened => opened,
        };
        open = Some(folder?);
    }
    open.ok_or(Errno::NOENT)
}

/// Opens a file of ours for reading and writing, or makes it exclusively, with its full size and no blocks yet.
fn open_file(folder: impl AsFd, name: &Path, meta: &Metainfo, index: usize) -> Result<(File, bool), Errno> {
    let len = meta.files.get(index).map_or(0, |span| span.len);
    let make = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | FILE;
    let open = || rustix::fs::openat(&folder, name, OFlags::RDWR | FILE, Mode::empty());
    let (fd, existed) = match open() {
        Ok(fd) => (fd, true),
        Err(Errno::NOENT) => match rustix::fs::openat(&folder, name, make, Mode::from_raw_mode(0o666)) {
            Ok(fd) => (fd, false),
            // Another job was faster: two pieces may begin in one file.
            Err(Errno::EXIST) => (open()?, true),
            Err(error) => return Err(error),
        },
        Err(error) => return Err(error),
    };
    let file = File::from(fd);
    let metadata = file.metadata().map_err(|_| Errno::IO)?;
    // A second name would let writes land in a file that is not ours.
    if !metadata.is_file() || metadata.nlink() != 1 {
        return Err(Errno::EXIST);
    }
    if metadata.size() != len {
        rustix::fs::ftruncate(&file, len)?;
    }
    Ok((file, existed))
}
