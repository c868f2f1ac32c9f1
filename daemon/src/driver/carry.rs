//! Carrying effects out: first what must be kept (`keep`), then the rest in the order given.

use std::time::Instant;

use tokio::task::block_in_place;
use xbt_api::EventKind;
use xbt_core::effect::{Data, Effect, Event, LinkCommand, TorrentCommand};
use xbt_core::ids::{ContentId, TransferId};
use xbt_core::input::{Input, TorrentEvent};
use xbt_core::session::{SessionCommand, SessionEvent};
use xbt_core::signal::Outcome;

use super::{Driver, convert, destination, views};
use xbt_store::StoreError;

impl Driver {
    pub(super) async fn carry_out(&mut self, effects: Vec<Effect>) {
        let mut keep = Vec::new();
        let mut rest = Vec::new();
        for effect in effects {
            match effect {
                Effect::Persist(change) => keep.push(change),
                other => rest.push(other),
            }
        }
        if !self.commit(&keep).await {
            return;
        }
        for effect in rest {
            match effect {
                Effect::Persist(_) => {}
                Effect::Session(command) => self.session(command),
                Effect::Torrent(command) => self.torrent(command),
                Effect::Link(command) => self.link(command),
                Effect::Emit(event) => self.emit(event),
                Effect::Reply(call, reply) => {
                    if let Some(caller) = self.calls.remove(&call) {
                        // The caller may have gone; what it asked for is done all the same.
                        let _ = caller.send(reply);
                    }
                }
                Effect::Destination(id) => self.find_destination(id),
                Effect::Hook(id, hook) => self.hook(id, hook),
            }
        }
    }

    fn session(&mut self, command: SessionCommand) {
        let refused = match &self.rooms.session {
            Some(session) => session.try_send(command).err(),
            None => Some(command),
        };
        // What could not be asked counts as lost; the domain asks again in its own time.
        if let Some(SessionCommand::Request { token, .. }) = refused {
            let lost = SessionEvent::Answered { token, outcome: Outcome::Lost, by: None };
            self.again.push_back(Input::Session(lost));
        } else if refused.is_some() {
            tracing::warn!("the XMPP session is too busy; one stanza was dropped");
        }
    }

    fn link(&mut self, command: LinkCommand) {
        match command {
            LinkCommand::Dial(request) => self.rooms.links.dial(*request),
            LinkCommand::Withdraw(id) => self.rooms.links.cancel(id),
            LinkCommand::Open(info_hash) => self.rooms.links.open(info_hash),
            LinkCommand::Shut(info_hash) => self.shut(info_hash),
        }
    }

    fn torrent(&mut self, command: TorrentCommand) {
        let engine = self.rooms.engine.clone();
        match command {
            TorrentCommand::Prepare(content) => engine.prepare(convert::key(content.id), convert::sources(content)),
            TorrentCommand::CancelPrepare(content) => engine.cancel_prepare(convert::key(content)),
            TorrentCommand::Seed(content) => self.seed(content),
            TorrentCommand::Fetch { content, contact, partial_id, facts, name, folder } => {
                let owner = self.group(&contact);
                engine.fetch(convert::key(content), convert::fetch(owner, partial_id, &facts, name, folder));
                engine.resume(convert::key(content));
            }
            TorrentCommand::Pause(content) => engine.pause(convert::key(content)),
            TorrentCommand::LimitContent { content, limits, priority } => {
                engine.set_content_limits(convert::key(content), limits.up, limits.down);
                engine.set_priority(convert::key(content), convert::priority(priority));
            }
            TorrentCommand::LimitContact { contact, limits } => {
                engine.set_group_limits(self.group(&contact), limits.up, limits.down);
            }
            TorrentCommand::LimitAll(limits) => engine.set_limits(limits.up, limits.down),
            TorrentCommand::Detach(link) => engine.detach(convert::engine_tag(link)),
            TorrentCommand::Forget(content, data) => engine.forget(convert::key(content), convert::data(data)),
            TorrentCommand::DeleteReceived(deletion) => self.delete_received(deletion),
        }
    }

    /// Clears away partial data whose transfer has ended, where a crash came between the two.
    pub(super) async fn clear_abandoned(&mut self) {
        let engine = self.rooms.engine.clone();
        let leftovers = tokio::task::spawn_blocking(move || engine.leftovers()).await;
        for key in leftovers.unwrap_or_default() {
            let content = ContentId(key.0);
            if let Some(fetch) = self.domain.abandoned(content) {
                tracing::info!(%content, "removed partial data of an ended transfer");
                self.torrent(fetch);
                self.torrent(TorrentCommand::Forget(content, Data::Delete));
            }
        }
    }

