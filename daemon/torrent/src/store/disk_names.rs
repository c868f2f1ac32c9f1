//! What a disk can hold: found by trying, before anything is fetched.
//!
//! FAT, exFAT and NTFS take no `what?.txt` and no two names that differ in their case only, file systems that encrypt
//! names take shorter ones, FAT no file of 4 GiB. A name that the disk refuses gets another one, always the same, so that a fetch
//! that goes on finds its files again. Only names that some disk is known to refuse are tried.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags, SeekFrom};
use rustix::io::Errno;

use crate::error::{EngineError, codes};
use crate::metainfo::{FileSpan, Metainfo, inside, relative};
use crate::names::{free_name, safe_name};

/// Names up to this length, in bytes, are taken everywhere: eCryptfs takes 143.
const SHORT: usize = 140;
/// The largest file of FAT.
const FAT_LARGEST: u64 = u32::MAX as u64;
/// What Windows and its file systems keep for themselves.
const SPECIAL: &str = "\\:*?\"<>|";

/// A content with the names that its disk can hold.
pub(crate) struct DiskNames {
    pub(crate) meta: Arc<Metainfo>,
    /// Each path that has another one on the disk, with that one.
    pub(crate) renamed: Vec<(String, String)>,
}

/// Finds names for a content in `destination`. `id` distinguishes our own files there from others'.
pub(crate) fn disk_names(meta: &Arc<Metainfo>, destination: &Path, id: &str) -> Result<DiskNames, EngineError> {
    let own = safe_name(&meta.name).map_err(EngineError::bad_metadata)?;
    let tree = Tree::of(meta);
    let doubtful: BTreeSet<&str> = tree.names().chain([own.as_str()]).filter(|name| is_doubtful(name)).collect();
    let twins = tree.has_twins();
    let largest = meta.files.iter().map(|file| file.len).max().unwrap_or(0);
    if doubtful.is_empty() && !twins && largest <= FAT_LARGEST {
        return Ok(DiskNames { meta: meta.clone(), renamed: Vec::new() });
    }
    let probe = Probe::new(destination, id)?;
    if largest > FAT_LARGEST && !probe.holds_size(largest)? {
        let message =
            format!("the disk of {} cannot hold a file of {}", destination.display(), crate::space::shown(largest));
        return Err(unsuitable(message));
    }
    let mut other = HashMap::new();
    for name in doubtful {
        if !probe.takes(name)? {
            other.insert(name.to_owned(), probe.instead_of(name)?);
        }
    }
    let ignores_case = twins && probe.ignores_case()?;
    if other.is_empty() && !ignores_case {
        return Ok(DiskNames { meta: meta.clone(), renamed: Vec::new() });
    }
    Ok(tree.renamed(meta, &own, &other, ignores_case))
}

/// The error for a disk that cannot hold a content.
pub(crate) fn unsuitable(message: String) -> EngineError {
    let hint = "take it to another folder, with what has come: 'xbtctl accept ID -o DIR'";
    EngineError::new(codes::DESTINATION_UNSUITABLE, message, hint)
}

fn is_doubtful(name: &str) -> bool {
    name.len() > SHORT || !name.is_ascii() || name.contains(|c: char| c.is_control() || SPECIAL.contains(c))
}

/// The same text for names that a disk without regard to case takes for the same.
fn fold(name: &str) -> String {
    name.to_lowercase()
}

/// The names in each folder, folders by their paths; the root is the empty path. A parent sorts before its children.
struct Tree<'a>(BTreeMap<&'a str, BTreeSet<&'a str>>);

impl<'a> Tree<'a> {
    fn of(meta: &'a Metainfo) -> Self {
        let mut tree = BTreeMap::<&str, BTreeSet<&str>>::new();
        let paths = meta.files.iter().map(|file| file.path.as_str()).chain(meta.folders.iter().map(String::as_str));
        for path in paths.filter(|path| !path.is_empty()) {
            let mut path = path;
            loop {
                let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
                // What lies above is there already.
                if !tree.entry(folder).or_default().insert(name) || folder.is_empty() {
                    break;
                }
                path = folder;
            }
        }
        Self(tree)
    }

