//! Hashes pieces on the disk, on all cores.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, PoisonError};
use std::thread::Builder;

use sha1::{Digest, Sha1};

use super::Store;
use crate::bitfield::Bitfield;
use crate::error::EngineError;
use crate::metainfo::{HASH, Metainfo};

/// Bytes read at once by each thread: with at most [`MAX_THREADS`] threads this bounds the memory.
const READ: usize = 256 << 10;
const MAX_THREADS: usize = 16;

/// The hash of one piece as it is on the disk.
pub(crate) fn hash_piece(
    meta: &Metainfo,
    store: &Store,
    piece: u32,
    buffer: &mut Vec<u8>,
) -> Result<[u8; HASH], EngineError> {
    buffer.resize(READ, 0);
    let mut hasher = Sha1::new();
    let mut offset = meta.piece_offset(piece);
    let mut left = meta.piece_len(piece);
    while left > 0 {
        let part = left.min(READ);
        let (slot, _) = buffer.split_at_mut(part);
        store.read(meta, offset, &mut [&mut *slot])?;
        hasher.update(&*slot);
        offset += part as u64;
        left -= part;
    }
    Ok(hasher.finalize().into())
}

/// Runs `work` for every number below `count` on all cores; stops early when `work` errs or `stop` is set.
/// `work` gets the number and a buffer of its thread. Returns the first error.
///
/// Waits for each thread to run: a new thread stays on its creator's core until the kernel balances the load, which takes
/// as long as hashing some 10 MiB; a woken thread moves to an idle core at once.
pub(crate) fn on_all_cores(
    count: usize,
    stop: &AtomicBool,
    work: impl Fn(usize, &mut Vec<u8>) -> Result<(), EngineError> + Sync,
) -> Result<(), EngineError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let begun = Barrier::new(2);
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<EngineError>> = Mutex::new(None);
    let run = || {
        let mut buffer = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                break;
            }
            if let Err(error) = work(number, &mut buffer) {
                next.store(count, Ordering::Relaxed);
                failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                break;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..cores.min(MAX_THREADS).min(count) {
            let thread = Builder::new().spawn_scoped(scope, || {
                begun.wait();
                run();
            });
            // If the system gives no more threads, fewer do the work.
            if thread.is_err() {
                break;
            }
            begun.wait();
        }
        run();
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// Which of the `claimed` pieces really are on the disk. What cannot be read counts as missing.
pub(crate) fn verify(meta: &Metainfo, store: &Store, claimed: &[u32], stop: &AtomicBool, done: &AtomicU64) -> Bitfield {
    let have = Mutex::new(Bitfield::empty(meta.pieces()));
    let checked = on_all_cores(claimed.len(), stop, |number, buffer| {
        let Some(piece) = claimed.get(number).copied() else { return Ok(()) };
        let files_there = match store {
            Store::Source(_) => true,
            Store::Partial(files) => meta
                .segments(meta.piece_offset(piece), meta.piece_len(piece))
                .all(|segment| files.is_there(segment.file)),
        };
        let right = files_there
            && hash_piece(meta, store, piece, buffer).is_ok_and(|hash| meta.piece_hash(piece) == Some(&hash));
        if right && have.lock().unwrap_or_else(PoisonError::into_inner).set(piece) {
            done.fetch_add(meta.piece_len(piece) as u64, Ordering::Relaxed);
        }
        Ok(())
    });
    debug_assert!(checked.is_ok());
    have.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use std::sync::Condvar;
    use std::time::Duration;

    #[test]
    fn all_cores_work_at_once_and_everything_is_done_once() {
        let cores = std::thread::available_parallelism().unwrap().get().min(MAX_THREADS);
        let (there, all) = (Mutex::new(0), Condvar::new());
        let done = Mutex::new(Vec::new());
        on_all_cores(cores * 3, &AtomicBool::new(false), |number, _| {
            done.lock().unwrap().push(number);
            if number < cores {
                *there.lock().unwrap() += 1;
                all.notify_all();
                let (_here, late) = all
                    .wait_timeout_while(there.lock().unwrap(), Duration::from_secs(30), |there| *there < cores)
                    .unwrap();
                assert!(!late.timed_out(), "a core has nothing to do");
            }
            Ok(())
        })
        .unwrap();
        let mut done = done.into_inner().unwrap();
        done.sort_unstable();
        assert!(done.into_iter().eq(0..cores * 3));
    }
}
