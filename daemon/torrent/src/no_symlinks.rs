//! Opens paths of which no component is a symbolic link.
//!
//! Sources are kept by their real paths, so a symbolic link on one was put there later, perhaps by somebody who may write in
//! the folder that is being sent and wants to have another file read. `openat2` (Linux 5.6) resolves such a path with one
//! system call; where it is missing or forbidden, the folders are opened one by one.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

/// Set once the system has said that it knows no `openat2`.
static ONE_BY_ONE: AtomicBool = AtomicBool::new(false);

/// To reach what is in a folder; needs no permission to read it.
const PASS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens an absolute path without `..`. `LOOP`, or `NOTDIR` where there is no `openat2`, if a component is a symbolic link.
pub(crate) fn open(path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let plain = |part| matches!(part, Component::RootDir | Component::Normal(_));
    if !path.is_absolute() || !path.components().all(plain) {
        return Err(Errno::INVAL);
    }
    if !ONE_BY_ONE.load(Ordering::Relaxed) {
        match rustix::fs::openat2(CWD, path, flags | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
            Err(Errno::NOSYS) => ONE_BY_ONE.store(true, Ordering::Relaxed),
            // A sandbox may say this of calls that it does not know.
            Err(Errno::PERM) => {}
            other => return other,
        }
    }
    one_by_one(path, flags)
}

fn one_by_one(path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut open = rustix::fs::open("/", PASS, Mode::empty())?;
    let mut parts = path.components().skip(1).peekable();
    while let Some(part) = parts.next() {
        let flags = if parts.peek().is_some() { PASS } else { flags | OFlags::CLOEXEC };
        open = rustix::fs::openat(&open, part.as_os_str(), flags | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Ok(open)
}

/// The folder reached last, which neighbouring files mostly share. To be kept for one operation only, so that the next one
/// notices changes to the folder.
#[derive(Default)]
pub(crate) struct LastFolder(Option<(PathBuf, OwnedFd)>);

impl LastFolder {
    /// The open folder that holds the last component of `path`, and that component.
    pub(crate) fn of<'p>(&mut self, path: &'p Path) -> Result<(BorrowedFd<'_>, &'p OsStr), Errno> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Err(Errno::INVAL) };
        let last = match self.0.take() {
            Some(last) if last.0 == folder => last,
            Some(_) | None => (folder.to_owned(), open(folder, PASS)?),
        };
        Ok((self.0.insert(last).1.as_fd(), name))
    }

    /// What is at `path`, which may itself be a symbolic link.
    pub(crate) fn stat(&mut self, path: &Path) -> Result<Stat, Errno> {
        let (folder, name) = self.of(path)?;
        rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_component_is_followed_with_openat2_or_without() {
        let home = tempfile::tempdir().unwrap();
        let home = fs::canonicalize(home.path()).unwrap();
        fs::create_dir_all(home.join("real/deep")).unwrap();
        fs::write(home.join("real/deep/f"), "f").unwrap();
        symlink("real", home.join("link")).unwrap();
        symlink("f", home.join("real/deep/to-f")).unwrap();
        for open in [open, one_by_one] {
            assert!(open(&home.join("real/deep/f"), OFlags::RDONLY).is_ok());
            assert!(open(&home.join("real/deep"), OFlags::RDONLY | OFlags::DIRECTORY).is_ok());
            assert_eq!(open(&home.join("real/none"), OFlags::RDONLY).unwrap_err(), Errno::NOENT);
            for path in ["link/deep/f", "link", "real/deep/to-f"] {
                let refused = open(&home.join(path), OFlags::RDONLY).unwrap_err();
                assert!(matches!(refused, Errno::LOOP | Errno::NOTDIR), "{path}: {refused}");
            }
        }
        for path in ["real/f", "/tmp/../etc"] {
            assert_eq!(open(Path::new(path), OFlags::RDONLY).unwrap_err(), Errno::INVAL);
        }
    }

    #[test]
    fn a_link_is_seen_as_one_and_none_is_followed_to_it() {
        let home = tempfile::tempdir().unwrap();
        let home = fs::canonicalize(home.path()).unwrap();
        fs::create_dir(home.join("real")).unwrap();
        symlink("nowhere", home.join("real/l")).unwrap();
        symlink("real", home.join("link")).unwrap();
        let mut folders = LastFolder::default();
        assert_eq!(folders.stat(&home.join("real/l")).unwrap().st_size, 7);
        assert!(folders.stat(&home.join("link/l")).is_err());
        assert!(folders.stat(&home.join("real/l")).is_ok());
    }
}
