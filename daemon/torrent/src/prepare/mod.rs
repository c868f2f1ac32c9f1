//! Prepares a content from paths: lists the files, orders and hashes them.
//!
//! Rules people can rely on. A symbolic link given as a path is followed. One inside a folder is sent as a link
//! if it stays inside (see `metainfo/target.rs`), and never followed. Other links, FIFOs, sockets and devices are refused
//! (`special-file`) all together, or left out and counted ([`Sources::skip_special`]); so are files that the system makes up
//! while they are read (`/proc`). Empty folders, the owner's
//! executable bit and modification times (whole seconds) are carried; our own partial data (`.xbt-….part`) is left out.
//! Names must be UTF-8 and are written in Unicode normal form C. Files are sorted by the bytes of their normalised
//! path components, so equal trees, times and executable bits included, give equal info-hashes.

mod exclude;
mod hash;
mod special;
mod walk;

pub(crate) use walk::normal;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::{EngineError, codes};
use crate::event::Event;
use crate::metainfo::{Draft, DraftFile, DraftFiles, HASH, MAX_METADATA, Metainfo};
use crate::names;
use crate::prepared::{Prepared, SourceFile};
use crate::shared::Shared;
use crate::{ContentKey, PROGRESS_EVERY};

/// What is to be prepared.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Files and folders; several become one content of many files.
    pub paths: Vec<PathBuf>,
    /// The content's name; otherwise the only path's own, or "a.txt and 2 more".
    pub name: Option<String>,
    /// Marks the content private (BEP 27): other programs then use no DHT or peer exchange.
    pub private: bool,
    /// Leave out what cannot be carried, instead of refusing all of it.
    pub skip_special: bool,
    /// Patterns, as in `.gitignore`, of what is left out of folders, beside those of their `.xbtignore`.
    pub exclude: Vec<String>,
}

impl Default for Sources {
    fn default() -> Self {
        Self { paths: Vec::new(), name: None, private: true, skip_special: false, exclude: Vec::new() }
    }
}

/// What a preparation would contain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The content's name.
    pub name: String,
    /// Bytes in all files.
    pub size: u64,
    /// Number of files, symbolic links included.
    pub files: u64,
    /// How many entries would be left out because they cannot be carried.
    pub omitted: u64,
    /// How many entries would be left out because a pattern matches them; a folder counts as one.
    pub excluded: u64,
    /// How many unfinished downloads of ours would be left out.
    pub unfinished: u64,
}

/// Lists sources as a preparation does, without reading files. Blocks as long as the disk takes.
///
/// # Errors
/// As a preparation would fail.
pub fn survey(sources: &Sources) -> Result<Survey, EngineError> {
    let tree = list(sources, true, &AtomicBool::new(false))?;
    let size = tree.size().ok_or_else(too_large)?;
    let name = content_name(sources, &tree)?;
    outline(sources, &tree, &name, size)?;
    let walk::Tree { omitted, excluded, unfinished, .. } = tree;
    Ok(Survey { name, size, files: tree.files.len() as u64, omitted, excluded, unfinished })
}

fn list(sources: &Sources, may_read: bool, stop: &AtomicBool) -> Result<walk::Tree, EngineError> {
    let Sources { skip_special, ref exclude, .. } = *sources;
    walk::walk(&sources.paths, &walk::How { skip_special, exclude, may_read, stop })
}

/// Runs a preparation to its end and reports it: exactly one `Prepared` or `PrepareFailed`.
pub(crate) async fn run(shared: Arc<Shared>, key: ContentKey, sources: Sources, stop: Arc<AtomicBool>) {
    run_job(shared, key, stop, move |stop, done, total| prepare(&sources, stop, done, total)).await;
}

