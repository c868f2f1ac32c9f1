//! The info dictionary (BEP 3, version 1): written deterministically, read with distrust.
//!
//! Invariant of [`Metainfo`]: every number in it has been checked against every other, every path is safe to create
//! below a folder and unique. Nothing from outside reaches the disk before it went through [`Metainfo::parse`].

use std::collections::{HashMap, HashSet};
use std::marker::PhantomData;
use std::ops::Range;

use bytes::Bytes;
use librqbit_buffers::ByteBuf;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

use crate::bencode;
use crate::error::EngineError;
use crate::names::{self, MAX_DEPTH, MAX_PATH};

/// The most files in one content.
pub const MAX_FILES: usize = 100_000;
/// The most folders inside one content: each takes a place on the disk that no size speaks of.
pub(crate) const MAX_FOLDERS: usize = 100_000;
/// Files of a content whose names are alike once they are defused.
const MAX_ALIKE: u32 = 100;
/// The longest name in a path, in bytes, before it is cut: no file system has longer ones.
const MAX_RAW: usize = 1024;
/// The largest info dictionary, in bytes.
pub const MAX_METADATA: usize = 32 << 20;
/// The smallest and largest piece accepted from others, in bytes.
pub(crate) const PIECE_LENGTHS: Range<u32> = (16 << 10)..(16 << 20) + 1;
/// The unit of a request, in bytes.
pub(crate) const BLOCK: usize = 16 << 10;
/// SHA-1, in bytes.
pub(crate) const HASH: usize = 20;

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
}

/// The files of an info dictionary with their sizes in bytes, in its order; a single file has the content's name.
///
/// # Errors
/// `bad-metadata` where a fetch would refuse it.
pub fn list_files(info: Bytes) -> Result<Vec<(String, u64)>, EngineError> {
    let Metainfo { name, single, files, .. } = Metainfo::parse(info)?;
    Ok(files.into_iter().map(|file| (if single { name.clone() } else { file.path }, file.len)).collect())
}

/// A part of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) file: usize,
    pub(crate) offset: u64,
    pub(crate) len: usize,
}

