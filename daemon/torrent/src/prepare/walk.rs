//! Which files a preparation is about.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use unicode_normalization::UnicodeNormalization;

use crate::error::{EngineError, codes};
use crate::metainfo::MAX_FILES;
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
}

pub(super) struct Found {
    /// Normalised components inside the content.
    pub(super) path: Vec<String>,
    pub(super) source: SourceFile,
}

pub(super) fn walk(paths: &[PathBuf], stop: &AtomicBool) -> Result<Tree, EngineError> {
    if paths.is_empty() || paths.len() > MAX_ROOTS {
        let message = format!("from 1 to {MAX_ROOTS} paths can be sent together, not {}", paths.len());
        return Err(EngineError::new(codes::SOURCE_EMPTY, message, "name files or folders"));
    }
    let many = paths.len() > 1;
    let mut tree = Tree { roots: Vec::new(), first_name: String::new(), single: false, files: Vec::new() };
    let mut used = HashSet::new();
    for (index, path) in paths.iter().enumerate() {
        let real = fs::canonicalize(path).map_err(|error| EngineError::source(path, &error))?;
        let name = own_name(path, &real)?;
        let metadata = fs::symlink_metadata(&real).map_err(|error| EngineError::source(&real, &error))?;
        let prefix = if many { vec![unused(&name, &mut used)] } else { Vec::new() };
        let mut walker = Walker { root: index as u32, tree: &mut tree, stop };
        if metadata.is_dir() {
            walker.folder(&real, "", &prefix)?;
        } else if metadata.is_file() {
            walker.file(&metadata, String::new(), prefix)?;
            tree.single = !many;
        } else {
            return Err(special(path, "is not a file or folder"));
        }
        if index == 0 {
            tree.first_name = name;
        }
        tree.roots.push(real);
    }
    if tree.files.is_empty() {
        let path = paths.first().map(|path| path.display().to_string()).unwrap_or_default();
        return Err(EngineError::new(
            codes::SOURCE_EMPTY,
            format!("there is no file in {path}"),
            "empty folders cannot be sent",
        ));
    }
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
    tree: &'a mut Tree,
    stop: &'a AtomicBool,
}

impl Walker<'_> {
    /// Adds what is in `path`, which lies `below` the root on disk and at `inside` in the content.
    fn folder(&mut self, path: &Path, below: &str, inside: &[String]) -> Result<(), EngineError> {
        if inside.len() >= MAX_DEPTH {
            return Err(bad_name(path, "lies too deep"));
        }
        let fail = |error| EngineError::source(path, &error);
        for entry in fs::read_dir(path).map_err(fail)? {
            if self.stop.load(Ordering::Relaxed) {
                return Err(super::cancelled());
            }
            let entry = entry.map_err(fail)?;
            let name = entry.file_name();
            let path = entry.path();
            let name = utf8(&path, &name)?;
            let below = if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") };
            let inside = [inside, &[normal(name)]].concat();
            // Of the entry itself: a symbolic link is seen as one.
            let metadata = entry.metadata().map_err(|error| EngineError::source(&path, &error))?;
            if metadata.is_dir() {
                self.folder(&path, &below, &inside)?;
            } else if metadata.is_file() {
                self.file(&metadata, below, inside)?;
            } else if metadata.is_symlink() {
                return Err(special(&path, "is a symbolic link inside a folder"));
            } else {
                return Err(special(&path, "is not a file or folder"));
            }
        }
        Ok(())
    }

    fn file(&mut self, metadata: &fs::Metadata, below: String, path: Vec<String>) -> Result<(), EngineError> {
        if self.tree.files.len() == MAX_FILES {
            let message = format!("there are more than {MAX_FILES} files");
            return Err(EngineError::new(codes::TOO_MANY_FILES, message, "pack them into an archive and send that"));
        }
        if path.iter().map(|part| part.len() + 1).sum::<usize>() > MAX_PATH {
            return Err(bad_name(Path::new(&below), "has too long a path"));
        }
        let source = SourceFile { root: self.root, below, stamp: Stamp::of(metadata) };
        self.tree.files.push(Found { path, source });
        Ok(())
    }
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

fn special(path: &Path, what: &str) -> EngineError {
    let message = format!("{} {what}", path.display());
    EngineError::new(codes::SPECIAL_FILE, message, "remove it from what you send, or send what it points to")
}

fn bad_name(path: &Path, what: &str) -> EngineError {
    EngineError::new(codes::BAD_NAME, format!("{} {what}", path.display()), "rename it")
}
