//! Cleans up after a forgotten fetch.

use std::path::Path;

use super::jobs::{partial_path, placed};
use crate::ContentKey;
use crate::content::{Data, Fetch};
use crate::store::place::is_identity;
use crate::store::received::{Deleted, delete_received};
use crate::store::resume::{self, Found};

pub(super) fn forget(state_dir: &Path, key: ContentKey, fetch: &Fetch, data: Data) {
    let partial = partial_path(fetch);
    let found = resume::load(state_dir, key);
    match data {
        Data::Keep => {
            // A content in its place has no partial data, even if it was halted since.
            let complete = matches!(&found, Found::State(state) if state.placed.is_some())
                && std::fs::symlink_metadata(&partial).is_err();
            if complete {
                resume::remove(state_dir, key);
            }
        }
        Data::Delete => {
            // It may have been moved into place just before it was forgotten; the person may have put files of their own
            // there since.
            if let Some(path) = placed(&found, fetch) {
                let record = resume::load_received(state_dir, key);
                let Deleted { kept, .. } = delete_received(&record, &path);
                if kept > 0 {
                    tracing::warn!(path = %path.display(), kept, "kept data that has changed since it was received");
                }
            }
            remove(&partial);
            // It may have been on its way to another folder.
            if let Found::State(state) = &found
                && let Some(old) = state.elsewhere(&partial).filter(|old| is_identity(old, state.identity))
            {
                remove(&old);
            }
            // Last: until then the next start finds by it what to clean up.
            resume::remove(state_dir, key);
        }
    }
}

/// Removes a file or a folder with all that is in it; links are not followed.
pub(super) fn remove(path: &Path) {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(_) => Ok(()),
    };
    if let Err(error) = removed {
        tracing::warn!(path = %path.display(), %error, "could not remove unwanted data");
    }
}
