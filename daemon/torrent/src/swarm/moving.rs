//! Takes what was fetched along when the person has chosen another destination.
//!
//! Invariant: the old data goes only once the state says that the new data is there, so a crash in between loses nothing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::io::Errno;

use super::cleanup;
use super::jobs::{Place, room_for};
use crate::bitfield::Bitfield;
use crate::error::EngineError;
use crate::metainfo::Metainfo;
use crate::store::check::hash_piece;
use crate::store::disk_names::{DiskNames, disk_names};
use crate::store::resume::{Found, Resume};
use crate::store::{PartialFiles, Store, place};

/// Moves partial data that lies elsewhere to where it is to be: by renaming it on one disk, piece by piece to another.
/// Returns the pieces that are right, if it was copied.
pub(super) fn bring_along(
    place: &Place,
    meta: &Arc<Metainfo>,
    names: &DiskNames,
    found: &Found,
    stop: &AtomicBool,
    checked: &AtomicU64,
) -> Result<Option<Bitfield>, EngineError> {
    let to = place.partial();
    let Found::State(state) = found else { return Ok(None) };
    let Some(from) = state.elsewhere(&to).filter(|from| place::is_identity(from, state.identity)) else {
        return Ok(None);
    };
    match place::rename_new(&from, &to) {
        Ok(()) => {
            let claim = crate::hex::decode(&state.have).unwrap_or_default();
            Resume::new(place.fetch.info_hash, &claim, &to, state.identity).save(&place.state_dir, place.key, true)?;
            return Ok(None);
        }
        Err(error) if crosses_disks(&error) => {}
        Err(error) => return Err(EngineError::destination(&to, &error)),
    }
    let copied = copy(place, meta, names, (from.as_path(), state), stop, checked);
    let have = copied.inspect_err(|_| cleanup::remove(&to))?;
    if !stop.load(Ordering::Relaxed) {
        cleanup::remove(&from);
    }
    Ok(Some(have))
}

/// Another disk, or what an earlier attempt to copy has left.
fn crosses_disks(error: &std::io::Error) -> bool {
    [Errno::XDEV, Errno::EXIST, Errno::NOTEMPTY].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
        || error.kind() == std::io::ErrorKind::AlreadyExists
}

fn copy(
    place: &Place,
    meta: &Arc<Metainfo>,
    names: &DiskNames,
    (from, state): (&Path, &Resume),
    stop: &AtomicBool,
    checked: &AtomicU64,
) -> Result<Bitfield, EngineError> {
    let bits = crate::hex::decode(&state.have).and_then(|bits| Bitfield::from_bytes(&bits, meta.pieces()));
    let claimed = bits.unwrap_or_else(|| Bitfield::empty(meta.pieces()));
    room_for(&place.fetch, meta.size)?;
    let folder = from.parent().unwrap_or(from);
    let (old, _) = PartialFiles::open(disk_names(meta, folder, &place.fetch.partial_id)?.meta, from)?;
    let old = Store::Partial(old);
    let (new, _) = PartialFiles::open(names.meta.clone(), &place.partial())?;
    let mut have = Bitfield::empty(meta.pieces());
    let (mut buffer, mut piece) = (Vec::new(), Vec::new());
    for index in claimed.iter() {
        if stop.load(Ordering::Relaxed) {
            return Ok(have);
        }
        // What cannot be read any more is fetched again.
        let hash = hash_piece(meta, &old, index, &mut buffer).ok();
        if hash.as_ref().map(|hash| &hash[..]) != meta.piece_hash(index) {
            continue;
        }
        piece.resize(meta.piece_len(index), 0);
        if old.read(meta, meta.piece_offset(index), &mut [piece.as_mut_slice()]).is_ok() {
            new.write(meta.piece_offset(index), &piece)?;
            have.set(index);
            checked.fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
    }
    new.flush();
    let identity = new.identity()?;
    Resume::new(place.fetch.info_hash, have.bytes(), &place.partial(), identity).save(
        &place.state_dir,
        place.key,
        true,
    )?;
    Ok(have)
}
