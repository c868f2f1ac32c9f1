//! A prepared content: all that is needed to seed it without hashing again.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::{EngineError, codes};
use crate::metainfo::{MAX_FILES, MAX_METADATA};
use crate::stamp::Stamp;

/// Version 1 of the stored form: every source is a file.
const MAGIC_1: &[u8; 8] = b"xbtprep1";
/// Version 2: says of each source whether it is a symbolic link.
const MAGIC: &[u8; 8] = b"xbtprep2";

/// The result of [`crate::Engine::prepare`]. An opaque blob to the caller: [`Prepared::to_bytes`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Prepared {
    /// The info dictionary (BEP 3).
    pub info: Bytes,
    /// Its SHA-1.
    pub info_hash: [u8; 20],
    /// The content's name.
    pub name: String,
    /// Bytes in all files.
    pub size: u64,
    /// Number of files.
    pub files: u64,
    /// The paths given, symbolic links resolved.
    pub roots: Vec<PathBuf>,
    /// Where each file of the content lies, in the content's order.
    pub(crate) sources: Vec<SourceFile>,
}

/// One file on disk, as it was when hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceFile {
    /// Index into the roots.
    pub(crate) root: u32,
    /// Below the root, as spelled on disk; empty if the root is the file.
    pub(crate) below: String,
    /// A symbolic link, sent as one.
    pub(crate) link: bool,
    pub(crate) stamp: Stamp,
}

impl Prepared {
    /// The path of the `index`-th file.
    pub(crate) fn path(&self, index: usize) -> Option<PathBuf> {
        let source = self.sources.get(index)?;
        let root = self.roots.get(source.root as usize)?;
        Some(if source.below.is_empty() { root.clone() } else { root.join(&source.below) })
    }

    /// A compact binary form with a version.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        put(&mut out, &self.info);
        out.extend_from_slice(&self.info_hash);
        put(&mut out, self.name.as_bytes());
        out.extend_from_slice(&self.size.to_le_bytes());
        out.extend_from_slice(&self.files.to_le_bytes());
        out.extend_from_slice(&(self.roots.len() as u32).to_le_bytes());
        for root in &self.roots {
            put(&mut out, root.as_os_str().as_bytes());
        }
        out.extend_from_slice(&(self.sources.len() as u32).to_le_bytes());
        for source in &self.sources {
            out.extend_from_slice(&source.root.to_le_bytes());
            put(&mut out, source.below.as_bytes());
            out.push(u8::from(source.link));
            out.extend_from_slice(&source.stamp.size.to_le_bytes());
            out.extend_from_slice(&source.stamp.mtime_ns.to_le_bytes());
            out.extend_from_slice(&source.stamp.ino.to_le_bytes());
            out.extend_from_slice(&source.stamp.dev.to_le_bytes());
        }
        out
    }

    /// Reads what [`Self::to_bytes`] wrote. Code `bad-state` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EngineError> {
        Self::read(&mut Reader(bytes)).ok_or_else(|| {
            EngineError::new(
                codes::BAD_STATE,
                "the stored description of a prepared content cannot be read",
                "send it again",
            )
        })
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let links = match &from.array::<8>()? {
            MAGIC_1 => false,
            MAGIC => true,
            _ => return None,
        };
        let info = Bytes::copy_from_slice(from.bytes(MAX_METADATA)?);
        let info_hash = from.array()?;
        let name = from.text()?;
        let size = from.u64()?;
        let files = from.u64()?;
        let roots = from.list(|from| Some(PathBuf::from(OsStr::from_bytes(from.bytes(1 << 16)?))))?;
        let sources = from.list(|from| {
            let root = from.u32()?;
            let below = from.text()?;
            let link = match if links { from.array()? } else { [0] } {
                [0] => false,
                [1] => true,
                _ => return None,
            };
            let stamp = Stamp { size: from.u64()?, mtime_ns: from.u64()? as i64, ino: from.u64()?, dev: from.u64()? };
            (usize::try_from(root).ok()? < roots.len()).then_some(SourceFile { root, below, link, stamp })
        })?;
        from.0.is_empty().then_some(Self { info, info_hash, name, size, files, roots, sources })
    }
}

/// Leaves out the info dictionary and the sources.
impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let info_hash = crate::hex::encode(&self.info_hash);
        f.debug_struct("Prepared")
            .field("info_hash", &info_hash)
            .field("name", &self.name)
            .field("size", &self.size)
            .field("files", &self.files)
            .field("roots", &self.roots)
            .finish_non_exhaustive()
    }
}

impl From<Prepared> for String {
    fn from(prepared: Prepared) -> Self {
        crate::hex::encode(&prepared.to_bytes())
    }
}

impl TryFrom<String> for Prepared {
    type Error = EngineError;
    fn try_from(text: String) -> Result<Self, EngineError> {
        Self::from_bytes(&crate::hex::decode(&text).unwrap_or_default())
    }
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn bytes(&mut self, most: usize) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u32()?).ok().filter(|length| *length <= most)?;
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes(1 << 16)?.to_vec()).ok()
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = usize::try_from(self.u32()?).ok().filter(|count| *count <= MAX_FILES)?;
        (0..count).map(|_| item(self)).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_prepared_content_survives_storing_and_damage_is_noticed() {
        let stamp = Stamp { size: 3, mtime_ns: -5, ino: u64::MAX, dev: 9 };
        let prepared = Prepared {
            info: Bytes::from_static(b"de"),
            info_hash: [3; 20],
            name: "näme".into(),
            size: 3,
            files: 1,
            roots: vec![PathBuf::from(OsStr::from_bytes(b"/tmp/\xff"))],
            sources: vec![SourceFile { root: 0, below: "a/b".into(), link: true, stamp }],
        };
        let bytes = prepared.to_bytes();
        assert_eq!(Prepared::from_bytes(&bytes).unwrap(), prepared);
        let json = serde_json::to_string(&prepared).unwrap();
        assert_eq!(serde_json::from_str::<Prepared>(&json).unwrap(), prepared);
        for cut in 0..bytes.len() {
            assert!(Prepared::from_bytes(&bytes[..cut]).is_err());
        }
        assert!(Prepared::from_bytes(&[bytes, vec![0]].concat()).is_err());
    }

    #[test]
    fn what_version_1_stored_is_read() {
        let stamp = Stamp { size: 3, mtime_ns: -5, ino: 4, dev: 9 };
        let sources = vec![SourceFile { root: 0, below: String::new(), link: false, stamp }];
        let (info, roots) = (Bytes::from_static(b"de"), vec![PathBuf::from("/x")]);
        let new = Prepared { info, info_hash: [3; 20], name: "x".into(), size: 3, files: 1, roots, sources };
        let mut old = new.to_bytes();
        old[..8].copy_from_slice(MAGIC_1);
        old.remove(old.len() - 33);
        assert_eq!(Prepared::from_bytes(&old).unwrap(), new);
    }
}
