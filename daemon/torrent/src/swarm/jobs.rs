//! Blocking work, run off the network tasks.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use sha1::{Digest, Sha1};
use tokio::time::Instant;

use super::moving;
use super::suspects::Suspects;
use crate::bitfield::Bitfield;
use crate::content::Fetch;
use crate::error::{EngineError, codes};
use crate::link::View;
use crate::metainfo::Metainfo;
use crate::names;
use crate::piece::PieceBuf;
use crate::prepared::Prepared;
use crate::space::shown;
use crate::store::disk_names::disk_names;
use crate::store::resume::{self, Found, Resume};
use crate::store::{PartialFiles, SourceFiles, Store, check, place};
use crate::{ContentKey, LinkTag};

/// Pieces hashed as a sample, when only this process has crashed.
const SAMPLE: usize = 16;

/// A job has ended.
pub(super) enum Done {
    Opened(Result<Opened, EngineError>),
    /// `Err(None)`: not what the hash says, so the link lied.
    Metadata(LinkTag, Result<Arc<Metainfo>, Option<EngineError>>),
    Written(Written),
    Saved(Result<(), EngineError>),
    SourcesChecked(Result<(), EngineError>),
    /// Pieces that a receiver may have found wrong.
    HashedAgain(Result<(), EngineError>),
    Flushed,
    Finished(Result<Placed, EngineError>),
}

/// A completed content at its final path.
pub(super) struct Placed {
    pub(super) path: PathBuf,
    /// The record for [`crate::delete_received`].
    pub(super) received: Bytes,
}

/// What the check found on the disk.
pub(super) enum Opened {
    /// Only the offer is known.
    NoMetadata,
    /// With the paths that have other names on the disk.
    Ready(View, Bitfield, Vec<(String, String)>),
    /// It was complete and in place already; seeded only if the metadata is known.
    Placed(Placed, Option<View>),
}

/// A piece went through verification.
pub(super) struct Written {
    pub(super) piece: u32,
    pub(super) len: usize,
    /// Links proven to have sent wrong data.
    pub(super) guilty: Vec<LinkTag>,
    pub(super) outcome: Outcome,
}

pub(super) enum Outcome {
    Good,
    /// With suspects if several links had a part in it: the culprit shows once the piece passes.
    Wrong(Option<Suspects>),
    Failed(EngineError),
}

/// Bytes that are not saved or flushed yet.
pub(super) struct Saving {
    /// A job runs.
    pub(super) running: bool,
    pub(super) unsaved: usize,
    pub(super) unflushed: usize,
    pub(super) flushing: bool,
    pub(super) last: Instant,
    /// When the state was last made to survive a power cut.
    pub(super) durable: Instant,
}

impl Default for Saving {
    fn default() -> Self {
        Self {
            running: false,
            unsaved: 0,
            unflushed: 0,
            flushing: false,
            last: Instant::now(),
            durable: Instant::now(),
        }
    }
}

impl Saving {
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// Opens and checks sources to seed.
pub(super) fn open_seed(prepared: &Arc<Prepared>, stop: &AtomicBool) -> Result<Opened, EngineError> {
    let meta = Arc::new(Metainfo::parse(prepared.info.clone())?);
    if meta.info_hash != prepared.info_hash || meta.files.len() != prepared.sources.len() {
        let message = "the stored description of a prepared content contradicts itself";
        return Err(EngineError::new(codes::BAD_STATE, message, "send it again"));
    }
    let files = SourceFiles::hashed(prepared.clone(), meta.clone());
    files.check_all(stop)?;
    let have = Bitfield::full(meta.pieces());
    Ok(Opened::Ready(View { meta, store: Arc::new(Store::Source(files)) }, have, Vec::new()))
}

/// Where a fetch keeps its state.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) state_dir: PathBuf,
    pub(super) key: ContentKey,
    pub(super) fetch: Arc<Fetch>,
}

impl Place {
    pub(super) fn partial(&self) -> PathBuf {
        partial_path(&self.fetch)
    }
}

