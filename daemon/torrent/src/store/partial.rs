//! Partial data, under a hidden name in the destination folder.
//!
//! Invariant: every file is reached from an open folder by single components without following symbolic links,
//! and was either made here (exclusively) or is a plain file with one name below our own partial folder.
//! Open handles stay valid after the final rename, so that seeding goes on.

mod finish;

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

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
    /// The single file had another size, so its bytes are in doubt.
    resized: bool,
    handles: Handles<File>,
    /// Files that existed at some time. They are never created again: their bytes would silently become zeros.
    seen: Vec<AtomicBool>,
    /// Files written to since the last flush.
    dirty: Mutex<BTreeSet<usize>>,
    /// Set when complete; from then on a file that changes is not served.
    finished: OnceLock<Vec<Stamp>>,
}

enum Root {
    File(Arc<File>),
    Folder(OwnedFd),
}

impl PartialFiles {
    /// Opens what is at `path`, or creates it. `true`: it existed.
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
        Ok((Self::of(meta, path, root, resized), existed))
    }

    /// Opens a completed content for reading. An error if it is not what was received; it is left as it is.
    pub(crate) fn open_placed(meta: Arc<Metainfo>, path: &Path) -> Result<Self, EngineError> {
        let fail = |error: Errno| EngineError::destination(path, &error.into());
        let open = |flags| rustix::fs::open(path, flags, Mode::empty()).map_err(fail);
        let root = if meta.single {
            Root::File(Arc::new(File::from(open(OFlags::RDONLY | FILE)?)))
        } else {
            Root::Folder(open(FOLDER)?)
        };
        let files = Self::of(meta, path, root, false);
        let (mut stamps, mut folders) = (Vec::with_capacity(files.meta.files.len()), LastFolder::default());
        for (index, span) in files.meta.files.iter().enumerate() {
            let stamp = files.stamp(index, &mut folders).map_err(|error| files.error(error.into()))?;
            if span.link.is_none() && stamp.size != span.len {
                return Err(files.tampered());
            }
            stamps.push(stamp);
        }
        let _ = files.finished.set(stamps);
        Ok(files)
    }

    fn of(meta: Arc<Metainfo>, path: &Path, root: Root, resized: bool) -> Self {
        let seen = meta.files.iter().map(|_| AtomicBool::new(false)).collect();
        let (handles, dirty, finished) = (Handles::default(), Mutex::default(), OnceLock::new());
        Self { meta, path: path.to_owned(), root, resized, handles, seen, dirty, finished }
    }

    /// The identity of the file or folder, which a rename keeps.
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
            self.dirty().insert(segment.file);
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

    /// Whether a file exists with its full size. Does not create it.
    pub(crate) fn is_there(&self, index: usize) -> bool {
        let Some(span) = self.meta.files.get(index) else { return false };
        let stamp = self.stamp(index, &mut LastFolder::default());
        let there = stamp.is_ok_and(|stamp| stamp.size == span.len);
        if there {
            self.saw(index);
        }
        there
    }

    /// The current stamp of a file, reached by its path. Does not create it.
    fn stamp<'a>(&'a self, index: usize, folders: &mut LastFolder<'a>) -> Result<Stamp, Errno> {
        let span = self.meta.files.get(index).ok_or(Errno::NOENT)?;
        let stat = match &self.root {
            Root::File(file) => rustix::fs::fstat(file)?,
            Root::Folder(root) => {
                let (folder, name) = folders.of(root, &span.path, false)?;
                rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?
            }
        };
        match (FileType::from_raw_mode(stat.st_mode), &span.link) {
            (FileType::RegularFile, None) | (FileType::Symlink, Some(_)) => Ok(Stamp::of_stat(&stat)),
            _ => Err(Errno::NOENT),
        }
    }

    fn saw(&self, index: usize) {
        if let Some(seen) = self.seen.get(index) {
            seen.store(true, Ordering::Relaxed);
        }
    }

    /// Syncs what was written since the last flush, so that [`Self::finish`] has little left to wait for. Returns the
    /// number of files.
    pub(crate) fn flush(&self) -> usize {
        let dirty = std::mem::take(&mut *self.dirty());
        // `finish` will meet the error again and report it.
        if let (Root::Folder(folder), true) = (&self.root, dirty.len() >= SYNC_ALL_FROM) {
            let _ = rustix::fs::syncfs(folder);
        } else {
            let mut folders = LastFolder::default();
            for index in &dirty {
                let _ = self.file(*index, &mut folders).and_then(|file| file.sync_data());
            }
        }
        dirty.len()
    }

    fn dirty(&self) -> std::sync::MutexGuard<'_, BTreeSet<usize>> {
        self.dirty.lock().unwrap_or_else(PoisonError::into_inner)
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
        // Nothing is created once complete: what the person deleted stays deleted.
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

    /// What the content is called on this disk.
    pub(crate) fn name(&self) -> &str {
        &self.meta.name
    }

    /// Whether the single file had another size, so that no claim about it is trusted.
    pub(crate) fn was_resized(&self) -> bool {
        self.resized
    }

    /// Another program changed the partial data.
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

/// The folder reached last, which neighbouring files mostly share. Kept for one operation only, so that the next one
/// notices changes to the folder.
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
                    // Another job may have created it.
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

/// Opens a file of ours for reading and writing, or creates it exclusively, sparse and with its full size.
fn open_file(folder: impl AsFd, name: &Path, meta: &Metainfo, index: usize) -> Result<(File, bool), Errno> {
    let span = meta.files.get(index);
    let len = span.map_or(0, |span| span.len);
    // Subject to the umask or the folder's default ACL.
    let mode = if span.is_some_and(|span| span.attributes.executable) { 0o777 } else { 0o666 };
    let make = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | FILE;
    let open = || rustix::fs::openat(&folder, name, OFlags::RDWR | FILE, Mode::empty());
    let (fd, existed) = match open() {
        Ok(fd) => (fd, true),
        Err(Errno::NOENT) => match rustix::fs::openat(&folder, name, make, Mode::from_raw_mode(mode)) {
            Ok(fd) => (fd, false),
            // Another job created it: two pieces may begin in one file.
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::metainfo::{Attributes, Draft, DraftFile, DraftFiles};

    fn meta(files: usize) -> Arc<Metainfo> {
        let names: Vec<String> = (0..files).map(|index| index.to_string()).collect();
        let attributes = Attributes::default();
        let file = |name| DraftFile { path: vec![name], len: 10, attributes, link: None };
        let files = DraftFiles::Many(names.iter().map(|name| file(name.as_str())).collect());
        let (piece_length, hashes) = (1 << 18, &[0; 20]);
        let draft = Draft { name: "n", piece_length, hashes, private: true, files, folders: Vec::new(), omitted: 0 };
        Arc::new(draft.build().unwrap())
    }

    #[test]
    fn a_flush_of_a_folder_takes_every_file_that_was_written_to_once() {
        for count in [3, SYNC_ALL_FROM + 1] {
            let home = tempfile::tempdir().unwrap();
            let (files, _) = PartialFiles::open(meta(count), &home.path().join("p")).unwrap();
            files.write(5, &vec![1; count * 10 - 10]).unwrap();
            assert_eq!((files.flush(), files.flush()), (count, 0));
            files.write(0, &[2; 10]).unwrap();
            assert_eq!(files.flush(), 1);
        }
    }
}
