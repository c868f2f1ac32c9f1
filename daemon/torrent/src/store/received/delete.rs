//! Deletes what was received, and only that.

use std::collections::HashSet;
use std::fmt::Display;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{Entry, Kind, Received};
use crate::stamp::Stamp;

/// How many entries that stay are named.
const NAMED: usize = 10;

/// The outcome of deleting received data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Number of deleted files, links and folders.
    pub gone: u64,
    /// Number of entries that stay.
    pub kept: u64,
    /// The first of those.
    pub named: Vec<Kept>,
}

/// An entry that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its path, below and with the received name.
    pub path: String,
    /// Why, in words that complete the sentence "the path …".
    pub why: String,
}

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);

/// Deletes what a record says was put at `path`, as far as it is unchanged. Idempotent. Blocks as long as the disk takes,
/// and returns once the deletion is durable.
pub fn delete_received(record: &[u8], path: &Path) -> Deleted {
    let mut deleted = Deleted::default();
    let (Some(received), Some(folder), Some(name)) = (Received::from_bytes(record), path.parent(), path.file_name())
    else {
        deleted.keep(path.display(), "stays: there is no usable record of what was received");
        return deleted;
    };
    // The folder that the person chose may be reached through links.
    let folder = match File::open(folder) {
        Ok(folder) => OwnedFd::from(folder),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            deleted.keep(path.display(), "cannot be reached: its folder is gone, or its disk is not mounted");
            return deleted;
        }
        Err(error) => {
            deleted.keep(path.display(), format!("cannot be reached: {error}"));
            return deleted;
        }
    };
    let mut entries = received.entries;
    // A name of the system's, which a record cannot have.
    let top = name.to_string_lossy().into_owned();
    if let Some(first) = entries.first_mut() {
        first.name = top;
    }
    let mut job = Job { folder: &folder, entries: &entries, stays: HashSet::new(), ours: None, last: None, deleted };
    for index in (0..entries.len()).rev() {
        job.delete(index);
    }
    let mut deleted = job.deleted;
    if deleted.gone == 0 && deleted.kept == 0 {
        deleted.keep(path.display(), "is not there: it was moved or deleted, or its disk is not mounted");
    }
    if deleted.gone > 0 {
        // At worst some of it reappears after a power cut.
        let _ = match deleted.kept {
            0 => rustix::fs::fsync(&folder),
            _ => rustix::fs::syncfs(&folder),
        };
    }
    deleted
}

struct Job<'a> {
    /// What holds the received name.
    folder: &'a OwnedFd,
    entries: &'a [Entry],
    /// Entries that stay, and folders that cannot be entered, which are reported with all they contain.
    stays: HashSet<usize>,
    /// Which names lie in which folder by the record; made when it is needed.
    ours: Option<HashSet<(u32, &'a str)>>,
    /// The folder that was opened last.
    last: Option<(usize, OwnedFd)>,
    deleted: Deleted,
}

enum Why {
    /// Not there any more.
    Gone,
    Stays(String),
}

impl From<Errno> for Why {
    fn from(error: Errno) -> Self {
        match error {
            Errno::NOENT => Self::Gone,
            error => Self::Stays(format!("cannot be deleted: {}", std::io::Error::from(error))),
        }
    }
}

