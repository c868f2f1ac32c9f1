//! What `xbtctl send -` read from its standard input lies in a spool of ours: it goes when the last send of it has ended.

use std::fs;
use std::path::{Path, PathBuf};

use xbt_core::ids::TransferId;
use xbt_core::transfer::Direction;

use super::Driver;

impl Driver {
    /// Deletes the spooled source of a transfer that has ended, unless another send still needs it.
    pub(super) fn clean_spool(&self, id: TransferId) {
        let Some(transfer) = self.domain.transfer(id) else { return };
        if transfer.direction() == Direction::In || transfer.end().is_none() {
            return;
        }
        let needed = self.domain.transfers().any(|t| t.content == transfer.content && t.end().is_none());
        let paths = self.domain.content(transfer).map(|c| c.paths.as_slice()).unwrap_or_default();
        if needed {
            return;
        }
        let folders: Vec<PathBuf> =
            paths.iter().filter_map(|path| folder_in(&self.rooms.spool, Path::new(path))).collect();
        if !folders.is_empty() {
            tokio::task::spawn_blocking(move || folders.iter().for_each(|folder| delete(id, folder)));
        }
    }
}

/// The folder of one spooled input: exactly `<spool>/<one name>/<one name>` lies in there, and nothing else is ours to delete.
fn folder_in(spool: &Path, path: &Path) -> Option<PathBuf> {
    let folder = path.parent()?;
    let own = folder.parent() == Some(spool) && folder.file_name().is_some();
    own.then(|| folder.to_owned())
}

fn delete(id: TransferId, folder: &Path) {
    // A link in place of the folder would lead to somebody else's files.
    if !fs::symlink_metadata(folder).is_ok_and(|meta| meta.is_dir()) {
        return;
    }
    match fs::remove_dir_all(folder) {
        Ok(()) => tracing::debug!(%id, "the spooled input was deleted"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(%id, %error, "could not delete the spooled input"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_a_folder_of_the_spool_itself_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let spool = dir.path().join("spool");
        fs::create_dir_all(spool.join("7/deeper")).unwrap();
        assert_eq!(folder_in(&spool, &spool.join("7/name")), Some(spool.join("7")));
        for other in ["7", "7/deeper/name", "../name", ".."] {
            assert_eq!(folder_in(&spool, &spool.join(other)), None, "{other}");
        }
        std::os::unix::fs::symlink(dir.path(), spool.join("link")).unwrap();
        delete(TransferId(1), &spool.join("link"));
        assert!(spool.join("7/deeper").is_dir(), "a link leads elsewhere");
        delete(TransferId(1), &spool.join("7"));
        assert!(!spool.join("7").exists());
    }
}
