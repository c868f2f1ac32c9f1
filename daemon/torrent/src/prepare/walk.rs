//! Lists the files of a preparation.
//!
//! Invariant: everything is reached from an open folder by its own name, and no symbolic link is followed on the way, so
//! that what is listed lies in what the person named, whatever somebody else does there meanwhile.

use std::collections::HashSet;
use std::ffi::{CStr, OsStr};
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Access, AtFlags, Dir, FileType, Mode, OFlags, Stat, accessat};
use rustix::io::Errno;
use unicode_normalization::UnicodeNormalization;

use super::exclude::{self, Exclude};
use super::special::{Special, made_up_on_reading};
use crate::error::{EngineError, codes};
use crate::metainfo::{Attributes, MAX_FILES, MAX_FOLDERS, inside};
use crate::names::{MAX_DEPTH, MAX_PATH, free_name};
use crate::no_symlinks::{self, LastFolder};
use crate::prepared::SourceFile;
use crate::stamp::Stamp;

/// The most paths in one preparation.
const MAX_ROOTS: usize = 10_000;

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

pub(super) struct Tree {
    pub(super) roots: Vec<PathBuf>,
    /// The first path's own name.
    pub(super) first_name: String,
    /// One file was given, not a folder.
    pub(super) single: bool,
    /// In the content's order.
    pub(super) files: Vec<Found>,
    /// Empty folders, likewise.
    pub(super) folders: Vec<Vec<String>>,
    /// Number of entries left out because they cannot be carried.
    pub(super) omitted: u64,
    /// Number of entries left out because a pattern matches them.
    pub(super) excluded: u64,
    /// Number of unfinished downloads of ours, which are left out.
    pub(super) unfinished: u64,
}

impl Tree {
    /// Bytes of all files.
    pub(super) fn size(&self) -> Option<u64> {
        let size = self.files.iter().try_fold(0u64, |sum, file| sum.checked_add(file.len()))?;
        i64::try_from(size).is_ok().then_some(size)
    }
}

pub(super) struct Found {
    /// Normalised components inside the content.
    pub(super) path: Vec<String>,
    pub(super) attributes: Attributes,
    /// The text of a symbolic link.
    pub(super) link: Option<String>,
    pub(super) source: SourceFile,
}

impl Found {
    /// Its bytes; a symbolic link has none.
    pub(super) fn len(&self) -> u64 {
        if self.source.link { 0 } else { self.source.stamp.size }
    }
}

/// How to walk.
pub(super) struct How<'a> {
    /// Leave out what cannot be carried.
    pub(super) skip_special: bool,
    /// Patterns of what is left out, beside those of `.xbtignore`.
    pub(super) exclude: &'a [String],
    /// Check now that every file may be read, because none is read soon.
    pub(super) may_read: bool,
    pub(super) stop: &'a AtomicBool,
}

pub(super) fn walk(paths: &[PathBuf], how: &How<'_>) -> Result<Tree, EngineError> {
    if paths.is_empty() || paths.len() > MAX_ROOTS {
        let message = format!("from 1 to {MAX_ROOTS} paths can be sent together, not {}", paths.len());
        return Err(EngineError::new(codes::SOURCE_EMPTY, message, "name files or folders"));
    }
    let mut tree = Tree {
        roots: Vec::new(),
        first_name: String::new(),
        single: false,
        files: Vec::new(),
        folders: Vec::new(),
        omitted: 0,
        excluded: 0,
        unfinished: 0,
    };
    let (mut used, mut special, mut folders) = (HashSet::new(), Special::default(), LastFolder::default());
    for (index, path) in paths.iter().enumerate() {
        let real = fs::canonicalize(path).map_err(|error| EngineError::source(path, &error))?;
        let name = own_name(path, &real)?;
        let prefix = if paths.len() > 1 { vec![unused(&name, &mut used)] } else { Vec::new() };
        if index == 0 {
            tree.first_name = name;
        }
        tree.roots.push(real.clone());
        let mut walker = Walker {
            root: index as u32,
            many: paths.len() > 1,
            tree: &mut tree,
            special: &mut special,
            exclude: Exclude::none(),
            made_up: None,
            how,
        };
        let at = Place { path: real, below: String::new(), inside: prefix };
        walker.root(path, at, &mut folders)?;
    }
    match how.skip_special {
        true => tree.omitted = special.count(),
        false if special.count() > 0 => return Err(special.refusal()),
        false => {}
    }
    if tree.files.is_empty() {
        let path = paths.first().map(|path| path.display().to_string()).unwrap_or_default();
        return Err(EngineError::new(
            codes::SOURCE_EMPTY,
            format!("there is no file in {path}"),
            "a folder is sent only with at least one file in it",
        ));
    }
    tree.folders.sort();
    tree.folders.dedup();
    tree.files.sort_by(|a, b| a.path.cmp(&b.path));
    if let Some(twins) = tree.files.windows(2).find(|pair| matches!(pair, [a, b] if a.path == b.path)) {
        let name = twins.first().map(|file| file.path.join("/")).unwrap_or_default();
        let message = format!("two files are called {name} and differ only in how their accents are stored");
        return Err(EngineError::new(codes::BAD_NAME, message, "rename one of them"));
    }
    Ok(tree)
}

