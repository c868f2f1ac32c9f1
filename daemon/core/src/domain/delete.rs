//! Received data that goes with its transfer: kept until it is gone, so that a crash forgets nothing of what was said.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::domain::Domain;
use crate::effect::{CallId, Effect, Event, Persist, Reply, TorrentCommand};
use crate::fault::Fault;
use crate::ids::{ContentId, TransferId};
use crate::transfer::{Deleted, Deletion, Direction, Side, Transfer};

/// Everything that is being deleted, and who waits for it.
#[derive(Debug, Default)]
pub(super) struct Deletions {
    under_way: BTreeMap<ContentId, Deletion>,
    waiting: Vec<Waiting>,
}

/// A caller that hears of all that it removed at once.
#[derive(Debug)]
struct Waiting {
    call: CallId,
    removed: Vec<(TransferId, Option<Deleted>)>,
    open: BTreeSet<ContentId>,
}

impl Deletions {
    pub(super) fn new(rows: Vec<Deletion>) -> Self {
        Self { under_way: rows.into_iter().map(|deletion| (deletion.content, deletion)).collect(), waiting: Vec::new() }
    }

    /// Takes note of an outcome and returns the callers that have waited for nothing else.
    fn done(&mut self, content: ContentId, deletion: &Deletion, deleted: &Deleted) -> Vec<Waiting> {
        for waiting in &mut self.waiting {
            if !waiting.open.remove(&content) {
                continue;
            }
            let of = |(id, _): &&mut (TransferId, Option<Deleted>)| *id == deletion.transfer;
            if let Some((_, outcome)) = waiting.removed.iter_mut().find(of) {
                *outcome = Some(deleted.clone());
            }
        }
        self.waiting.extract_if(.., |waiting| waiting.open.is_empty()).collect()
    }
}

impl Domain {
    /// Has the data of a transfer deleted, if it has some.
    pub(super) fn delete_received(&mut self, transfer: &Transfer) -> Option<ContentId> {
        let Side::In { path: Some(path), .. } = &transfer.side else { return None };
        let content = transfer.content;
        let deletion = Deletion { content, transfer: transfer.id, path: path.clone() };
        self.persist(Persist::Delete(deletion.clone()));
        self.deletions.under_way.insert(content, deletion.clone());
        self.push(Effect::Torrent(TorrentCommand::DeleteReceived(deletion)));
        Some(content)
    }

    /// Refuses to delete what a send that has not ended needs.
    pub(super) fn is_not_sent_on(&self, transfer: &Transfer) -> Result<(), Fault> {
        let Side::In { path: Some(received), .. } = &transfer.side else { return Ok(()) };
        let received = Path::new(received);
        let needs = |send: &&Transfer| {
            let content = self.content(send).filter(|_| send.direction() == Direction::Out && send.end().is_none());
            let overlaps = |path: &String| received.starts_with(path) || Path::new(path).starts_with(received);
            content.is_some_and(|content| content.paths.iter().any(overlaps))
        };
        let Some(Transfer { id, contact, .. }) = self.transfers.iter().find(needs) else { return Ok(()) };
        let what = format!("what came with transfer {} is being sent on to {contact}, as {id}", transfer.id);
        Err(Fault::new("wrong-state", what, format!("wait until that has ended, or end it: 'xbtctl cancel {id}'")))
    }

    /// Replies to a removal, at once if nothing is being deleted for it.
    pub(super) fn reply_when_deleted(&mut self, call: CallId, ids: Vec<TransferId>, deletions: &[ContentId]) {
        let removed = ids.into_iter().map(|id| (id, None)).collect();
        if deletions.is_empty() {
            self.push(Effect::Reply(call, Ok(Reply::Removed(removed))));
        } else {
            self.deletions.waiting.push(Waiting { call, removed, open: deletions.iter().copied().collect() });
        }
    }

    pub(super) fn deleted(&mut self, content: ContentId, deleted: Deleted) {
        let Some(deletion) = self.deletions.under_way.remove(&content) else { return };
        self.persist(Persist::Deleted(content));
        for Waiting { call, removed, .. } in self.deletions.done(content, &deletion, &deleted) {
            self.push(Effect::Reply(call, Ok(Reply::Removed(removed))));
        }
        let Deletion { transfer, path, .. } = deletion;
        self.push(Effect::Emit(Event::Deleted { transfer, path, deleted }));
    }

    /// What a crash came in between of is done again.
    pub(super) fn delete_at_start(&mut self) {
        for deletion in self.deletions.under_way.values().cloned().collect::<Vec<_>>() {
            self.push(Effect::Torrent(TorrentCommand::DeleteReceived(deletion)));
        }
    }
}
