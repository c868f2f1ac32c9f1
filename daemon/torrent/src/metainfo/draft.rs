//! Writing an info dictionary.

use librqbit_buffers::ByteBuf;
use serde::Serialize;

use super::target::{inside, relative};
use super::{Attributes, Metainfo};
use crate::bencode;
use crate::error::EngineError;

/// The contents of our info dictionaries: no creation time and no program name, so equal trees give equal hashes.
pub(crate) struct Draft<'a> {
    pub(crate) name: &'a str,
    pub(crate) piece_length: u32,
    pub(crate) hashes: &'a [u8],
    pub(crate) private: bool,
    pub(crate) files: DraftFiles<'a>,
    /// Empty folders.
    pub(crate) folders: Vec<Vec<&'a str>>,
    /// How many entries were left out.
    pub(crate) omitted: u64,
}

pub(crate) enum DraftFiles<'a> {
    Single(u64, Attributes),
    Many(Vec<DraftFile<'a>>),
}

pub(crate) struct DraftFile<'a> {
    pub(crate) path: Vec<&'a str>,
    pub(crate) len: u64,
    pub(crate) attributes: Attributes,
    /// The text of a symbolic link, which must stay inside.
    pub(crate) link: Option<&'a str>,
}

impl Draft<'_> {
    /// Encodes, then checks by the same rules as for dictionaries from others.
    pub(crate) fn build(&self) -> Result<Metainfo, EngineError> {
        let (single, files) = match &self.files {
            DraftFiles::Single(size, attributes) => (Some((*size, *attributes)), None),
            DraftFiles::Many(files) => (None, Some(files.iter().map(FileOut::of).collect())),
        };
        let attributes = single.map(|(_, attributes)| attributes).unwrap_or_default();
        let out = InfoOut {
            attr: attributes.executable.then_some("x"),
            files,
            length: single.map(|(size, _)| size),
            mtime: attributes.mtime,
            name: self.name,
            piece_length: self.piece_length,
            pieces: ByteBuf(self.hashes),
            private: self.private.then_some(1),
            folders: &self.folders,
            omitted: self.omitted,
        };
        Metainfo::parse(bencode::encode(&out).map_err(EngineError::bad_metadata)?.into())
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The fields are in the order of their keys.
#[derive(Serialize)]
struct InfoOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    attr: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<FileOut<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtime: Option<i64>,
    name: &'a str,
    #[serde(rename = "piece length")]
    piece_length: u32,
    pieces: ByteBuf<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    private: Option<u8>,
    #[serde(rename = "xbt dirs", skip_serializing_if = "<[_]>::is_empty")]
    folders: &'a [Vec<&'a str>],
    #[serde(rename = "xbt omitted", skip_serializing_if = "is_zero")]
    omitted: u64,
}

#[derive(Serialize)]
struct FileOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    attr: Option<&'static str>,
    length: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtime: Option<i64>,
    path: &'a [&'a str],
    #[serde(rename = "symlink path", skip_serializing_if = "Option::is_none")]
    symlink_path: Option<Vec<&'a str>>,
    #[serde(rename = "xbt target", skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
}

impl<'a> FileOut<'a> {
    fn of(file: &'a DraftFile<'_>) -> Self {
        let folder = file.path.split_last().map_or(&[][..], |(_, folder)| folder);
        let leads_to = file.link.map(|text| inside(folder, text).unwrap_or_default());
        let shortest = leads_to.as_deref().map(|to| relative(folder, to));
        Self {
            attr: match (file.link, file.attributes.executable) {
                (Some(_), _) => Some("l"),
                (None, true) => Some("x"),
                (None, false) => None,
            },
            length: file.len,
            mtime: file.attributes.mtime,
            path: &file.path,
            symlink_path: leads_to,
            target: file.link.filter(|text| shortest.as_deref() != Some(*text)),
        }
    }
}