/// Where something is.
struct Place {
    /// On disk.
    path: PathBuf,
    /// Below the root, as spelled on disk.
    below: String,
    /// Normalised components inside the content.
    inside: Vec<String>,
}

struct Walker<'a> {
    root: u32,
    /// Of several paths.
    many: bool,
    tree: &'a mut Tree,
    special: &'a mut Special,
    exclude: Exclude,
    /// The device looked at last, and whether its files are made up when they are read.
    made_up: Option<(u64, bool)>,
    how: &'a How<'a>,
}

impl Walker<'_> {
    /// Adds what is at a real path. `named`: the path as the person gave it.
    fn root(&mut self, named: &Path, at: Place, folders: &mut LastFolder) -> Result<(), EngineError> {
        let real = at.path.clone();
        let fail = |error: Errno| EngineError::source(&real, &error.into());
        let (folder, name) = folders.of(&real).map_err(fail)?;
        let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).map_err(fail)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let open = no_symlinks::open(&real, FOLDER | OFlags::RDONLY).map_err(fail)?;
                self.exclude = Exclude::new(&open, &real, self.how.exclude)?;
                self.folder(open, &at)
            }
            FileType::RegularFile => {
                self.look_at_device(folder, &stat).map_err(fail)?;
                self.tree.single = !self.many;
                self.file((folder, name), &stat, at, None)
            }
            _ => {
                self.special.add(named, "is neither a file nor a folder");
                Err(self.special.refusal())
            }
        }
    }

    /// Adds what is in a folder.
    fn folder(&mut self, folder: OwnedFd, at: &Place) -> Result<(), EngineError> {
        if at.inside.len() >= MAX_DEPTH {
            return Err(bad_name(&at.path, "lies too deep"));
        }
        let before = (self.tree.files.len(), self.tree.folders.len());
        let fail = |error: Errno| EngineError::source(&at.path, &error.into());
        let stat = rustix::fs::fstat(&folder).map_err(fail)?;
        self.look_at_device(folder.as_fd(), &stat).map_err(fail)?;
        let mut entries = Dir::new(folder).map_err(fail)?;
        while let Some(entry) = entries.read() {
            if self.how.stop.load(Ordering::Relaxed) {
                return Err(super::cancelled());
            }
            let entry = entry.map_err(fail)?;
            if ![c".", c".."].contains(&entry.file_name()) {
                self.entry(entries.fd().map_err(fail)?, entry.file_name(), at)?;
            }
        }
        if before == (self.tree.files.len(), self.tree.folders.len()) && !at.inside.is_empty() {
            if self.tree.folders.len() == MAX_FOLDERS {
                let message = format!("there are more than {MAX_FOLDERS} empty folders");
                return Err(EngineError::new(
                    codes::TOO_MANY_FILES,
                    message,
                    "pack them into an archive and send that",
                ));
            }
            fits(&at.path, &at.inside)?;
            self.tree.folders.push(at.inside.clone());
        }
        Ok(())
    }

    fn entry(&mut self, folder: BorrowedFd<'_>, name: &CStr, at: &Place) -> Result<(), EngineError> {
        let spelled = OsStr::from_bytes(name.to_bytes());
        let path = at.path.join(spelled);
        if at.below.is_empty() && spelled == exclude::FILE {
            return Ok(());
        }
        if is_unfinished(spelled) {
            self.tree.unfinished += 1;
            return Ok(());
        }
        let fail = |error: Errno| EngineError::source(&path, &error.into());
        let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).map_err(fail)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if self.exclude.matches(&at.below, spelled, kind == FileType::Directory) {
            self.tree.excluded += 1;
            return Ok(());
        }
        let text = utf8(&path, spelled)?;
        let below = if at.below.is_empty() { text.to_owned() } else { format!("{}/{text}", at.below) };
        let inside = [at.inside.as_slice(), &[normal(text)]].concat();
        match kind {
            FileType::Directory => {
                let open = rustix::fs::openat(folder, name, FOLDER | OFlags::RDONLY, Mode::empty()).map_err(fail)?;
                self.folder(open, &Place { path, below, inside })
            }
            FileType::RegularFile => self.file((folder, spelled), &stat, Place { path, below, inside }, None),
            FileType::Symlink => {
                let to = rustix::fs::readlinkat(folder, name, Vec::new()).map_err(fail)?;
                // Several paths lie side by side in the content, but not necessarily on disk.
                let own = at.inside.get(usize::from(self.many)..).unwrap_or_default();
                match link_inside(&to, own) {
                    Some(to) => self.file((folder, spelled), &stat, Place { path, below, inside }, Some(to)),
                    None => {
                        self.special.add_link(&path, &to);
                        Ok(())
                    }
                }
            }
            kind => {
                self.special.add_kind(&path, kind);
                Ok(())
            }
        }
    }

    /// Looks what file system this is, once for each.
    fn look_at_device(&mut self, folder: BorrowedFd<'_>, stat: &Stat) -> Result<(), Errno> {
        if self.made_up.is_none_or(|(device, _)| device != stat.st_dev) {
            self.made_up = Some((stat.st_dev, made_up_on_reading(folder)?));
        }
        Ok(())
    }

    /// Adds the file that `name` is in `folder`.
    fn file(
        &mut self,
        (folder, name): (BorrowedFd<'_>, &OsStr),
        stat: &Stat,
        at: Place,
        link: Option<String>,
    ) -> Result<(), EngineError> {
        if self.tree.files.len() == MAX_FILES {
            let message = format!("there are more than {MAX_FILES} files");
            return Err(EngineError::new(codes::TOO_MANY_FILES, message, "pack them into an archive and send that"));
        }
        fits(&at.path, &at.inside)?;
        let fail = |error: Errno| EngineError::source(&at.path, &error.into());
        let stamp = Stamp::of_stat(stat);
        if link.is_none() {
            let made_up = self.made_up.is_some_and(|(_, made_up)| made_up)
                || stamp.size == 0 && holds_more(folder, name).map_err(fail)?;
            if made_up {
                self.special.add(&at.path, "has no bytes of its own: the system makes them up when it is read");
                return Ok(());
            }
            if self.how.may_read && stamp.size > 0 {
                accessat(folder, name, Access::READ_OK, AtFlags::empty()).map_err(fail)?;
            }
        }
        // The owner's bit only: permissions of others are up to the receiving person.
        let executable = link.is_none() && stat.st_mode & 0o100 != 0;
        let attributes = Attributes::new(executable, Some(stat.st_mtime));
        let source = SourceFile { root: self.root, below: at.below, link: link.is_some(), stamp };
        self.tree.files.push(Found { path: at.inside, attributes, link, source });
        Ok(())
    }
}

