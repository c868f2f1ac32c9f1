//! Deleting received data, away from the driver's task: as far as it still is what was received.

use std::collections::VecDeque;
use std::path::PathBuf;

use tokio::task::{JoinSet, block_in_place, spawn_blocking};
use xbt_api::EventKind;
use xbt_core::ids::{ContentId, TransferId};
use xbt_core::input::{Input, TorrentEvent};
use xbt_core::transfer::{Deleted, Deletion, Kept};
use xbt_torrent::delete_received;

use super::{Driver, views};

/// Deletions at once: each has a record of some megabytes in memory, and one on a disk that hangs holds up no other.
const AT_ONCE: usize = 4;

/// All that run or wait.
#[derive(Default)]
pub(super) struct Deletions {
    waiting: VecDeque<Deletion>,
    running: JoinSet<(ContentId, Deleted)>,
}

impl Deletions {
    /// The next that has ended. May be dropped while it waits.
    pub(super) async fn ended(&mut self) -> Option<(ContentId, Deleted)> {
        // A job is never cancelled, and none panics: see `run`.
        self.running.join_next().await?.ok()
    }
}

impl Driver {
    pub(super) fn delete_received(&mut self, deletion: Deletion) {
        self.deletions.waiting.push_back(deletion);
        self.start_deletions();
    }

    fn start_deletions(&mut self) {
        while self.deletions.running.len() < AT_ONCE {
            let Some(Deletion { content, path, .. }) = self.deletions.waiting.pop_front() else { return };
            let record = block_in_place(|| self.rooms.store.record(content));
            self.deletions.running.spawn(async move {
                let deleted = match record {
                    Ok(Some(record)) => run(record, path).await,
                    Ok(None) => {
                        stays(path, "stays: no record was kept of what was received, as it came before xbt did so")
                    }
                    Err(error) => stays(path, &format!("stays: the record of what was received is lost: {error}")),
                };
                (content, deleted)
            });
        }
    }

    pub(super) async fn deletion_ended(&mut self, content: ContentId, deleted: Deleted) {
        self.start_deletions();
        self.handle(Input::Torrent(TorrentEvent::Deleted { content, deleted })).await;
    }

    /// Tells what became of it.
    pub(super) fn tell_deleted(&self, transfer: TransferId, path: &str, deleted: &Deleted) {
        let text = views::deleted_sentence(transfer, path, deleted);
        if deleted.kept == 0 {
            tracing::info!("{text}");
        } else {
            tracing::warn!("{text}");
            self.rooms.ring.push(views::time(self.now().wall), EventKind::Notice, None, text);
        }
    }
}

async fn run(record: Vec<u8>, path: String) -> Deleted {
    let at = PathBuf::from(&path);
    match spawn_blocking(move || delete_received(&record, &at)).await {
        Ok(xbt_torrent::Deleted { gone, kept, named }) => {
            let named = named.into_iter().map(|kept| Kept { path: kept.path, why: kept.why });
            Deleted { gone, kept, named: named.collect() }
        }
        Err(error) => stays(path, &format!("stays: {error}")),
    }
}

fn stays(path: String, why: &str) -> Deleted {
    Deleted { gone: 0, kept: 1, named: vec![Kept { path, why: why.to_owned() }] }
}