pub(super) fn partial_path(fetch: &Fetch) -> PathBuf {
    fetch.destination.join(partial_name(fetch))
}

fn partial_name(fetch: &Fetch) -> String {
    format!(".xbt-{}.part", fetch.partial_id)
}

/// Opens partial data and checks which pieces of it are right.
pub(super) fn open_fetch(
    place: &Place,
    known: Option<Arc<Metainfo>>,
    stop: &AtomicBool,
    checked: &AtomicU64,
) -> Result<Opened, EngineError> {
    let fetch = &place.fetch;
    let id = fetch.partial_id.as_str();
    let plain =
        !id.is_empty() && id.len() <= 200 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if !plain {
        return Err(EngineError::new(codes::BAD_NAME, format!("{id:?} cannot be part of a file name"), "report this"));
    }
    let meta = match (known, &fetch.info) {
        (Some(meta), _) => Some(meta),
        (None, Some(info)) => Some(Arc::new(matching(Metainfo::parse(info.clone())?, fetch)?)),
        // Damaged, it comes again.
        (None, None) => resume::load_info(&place.state_dir, place.key)
            .and_then(|info| Metainfo::parse(info.into()).and_then(|meta| matching(meta, fetch)).ok())
            .map(Arc::new),
    };
    let found = resume::load(&place.state_dir, place.key);
    let found = match found {
        Found::State(state) if state.info_hash != crate::hex::encode(&fetch.info_hash) => {
            // Of another content: not ours to lose.
            resume::set_aside(&place.state_dir, place.key);
            Found::Bad
        }
        Found::State(_) | Found::Nothing | Found::Bad => found,
    };
    if let Some(path) = placed(&found, fetch) {
        // The person may have changed it since: never write to it.
        let view = meta.and_then(|meta| {
            let names = disk_names(&meta, &fetch.destination, &fetch.partial_id).ok()?;
            let files = PartialFiles::open_placed(names.meta, &path).ok()?;
            Some(View { meta, store: Arc::new(Store::Partial(files)) })
        });
        let received = resume::load_received(&place.state_dir, place.key).into();
        return Ok(Opened::Placed(Placed { path, received }, view));
    }
    match meta {
        None => Ok(Opened::NoMetadata),
        Some(meta) => open_partial(place, meta, &found, stop, checked),
    }
}

/// The final path of a completed content: recognised by its identity, not by its name.
pub(super) fn placed(found: &Found, fetch: &Fetch) -> Option<PathBuf> {
    let Found::State(Resume { placed: Some(name), identity, .. }) = found else { return None };
    let name = names::safe_name(name).ok()?;
    let path = fetch.destination.join(name);
    (place::is_identity(&path, *identity) && !place::is_identity(&partial_path(fetch), *identity)).then_some(path)
}

fn open_partial(
    place: &Place,
    meta: Arc<Metainfo>,
    found: &Found,
    stop: &AtomicBool,
    checked: &AtomicU64,
) -> Result<Opened, EngineError> {
    let (fetch, path) = (&place.fetch, place.partial());
    // Created only when a fetch begins. If the folder is gone later, its disk may not be mounted: a new folder would fill
    // another disk and be hidden once the right one is back.
    let folder = match found {
        Found::Nothing => std::fs::create_dir_all(&fetch.destination),
        Found::State(_) | Found::Bad => std::fs::metadata(&fetch.destination).map(drop),
    };
    folder.map_err(|error| EngineError::destination(&fetch.destination, &error))?;
    let names = disk_names(&meta, &fetch.destination, &fetch.partial_id)?;
    let moved = moving::bring_along(place, &meta, &names, found, stop, checked)?;
    let was_there = std::fs::symlink_metadata(&path).is_ok();
    if !was_there {
        room_for(fetch, meta.size)?;
    }
    let (files, existed) = PartialFiles::open(names.meta, &path)?;
    let identity = files.identity()?;
    if matches!(found, Found::Nothing) {
        // From now on there is something to clean up, even if the fetch ends before the first piece.
        let none = Bitfield::empty(meta.pieces());
        Resume::new(fetch.info_hash, none.bytes(), &path, identity).save(&place.state_dir, place.key, true)?;
    }
    files.can_hold_links()?;
    let store = Arc::new(Store::Partial(files));
    let have = match moved {
        Some(have) => have,
        None if existed => rightful(&meta, &store, found, identity, stop, checked),
        None => Bitfield::empty(meta.pieces()),
    };
    if existed && !stop.load(Ordering::Relaxed) {
        room_for(fetch, meta.size - meta.bytes_of(&have))?;
    }
    checked.store(meta.bytes_of(&have), Ordering::Relaxed);
    Ok(Opened::Ready(View { meta, store }, have, names.renamed))
}

