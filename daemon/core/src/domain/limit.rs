//! Limits and priorities that a person sets. They are kept in the rows and set in the engine again at every start and
//! whenever it opens a content, because it forgets them with the content.

use crate::domain::Domain;
use crate::domain::command::has_ended;
use crate::effect::{Effect, Reply, TorrentCommand};
use crate::fault::Fault;
use crate::ids::{BareJid, ContentId, TransferId};
use crate::rate::{Priority, RateChange};
use crate::transfer::Transfer;

impl Domain {
    /// The engine limits contents, so all open sends of one content have the same limits and priority: those who share
    /// it with the ones named change with them, and are part of the reply.
    pub(super) fn limit(
        &mut self,
        ids: &[TransferId],
        change: RateChange,
        priority: Option<Priority>,
    ) -> Result<Reply, Fault> {
        let named = self.checked(ids, |t| match t.end() {
            Some(end) => Err(has_ended(t, end, "there is nothing to limit")),
            None => Ok(()),
        })?;
        let mut contents: Vec<ContentId> =
            named.iter().filter_map(|id| self.transfers.get(id)).map(|t| t.content).collect();
        contents.sort_unstable();
        contents.dedup();
        let mut changed = Vec::new();
        for content in contents {
            let sharing = self.transfers_of(content, |t| t.end().is_none());
            for id in &sharing {
                if let Some(transfer) = self.transfers.change(*id) {
                    transfer.limits = transfer.limits.changed(change);
                    transfer.priority = priority.unwrap_or(transfer.priority);
                }
            }
            // What is not open yet hears of it when it is opened.
            let runs = |t: &Transfer| t.agreed() || self.keeps_open(t);
            if let Some(running) = sharing.iter().find(|id| self.transfers.get(id).is_some_and(runs)) {
                self.limit_content(*running);
            }
            changed.extend(sharing);
        }
        changed.sort_unstable();
        Ok(Reply::Transfers(changed))
    }

    /// Tells the engine what holds for a content; to follow whatever opens it there.
    pub(super) fn limit_content(&mut self, id: TransferId) {
        let Some(transfer) = self.transfers.get(&id) else { return };
        let (content, limits, priority) = (transfer.content, transfer.limits, transfer.priority);
        self.push(Effect::Torrent(TorrentCommand::LimitContent { content, limits, priority }));
    }

    pub(super) fn limit_contact(&mut self, jid: &BareJid, change: RateChange) -> Result<Reply, Fault> {
        self.needs_listed(jid)?;
        let mut contact = self.roster.known(jid);
        contact.limits = contact.limits.changed(change);
        let limits = contact.limits;
        self.save_contact(contact);
        self.push(Effect::Torrent(TorrentCommand::LimitContact { contact: jid.clone(), limits }));
        Ok(Reply::Done)
    }

    /// For everything together, until the configuration is reloaded.
    pub(super) fn limit_all(&mut self, change: RateChange) -> Reply {
        self.limit_by_hand(change);
        Reply::Done
    }

    /// A new engine has no limits for contacts.
    pub(super) fn limit_contacts_at_start(&mut self) {
        let limited = self.roster.iter().filter(|c| c.limits.any());
        let commands = limited
            .map(|c| TorrentCommand::LimitContact { contact: c.jid.clone(), limits: c.limits })
            .map(Effect::Torrent);
        self.effects.extend(commands.collect::<Vec<_>>());
    }
}
