//! What a person asks for: checked whole before anything is changed.

use crate::domain::Domain;
use crate::effect::{CallId, Data, Effect, Event, Gone, Persist, Reply, TorrentCommand};
use crate::fault::Fault;
use crate::ids::{BareJid, ContentId, TransferId};
use crate::input::Command;
use crate::limits::TOMBSTONES;
use crate::session::SessionCommand;
use crate::transfer::{Direction, End, Incoming, Outgoing, Side, Tombstone, Transfer};

type Result<T> = std::result::Result<T, Fault>;

impl Domain {
    pub(super) fn command(&mut self, call: CallId, command: Command) {
        let reply = match command {
            // Has its own time to reply.
            Command::Remove { ids, delete_data } => return self.remove(call, ids, delete_data),
            Command::Send(send) => self.send(send),
            Command::Accept { ids, destinations } => self.accept(ids, destinations),
            Command::Decline { ids, message } => self.decline(ids, message),
            Command::Cancel(ids) => self.cancel(ids),
            Command::Pause(ids) => self.pause(ids),
            Command::Resume(ids) => self.resume(ids),
            Command::Limit { ids, change, priority } => self.limit(&ids, change, priority),
            Command::LimitAll(change) => Ok(self.limit_all(change)),
            Command::ContactLimit { jid, change } => self.limit_contact(&jid, change),
            Command::ContactAdd { jid, name } => self.contact_add(jid, name),
            Command::UseName { name, jid, confirmed } => self.use_name(&name, jid, confirmed),
            Command::ContactRemove(jid) => self.contact_remove(jid),
            Command::ContactAllow(jid) => self.contact_allow(jid),
            Command::ContactDeny(jid) => self.contact_deny(jid),
            Command::AllowWeakerLogin => self.allow_weaker_login(),
            Command::DevicesSeen(contact) => Ok(self.devices_seen(&contact)),
            Command::DeviceVerified { contact, fingerprint } => self.device_verified(contact, fingerprint),
        };
        self.push(Effect::Reply(call, reply));
    }

    /// The transfers of a command, all of them there, of this account, and in a state that `check` finds right.
    pub(super) fn checked(
        &self,
        ids: &[TransferId],
        check: impl Fn(&Transfer) -> Result<()>,
    ) -> Result<Vec<TransferId>> {
        let mut unique = ids.to_vec();
        unique.sort_unstable();
        unique.dedup();
        for id in &unique {
            let transfer = self.transfers.get(id).ok_or_else(|| unknown_id(*id))?;
            if transfer.account != self.settings.account {
                return Err(other_account(transfer));
            }
            check(transfer)?;
        }
        Ok(unique)
    }

    fn cancel(&mut self, ids: Vec<TransferId>) -> Result<Reply> {
        let ids = self.checked(&ids, |t| match t.end() {
            None => Ok(()),
            Some(end) => Err(has_ended(t, end, "it cannot be cancelled any more")),
        })?;
        for id in &ids {
            self.finish(*id, End::Cancelled, Some("cancelled here".into()));
        }
        Ok(Reply::Transfers(ids))
    }

    fn pause(&mut self, ids: Vec<TransferId>) -> Result<Reply> {
        let ids = self.checked(&ids, |t| match (t.end(), &t.side) {
            (Some(end), _) => Err(has_ended(t, end, "there is nothing to pause")),
            (None, Side::In { state: Incoming::Offered, .. }) => Err(wrong_state(
                t,
                "has not been accepted yet, so there is nothing to pause",
                format!("accept it with 'xbtctl accept {}' or decline it", t.id),
            )),
            (None, Side::In { .. } | Side::Out { .. }) if t.paused.by_us => {
                Err(wrong_state(t, "is paused already", format!("'xbtctl resume {}' lets it go on", t.id)))
            }
            (None, Side::In { .. } | Side::Out { .. }) => Ok(()),
        })?;
        for id in &ids {
            self.hold(*id, None);
        }
        Ok(Reply::Transfers(ids))
    }

