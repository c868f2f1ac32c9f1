//! The record of what a fetch has put into place, so that exactly that can be deleted later.
//!
//! Invariant: a file is deleted only if its inode number, size and modification time (ns) are those of the record, a
//! symbolic link only if its text is too, a folder only if it is the one created here and empty. The device number is not
//! compared: it changes when a disk is mounted again (USB, Btrfs, NFS), and inode number, size and time to the nanosecond
//! suffice. Below the received name no symbolic link is ever followed.
//!
//! Folders are stored by their parent, so that deep paths stay small.

use std::collections::HashMap;

use rustix::io::Errno;

use crate::metainfo::{Listing, MAX_FILES, MAX_FOLDERS};
use crate::stamp::Stamp;

mod delete;

pub use delete::{Deleted, Kept, delete_received};

/// Version 1 of the stored form: without the number of omitted entries.
const MAGIC_1: &[u8; 8] = b"xbtrecv1";
/// Version 2.
const MAGIC: &[u8; 8] = b"xbtrecv2";

/// Everything that was put into place; the first entry is the received file or folder itself, and every folder comes
/// before what lies in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    entries: Vec<Entry>,
    /// How many entries the sender left out.
    omitted: u64,
    /// The entries of folders by the folder they lie in and their names, while the record is being made.
    folders: HashMap<(u32, String), u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// The entry of the folder that it lies in.
    inside: u32,
    name: String,
    kind: Kind,
    ino: u64,
    size: u64,
    mtime_ns: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Folder,
    File,
    /// With its text.
    Link(Box<str>),
}

impl Received {
    /// A single file.
    pub(crate) fn file(stamp: Stamp) -> Self {
        Self { entries: vec![Entry::new(0, "", Kind::File, stamp)], omitted: 0, folders: HashMap::new() }
    }

    /// A folder with nothing in it yet.
    pub(crate) fn folder(ino: u64, omitted: u64) -> Self {
        Self { entries: vec![Entry::folder(0, "", ino)], omitted, folders: HashMap::new() }
    }

    /// Adds a file or link. `identity` tells the inode number of a folder.
    pub(crate) fn add(
        &mut self,
        path: &str,
        kind: Kind,
        stamp: Stamp,
        identity: impl Fn(&str) -> Result<u64, Errno>,
    ) -> Result<(), Errno> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let inside = self.inside(folder, &identity)?;
        self.entries.push(Entry::new(inside, name, kind, stamp));
        Ok(())
    }

    /// Adds a folder, with those that it lies in.
    pub(crate) fn add_folder(
        &mut self,
        path: &str,
        identity: impl Fn(&str) -> Result<u64, Errno>,
    ) -> Result<(), Errno> {
        self.inside(path, &identity).map(drop)
    }

    fn inside(&mut self, path: &str, identity: &impl Fn(&str) -> Result<u64, Errno>) -> Result<u32, Errno> {
        let mut inside = 0;
        let mut begin = 0;
        for end in path.match_indices('/').map(|(at, _)| at).chain((!path.is_empty()).then_some(path.len())) {
            let key = (inside, path.get(begin..end).unwrap_or_default().to_owned());
            begin = end + 1;
            if let Some(known) = self.folders.get(&key) {
                inside = *known;
                continue;
            }
            self.entries.push(Entry::folder(inside, &key.1, identity(path.get(..end).unwrap_or(path))?));
            inside = self.entries.len() as u32 - 1;
            self.folders.insert(key, inside);
        }
        Ok(inside)
    }

    /// A compact binary form with a version.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&self.omitted.to_le_bytes());
        out.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        for entry in &self.entries {
            out.push(match entry.kind {
                Kind::Folder => 0,
                Kind::File => 1,
                Kind::Link(_) => 2,
            });
            out.extend_from_slice(&entry.inside.to_le_bytes());
            put(&mut out, &entry.name);
            for number in [entry.ino, entry.size, entry.mtime_ns as u64] {
                out.extend_from_slice(&number.to_le_bytes());
            }
            if let Kind::Link(text) = &entry.kind {
                put(&mut out, text);
            }
        }
        out
    }

    /// Reads what [`Self::to_bytes`] wrote.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        let omitted = match &from.array::<8>()? {
            MAGIC_1 => 0,
            MAGIC => from.number::<8>()?,
            _ => return None,
        };
        let count = from.number::<4>()?;
        if count == 0 || count > (MAX_FILES + MAX_FOLDERS + 1) as u64 {
            return None;
        }
        let mut entries: Vec<Entry> = Vec::new();
        for index in 0..count {
            let kind = from.array::<1>()?;
            let inside = from.number::<4>()? as u32;
            let name = from.text()?;
            let [ino, size, mtime] = [from.number::<8>()?, from.number::<8>()?, from.number::<8>()?];
            let kind = match kind {
                [0] => Kind::Folder,
                [1] => Kind::File,
                [2] => Kind::Link(from.text()?.into()),
                _ => return None,
            };
            // Only the first has no folder to lie in, and no name of its own.
            let placed = entries.get(inside as usize).is_some_and(|folder| folder.kind == Kind::Folder);
            let named = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']);
            if index > 0 && !(placed && named) {
                return None;
            }
            entries.push(Entry { inside, name, kind, ino, size, mtime_ns: mtime as i64 });
        }
        from.0.is_empty().then_some(Self { entries, omitted, folders: HashMap::new() })
    }
}

/// What a record says was received under this name: the first `most` files, and whether there are more. `None` if the
/// record cannot be read.
pub fn list_received(record: &[u8], name: &str, most: usize) -> Option<(Listing, bool)> {
    let Received { entries, omitted, .. } = Received::from_bytes(record)?;
    let mut files = Vec::new();
    for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.kind != Kind::Folder) {
        if files.len() == most {
            return Some((Listing { files, omitted, ..Listing::default() }, true));
        }
        let size = if entry.kind == Kind::File { entry.size } else { 0 };
        files.push((if index == 0 { name.to_owned() } else { path_of(&entries, entry) }, size));
    }
    Some((Listing { files, omitted, ..Listing::default() }, false))
}

/// From the received folder down.
fn path_of(entries: &[Entry], entry: &Entry) -> String {
    let mut parts = vec![entry.name.as_str()];
    let mut inside = entry.inside;
    // Every folder comes before what lies in it, so this ends.
    while inside > 0
        && let Some(folder) = entries.get(inside as usize)
    {
        parts.push(&folder.name);
        inside = folder.inside;
    }
    parts.reverse();
    parts.join("/")
}

impl Entry {
    fn new(inside: u32, name: &str, kind: Kind, stamp: Stamp) -> Self {
        let Stamp { size, mtime_ns, ino, .. } = stamp;
        Self { inside, name: name.to_owned(), kind, ino, size, mtime_ns }
    }

    fn folder(inside: u32, name: &str, ino: u64) -> Self {
        Self { inside, name: name.to_owned(), kind: Kind::Folder, ino, size: 0, mtime_ns: 0 }
    }
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u16).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    /// A number of so many bytes.
    fn number<const N: usize>(&mut self) -> Option<u64> {
        Some(self.array::<N>()?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn text(&mut self) -> Option<String> {
        let length = self.number::<2>()? as usize;
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(head.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests;
