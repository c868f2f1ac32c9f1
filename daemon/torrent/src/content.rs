//! What the caller says about a content.

use std::path::PathBuf;

use bytes::Bytes;

use crate::Group;

/// A content to be fetched, as it was offered.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// To whom its memory is charged, for example a contact: owners share it equally, and so do the contents of one owner.
    pub owner: Group,
    /// SHA-1 of the info dictionary.
    pub info_hash: [u8; 20],
    /// The offered name; the metadata must say the same.
    pub name: String,
    /// The offered size in bytes; the metadata must say the same.
    pub size: u64,
    /// The offered number of files; the metadata must say the same.
    pub files: u64,
    /// The offered size of the metadata in bytes, at most [`crate::MAX_METADATA`].
    pub metadata_size: u32,
    /// The folder it goes to; created if missing.
    pub destination: PathBuf,
    /// Distinguishes this fetch's partial data from others in that folder: letters, digits, `-`, `_`, at most 200.
    pub partial_id: String,
    /// The metadata, if it is known otherwise: what came over a link before is kept by the engine.
    pub info: Option<Bytes>,
}

/// What happens to the data of a forgotten content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// Keep partial data and resume state, for a later fetch.
    Keep,
    /// Remove everything that was received, even if it has just got its final name (as long as it is the same file), and
    /// the resume state last. For abandoned fetches; sources are never touched.
    Delete,
}
