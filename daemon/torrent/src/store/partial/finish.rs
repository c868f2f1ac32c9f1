//! Finishes a fetch: creates what holds no byte, sets times, and syncs everything.

use std::collections::HashSet;

use rustix::fs::{AtFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;

use super::super::received::{Kind, Received};
use super::{LastFolder, PartialFiles, Root, SYNC_ALL_FROM, descend};
use crate::error::EngineError;
use crate::metainfo::FileSpan;
use crate::stamp::Stamp;
use crate::store::disk_names::unsuitable;

/// Made for a moment.
const PROBE: &str = ".xbt-probe";

impl PartialFiles {
    /// Creates everything that holds no byte, checks that all files are distinct, and syncs everything. Returns the
    /// record of it.
    pub(crate) fn finish(&self) -> Result<Received, EngineError> {
        let (mut seen, mut folders) = (HashSet::new(), LastFolder::default());
        let mut stamps = vec![Stamp::default(); self.meta.files.len()];
        if let Root::Folder(root) = &self.root {
            for path in &self.meta.folders {
                descend(root, path, true).map_err(|error| self.error(error.into()))?;
            }
        }
        // Links last: nothing is created once they exist.
        let links =
            |wanted: bool| self.meta.files.iter().enumerate().filter(move |(_, span)| span.link.is_some() == wanted);
        for (index, span) in links(false).chain(links(true)) {
            let stamp = self.finish_file(index, span, &mut folders)?;
            // The file system ignores case, and one file has overwritten the other.
            if !seen.insert(stamp.ino) {
                return Err(self.case_ignored());
            }
            if let Some(slot) = stamps.get_mut(index) {
                *slot = stamp;
            }
        }
        if let Root::Folder(folder) = &self.root {
            let synced = if self.meta.files.len() < SYNC_ALL_FROM {
                rustix::fs::fsync(folder)
            } else {
                rustix::fs::syncfs(folder)
            };
            synced.map_err(|error| self.error(error.into()))?;
        }
        let received = self.received(&stamps).map_err(|error| self.error(error.into()))?;
        let _ = self.finished.set(stamps);
        Ok(received)
    }

    fn finish_file<'a>(
        &'a self,
        index: usize,
        span: &'a FileSpan,
        folders: &mut LastFolder<'a>,
    ) -> Result<Stamp, EngineError> {
        match &span.link {
            Some(text) => self.make_link(span, text, folders)?,
            // Only files without bytes are created here: any other would consist of zeros.
            None if span.len == 0 => drop(self.file(index, folders).map_err(|error| self.error(error))?),
            None => {}
        }
        self.set_time(span, folders);
        let stamp = self.stamp(index, folders).map_err(|error| self.error(error.into()))?;
        if span.link.is_none() && stamp.size != span.len {
            return Err(self.tampered());
        }
        if span.link.is_none() && self.meta.files.len() < SYNC_ALL_FROM {
            let file = self.file(index, folders).map_err(|error| self.error(error))?;
            file.sync_all().map_err(|error| self.error(error))?;
        }
        Ok(stamp)
    }

    fn make_link<'a>(
        &'a self,
        span: &'a FileSpan,
        text: &str,
        folders: &mut LastFolder<'a>,
    ) -> Result<(), EngineError> {
        let Root::Folder(root) = &self.root else { return Err(self.tampered()) };
        let (folder, name) = folders.of(root, &span.path, true).map_err(|error| self.error(error.into()))?;
        match rustix::fs::symlinkat(text, folder, name) {
            Ok(()) => Ok(()),
            // Left by an earlier attempt to finish.
            Err(Errno::EXIST) => match rustix::fs::readlinkat(folder, name, Vec::new()) {
                Ok(there) if there.as_bytes() == text.as_bytes() => Ok(()),
                Ok(_) => Err(self.tampered()),
                Err(_) => Err(self.case_ignored()),
            },
            Err(error) => Err(self.link_refused(error)),
        }
    }

    /// Checks that the disk can hold the symbolic links, before any byte is fetched.
    pub(crate) fn can_hold_links(&self) -> Result<(), EngineError> {
        let Root::Folder(root) = &self.root else { return Ok(()) };
        let files = &self.meta.files;
        let taken = files.iter().map(|span| &span.path).chain(&self.meta.folders).any(|path| path.starts_with(PROBE));
        if taken || files.iter().all(|span| span.link.is_none()) {
            return Ok(());
        }
        // The longest one: some disks take only shorter ones.
        let text = files.iter().filter_map(|span| span.link.as_deref()).max_by_key(|text| text.len()).unwrap_or(".");
        match rustix::fs::symlinkat(text, root, PROBE) {
            // A crash may have left it.
            Ok(()) | Err(Errno::EXIST) => {
                rustix::fs::unlinkat(root, PROBE, AtFlags::empty()).map_err(|error| self.error(error.into()))
            }
            Err(error) => Err(self.link_refused(error)),
        }
    }

    fn link_refused(&self, error: Errno) -> EngineError {
        match error {
            Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::NAMETOOLONG | Errno::INVAL => {
                unsuitable(format!("the disk of {} cannot hold the symbolic links of this folder", self.path.display()))
            }
            error => self.error(error.into()),
        }
    }

    /// Sets the modification time, if one is carried and the disk takes it.
    fn set_time<'a>(&'a self, span: &'a FileSpan, folders: &mut LastFolder<'a>) {
        let Some(seconds) = span.attributes.mtime else { return };
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: seconds, tv_nsec: 0 },
        };
        let set = match &self.root {
            Root::File(file) => rustix::fs::futimens(file, &times),
            Root::Folder(root) => folders
                .of(root, &span.path, false)
                .and_then(|(folder, name)| rustix::fs::utimensat(folder, name, &times, AtFlags::SYMLINK_NOFOLLOW)),
        };
        if let Err(error) = set {
            tracing::debug!(path = %span.path, %error, "the time of a file could not be set");
        }
    }

    /// The record of what exists now.
    fn received(&self, stamps: &[Stamp]) -> Result<Received, Errno> {
        let root = match &self.root {
            Root::File(_) => {
                return Ok(Received::file(stamps.first().copied().unwrap_or_default()));
            }
            Root::Folder(root) => root,
        };
        let mut received = Received::folder(rustix::fs::fstat(root)?.st_ino, self.meta.omitted);
        let identity = |path: &str| descend(root, path, false).and_then(|folder| Ok(rustix::fs::fstat(folder)?.st_ino));
        for (span, stamp) in self.meta.files.iter().zip(stamps) {
            let kind = span.link.as_deref().map_or(Kind::File, |text| Kind::Link(text.into()));
            received.add(&span.path, kind, *stamp, identity)?;
        }
        for path in &self.meta.folders {
            received.add_folder(path, identity)?;
        }
        Ok(received)
    }

    fn case_ignored(&self) -> EngineError {
        unsuitable(format!("two files differ only in their case, which the disk of {} ignores", self.path.display()))
    }
}