async fn run_job(
    shared: Arc<Shared>,
    key: ContentKey,
    stop: Arc<AtomicBool>,
    job: impl FnOnce(&AtomicBool, &AtomicU64, &AtomicU64) -> Result<Prepared, EngineError> + Send + 'static,
) {
    let turn = shared.prepares.acquire().await;
    let (done, total) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut job = tokio::task::spawn_blocking({
        let (stop, done, total) = (stop.clone(), done.clone(), total.clone());
        move || {
            let prepared = job(&stop, &done, &total)?;
            let stored = prepared.to_bytes().into();
            Ok((prepared, stored))
        }
    });
    let mut tick = tokio::time::interval(PROGRESS_EVERY);
    let mut reported = (0, 0);
    let result = loop {
        tokio::select! {
            result = &mut job => break result,
            _ = tick.tick() => {
                let now = (done.load(Ordering::Relaxed), total.load(Ordering::Relaxed));
                if now != reported && shared.try_emit(Event::PrepareProgress { key, bytes: now.0, total: now.1 }) {
                    reported = now;
                }
            }
        }
    };
    drop(turn);
    shared.preparation_ended(key, &stop);
    let event = match result {
        Ok(Ok((prepared, stored))) => Event::Prepared { key, prepared, stored },
        Ok(Err(error)) => Event::PrepareFailed { key, error },
        // The runtime is going away.
        Err(error) if error.is_cancelled() => Event::PrepareFailed { key, error: cancelled() },
        Err(error) => {
            tracing::error!(key = key.0, %error, "a preparation panicked");
            Event::PrepareFailed { key, error: EngineError::lost_job("send it again") }
        }
    };
    shared.emit(event).await;
}

fn prepare(sources: &Sources, stop: &AtomicBool, done: &AtomicU64, total: &AtomicU64) -> Result<Prepared, EngineError> {
    let tree = list(sources, false, stop)?;
    let size = tree.size().ok_or_else(too_large)?;
    total.store(size, Ordering::Relaxed);
    let name = content_name(sources, &tree)?;
    let outline = outline(sources, &tree, &name, size)?;
    let prepared = Prepared {
        info: outline.info.clone(),
        info_hash: outline.info_hash,
        name: name.clone(),
        size,
        files: tree.files.len() as u64,
        roots: tree.roots.clone(),
        sources: tree.files.iter().map(|file| file.source.clone()).collect::<Vec<SourceFile>>(),
    };
    let hashes = hash::hash(&outline, &prepared, stop, done)?;
    if stop.load(Ordering::Relaxed) {
        return Err(cancelled());
    }
    let meta = draft(sources, &tree, &name, size, &hashes)?;
    Ok(Prepared { info: meta.info.clone(), info_hash: meta.info_hash, ..prepared })
}

/// The info dictionary without hashes: what receivers would refuse is found before a send is accepted, and before hours
/// of hashing.
fn outline(sources: &Sources, tree: &walk::Tree, name: &str, size: u64) -> Result<Metainfo, EngineError> {
    let text: usize = tree.folders.iter().flatten().map(|part| part.len() + PER_PART).sum();
    if text > MAX_FOLDER_TEXT {
        let hint = "pack it (tar, zip), or send it in parts";
        return Err(EngineError::new(codes::TOO_LARGE, "it has more empty folders than one content can hold", hint));
    }
    let hashes = vec![0u8; size.div_ceil(u64::from(piece_length(size)?)) as usize * HASH];
    draft(sources, tree, name, size, &hashes)
}

/// Bytes that the paths of empty folders may have: receivers expect no more than that beside what files need.
const MAX_FOLDER_TEXT: usize = 4 << 20;

/// Bytes that bencoding adds to a part of a path, at most.
const PER_PART: usize = 6;

fn draft(sources: &Sources, tree: &walk::Tree, name: &str, size: u64, hashes: &[u8]) -> Result<Metainfo, EngineError> {
    let (piece_length, private, omitted) = (piece_length(size)?, sources.private, tree.omitted);
    let folders = tree.folders.iter().map(|path| path.iter().map(String::as_str).collect()).collect();
    Draft { name, piece_length, hashes, private, files: draft_files(tree), folders, omitted }.build()
}

fn draft_files(tree: &walk::Tree) -> DraftFiles<'_> {
    if let (true, Some(only)) = (tree.single, tree.files.first()) {
        return DraftFiles::Single(only.len(), only.attributes);
    }
    let files = tree.files.iter().map(|file| DraftFile {
        path: file.path.iter().map(String::as_str).collect(),
        len: file.len(),
        attributes: file.attributes,
        link: file.link.as_deref(),
    });
    DraftFiles::Many(files.collect())
}