impl Metainfo {
    /// Checks an info dictionary. Costs time in proportion to its size: not for the network task when it is large.
    pub(crate) fn parse(info: Bytes) -> Result<Self, EngineError> {
        if info.len() > MAX_METADATA {
            return Err(EngineError::bad_metadata("it is larger than 32 MiB"));
        }
        let raw: RawInfo<'_> = bencode::decode(&info).map_err(EngineError::bad_metadata)?;
        let piece_length = u32::try_from(raw.piece_length)
            .ok()
            .filter(|length| PIECE_LENGTHS.contains(length))
            .ok_or_else(|| EngineError::bad_metadata("its piece length is not from 16 KiB to 16 MiB"))?;
        let name = utf8(raw.name)?.to_owned();
        names::safe_name(&name).map_err(EngineError::bad_metadata)?;
        let (files, size, single) = spans(raw.length, raw.files)?;
        let pieces = size.div_ceil(u64::from(piece_length));
        if !raw.pieces.len().is_multiple_of(HASH) || (raw.pieces.len() / HASH) as u64 != pieces {
            return Err(EngineError::bad_metadata("the number of piece hashes does not fit the size"));
        }
        let hashes = info.slice_ref(raw.pieces);
        let info_hash = Sha1::digest(&info).into();
        Ok(Self { info_hash, name, single, size, files, piece_length, hashes, info: info.clone() })
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

/// The files in order with their offsets, the total, and whether there is just the one.
fn spans(
    length: Option<i64>,
    files: Option<Bounded<RawFile<'_>, MAX_FILES>>,
) -> Result<(Vec<FileSpan>, u64, bool), EngineError> {
    match (length, files) {
        (Some(length), None) => {
            let len = u64::try_from(length).map_err(|_| EngineError::bad_metadata("a size is negative"))?;
            Ok((vec![FileSpan { path: String::new(), offset: 0, len }], len, true))
        }
        (None, Some(files)) if !files.0.is_empty() => {
            let mut paths = Paths::default();
            let mut spans = Vec::with_capacity(files.0.len());
            let mut offset = 0u64;
            for file in files.0 {
                let len = u64::try_from(file.length).map_err(|_| EngineError::bad_metadata("a size is negative"))?;
                spans.push(FileSpan { path: paths.add(&file.path.0)?, offset, len });
                offset = offset
                    .checked_add(len)
                    .filter(|total| i64::try_from(*total).is_ok())
                    .ok_or_else(|| EngineError::bad_metadata("the sizes add up to too much"))?;
            }
            paths.check_raw()?;
            Ok((spans, offset, false))
        }
        (None, Some(_)) => Err(EngineError::bad_metadata("it lists no file")),
        (Some(_), Some(_)) | (None, None) => {
            Err(EngineError::bad_metadata("it is neither one file nor a list of files"))
        }
    }
}

/// Keeps the paths of a content apart. Takes memory in proportion to the metadata: a folder is known by the one it
/// lies in and its own name, not by its whole path, or deep paths would unfold to gigabytes.
#[derive(Default)]
struct Paths {
    /// As the sender wrote them.
    raw: HashSet<String>,
    /// As they will be on disk: files, and the folders with their numbers. The content itself is number 0.
    files: HashSet<(u32, String)>,
    folders: HashMap<(u32, String), u32>,
}

impl Paths {
    fn add(&mut self, components: &[&[u8]]) -> Result<String, EngineError> {
        if components.is_empty() {
            return Err(EngineError::bad_metadata("a path is empty"));
        }
        let mut raw = Vec::with_capacity(components.len());
        let mut safe = Vec::with_capacity(components.len());
        for component in components {
            let component = utf8(component)?;
            if component.len() > MAX_RAW {
                return Err(EngineError::bad_metadata("a name is too long"));
            }
            raw.push(component);
            safe.push(names::safe_component(component).map_err(EngineError::bad_metadata)?);
        }
        if !self.raw.insert(raw.join("/")) {
            return Err(EngineError::bad_metadata("it lists a path twice"));
        }
        self.place(safe)
    }

    /// Two names that differ only in what was defused get numbers, in the order of the list.
    fn place(&mut self, mut safe: Vec<String>) -> Result<String, EngineError> {
        let Some(last) = safe.pop() else { return Err(EngineError::bad_metadata("a path is empty")) };
        if safe.iter().map(|component| component.len() + 1).sum::<usize>() + last.len() > MAX_PATH {
            return Err(EngineError::bad_metadata("a path is too long"));
        }
        let mut path = String::new();
        let mut folder = 0;
        for component in safe {
            path.push_str(&component);
            path.push('/');
            folder = self.folder(folder, component)?;
        }
        for attempt in 1..=MAX_ALIKE {
            let name = names::free_name(&last, attempt);
            let key = (folder, name);
            if !self.folders.contains_key(&key) && !self.files.contains(&key) {
                path.push_str(&key.1);
                if path.len() > MAX_PATH {
                    return Err(EngineError::bad_metadata("a path is too long"));
                }
                self.files.insert(key);
                return Ok(path);
            }
        }
        Err(EngineError::bad_metadata("too many names are alike"))
    }

    /// The number of a folder in a folder.
    fn folder(&mut self, inside: u32, name: String) -> Result<u32, EngineError> {
        let key = (inside, name);
        if let Some(known) = self.folders.get(&key) {
            return Ok(*known);
        }
        if self.files.contains(&key) {
            return Err(EngineError::bad_metadata("a path is both a file and a folder"));
        }
        if self.folders.len() >= MAX_FOLDERS {
            return Err(EngineError::bad_metadata("it has too many folders"));
        }
        let number = self.folders.len() as u32 + 1;
        self.folders.insert(key, number);
        Ok(number)
    }

    /// After all: no file may also be a folder, which no disk can hold and no honest sender has.
    fn check_raw(&self) -> Result<(), EngineError> {
        let clash = self.raw.iter().any(|path| {
            path.match_indices('/').any(|(at, _)| path.get(..at).is_some_and(|folder| self.raw.contains(folder)))
        });
        if clash { Err(EngineError::bad_metadata("a path is both a file and a folder")) } else { Ok(()) }
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, EngineError> {
    std::str::from_utf8(bytes).map_err(|_| EngineError::bad_metadata("a name is not UTF-8"))
}

#[derive(Deserialize)]
struct RawInfo<'a> {
    #[serde(borrow)]
    name: &'a [u8],
    #[serde(rename = "piece length")]
    piece_length: i64,
    #[serde(borrow)]
    pieces: &'a [u8],
    length: Option<i64>,
    #[serde(borrow)]
    files: Option<Bounded<RawFile<'a>, MAX_FILES>>,
}

#[derive(Deserialize)]
struct RawFile<'a> {
    length: i64,
    #[serde(borrow)]
    path: Bounded<&'a [u8], MAX_DEPTH>,
}

/// A list that stops being read at its bound: 32 MiB of metadata could otherwise unfold to gigabytes.
struct Bounded<T, const N: usize>(Vec<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for Bounded<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T, const N: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for Items<T, N> {
            type Value = Bounded<T, N>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "a list of at most {N}")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    if items.len() == N {
                        return Err(serde::de::Error::custom("too many"));
                    }
                    items.push(item);
                }
                Ok(Bounded(items))
            }
        }
        deserializer.deserialize_seq(Items(PhantomData))
    }
}

/// What goes into an info dictionary of ours: no time, no program name, so equal files give equal hashes.
pub(crate) struct Draft<'a> {
    pub(crate) name: &'a str,
    pub(crate) piece_length: u32,
    pub(crate) hashes: &'a [u8],
    pub(crate) private: bool,
    /// A single file's size, or the list of paths and sizes.
    pub(crate) files: DraftFiles<'a>,
}

pub(crate) enum DraftFiles<'a> {
    Single(u64),
    Many(Vec<(Vec<&'a str>, u64)>),
}

impl Draft<'_> {
    /// Encodes and then checks by the same rules as for what comes from others.
    pub(crate) fn build(&self) -> Result<Metainfo, EngineError> {
        let (length, files) = match &self.files {
            DraftFiles::Single(size) => (Some(*size), None),
            DraftFiles::Many(files) => {
                let entries = files.iter().map(|(path, length)| FileOut { length: *length, path }).collect::<Vec<_>>();
                (None, Some(entries))
            }
        };
        let out = InfoOut {
            files,
            length,
            name: self.name,
            piece_length: self.piece_length,
            pieces: ByteBuf(self.hashes),
            private: self.private.then_some(1),
        };
        Metainfo::parse(bencode::encode(&out).map_err(EngineError::bad_metadata)?.into())
    }
}

#[derive(Serialize)]
struct InfoOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<FileOut<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<u64>,
    name: &'a str,
    #[serde(rename = "piece length")]
    piece_length: u32,
    pieces: ByteBuf<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    private: Option<u8>,
}

#[derive(Serialize)]
struct FileOut<'a> {
    length: u64,
    path: &'a [&'a str],
}

#[cfg(test)]
mod tests;