    fn names(&self) -> impl Iterator<Item = &'a str> {
        self.0.values().flatten().copied()
    }

    /// Whether two names in one folder differ in their case only.
    fn has_twins(&self) -> bool {
        self.0.values().any(|names| {
            let mut folded = HashSet::with_capacity(names.len());
            !names.iter().all(|name| folded.insert(fold(name)))
        })
    }

    fn renamed(&self, meta: &Metainfo, own: &str, other: &HashMap<String, String>, ignores_case: bool) -> DiskNames {
        let mut renamed = Vec::new();
        let mut on_disk: HashMap<String, String> = HashMap::from([(String::new(), String::new())]);
        for (folder, names) in &self.0 {
            let above = on_disk.get(*folder).cloned().unwrap_or_default();
            let mut used = HashSet::new();
            // What keeps its name has it before what gets another one.
            let (kept, changed): (Vec<&&str>, Vec<&&str>) = names.iter().partition(|name| !other.contains_key(**name));
            for name in kept.into_iter().chain(changed) {
                let wanted = other.get(*name).map_or(*name, String::as_str);
                let key = |name: &str| if ignores_case { fold(name) } else { name.to_owned() };
                let mut attempt = 1;
                let mut taken = wanted.to_owned();
                while !used.insert(key(&taken)) {
                    attempt += 1;
                    taken = free_name(wanted, attempt);
                }
                let path = if folder.is_empty() { (*name).to_owned() } else { format!("{folder}/{name}") };
                let disk = if above.is_empty() { taken.clone() } else { format!("{above}/{taken}") };
                if taken != **name {
                    renamed.push((path.clone(), disk.clone()));
                }
                on_disk.insert(path, disk);
            }
        }
        let name = other.get(own).cloned().unwrap_or_else(|| own.to_owned());
        if name != own {
            renamed.insert(0, (own.to_owned(), name.clone()));
        }
        let path = |path: &String| on_disk.get(path).unwrap_or(path).clone();
        let files = meta.files.iter().map(|file| {
            let link = file.link.as_deref().map(|text| link_text(&file.path, text, &on_disk).into());
            FileSpan { path: path(&file.path), offset: file.offset, len: file.len, attributes: file.attributes, link }
        });
        let (files, folders) = (files.collect(), meta.folders.iter().map(path).collect());
        DiskNames { meta: Arc::new(meta.renamed(name, files, folders)), renamed }
    }
}

/// The text of a symbolic link, so that it leads to the same place under the new names.
fn link_text(path: &str, text: &str, on_disk: &HashMap<String, String>) -> String {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let steps: Vec<&str> = folder.split('/').filter(|step| !step.is_empty()).collect();
    let target = inside(&steps, text).map(|to| to.join("/"));
    let (Some(from), Some(to)) = (on_disk.get(folder), target.as_ref().and_then(|to| on_disk.get(to))) else {
        return text.to_owned();
    };
    if from == folder && target.as_ref() == Some(to) {
        return text.to_owned();
    }
    let parts = |path: &str| path.split('/').filter(|step| !step.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    relative(&parts(from), &parts(to))
}

/// A folder of our own on the disk in question, for a moment.
struct Probe {
    path: PathBuf,
    folder: OwnedFd,
}

impl Probe {
    fn new(destination: &Path, id: &str) -> Result<Self, EngineError> {
        let path = destination.join(format!(".xbt-{id}.probe"));
        let fail = |error: std::io::Error| EngineError::destination(&path, &error);
        // A crash may have left it.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).map_err(fail)?;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::open(&path, flags, Mode::empty()).map_err(|error| fail(error.into()))?;
        Ok(Self { path, folder })
    }

    fn create(&self, name: &str) -> Result<File, Errno> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        rustix::fs::openat(&self.folder, name, flags, Mode::from_raw_mode(0o600)).map(File::from)
    }

    fn remove(&self, name: &str) {
        // Whatever is left goes with the folder.
        let _ = rustix::fs::unlinkat(&self.folder, name, AtFlags::empty());
    }

    fn fail(&self, error: Errno) -> EngineError {
        EngineError::destination(&self.path, &error.into())
    }

    /// Whether the disk takes this name.
    fn takes(&self, name: &str) -> Result<bool, EngineError> {
        match self.create(name) {
            Ok(_) => {
                self.remove(name);
                Ok(true)
            }
            Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::ROFS | Errno::NFILE | Errno::MFILE)) => {
                Err(self.fail(error))
            }
            Err(_) => Ok(false),
        }
    }

    /// A name that the disk takes instead of one that it refuses.
    fn instead_of(&self, name: &str) -> Result<String, EngineError> {
        let plain = |also: fn(char) -> bool| -> String {
            name.chars().map(|c| if c.is_control() || SPECIAL.contains(c) || also(c) { '_' } else { c }).collect()
        };
        for text in [plain(|_| false), plain(|c| !c.is_ascii())] {
            for room in [usize::MAX, SHORT, 120, 80, 40] {
                let candidate = shortened(&text, room);
                if self.takes(&candidate)? {
                    return Ok(candidate);
                }
            }
        }
        Err(unsuitable(format!("the disk of {} takes no name like {name:?}", self.path.display())))
    }

    fn ignores_case(&self) -> Result<bool, EngineError> {
        let (one, other) = ("probe-Case", "PROBE-cASE");
        let first = self.create(one).map_err(|error| self.fail(error))?;
        let second = self.create(other);
        drop(first);
        self.remove(one);
        match second {
            Ok(_) => {
                self.remove(other);
                Ok(false)
            }
            Err(Errno::EXIST) => Ok(true),
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Whether a file may be so large: a position beyond that is refused, and nothing is written.
    fn holds_size(&self, size: u64) -> Result<bool, EngineError> {
        let file = self.create("size").map_err(|error| self.fail(error))?;
        let holds = rustix::fs::seek(&file, SeekFrom::Start(size)).is_ok();
        self.remove("size");
        Ok(holds)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "could not remove a folder made for a moment");
        }
    }
}