    pub(super) fn blob(&self, content: ContentId) -> Result<Option<Vec<u8>>, StoreError> {
        block_in_place(|| self.rooms.store.blob(content))
    }

    fn seed(&mut self, content: ContentId) {
        let fault = match self.blob(content) {
            Ok(Some(blob)) => return self.rooms.engine.seed_stored(convert::key(content), blob),
            Ok(None) => convert::no_metadata(),
            Err(error) => convert::store_fault(&error),
        };
        self.again.push_back(Input::Torrent(TorrentEvent::Failed { content, fault }));
    }

    fn emit(&mut self, event: Event) {
        let at = views::time(self.now().wall);
        let ring = self.rooms.ring.clone();
        match event {
            Event::Transfer(id) => {
                let Some(transfer) = self.domain.transfer(id) else { return };
                let text = views::sentence(transfer);
                let view = views::transfer(&self.domain, transfer, self.mono());
                self.tell_log(id);
                self.clean_spool(id);
                ring.push(at, EventKind::Transfer, Some(view), text);
            }
            Event::Removed(gone) => {
                let id = gone.transfer.id;
                self.told.remove(&id);
                let view = views::gone(&self.domain, &gone, self.mono());
                ring.push(at, EventKind::Removed, Some(view), format!("transfer {id} was removed"));
            }
            Event::Connection => {
                let text = views::connection_sentence(self.domain.connection());
                tracing::info!("{text}");
                ring.push(at, EventKind::Connection, None, text);
            }
            Event::Contact(jid) => {
                ring.push(at, EventKind::Contact, None, format!("{jid} has changed"));
            }
            Event::NewDevice { contact, fingerprint, another, blocked } => {
                let text = views::new_device(&contact, fingerprint, another, blocked);
                tracing::warn!("{text}");
                ring.push(at, EventKind::Device, None, text);
            }
            Event::Chat { from, text } => {
                let text = views::chat(&from, &text);
                tracing::info!(%from, "bounced a chat message sent to xbtd");
                ring.push(at, EventKind::Notice, None, text);
            }
            Event::MoreChat { from, messages } => {
                let text = format!("{from} wrote {messages} more chat messages to xbtd, which only moves files");
                tracing::info!("{text}");
                ring.push(at, EventKind::Notice, None, text);
            }
            Event::Discarded(from) => {
                let text = views::discarded(from.as_ref());
                tracing::warn!("{text}");
                ring.push(at, EventKind::Notice, None, text);
            }
            Event::Unproved(from) => {
                let text = views::unproved(&from);
                tracing::warn!("{text}");
                ring.push(at, EventKind::Notice, None, text);
            }
            Event::KeyClaimed { contact, owner, fingerprint } => {
                let text = views::key_claimed(&contact, &owner, fingerprint);
                tracing::warn!("{text}");
                ring.push(at, EventKind::Notice, None, text);
            }
            Event::Limits => {
                let text = views::pace_sentence(&self.domain.pace());
                tracing::info!("{text}");
                ring.push(at, EventKind::Notice, None, text);
            }
            Event::Deleted { transfer, path, deleted } => self.tell_deleted(transfer, &path, &deleted),
            Event::NotAccepted { transfer, reason } => {
                let text = format!("transfer {transfer} was not accepted automatically: {reason}");
                tracing::warn!("{text}");
                ring.push(at, EventKind::Notice, None, text);
            }
            Event::HookFailed { transfer, reason } => {
                let text = format!("transfer {transfer}: {reason}");
                tracing::warn!("{text}");
                ring.push(at, EventKind::Notice, None, text);
            }
            Event::SubscriptionRequested(jid) => {
                let text = format!(
                    "{jid} asks to be your contact ('xbtctl contacts add {jid}' says yes, 'xbtctl contacts remove {jid}' no)"
                );
                tracing::info!("{text}");
                ring.push(at, EventKind::Notice, None, text);
            }
        }
    }

    /// The log tells each step of a transfer once, as far as its contact has not caused too many lines.
    fn tell_log(&mut self, id: TransferId) {
        let Some(transfer) = self.domain.transfer(id) else { return };
        let told = self.told.insert(id, transfer.steps).unwrap_or(0);
        for step in transfer.steps_since(told) {
            let Some(left_out) = self.log_lines.admit(&transfer.contact, Instant::now()) else { continue };
            if left_out > 0 {
                tracing::warn!(contact = %transfer.contact, left_out, "a contact causes many lines; some were left out");
            }
            tracing::info!("{}", views::step(transfer, step));
        }
    }

    fn find_destination(&mut self, id: TransferId) {
        if let Some(folder) = destination::folder(&self.domain, id, self.now().wall) {
            self.looks.add(id, folder);
        }
    }
}