    fn resume(&mut self, ids: Vec<TransferId>) -> Result<Reply> {
        let ids = self.checked(&ids, |t| match t.end() {
            Some(end) => Err(has_ended(t, end, "it cannot be resumed")),
            None if t.paused.by_us => Ok(()),
            None if t.paused.by_contact => Err(Fault::new(
                "paused-by-contact",
                format!("transfer {} was paused by {}", t.id, t.contact),
                format!("only {} can resume it", t.contact),
            )),
            None => Err(wrong_state(t, "is not paused", format!("see 'xbtctl show {}'", t.id))),
        })?;
        for id in &ids {
            self.release(*id);
        }
        Ok(Reply::Transfers(ids))
    }

    fn remove(&mut self, call: CallId, ids: Vec<TransferId>, delete_data: bool) {
        match self.removable(&ids, delete_data) {
            Err(fault) => self.push(Effect::Reply(call, Err(fault))),
            Ok(ids) => {
                let mut deletions = Vec::new();
                for id in &ids {
                    deletions.extend(self.remove_ended(*id, delete_data, true));
                }
                self.prune_tombstones();
                self.reply_when_deleted(call, ids, &deletions);
            }
        }
    }

    fn removable(&self, ids: &[TransferId], delete_data: bool) -> Result<Vec<TransferId>> {
        self.checked(ids, |t| {
            if delete_data && t.direction() == Direction::Out {
                return Err(Fault::new(
                    "wrong-direction",
                    format!("transfer {} is a send, and its files are yours", t.id),
                    "leave --delete-data away; it deletes only what was received",
                ));
            }
            match t.end() {
                Some(_) if delete_data => self.is_not_sent_on(t),
                Some(_) => Ok(()),
                None => Err(wrong_state(t, "has not ended yet", format!("cancel it first: 'xbtctl cancel {}'", t.id))),
            }
        })
    }

    pub(super) fn prune_tombstones(&mut self) {
        self.transfers.prune_tombstones();
        self.persist(Persist::PruneTombstones(TOMBSTONES));
    }

    /// Takes an ended transfer off the list and leaves a tombstone, if one is wanted. Returns what is being deleted.
    pub(super) fn remove_ended(
        &mut self,
        id: TransferId,
        delete_data: bool,
        with_tombstone: bool,
    ) -> Option<ContentId> {
        let done_bytes = self.live_view(id, self.now.mono).done_bytes;
        let transfer = self.transfers.remove(id)?;
        let end = transfer.end().cloned()?;
        let tombstone = Tombstone {
            account: transfer.account.clone(),
            contact: transfer.contact.clone(),
            offer: transfer.offer,
            direction: transfer.direction(),
            end,
            at: self.now.wall,
        };
        self.live.remove(&id);
        self.persist(Persist::RemoveTransfer(id));
        if with_tombstone {
            self.persist(Persist::Tombstone(tombstone.clone()));
            self.transfers.add_tombstone(tombstone);
        }
        // Before the content goes, and the record of what was received with it.
        let deletion = if delete_data { self.delete_received(&transfer) } else { None };
        let source = self.content(&transfer).and_then(|content| content.paths.first().cloned());
        if self.transfers.of_content(transfer.content).next().is_none() {
            self.contents.remove(transfer.content);
            self.push(Effect::Torrent(TorrentCommand::Forget(transfer.content, Data::Keep)));
            self.persist(Persist::RemoveContent(transfer.content));
        }
        self.push(Effect::Emit(Event::Removed(Box::new(Gone { transfer, source, done_bytes }))));
        deletion
    }

    fn contact_add(&mut self, jid: BareJid, name: Option<String>) -> Result<Reply> {
        if jid == self.settings.account {
            let hint = "nothing needs to be done to send to your other devices: 'xbtctl send' takes your own address";
            return Err(Fault::new("bad-request", format!("{jid} is you"), hint));
        }
        self.needs_server()?;
        if self.roster.answer(&jid) {
            self.push(Effect::Session(SessionCommand::ApproveSubscription(jid.clone())));
        }
        if let Some(name) = &name {
            self.call(name, &jid);
        }
        self.push(Effect::Session(SessionCommand::AddContact { jid, name }));
        Ok(Reply::Done)
    }