/// A name cut to so many bytes, with its extension.
fn shortened(name: &str, room: usize) -> String {
    if name.len() <= room {
        return name.to_owned();
    }
    let (stem, extension) = match name.rfind('.') {
        Some(at) if at > 0 && name.len() - at <= 16 => name.split_at(at),
        Some(_) | None => (name, ""),
    };
    let mut end = stem.len().min(room.saturating_sub(extension.len()));
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{extension}", stem.get(..end).unwrap_or(stem))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::metainfo::{Attributes, Draft, DraftFile, DraftFiles};

    fn meta(name: &str, paths: &[&str], links: &[(&str, &str)]) -> Arc<Metainfo> {
        let attributes = Attributes::default();
        let mut files: Vec<DraftFile<'_>> = paths
            .iter()
            .map(|path| DraftFile { path: path.split('/').collect(), len: 1, attributes, link: None })
            .chain(links.iter().map(|(path, text)| DraftFile {
                path: path.split('/').collect(),
                len: 0,
                attributes,
                link: Some(*text),
            }))
            .collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let (files, hashes) = (DraftFiles::Many(files), &[0; 20]);
        let draft = Draft { name, piece_length: 1 << 18, hashes, private: true, files, folders: vec![], omitted: 0 };
        Arc::new(draft.build().unwrap())
    }

    fn renamed(meta: &Arc<Metainfo>, other: &[(&str, &str)], ignores_case: bool) -> DiskNames {
        let other = other.iter().map(|(name, instead)| ((*name).to_owned(), (*instead).to_owned())).collect();
        Tree::of(meta).renamed(meta, &meta.name, &other, ignores_case)
    }

    #[test]
    fn every_file_gets_a_name_of_its_own_and_links_still_lead_to_it() {
        let meta = meta(
            "top?",
            &["README", "a/what?.txt", "a/what_.txt", "q?/f", "readme"],
            &[("l", "q?/f"), ("q?/up", "../README")],
        );
        let names = renamed(&meta, &[("what?.txt", "what_.txt"), ("q?", "q_"), ("top?", "top_")], true);
        let paths: Vec<&str> = names.meta.files.iter().map(|file| file.path.as_str()).collect();
        let of = |path: &str| {
            let at = meta.files.iter().position(|file| file.path == path).unwrap();
            (paths[at], names.meta.files[at].link.as_deref())
        };
        assert_eq!(names.meta.name, "top_");
        assert_eq!(of("README"), ("README", None));
        assert_eq!(of("readme"), ("readme (2)", None));
        assert_eq!(of("a/what_.txt"), ("a/what_.txt", None));
        assert_eq!(of("a/what?.txt"), ("a/what_ (2).txt", None));
        assert_eq!(of("q?/f"), ("q_/f", None));
        assert_eq!(of("l"), ("l", Some("q_/f")));
        assert_eq!(of("q?/up"), ("q_/up", Some("../README")));
        assert_eq!(names.renamed.len(), 4, "{:?}", names.renamed);
    }

    #[test]
    fn a_disk_that_takes_everything_changes_nothing_and_keeps_no_trace() {
        let home = tempfile::tempdir().unwrap();
        let meta = meta("m", &["12:30.txt", "README", "readme"], &[]);
        let names = disk_names(&meta, home.path(), "x").unwrap();
        assert!(names.renamed.is_empty() && Arc::ptr_eq(&names.meta, &meta));
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_name_is_cut_before_its_extension() {
        assert_eq!(shortened("abcdef.txt", 8), "abcd.txt");
        assert_eq!(shortened("ééé", 3), "é");
    }
}