/// A power of two from 256 KiB up: at most 4,096 pieces while they are at most 4 MiB; beyond that (16 GiB) pieces
/// grow only to keep the hashes below 4 MiB, because large pieces are clumsy to share and to check.
fn piece_length(size: u64) -> Result<u32, EngineError> {
    let mut length = 256u64 << 10;
    while length < 4 << 20 && size.div_ceil(length) > 4096 {
        length *= 2;
    }
    while length < 16 << 20 && size.div_ceil(length) * HASH as u64 > 4 << 20 {
        length *= 2;
    }
    if size.div_ceil(length) * HASH as u64 > (MAX_METADATA as u64) / 8 * 7 {
        return Err(too_large());
    }
    Ok(length as u32)
}

fn content_name(sources: &Sources, tree: &walk::Tree) -> Result<String, EngineError> {
    let name = match &sources.name {
        Some(name) => walk::normal(name),
        None if tree.roots.len() == 1 => tree.first_name.clone(),
        None => format!("{} and {} more", tree.first_name, tree.roots.len() - 1),
    };
    names::safe_name(&name).map_err(|error| {
        EngineError::new(codes::BAD_NAME, format!("{name:?} cannot be a name: {error}"), "choose another")
    })?;
    Ok(name)
}

fn too_large() -> EngineError {
    EngineError::new(codes::TOO_LARGE, "this is more than one content can hold", "send it in parts")
}

fn cancelled() -> EngineError {
    EngineError::new(codes::CANCELLED, "the preparation was cancelled", "send it again if that was a mistake")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn pieces_grow_with_the_content_but_metadata_stays_small() {
        let mib = 1u64 << 20;
        for (size, expected) in
            [(0, mib / 4), (1 << 30, mib / 4), (10 << 30, 4 * mib), (1 << 40, 8 * mib), (8 << 40, 16 * mib)]
        {
            assert_eq!(u64::from(piece_length(size).unwrap()), expected, "{size}");
        }
        assert_eq!(piece_length(100 << 40).unwrap_err().code, codes::TOO_LARGE);
    }

    #[test]
    fn what_a_preparation_would_refuse_is_refused_by_the_survey() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(root.join("file"), "x").unwrap();
        let sources = Sources { paths: vec![root.clone()], ..Sources::default() };
        assert!(survey(&sources).is_ok());
        let long = "l".repeat(200);
        let deep = root.join(&long).join(&long);
        std::fs::create_dir_all(&deep).unwrap();
        for number in 0..11_000 {
            std::fs::create_dir(deep.join(format!("{number:0>5}"))).unwrap();
        }
        let error = survey(&sources).unwrap_err();
        assert_eq!(error.code, codes::TOO_LARGE, "{error:?}");
        let (stop, none) = (AtomicBool::new(false), AtomicU64::new(0));
        assert_eq!(prepare(&sources, &stop, &none, &none).unwrap_err().code, codes::TOO_LARGE);
    }

    #[tokio::test]
    async fn a_preparation_that_panics_fails_with_a_fault() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, mut events) = Shared::new(dir.path().to_owned());
        run_job(shared, ContentKey(1), Arc::default(), |_, _, _| panic!("a fault of ours")).await;
        match events.recv().await.unwrap() {
            Event::PrepareFailed { key: ContentKey(1), error } => {
                assert_eq!(error.code, codes::ENGINE_FAULT);
                assert!(error.hint.starts_with("send it again"), "{}", error.hint);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn hashing_tells_how_far_it_is_and_ends_in_the_middle_when_it_is_cancelled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        let size = 8u64 << 30; // a hole: nothing of it is on the disk
        std::fs::File::create(&path).unwrap().set_len(size).unwrap();
        let sources = Sources { paths: vec![path], ..Sources::default() };
        let (stop, done, total) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
        let result = std::thread::scope(|scope| {
            let preparing = scope.spawn(|| prepare(&sources, &stop, &done, &total));
            while done.load(Ordering::Relaxed) == 0 && !preparing.is_finished() {
                std::thread::yield_now();
            }
            stop.store(true, Ordering::Relaxed);
            preparing.join().unwrap()
        });
        assert_eq!(result.unwrap_err().code, codes::CANCELLED);
        let (done, total) = (done.into_inner(), total.into_inner());
        assert!(0 < done && done < total && total == size, "{done} of {total}");
    }
}
