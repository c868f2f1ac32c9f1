//! The last step: moves a complete content to its final name, and never overwrites anything.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use crate::error::EngineError;
use crate::names::free_name;

/// Tries before giving up on finding a free name.
const MAX_ATTEMPTS: u32 = 10_000;

/// Moves `partial` to the first free name in `folder`. `record` gets the name before each try, so that a
/// crash right after the move is recognised.
pub(crate) fn place(
    partial: &Path,
    folder: &Path,
    name: &str,
    mut record: impl FnMut(&str) -> Result<(), EngineError>,
) -> Result<PathBuf, EngineError> {
    for attempt in 1..=MAX_ATTEMPTS {
        let name = free_name(name, attempt);
        let path = folder.join(&name);
        if fs::symlink_metadata(&path).is_ok() {
            continue;
        }
        record(&name)?;
        match rename_new(partial, &path) {
            Ok(()) => {
                // Makes the new name durable; an error here loses nothing.
                let _ = File::open(folder).and_then(|folder| folder.sync_all());
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(EngineError::destination(&path, &error)),
        }
    }
    Err(EngineError::destination(&folder.join(name), &io::ErrorKind::AlreadyExists.into()))
}

/// Renames only if nothing has the new name (`AlreadyExists` otherwise).
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => rename_new_without_flags(from, to),
        other => Ok(other?),
    }
}

/// For file systems without `RENAME_NOREPLACE`. Folders: an empty one is created exclusively and then replaced by the
/// rename, which only ever replaces empty folders. Files: a hard link, which never replaces, and then the old name is
/// removed. Without hard links (FAT) the check and the rename are two steps.
fn rename_new_without_flags(from: &Path, to: &Path) -> io::Result<()> {
    if fs::symlink_metadata(from)?.is_dir() {
        fs::create_dir(to)?;
        return fs::rename(from, to);
    }
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        Err(_) if fs::symlink_metadata(to).is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(from, to),
    }
}

/// Whether `path` is the file or folder with this identity (device, inode).
pub(crate) fn is_identity(path: &Path, identity: (u64, u64)) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == identity)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn nothing_is_overwritten_and_the_name_is_recorded_first() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("a.txt"), "mine").unwrap();
        std::os::unix::fs::symlink("nowhere", at("a (2).txt")).unwrap();
        fs::write(at(".part"), "new").unwrap();
        let mut recorded = Vec::new();
        let path = place(&at(".part"), folder.path(), "a.txt", |name| {
            assert!(at(".part").exists());
            recorded.push(name.to_owned());
            Ok(())
        })
        .unwrap();
        assert_eq!(path, at("a (3).txt"));
        assert_eq!(recorded, ["a (3).txt"]);
        assert_eq!(fs::read_to_string(at("a.txt")).unwrap(), "mine");
        assert_eq!(fs::read_to_string(path).unwrap(), "new");
    }

    #[test]
    fn without_rename_flags_nothing_is_overwritten_either() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["file", "taken"] {
            fs::write(at(name), name).unwrap();
        }
        assert_eq!(
            rename_new_without_flags(&at("file"), &at("taken")).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        rename_new_without_flags(&at("file"), &at("free")).unwrap();
        assert!(!at("file").exists() && at("free").exists());
        fs::create_dir(at("dir")).unwrap();
        fs::write(at("dir/x"), "x").unwrap();
        assert!(rename_new_without_flags(&at("dir"), &at("taken")).is_err());
        rename_new_without_flags(&at("dir"), &at("dir2")).unwrap();
        assert!(at("dir2/x").exists() && !at("dir").exists());
        assert_eq!(fs::read_to_string(at("taken")).unwrap(), "taken");
    }
}