/// Which pieces are there. Same boot and same file: written data is in the page cache, so a sample suffices. Any doubt:
/// every claimed piece is hashed. No claim: every piece is.
fn rightful(
    meta: &Metainfo,
    store: &Store,
    found: &Found,
    identity: (u64, u64),
    stop: &AtomicBool,
    checked: &AtomicU64,
) -> Bitfield {
    let claim = match found {
        Found::State(state) => {
            let bits = crate::hex::decode(&state.have).and_then(|bits| Bitfield::from_bytes(&bits, meta.pieces()));
            bits.filter(|_| state.identity == identity).map(|bits| (bits, state.boot == resume::boot_id()))
        }
        Found::Nothing | Found::Bad => None,
    };
    let Some((bits, same_boot)) = claim else {
        let all: Vec<u32> = (0..meta.pieces()).collect();
        return check::verify(meta, store, &all, stop, checked);
    };
    let claimed: Vec<u32> = bits.iter().collect();
    if same_boot && !claimed.is_empty() && files_there(meta, store, &bits) {
        let step = claimed.len().div_ceil(SAMPLE).max(1);
        let sample: Vec<u32> = claimed.iter().rev().step_by(step).copied().collect();
        let right = check::verify(meta, store, &sample, stop, &AtomicU64::new(0));
        if right.count() as usize == sample.len() {
            return bits;
        }
    }
    check::verify(meta, store, &claimed, stop, checked)
}

/// Whether every file that holds a claimed byte is there with its size, which a sample of pieces may miss.
fn files_there(meta: &Metainfo, store: &Store, claimed: &Bitfield) -> bool {
    let Store::Partial(files) = store else { return true };
    if files.was_resized() {
        return false;
    }
    meta.files.iter().enumerate().filter(|(_, span)| span.len > 0).all(|(index, span)| {
        let pieces = meta.piece_at(span.offset)..=meta.piece_at(span.offset + span.len - 1);
        !pieces.into_iter().any(|piece| claimed.has(piece)) || files.is_there(index)
    })
}

pub(super) fn room_for(fetch: &Fetch, bytes: u64) -> Result<(), EngineError> {
    // If free space is unknown, the fetch may still fit.
    let Ok(free) = crate::free_space(&fetch.destination) else { return Ok(()) };
    if free >= bytes {
        return Ok(());
    }
    let message = format!(
        "{} needs {} more, and the disk that holds {} has {}",
        fetch.name,
        shown(bytes),
        fetch.destination.display(),
        shown(free)
    );
    Err(EngineError::new(codes::DISK_FULL, message, "make room there, then resume"))
}

/// Checks metadata against the offer.
pub(super) fn matching(meta: Metainfo, fetch: &Fetch) -> Result<Metainfo, EngineError> {
    if meta.info_hash != fetch.info_hash {
        return Err(EngineError::mismatch("its description has another hash"));
    }
    if meta.info.len() != fetch.metadata_size as usize {
        return Err(EngineError::mismatch("its description has another length"));
    }
    // As they would be on a disk: an offer cannot carry every name that a file may have.
    if names::safe_name(&meta.name).ok() != names::safe_name(&fetch.name).ok() {
        return Err(EngineError::mismatch(format!("it is called {:?}, not {:?}", meta.name, fetch.name)));
    }
    if meta.size != fetch.size {
        return Err(EngineError::mismatch(format!("it has {} bytes, not {}", meta.size, fetch.size)));
    }
    if meta.files.len() as u64 != fetch.files {
        return Err(EngineError::mismatch(format!("it has {} files, not {}", meta.files.len(), fetch.files)));
    }
    Ok(meta)
}

