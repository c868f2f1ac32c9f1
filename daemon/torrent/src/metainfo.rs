//! The info dictionary (BEP 3, version 1): written deterministically, read with distrust.
//!
//! Invariant of [`Metainfo`]: every number in it has been checked against every other, every path is safe to create
//! below a folder and unique. Nothing from outside reaches the disk before it went through [`Metainfo::parse`].

mod draft;
mod paths;
mod raw;
mod target;

use std::ops::{Range, RangeInclusive};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use sha1::{Digest, Sha1};

use crate::bencode;
use crate::error::EngineError;
use crate::names;

use paths::Paths;
use raw::{RawFile, RawInfo, RawPath, has};

pub(crate) use draft::{Draft, DraftFile, DraftFiles};
pub(crate) use target::{inside, relative};

/// The most files in one content.
pub const MAX_FILES: usize = 100_000;
/// The most folders inside one content: each takes room on the disk that no size accounts for.
pub(crate) const MAX_FOLDERS: usize = 100_000;
/// Files of a content whose names are equal once defused.
const MAX_ALIKE: u32 = 100;
/// The longest name in a path, in bytes, before it is cut: no file system has longer ones.
const MAX_RAW: usize = 1024;
/// Bytes of a dictionary that may be unaccounted for by names, files, folders and pieces: keys of other programs.
const MAX_UNACCOUNTED: usize = 64 << 10;
/// Bytes for each file beside its names: its numbers, and what other programs add, such as further hashes.
const PER_FILE: usize = 256;
/// Bytes for each folder, and for each name in a path, beside the name itself.
const PER_NAME: usize = 8;
/// Bytes above which dictionaries are parsed one at a time, as parsing takes several times their size.
const LARGE: usize = 1 << 20;
/// The largest info dictionary, in bytes.
pub const MAX_METADATA: usize = 32 << 20;
/// The smallest and largest piece accepted from others, in bytes.
pub(crate) const PIECE_LENGTHS: Range<u32> = (16 << 10)..(16 << 20) + 1;
/// The unit of a request, in bytes.
pub(crate) const BLOCK: usize = 16 << 10;
/// SHA-1, in bytes.
pub(crate) const HASH: usize = 20;

/// Modification times that are carried, in seconds since 1970: up to the year 9999. Others are ignored.
const TIMES: RangeInclusive<i64> = -(1 << 39)..=253_402_300_799;

/// A checked info dictionary.
pub(crate) struct Metainfo {
    /// The dictionary itself, as hashed.
    pub(crate) info: Bytes,
    pub(crate) info_hash: [u8; HASH],
    /// As the sender wrote it; see [`names::safe_name`] before using it on disk.
    pub(crate) name: String,
    /// One file that is the content itself, not a folder of files.
    pub(crate) single: bool,
    pub(crate) size: u64,
    pub(crate) files: Vec<FileSpan>,
    /// Empty folders, as safe paths.
    pub(crate) folders: Vec<String>,
    /// How many entries the sender left out.
    pub(crate) omitted: u64,
    piece_length: u32,
    hashes: Bytes,
}

/// One file's place in the content.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FileSpan {
    /// Safe components joined by `/`; empty for a single file.
    pub(crate) path: String,
    pub(crate) offset: u64,
    pub(crate) len: u64,
    pub(crate) attributes: Attributes,
    /// The text of a symbolic link that stays inside; it has no byte.
    pub(crate) link: Option<Box<str>>,
}

/// File attributes that are carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) executable: bool,
    /// Modification time, in seconds since 1970.
    pub(crate) mtime: Option<i64>,
}

impl Attributes {
    /// A time out of bounds is dropped.
    pub(crate) fn new(executable: bool, mtime: Option<i64>) -> Self {
        Self { executable, mtime: mtime.filter(|time| TIMES.contains(time)) }
    }
}

/// What an info dictionary describes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The files with their sizes in bytes, in its order; a single file has the content's name.
    pub files: Vec<(String, u64)>,
    /// Its empty folders.
    pub folders: Vec<String>,
    /// How many entries the sender left out because they cannot be carried.
    pub omitted: u64,
}

