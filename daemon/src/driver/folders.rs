//! Whether the folders that we write into can be written, and how much room there is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Access, access, statvfs};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use xbt_api::{Folder, Folders};

/// A disk that does not answer in this time is not waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Looks, one at a time: behind a network drive that hangs no more than one thread waits.
#[derive(Debug)]
pub(super) struct Look(Arc<Semaphore>);

impl Default for Look {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Look {
    /// How the folders stand; none if the disk does not respond.
    pub(super) async fn look(&self, download: PathBuf, state: PathBuf) -> Option<Folders> {
        let look = async {
            let turn = self.0.clone().acquire_owned().await.ok()?;
            let look = move || {
                let _turn = turn;
                Folders { download: folder(&download), state: folder(&state) }
            };
            spawn_blocking(look).await.ok()
        };
        timeout(PATIENCE, look).await.ok().flatten()
    }
}

/// A folder that is not there can be made if the nearest one above it can be written.
fn folder(path: &Path) -> Folder {
    let exists = fs::symlink_metadata(path).is_ok();
    let nearest = path.ancestors().find(|above| fs::metadata(above).is_ok_and(|meta| meta.is_dir()));
    let nearest = nearest.filter(|nearest| !exists || *nearest == path);
    let free = nearest.and_then(|nearest| statvfs(nearest).ok());
    Folder {
        path: path.to_string_lossy().into_owned(),
        exists,
        writable: nearest.is_some_and(|nearest| access(nearest, Access::WRITE_OK | Access::EXEC_OK).is_ok()),
        free: free.map(|free| free.f_bavail.saturating_mul(free.f_frsize)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn a_folder_that_could_be_made_is_told_from_one_that_could_not() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        fs::write(&file, "").unwrap();
        let missing = home.path().join("a/b");
        let found = Look::default().look(missing, home.path().to_owned()).await.unwrap();
        assert!(!found.download.exists && found.download.writable && found.download.free.is_some());
        assert!(found.state.exists && found.state.writable);
        let (as_file, below_file) = (folder(&file), folder(&file.join("below")));
        assert!(as_file.exists && !as_file.writable, "a file is no folder");
        assert!(!below_file.exists, "{below_file:?}");
    }
}