/// Checks metadata received from a link, and saves it.
pub(super) fn metadata(bytes: Vec<u8>, place: &Place) -> Result<Arc<Metainfo>, Option<EngineError>> {
    if <[u8; 20]>::from(Sha1::digest(&bytes)) != place.fetch.info_hash {
        return Err(None);
    }
    let meta = Metainfo::parse(bytes.into()).and_then(|meta| matching(meta, &place.fetch));
    let saved = meta.and_then(|meta| resume::save_info(&place.state_dir, place.key, &meta.info).map(|()| meta));
    saved.map(Arc::new).map_err(Some)
}

/// Hashes a piece in memory, and writes it only if it is right.
pub(super) fn verify(view: &View, piece: PieceBuf, suspects: Option<&Suspects>) -> Written {
    let right = view.meta.piece_hash(piece.index) == Some(&Sha1::digest(piece.bytes())[..]);
    let outcome = match (&*view.store, right) {
        (_, false) => Outcome::Wrong(Suspects::of(&piece)),
        (Store::Partial(files), true) => match files.write(view.meta.piece_offset(piece.index), piece.bytes()) {
            Ok(()) => Outcome::Good,
            Err(error) => Outcome::Failed(error),
        },
        // Sources are never written; a seed is never sent to here.
        (Store::Source(_), true) => Outcome::Good,
    };
    let guilty = match (&outcome, suspects) {
        (Outcome::Wrong(None), _) => piece.from().take(1).collect(),
        (Outcome::Good, Some(suspects)) => suspects.guilty(&piece),
        (Outcome::Good, None) | (Outcome::Wrong(Some(_)) | Outcome::Failed(_), _) => Vec::new(),
    };
    Written { piece: piece.index, len: piece.len(), guilty, outcome }
}

/// Hashes pieces that a receiver may have found wrong. What cannot be read now is found out when it is requested.
pub(super) fn hash_again(view: &View, pieces: &[u32]) -> Result<(), EngineError> {
    let mut buffer = Vec::new();
    for piece in pieces {
        let Ok(hash) = check::hash_piece(&view.meta, &view.store, *piece, &mut buffer) else { return Ok(()) };
        if view.meta.piece_hash(*piece) != Some(&hash[..]) {
            return Err(match &*view.store {
                Store::Source(files) => files.wrong(&view.meta, *piece),
                Store::Partial(files) => files.tampered(),
            });
        }
    }
    Ok(())
}

fn state_of(place: &Place, view: &View, have: &Bitfield) -> Result<Resume, EngineError> {
    let identity = match &*view.store {
        Store::Partial(files) => files.identity()?,
        Store::Source(_) => (0, 0),
    };
    Ok(Resume::new(place.fetch.info_hash, have.bytes(), &place.partial(), identity))
}

pub(super) fn save(place: &Place, view: &View, have: &Bitfield, durably: bool) -> Result<(), EngineError> {
    state_of(place, view, have)?.save(&place.state_dir, place.key, durably)
}

/// Syncs everything and moves it to its final name.
pub(super) fn finish(place: &Place, view: &View) -> Result<Placed, EngineError> {
    let Store::Partial(files) = &*view.store else {
        return Err(EngineError::new(codes::BAD_STATE, "a source cannot be fetched", "report this"));
    };
    let received = files.finish()?.to_bytes();
    if !place::is_identity(&place.partial(), files.identity()?) {
        return Err(files.tampered());
    }
    let name = names::safe_name(files.name()).map_err(EngineError::bad_metadata)?;
    let state = state_of(place, view, &Bitfield::full(view.meta.pieces()))?;
    resume::save_received(&place.state_dir, place.key, &received)?;
    let path = place::place(&place.partial(), &place.fetch.destination, &name, |name| {
        state.clone().placed_as(name).save(&place.state_dir, place.key, true)
    })?;
    Ok(Placed { path, received: received.into() })
}