    fn contact_remove(&mut self, jid: BareJid) -> Result<Reply> {
        self.needs_server()?;
        if !self.roster.is_listed(&jid) && self.roster.answer(&jid) {
            self.push(Effect::Session(SessionCommand::DenySubscription(jid)));
            return Ok(Reply::Done);
        }
        self.needs_listed(&jid)
            .map_err(|fault| Fault { hint: "'xbtctl contacts' lists those who are".into(), ..fault })?;
        self.push(Effect::Session(SessionCommand::RemoveContact(jid)));
        Ok(Reply::Done)
    }

    /// From now on what this contact offers is accepted by rule. Who may see our presence is another question: `contact_add`.
    fn contact_allow(&mut self, jid: BareJid) -> Result<Reply> {
        self.set_allowed(jid, true)
    }

    fn contact_deny(&mut self, jid: BareJid) -> Result<Reply> {
        self.set_allowed(jid, false)
    }

    fn set_allowed(&mut self, jid: BareJid, allowed: bool) -> Result<Reply> {
        if self.roster.asks(&jid) && !self.roster.is_listed(&jid) {
            let what = format!("{jid} asks to be your contact and is not one yet");
            return Err(Fault::new("unknown-contact", what, format!("'xbtctl contacts add {jid}' says yes")));
        }
        self.needs_listed(&jid)?;
        let mut contact = self.roster.known(&jid);
        contact.allowed = allowed;
        self.save_contact(contact);
        Ok(Reply::Done)
    }

    fn needs_server(&self) -> Result<()> {
        if self.presence.is_online() {
            return Ok(());
        }
        Err(Fault::new(
            "not-connected",
            "the contact list cannot be changed without a connection to the XMPP server",
            "'xbtctl status' says why there is none",
        ))
    }

    pub(super) fn needs_listed(&self, jid: &BareJid) -> Result<()> {
        if self.roster.is_listed(jid) { Ok(()) } else { Err(unknown_contact(jid)) }
    }
}

/// No transfer has this number.
pub(super) fn unknown_id(id: TransferId) -> Fault {
    Fault::new("no-such-transfer", format!("there is no transfer {id}"), "'xbtctl list --all' shows the ones there are")
}

/// The contact is not on the roster.
pub(super) fn unknown_contact(jid: &BareJid) -> Fault {
    Fault::new(
        "unknown-contact",
        format!("{jid} is not on your contact list"),
        format!("add them: 'xbtctl contacts add {jid}'"),
    )
}

fn other_account(transfer: &Transfer) -> Fault {
    let Transfer { id, account, .. } = transfer;
    Fault::new(
        "other-account",
        format!("transfer {id} belongs to the account {account}"),
        format!("configure {account} again to go on with it"),
    )
}

/// The command does not fit the state.
pub(super) fn wrong_state(transfer: &Transfer, what: &str, hint: String) -> Fault {
    Fault::new("wrong-state", format!("transfer {} {what}", transfer.id), hint)
}

/// It is over, so the command comes too late.
pub(super) fn has_ended(transfer: &Transfer, end: &End, so: &str) -> Fault {
    let how = match end {
        End::Done => "is done",
        End::Declined { .. } => "was declined",
        End::Cancelled => "was cancelled",
        End::Expired => "has expired",
        End::Elsewhere => "was taken by another device of yours",
        End::Failed(_) => "has failed",
    };
    let hint = match &transfer.side {
        Side::Out { state: Outgoing::Ended(End::Done), .. } | Side::In { .. } => {
            format!("'xbtctl show {}' says how it went", transfer.id)
        }
        Side::Out { .. } => "send it again if it is still wanted".into(),
    };
    wrong_state(transfer, &format!("{how}; {so}"), hint)
}
