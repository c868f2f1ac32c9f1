//! Contents on disk: sources that are only ever read, and partial data on its way to completion.

pub(crate) mod check;
pub(crate) mod partial;
pub(crate) mod place;
pub(crate) mod resume;
pub(crate) mod source;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::EngineError;
use crate::metainfo::Metainfo;

pub(crate) use partial::PartialFiles;
pub(crate) use source::SourceFiles;

/// Open handles kept per content.
const MAX_HANDLES: usize = 64;

/// Where a content's bytes are read from. All calls block.
pub(crate) enum Store {
    /// A person's own files.
    Source(SourceFiles),
    /// What was or is being fetched.
    Partial(PartialFiles),
}

impl Store {
    /// Fills `slots`, one after the other, with the content's bytes from `offset` on.
    pub(crate) fn read(&self, meta: &Metainfo, offset: u64, slots: &mut [&mut [u8]]) -> Result<(), EngineError> {
        let total: usize = slots.iter().map(|slot| slot.len()).sum();
        let mut segments = meta.segments(offset, total);
        if let (Some(only), None) = (segments.next(), segments.next())
            && only.len == total
        {
            return self.read_file(only.file, only.offset, slots);
        }
        let mut at = offset;
        for slot in slots {
            let mut rest: &mut [u8] = slot;
            for segment in meta.segments(at, rest.len()) {
                let (head, tail) = std::mem::take(&mut rest).split_at_mut(segment.len);
                self.read_file(segment.file, segment.offset, &mut [head])?;
                rest = tail;
            }
            at += slot.len() as u64;
        }
        Ok(())
    }

    fn read_file(&self, file: usize, offset: u64, slots: &mut [&mut [u8]]) -> Result<(), EngineError> {
        match self {
            Self::Source(files) => files.read(file, offset, slots),
            Self::Partial(files) => files.read(file, offset, slots),
        }
    }
}

/// Reads all of `slots` with one system call where the system gives that much at once.
/// `UnexpectedEof` if the file is shorter.
fn read_slots(file: &File, mut offset: u64, slots: &mut [&mut [u8]]) -> io::Result<()> {
    let total: usize = slots.iter().map(|slot| slot.len()).sum();
    if slots.len() > 1 {
        let mut vector: Vec<IoSliceMut<'_>> = slots.iter_mut().map(|slot| IoSliceMut::new(slot)).collect();
        if rustix::io::preadv(file, &mut vector, offset)? == total {
            return Ok(());
        }
    }
    for slot in slots {
        file.read_exact_at(slot, offset)?;
        offset += slot.len() as u64;
    }
    Ok(())
}

/// The most recently used open files, at most [`MAX_HANDLES`].
struct Handles<T> {
    recent: Mutex<VecDeque<(usize, Arc<T>)>>,
}

impl<T> Default for Handles<T> {
    fn default() -> Self {
        Self { recent: Mutex::new(VecDeque::new()) }
    }
}

impl<T> Handles<T> {
    fn get(&self, index: usize) -> Option<Arc<T>> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let at = recent.iter().position(|(held, _)| *held == index)?;
        let entry = recent.remove(at)?;
        let handle = entry.1.clone();
        recent.push_front(entry);
        Some(handle)
    }

    fn put(&self, index: usize, handle: Arc<T>) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|(held, _)| *held != index);
        recent.push_front((index, handle));
        recent.truncate(MAX_HANDLES);
    }
}
