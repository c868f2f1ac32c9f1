//! The resume state of fetches: one small file per content, replaced atomically.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{EngineError, codes};
use crate::metainfo::MAX_METADATA;
use crate::{ContentKey, hex};

const VERSION: u32 = 1;
/// 32 MiB of metadata describe at most 1.7 million pieces: 420 KB of hexadecimal bitfield.
const MAX_BYTES: u64 = 2 << 20;

/// The stored state of a fetch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resume {
    version: u32,
    /// 40 hexadecimal digits.
    pub(crate) info_hash: String,
    /// The bitfield of verified pieces, hexadecimal.
    pub(crate) have: String,
    /// The destination folder; none in the state of older versions, which fetched to one folder only.
    #[serde(default)]
    pub(crate) folder: Option<PathBuf>,
    /// The partial's name in the destination folder.
    pub(crate) partial: String,
    /// Its device and inode.
    pub(crate) identity: (u64, u64),
    /// The boot id: if it is the same, written data is still in the page cache.
    pub(crate) boot: String,
    /// The final name, set just before the content is moved there.
    pub(crate) placed: Option<String>,
}

/// What was found.
#[derive(Debug)]
pub(crate) enum Found {
    Nothing,
    /// Unreadable; renamed to `.bad`.
    Bad,
    State(Resume),
}

impl Resume {
    pub(crate) fn new(info_hash: [u8; 20], have: &[u8], partial: &Path, identity: (u64, u64)) -> Self {
        let name = partial.file_name().map(|name| name.to_string_lossy().into_owned());
        Self {
            version: VERSION,
            info_hash: hex::encode(&info_hash),
            have: hex::encode(have),
            folder: partial.parent().map(Path::to_owned),
            partial: name.unwrap_or_default(),
            identity,
            boot: boot_id(),
            placed: None,
        }
    }

    /// Where the partial data is, if that is not where it is to be now.
    pub(crate) fn elsewhere(&self, now: &Path) -> Option<PathBuf> {
        let partial = self.folder.as_ref()?.join(&self.partial);
        (partial != now).then_some(partial)
    }

    /// Sets the final name.
    pub(crate) fn placed_as(self, name: &str) -> Self {
        Self { placed: Some(name.to_owned()), ..self }
    }

    /// Writes a temporary file and renames it over the old one. `durably`: it survives a power cut.
    /// Otherwise the old state may be lost too, and every piece must be hashed.
    pub(crate) fn save(&self, state_dir: &Path, key: ContentKey, durably: bool) -> Result<(), EngineError> {
        let path = path(state_dir, key);
        let temporary = path.with_extension("resume.tmp");
        let write = || -> io::Result<()> {
            let mut file = fs::File::create(&temporary)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            if durably {
                file.sync_all()?;
            }
            fs::rename(&temporary, &path)?;
            if durably { fs::File::open(state_dir)?.sync_all() } else { Ok(()) }
        };
        write().map_err(|error| EngineError { code: state_code(&error), ..EngineError::destination(&path, &error) })
    }
}

fn state_code(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => codes::DISK_FULL,
        _ => codes::BAD_STATE,
    }
}

/// Reads the state of a content; an unreadable one is set aside.
pub(crate) fn load(state_dir: &Path, key: ContentKey) -> Found {
    let path = path(state_dir, key);
    let length = match fs::metadata(&path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Found::Nothing,
        Err(_) => return Found::Bad,
    };
    let text = if length <= MAX_BYTES { fs::read(&path).ok() } else { None };
    match text.and_then(|text| serde_json::from_slice::<Resume>(&text).ok()) {
        Some(state) if state.version == VERSION => Found::State(state),
        Some(_) | None => {
            set_aside(state_dir, key);
            Found::Bad
        }
    }
}

/// Renames the state file to `.bad`.
pub(crate) fn set_aside(state_dir: &Path, key: ContentKey) {
    let path = path(state_dir, key);
    if let Err(error) = fs::rename(&path, path.with_extension("resume.bad")) {
        tracing::warn!(path = %path.display(), %error, "could not set aside an unreadable resume file");
    }
}

/// The contents with a state; none if the folder cannot be read.
pub(crate) fn all(state_dir: &Path) -> Vec<ContentKey> {
    let names = fs::read_dir(state_dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let keys = names.filter_map(|name| name.to_str()?.strip_suffix(".resume")?.parse().ok());
    keys.map(ContentKey).collect()
}

/// Saves the record of a content about to be moved into place, so that it is known after a crash.
pub(crate) fn save_received(state_dir: &Path, key: ContentKey, record: &[u8]) -> Result<(), EngineError> {
    let path = received_path(state_dir, key);
    let write = || -> io::Result<()> {
        let mut file = fs::File::create(&path)?;
        file.write_all(record)?;
        // Its name becomes durable with that of the resume file, which is written next.
        file.sync_all()
    };
    write().map_err(|error| EngineError { code: state_code(&error), ..EngineError::destination(&path, &error) })
}

/// What [`save_received`] saved; empty if there is none or it cannot be read.
pub(crate) fn load_received(state_dir: &Path, key: ContentKey) -> Vec<u8> {
    fs::read(received_path(state_dir, key)).unwrap_or_default()
}

/// Saves the metadata of a content, so that it need not stay in memory or come again.
pub(crate) fn save_info(state_dir: &Path, key: ContentKey, info: &[u8]) -> Result<(), EngineError> {
    let path = info_path(state_dir, key);
    // Not durable: after a crash it is read with its hash checked, or comes again.
    fs::write(&path, info)
        .map_err(|error| EngineError { code: state_code(&error), ..EngineError::destination(&path, &error) })
}

/// What [`save_info`] saved; `None` if there is none or it cannot be read.
pub(crate) fn load_info(state_dir: &Path, key: ContentKey) -> Option<Vec<u8>> {
    let path = info_path(state_dir, key);
    let length = fs::metadata(&path).ok()?.len();
    if length <= MAX_METADATA as u64 { fs::read(path).ok() } else { None }
}

fn info_path(state_dir: &Path, key: ContentKey) -> PathBuf {
    state_dir.join(format!("{}.info", key.0))
}

fn received_path(state_dir: &Path, key: ContentKey) -> PathBuf {
    state_dir.join(format!("{}.received", key.0))
}

/// Removes the state of a content.
pub(crate) fn remove(state_dir: &Path, key: ContentKey) {
    // First: the resume file is how leftovers are found.
    let _ = fs::remove_file(received_path(state_dir, key));
    let _ = fs::remove_file(info_path(state_dir, key));
    if let Err(error) = fs::remove_file(path(state_dir, key))
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "a resume file could not be removed");
    }
}

fn path(state_dir: &Path, key: ContentKey) -> PathBuf {
    state_dir.join(format!("{}.resume", key.0))
}

/// Different after every boot; empty where the system has none, which never counts as the same.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn state_is_read_back_and_damage_is_kept_aside() {
        let folder = tempfile::tempdir().unwrap();
        let key = ContentKey(7);
        assert!(matches!(load(folder.path(), key), Found::Nothing));
        let state = Resume::new([1; 20], &[0xf0], Path::new("/d/.xbt-a.part"), (1, u64::MAX));
        state.save(folder.path(), key, true).unwrap();
        assert!(matches!(load(folder.path(), key), Found::State(read) if read == state));
        fs::write(path(folder.path(), key), "{\"version\":1").unwrap();
        assert!(matches!(load(folder.path(), key), Found::Bad));
        assert_eq!(fs::read_to_string(folder.path().join("7.resume.bad")).unwrap(), "{\"version\":1");
        remove(folder.path(), key);
    }
}