/// What an info dictionary describes.
///
/// # Errors
/// `bad-metadata` where a fetch would refuse it.
pub fn list(info: Bytes) -> Result<Listing, EngineError> {
    let Metainfo { name, single, files, folders, omitted, .. } = Metainfo::parse(info)?;
    let files = files.into_iter().map(|file| (if single { name.clone() } else { file.path }, file.len)).collect();
    Ok(Listing { files, folders, omitted })
}

/// A part of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) file: usize,
    pub(crate) offset: u64,
    pub(crate) len: usize,
}

impl Metainfo {
    /// The same content with other names.
    pub(crate) fn renamed(&self, name: String, files: Vec<FileSpan>, folders: Vec<String>) -> Self {
        let Self { info_hash, single, size, omitted, piece_length, .. } = *self;
        let (info, hashes) = (self.info.clone(), self.hashes.clone());
        Self { info, info_hash, name, single, size, files, folders, omitted, piece_length, hashes }
    }

    /// Checks an info dictionary. Costs time in proportion to its size: not for the network task when it is large.
    pub(crate) fn parse(info: Bytes) -> Result<Self, EngineError> {
        if info.len() > MAX_METADATA {
            return Err(EngineError::bad_metadata("it is larger than 32 MiB"));
        }
        static TURN: Mutex<()> = Mutex::new(());
        let _turn = (info.len() > LARGE).then(|| TURN.lock().unwrap_or_else(PoisonError::into_inner));
        let raw: RawInfo<'_> = bencode::decode(&info).map_err(EngineError::bad_metadata)?;
        if info.len() > accounted(&raw) + MAX_UNACCOUNTED {
            return Err(EngineError::bad_metadata("most of it describes nothing"));
        }
        let piece_length = u32::try_from(raw.piece_length)
            .ok()
            .filter(|length| PIECE_LENGTHS.contains(length))
            .ok_or_else(|| EngineError::bad_metadata("its piece length is not from 16 KiB to 16 MiB"))?;
        let name = utf8(raw.name)?.to_owned();
        names::safe_name(&name).map_err(EngineError::bad_metadata)?;
        let omitted = raw.omitted.and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
        let single = Attributes::new(has(raw.attr, b'x'), raw.mtime);
        let Spans { files, folders, size, single } = match (raw.length, raw.files) {
            (Some(length), None) if !has(raw.attr, b'l') => one(length, single)?,
            (None, Some(files)) => many(files.0, raw.folders.map_or(Vec::new(), |folders| folders.0))?,
            (Some(_), Some(_) | None) | (None, None) => {
                return Err(EngineError::bad_metadata("it is neither one file nor a list of files"));
            }
        };
        let pieces = size.div_ceil(u64::from(piece_length));
        if !raw.pieces.len().is_multiple_of(HASH) || (raw.pieces.len() / HASH) as u64 != pieces {
            return Err(EngineError::bad_metadata("the number of piece hashes does not fit the size"));
        }
        let hashes = info.slice_ref(raw.pieces);
        let info_hash = Sha1::digest(&info).into();
        Ok(Self { info_hash, name, single, size, files, folders, omitted, piece_length, hashes, info: info.clone() })
    }

    /// The number of pieces; fits `u32` because the metadata holds 20 bytes for each.
    pub(crate) fn pieces(&self) -> u32 {
        (self.hashes.len() / HASH) as u32
    }

    /// The length of a piece; the last one may be shorter. 0 out of range.
    pub(crate) fn piece_len(&self, index: u32) -> usize {
        let left = self.size.saturating_sub(self.piece_offset(index));
        left.min(u64::from(self.piece_length)) as usize
    }

    pub(crate) fn piece_offset(&self, index: u32) -> u64 {
        u64::from(index) * u64::from(self.piece_length)
    }

    /// The piece that holds a byte.
    pub(crate) fn piece_at(&self, offset: u64) -> u32 {
        (offset / u64::from(self.piece_length)) as u32
    }

    pub(crate) fn piece_hash(&self, index: u32) -> Option<&[u8]> {
        let start = index as usize * HASH;
        self.hashes.get(start..start + HASH)
    }

    /// Bytes of the pieces that are set.
    pub(crate) fn bytes_of(&self, have: &crate::bitfield::Bitfield) -> u64 {
        let full = u64::from(have.count()) * u64::from(self.piece_length);
        match self.pieces().checked_sub(1) {
            Some(last) if have.has(last) => full - u64::from(self.piece_length) + self.piece_len(last) as u64,
            Some(_) | None => full,
        }
    }

