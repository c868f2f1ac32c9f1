//! Looks at the folders that the rules choose for offers, away from the driver's task: a network drive that hangs must
//! not stop anything else.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};
use xbt_core::fault::Fault;
use xbt_core::ids::TransferId;
use xbt_core::input::Destination;

use super::paths;

/// Folders that are looked at at once; each of them may hang, with a thread.
const AT_ONCE: usize = 16;

/// One look for each folder, however many offers go there.
#[derive(Debug)]
pub(super) struct Looks {
    /// The offers that wait for each look.
    waiting: HashMap<PathBuf, Vec<TransferId>>,
    turns: Arc<Semaphore>,
    running: JoinSet<(PathBuf, Destination)>,
}

impl Default for Looks {
    fn default() -> Self {
        Self { waiting: HashMap::new(), turns: Arc::new(Semaphore::new(AT_ONCE)), running: JoinSet::new() }
    }
}

impl Looks {
    /// Looks at a folder, and makes it where it is missing.
    pub(super) fn add(&mut self, id: TransferId, folder: PathBuf) {
        self.add_with(id, folder, |folder| paths::destination(&folder, false));
    }

    fn add_with(
        &mut self,
        id: TransferId,
        folder: PathBuf,
        look: impl FnOnce(PathBuf) -> Destination + Send + 'static,
    ) {
        let waiting = self.waiting.entry(folder.clone()).or_default();
        waiting.push(id);
        if waiting.len() > 1 {
            return;
        }
        let turns = self.turns.clone();
        self.running.spawn(async move {
            // Nobody closes the semaphore.
            let _turn = turns.acquire_owned().await;
            let path = folder.clone();
            let found = spawn_blocking(move || look(path)).await;
            let destination = found.unwrap_or_else(|_| Destination {
                folder: folder.to_string_lossy().into_owned(),
                free: Err(Fault::new("internal", "a fault of xbt kept it from looking at the folder", "try again")),
                disk: None,
                largest: None,
                chosen: false,
            });
            (folder, destination)
        });
    }

    /// What was found next, and for whom; none while nothing is looked at. May be dropped while it waits.
    pub(super) async fn found(&mut self) -> Option<(Vec<TransferId>, Destination)> {
        // A task is never aborted, and has nothing that could panic.
        let (folder, destination) = self.running.join_next().await?.ok()?;
        Some((self.waiting.remove(&folder).unwrap_or_default(), destination))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_folder_that_hangs_keeps_no_other_folder_waiting_and_takes_one_thread() {
        let dir = tempfile::tempdir().unwrap();
        let mut looks = Looks::default();
        let (go, gone) = mpsc::channel::<()>();
        let hung = dir.path().join("hung");
        looks.add_with(TransferId(1), hung.clone(), move |folder| {
            let _ = gone.recv();
            paths::destination(&folder, false)
        });
        looks.add(TransferId(2), hung);
        looks.add(TransferId(3), dir.path().join("fine"));
        let (ids, destination) = looks.found().await.unwrap();
        assert!(ids == [TransferId(3)] && destination.free.is_ok(), "{ids:?} {destination:?}");
        go.send(()).unwrap();
        let (ids, destination) = looks.found().await.unwrap();
        assert!(ids == [TransferId(1), TransferId(2)] && destination.free.is_ok(), "{ids:?} {destination:?}");
        assert!(looks.found().await.is_none());
    }
}