/// Whether bytes can be read from a file that is empty according to its file system.
fn holds_more(folder: BorrowedFd<'_>, name: &OsStr) -> Result<bool, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = rustix::fs::openat(folder, name, flags, Mode::empty())?;
    match rustix::io::read(&file, &mut [0u8; 1]) {
        Ok(read) => Ok(read > 0),
        Err(Errno::AGAIN) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Whether it is partial data of ours.
fn is_unfinished(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(".xbt-") && name.ends_with(".part"))
}

/// The text of a symbolic link in `folder`, if it can be carried: it must lead to a place in the content.
fn link_inside(to: &CStr, folder: &[String]) -> Option<String> {
    let folder: Vec<&str> = folder.iter().map(String::as_str).collect();
    let to = to.to_str().ok().map(normal);
    to.filter(|to| inside(&folder, to).is_some_and(|to| to.len() <= MAX_DEPTH))
}

fn fits(on_disk: &Path, path: &[String]) -> Result<(), EngineError> {
    if path.iter().map(|part| part.len() + 1).sum::<usize>() > MAX_PATH {
        return Err(bad_name(on_disk, "has too long a path"));
    }
    Ok(())
}

/// Unicode normal form C: the same name typed on different systems is the same text.
pub(crate) fn normal(name: &str) -> String {
    name.nfc().collect()
}

/// The name the person used, also for a symbolic link; that of the real path for `.` and the like.
fn own_name(path: &Path, real: &Path) -> Result<String, EngineError> {
    let name = path.file_name().or_else(|| real.file_name());
    let name = name.ok_or_else(|| bad_name(path, "has no name of its own"))?;
    Ok(normal(utf8(path, name)?))
}

fn utf8<'a>(path: &Path, name: &'a OsStr) -> Result<&'a str, EngineError> {
    name.to_str().ok_or_else(|| bad_name(path, "has a name that is not UTF-8"))
}

fn unused(name: &str, used: &mut HashSet<String>) -> String {
    let mut attempt = 1;
    loop {
        let candidate = free_name(name, attempt);
        if used.insert(candidate.clone()) {
            return candidate;
        }
        attempt += 1;
    }
}

fn bad_name(path: &Path, what: &str) -> EngineError {
    EngineError::new(codes::BAD_NAME, format!("{} {what}", path.display()), "rename it")
}
