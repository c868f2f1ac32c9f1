//! Lists the files of a preparation.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Access, access};
use unicode_normalization::UnicodeNormalization;

use super::special::Special;
use crate::error::{EngineError, codes};
use crate::metainfo::{Attributes, MAX_FILES, MAX_FOLDERS, inside};
use crate::names::{MAX_DEPTH, MAX_PATH, free_name};
use crate::prepared::SourceFile;
use crate::stamp::Stamp;

/// The most paths in one preparation.
const MAX_ROOTS: usize = 10_000;

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
    /// Check now that every file may be read, because none is read soon.
    pub(super) may_read: bool,
    pub(super) stop: &'a AtomicBool,
}

pub(super) fn walk(paths: &[PathBuf], how: &How<'_>) -> Result<Tree, EngineError> {
    if paths.is_empty() || paths.len() > MAX_ROOTS {
        let message = format!("from 1 to {MAX_ROOTS} paths can be sent together, not {}", paths.len());
        return Err(EngineError::new(codes::SOURCE_EMPTY, message, "name files or folders"));
    }
    let many = paths.len() > 1;
    let mut tree = Tree {
        roots: Vec::new(),
        first_name: String::new(),
        single: false,
        files: Vec::new(),
        folders: Vec::new(),
        omitted: 0,
    };
    let (mut used, mut special) = (HashSet::new(), Special::default());
    for (index, path) in paths.iter().enumerate() {
        let real = fs::canonicalize(path).map_err(|error| EngineError::source(path, &error))?;
        let name = own_name(path, &real)?;
        let metadata = fs::symlink_metadata(&real).map_err(|error| EngineError::source(&real, &error))?;
        let prefix = if many { vec![unused(&name, &mut used)] } else { Vec::new() };
        let mut walker = Walker { root: index as u32, many, tree: &mut tree, special: &mut special, how };
        if metadata.is_dir() {
            walker.folder(&real, "", &prefix)?;
        } else if metadata.is_file() {
            walker.file(&real, &metadata, (String::new(), prefix), None)?;
            tree.single = !many;
        } else {
            special.add(path, "is neither a file nor a folder");
            return Err(special.refusal());
        }
        if index == 0 {
            tree.first_name = name;
        }
        tree.roots.push(real);
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

struct Walker<'a> {
    root: u32,
    /// Of several paths.
    many: bool,
    tree: &'a mut Tree,
    special: &'a mut Special,
    how: &'a How<'a>,
}

impl Walker<'_> {
    /// Adds what is in `path`, which lies `below` the root on disk and at `inside` in the content.
    fn folder(&mut self, path: &Path, below: &str, inside: &[String]) -> Result<(), EngineError> {
        if inside.len() >= MAX_DEPTH {
            return Err(bad_name(path, "lies too deep"));
        }
        let before = (self.tree.files.len(), self.tree.folders.len());
        let fail = |error| EngineError::source(path, &error);
        for entry in fs::read_dir(path).map_err(fail)? {
            if self.how.stop.load(Ordering::Relaxed) {
                return Err(super::cancelled());
            }
            self.entry(&entry.map_err(fail)?, below, inside)?;
        }
        if before == (self.tree.files.len(), self.tree.folders.len()) && !inside.is_empty() {
            if self.tree.folders.len() == MAX_FOLDERS {
                let message = format!("there are more than {MAX_FOLDERS} empty folders");
                return Err(EngineError::new(
                    codes::TOO_MANY_FILES,
                    message,
                    "pack them into an archive and send that",
                ));
            }
            fits(path, inside)?;
            self.tree.folders.push(inside.to_vec());
        }
        Ok(())
    }

    fn entry(&mut self, entry: &fs::DirEntry, below: &str, inside: &[String]) -> Result<(), EngineError> {
        let (path, name) = (entry.path(), entry.file_name());
        if is_unfinished(&name) {
            return Ok(());
        }
        let name = utf8(&path, &name)?;
        let below = if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") };
        let at = [inside, &[normal(name)]].concat();
        // Does not follow symbolic links.
        let metadata = entry.metadata().map_err(|error| EngineError::source(&path, &error))?;
        if metadata.is_dir() {
            self.folder(&path, &below, &at)?;
        } else if metadata.is_file() {
            self.file(&path, &metadata, (below, at), None)?;
        } else if metadata.is_symlink() {
            // Several paths lie side by side in the content, but not necessarily on disk.
            let own = inside.get(usize::from(self.many)..).unwrap_or_default();
            match link_inside(&path, own)? {
                Some(text) => self.file(&path, &metadata, (below, at), Some(text))?,
                None => self.special.add_link(&path),
            }
        } else {
            self.special.add_kind(&path, metadata.file_type());
        }
        Ok(())
    }

    fn file(
        &mut self,
        on_disk: &Path,
        metadata: &fs::Metadata,
        (below, path): (String, Vec<String>),
        link: Option<String>,
    ) -> Result<(), EngineError> {
        if self.tree.files.len() == MAX_FILES {
            let message = format!("there are more than {MAX_FILES} files");
            return Err(EngineError::new(codes::TOO_MANY_FILES, message, "pack them into an archive and send that"));
        }
        fits(on_disk, &path)?;
        if self.how.may_read && link.is_none() {
            access(on_disk, Access::READ_OK).map_err(|error| EngineError::source(on_disk, &error.into()))?;
        }
        // The owner's bit only: permissions of others are up to the receiving person.
        let executable = link.is_none() && metadata.permissions().mode() & 0o100 != 0;
        let attributes = Attributes::new(executable, Some(metadata.mtime()));
        let source = SourceFile { root: self.root, below, link: link.is_some(), stamp: Stamp::of(metadata) };
        self.tree.files.push(Found { path, attributes, link, source });
        Ok(())
    }
}

/// Whether it is partial data of ours.
fn is_unfinished(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(".xbt-") && name.ends_with(".part"))
}

/// The text of a symbolic link in `folder`, if it can be carried: it must lead to a place in the content.
fn link_inside(path: &Path, folder: &[String]) -> Result<Option<String>, EngineError> {
    let text = fs::read_link(path).map_err(|error| EngineError::source(path, &error))?;
    let folder: Vec<&str> = folder.iter().map(String::as_str).collect();
    let text = text.to_str().map(normal);
    Ok(text.filter(|text| inside(&folder, text).is_some_and(|to| to.len() <= MAX_DEPTH)))
}

fn fits(on_disk: &Path, path: &[String]) -> Result<(), EngineError> {
    if path.iter().map(|part| part.len() + 1).sum::<usize>() > MAX_PATH {
        return Err(bad_name(on_disk, "has too long a path"));
    }
    Ok(())
}

/// Unicode normal form C: the same name typed on different systems is the same text.
pub(super) fn normal(name: &str) -> String {
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
