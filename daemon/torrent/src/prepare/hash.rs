//! The piece hashes of sources, each byte read once, in memory bounded by the number of cores.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::EngineError;
use crate::metainfo::{HASH, Metainfo};
use crate::prepared::Prepared;
use crate::store::check::{hash_piece, on_all_cores};
use crate::store::{SourceFiles, Store};

/// All hashes in order. Fails with `source-changed` if a file is not what it was when it was listed.
pub(super) fn hash(
    outline: &Metainfo,
    prepared: &Prepared,
    stop: &AtomicBool,
    done: &AtomicU64,
) -> Result<Vec<u8>, EngineError> {
    let files = SourceFiles::new(Arc::new(prepared.clone()));
    let store = Store::Source(files);
    let hashes = Mutex::new(vec![0u8; outline.pieces() as usize * HASH]);
    on_all_cores(outline.pieces() as usize, stop, |number, buffer| {
        let piece = number as u32;
        let hash = hash_piece(outline, &store, piece, buffer)?;
        let mut hashes = hashes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = hashes.get_mut(number * HASH..(number + 1) * HASH) {
            slot.copy_from_slice(&hash);
        }
        done.fetch_add(outline.piece_len(piece) as u64, Ordering::Relaxed);
        Ok(())
    })?;
    if let (Store::Source(files), false) = (&store, stop.load(Ordering::Relaxed)) {
        files.check_all(stop)?;
    }
    Ok(hashes.into_inner().unwrap_or_else(PoisonError::into_inner))
}
