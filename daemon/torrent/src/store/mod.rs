//! Contents on disk: sources that are only ever read, and partial data on its way to completion.

pub(crate) mod check;
pub(crate) mod disk_names;
mod handles;
pub(crate) mod partial;
pub(crate) mod place;
pub(crate) mod received;
pub(crate) mod resume;
pub(crate) mod source;

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;

use crate::error::EngineError;
use crate::metainfo::Metainfo;

use handles::Handles;

pub(crate) use partial::PartialFiles;
pub(crate) use source::SourceFiles;

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