impl Job<'_> {
    fn delete(&mut self, index: usize) {
        let Some(entry) = self.entries.get(index) else { return };
        let result = match entry.kind {
            Kind::Folder => self.delete_folder(index, entry),
            Kind::File | Kind::Link(_) => self.delete_file(index, entry),
        };
        match result {
            Ok(()) => self.deleted.gone += 1,
            Err(Why::Gone) => {}
            Err(Why::Stays(why)) => {
                self.stays.insert(index);
                let path = self.path(index);
                self.deleted.keep(path, why);
            }
        }
    }

    fn delete_file(&mut self, index: usize, entry: &Entry) -> Result<(), Why> {
        let holder = self.holder(index)?;
        let stat = rustix::fs::statat(&holder, &entry.name, AtFlags::SYMLINK_NOFOLLOW)?;
        let is = Stamp::of_stat(&stat);
        let right = match (&entry.kind, FileType::from_raw_mode(stat.st_mode)) {
            (Kind::File, FileType::RegularFile) => true,
            (Kind::Link(text), FileType::Symlink) => {
                rustix::fs::readlinkat(&holder, &entry.name, Vec::new())?.as_bytes() == text.as_bytes()
            }
            (Kind::File | Kind::Link(_) | Kind::Folder, _) => false,
        };
        if !right || is.ino != entry.ino {
            return Err(Why::Stays("is not what was received".to_owned()));
        }
        if (is.size, is.mtime_ns) != (entry.size, entry.mtime_ns) {
            return Err(Why::Stays("was changed since it was received".to_owned()));
        }
        // It could be replaced between the check and this: no system call unlinks an open file.
        Ok(rustix::fs::unlinkat(&holder, &entry.name, AtFlags::empty())?)
    }

    fn delete_folder(&mut self, index: usize, entry: &Entry) -> Result<(), Why> {
        let folder = self.open(index)?;
        self.last = None;
        let holder = self.holder(index)?;
        match rustix::fs::unlinkat(&holder, &entry.name, AtFlags::REMOVEDIR) {
            Ok(()) => Ok(()),
            Err(Errno::NOTEMPTY | Errno::EXIST) => {
                self.name_others(index, &folder)?;
                // Its entries have been reported already.
                Err(Why::Gone)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What is in a folder and was not received.
    fn name_others(&mut self, index: usize, folder: &OwnedFd) -> Result<(), Why> {
        let entries = self.entries;
        let by_name = || entries.iter().skip(1).map(|entry| (entry.inside, entry.name.as_str())).collect();
        self.ours.get_or_insert_with(by_name);
        for other in Dir::read_from(folder)? {
            let name = other?.file_name().to_string_lossy().into_owned();
            let received = self.ours.as_ref().is_some_and(|ours| ours.contains(&(index as u32, name.as_str())));
            if name != "." && name != ".." && !received {
                let path = format!("{}/{name}", self.path(index));
                self.deleted.keep(path, "was not received");
            }
        }
        Ok(())
    }

    /// The open folder that an entry lies in.
    fn holder(&mut self, index: usize) -> Result<OwnedFd, Why> {
        match self.entries.get(index) {
            Some(entry) if index > 0 => self.open(entry.inside as usize),
            Some(_) | None => Ok(self.folder.try_clone().map_err(|_| Errno::MFILE)?),
        }
    }

    /// Opens a folder that was made here, by single steps without following links.
    fn open(&mut self, index: usize) -> Result<OwnedFd, Why> {
        if let Some((last, fd)) = &self.last
            && *last == index
        {
            return Ok(fd.try_clone().map_err(|_| Errno::MFILE)?);
        }
        if self.stays.contains(&index) {
            return Err(Why::Gone);
        }
        let mut chain = vec![index];
        while let Some(entry) = chain.last().filter(|at| **at > 0).and_then(|at| self.entries.get(*at)) {
            chain.push(entry.inside as usize);
        }
        let mut open: Option<OwnedFd> = None;
        for at in chain.into_iter().rev() {
            let Some(entry) = self.entries.get(at) else { return Err(Why::Gone) };
            let holder = open.as_ref().map_or(self.folder.as_fd(), AsFd::as_fd);
            let folder = match rustix::fs::openat(holder, &entry.name, FOLDER, Mode::empty()) {
                Ok(folder) if rustix::fs::fstat(&folder)?.st_ino == entry.ino => Ok(folder),
                Ok(_) | Err(Errno::NOTDIR | Errno::LOOP) => Err(Why::Stays("is not what was received".to_owned())),
                Err(error) => Err(error.into()),
            };
            open = Some(folder.map_err(|why| self.closed(at, why))?);
        }
        let open = open.ok_or(Why::Gone)?;
        self.last = Some((index, open.try_clone().map_err(|_| Errno::MFILE)?));
        Ok(open)
    }

    /// Reports a folder that cannot be entered once, with all it contains.
    fn closed(&mut self, at: usize, why: Why) -> Why {
        if let Why::Stays(why) = why
            && self.stays.insert(at)
        {
            let path = self.path(at);
            self.deleted.keep(path, why);
        }
        Why::Gone
    }

    fn path(&self, index: usize) -> String {
        let mut parts = Vec::new();
        let mut at = index;
        while let Some(entry) = self.entries.get(at) {
            parts.push(entry.name.as_str());
            if at == 0 {
                break;
            }
            at = entry.inside as usize;
        }
        parts.reverse();
        parts.join("/")
    }
}

impl Deleted {
    fn keep(&mut self, path: impl Display, why: impl Into<String>) {
        self.kept += 1;
        if self.named.len() < NAMED {
            self.named.push(Kept { path: path.to_string(), why: why.into() });
        }
    }
}