    /// The parts of files that `len` bytes from `offset` lie in, in order.
    pub(crate) fn segments(&self, offset: u64, len: usize) -> impl Iterator<Item = Segment> + '_ {
        let end = offset.saturating_add(len as u64).min(self.size);
        let first = self.files.partition_point(|file| file.offset + file.len <= offset);
        let after = self.files.iter().enumerate().skip(first).take_while(move |(_, file)| file.offset < end);
        after.filter(|(_, file)| file.len > 0).map(move |(index, file)| {
            let from = offset.max(file.offset);
            let to = end.min(file.offset + file.len);
            Segment { file: index, offset: from - file.offset, len: (to - from) as usize }
        })
    }
}

/// Bytes that the name, pieces, files and folders of a dictionary account for.
fn accounted(raw: &RawInfo<'_>) -> usize {
    let text = |text: &[u8]| PER_NAME + text.len().min(MAX_RAW);
    let path = |path: &RawPath<'_>| path.0.iter().map(|name| text(name)).sum::<usize>();
    let file = |file: &RawFile<'_>| {
        let target = file.target.map_or(0, |text| text.len().min(names::MAX_PATH));
        PER_FILE + path(&file.path) + file.symlink_path.as_ref().map_or(0, path) + target
    };
    let files: usize = raw.files.iter().flat_map(|files| &files.0).map(file).sum();
    let folders: usize = raw.folders.iter().flat_map(|folders| &folders.0).map(|one| PER_NAME + path(one)).sum();
    text(raw.name) + raw.pieces.len() + files + folders
}

/// The files in order with their offsets, empty folders, the total, and whether there is just the one.
struct Spans {
    files: Vec<FileSpan>,
    folders: Vec<String>,
    size: u64,
    single: bool,
}

fn one(length: i64, attributes: Attributes) -> Result<Spans, EngineError> {
    let len = len_of(length)?;
    let file = FileSpan { path: String::new(), offset: 0, len, attributes, link: None };
    Ok(Spans { files: vec![file], folders: Vec::new(), size: len, single: true })
}

fn many(raw: Vec<RawFile<'_>>, raw_folders: Vec<RawPath<'_>>) -> Result<Spans, EngineError> {
    if raw.is_empty() {
        return Err(EngineError::bad_metadata("it lists no file"));
    }
    let mut paths = Paths::default();
    let mut files = Vec::with_capacity(raw.len());
    let mut offset = 0u64;
    for file in &raw {
        let len = len_of(file.length)?;
        let attributes = Attributes::new(has(file.attr, b'x'), file.mtime);
        files.push(FileSpan { path: paths.add(&file.path.0)?, offset, len, attributes, link: None });
        offset = offset
            .checked_add(len)
            .filter(|total| i64::try_from(*total).is_ok())
            .ok_or_else(|| EngineError::bad_metadata("the sizes add up to too much"))?;
    }
    paths.check_raw()?;
    let folders = raw_folders.iter().map(|path| paths.add_folder(&path.0)).collect::<Result<Vec<_>, _>>()?;
    // Last: a link may lead to any name.
    for (index, file) in raw.iter().enumerate().filter(|(_, file)| has(file.attr, b'l')) {
        let Some(to) = file.symlink_path.as_ref().filter(|_| file.length == 0) else {
            return Err(EngineError::bad_metadata("a symbolic link leads nowhere, or has bytes"));
        };
        let Some(span) = files.get(index) else { continue };
        let link = paths.link((&file.path.0, &span.path), &to.0, file.target, &files)?;
        if let Some(span) = files.get_mut(index) {
            span.link = Some(link);
        }
    }
    Ok(Spans { files, folders, size: offset, single: false })
}

fn len_of(length: i64) -> Result<u64, EngineError> {
    u64::try_from(length).map_err(|_| EngineError::bad_metadata("a size is negative"))
}

fn utf8(bytes: &[u8]) -> Result<&str, EngineError> {
    std::str::from_utf8(bytes).map_err(|_| EngineError::bad_metadata("a name is not UTF-8"))
}

#[cfg(test)]
mod tests;
