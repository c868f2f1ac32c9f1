//! Holding up, letting go on, and the ends of a transfer.

use crate::domain::Domain;
use crate::domain::outbox::Subject;
use crate::effect::{Data, Effect, LinkCommand, TorrentCommand};
use crate::fault::Fault;
use crate::hook::Hook;
use crate::ids::{ContentId, FullJid, OfferId, TransferId};
use crate::signal::Request;
use crate::transfer::{Direction, End, Incoming, Outgoing, Side, Transfer};

impl Domain {
    /// Ends a transfer by our own decision and tells the other side.
    pub(super) fn finish(&mut self, id: TransferId, end: End, reason: Option<String>) {
        if !self.is_open(id) {
            return;
        }
        self.settle(id, end.clone(), reason);
        let Some(transfer) = self.transfers.get(&id) else { return };
        let devices = self.party(transfer);
        if let Some(request) = end_notice(transfer.offer, transfer.direction(), &end) {
            for device in devices {
                self.notice(Subject::Transfer(id), &device, request.clone());
            }
        }
    }

    /// Ends a transfer here, whoever decided it: everything that runs for it is stopped.
    pub(super) fn settle(&mut self, id: TransferId, end: End, reason: Option<String>) {
        let now = self.now.wall;
        let Some(transfer) = self.change(id) else { return };
        if transfer.end().is_some() {
            return;
        }
        transfer.note(now, end.name(), reason);
        transfer.paused = Default::default();
        let done = matches!(end, End::Done);
        match &mut transfer.side {
            Side::Out { state, .. } => *state = Outgoing::Ended(end),
            Side::In { state, .. } => *state = Incoming::Ended(end),
        }
        let content = transfer.content;
        let incoming = matches!(transfer.side, Side::In { .. });
        if let Some(transfer) = self.transfers.get(&id) {
            self.index.ended(transfer);
            self.crowded.insert(transfer.contact.clone());
        }
        self.offer_over(id);
        self.drop_link(id);
        self.part_introduced(id);
        if incoming {
            let data = if done { Data::Keep } else { Data::Delete };
            self.push(Effect::Torrent(TorrentCommand::Forget(content, data)));
        } else {
            self.release_content(content);
        }
        self.next_turn(id);
        if done {
            self.run_hook(id, Hook::Complete);
        }
    }

    /// Stops what nobody needs of a sent content any more.
    pub(super) fn release_content(&mut self, content: ContentId) {
        let open = self.transfers_of(content, |t| t.end().is_none());
        if open.is_empty() {
            self.push(Effect::Torrent(TorrentCommand::CancelPrepare(content)));
        }
        let preparing = |t: &Transfer| matches!(t.side, Side::Out { state: Outgoing::Preparing, .. });
        let needed = |t: &Transfer| t.agreed() || preparing(t) || self.keeps_open(t);
        if !open.iter().any(|other| self.transfers.get(other).is_some_and(needed)) {
            self.push(Effect::Torrent(TorrentCommand::Forget(content, Data::Keep)));
        }
    }

    /// The devices that must hear how it ended: of a send all that know of the offer, else the one that made it.
    fn party(&self, transfer: &Transfer) -> Vec<FullJid> {
        let device = |resource: &String| FullJid::new(transfer.contact.clone(), resource.clone());
        match &transfer.side {
            Side::Out { acknowledged, .. } => acknowledged.iter().map(device).collect(),
            Side::In { from, .. } => vec![device(&from.resource)],
        }
    }

    /// Nothing is offered any more. Devices that have not answered may have the offer nonetheless, so they are
    /// counted among those that know of it.
    pub(super) fn offer_over(&mut self, id: TransferId) {
        let Some(contact) = self.transfers.get(&id).map(|t| t.contact.clone()) else { return };
        let may_know = self.outbox.drop_transfer(&contact, id);
        if let Some(Transfer { side: Side::Out { acknowledged, .. }, .. }) = self.change(id) {
            acknowledged.extend(may_know);
        }
    }

    /// The offer went out once more after the word on how it ended: the device hears that again.
    pub(super) fn tell_end_again(&mut self, device: &FullJid, offer: OfferId) {
        let key = (device.bare.clone(), offer, Direction::Out);
        let row = self.offers.get(&key).and_then(|id| self.transfers.get(id));
        let taken = row.and_then(Transfer::peer).is_some_and(|peer| peer.resource != device.resource);
        let end = row.and_then(Transfer::end).or_else(|| self.tombstones.get(&key).map(|t| &t.end));
        let request = match end {
            _ if taken => Some(Request::Taken { id: offer }),
            Some(end) => end_notice(offer, Direction::Out, end),
            None => None,
        };
        if let Some(request) = request {
            // Beside the first word, which may still be under way and come too early.
            self.notice(Subject::Gone(offer), device, request);
        }
    }

    /// Tells all other devices of the contact that this one has settled the matter.
    pub(super) fn tell_taken(&mut self, id: TransferId, winner: &str) {
        let Some(transfer) = self.transfers.get(&id) else { return };
        let request = Request::Taken { id: transfer.offer };
        let others: Vec<_> = self.party(transfer).into_iter().filter(|d| d.resource != winner).collect();
        for device in others {
            self.notice(Subject::Transfer(id), &device, request.clone());
        }
    }

    /// Holds a transfer up from our side: by the person, or by a fault that the person must mend.
    pub(super) fn hold(&mut self, id: TransferId, fault: Option<Fault>) {
        let now = self.now.wall;
        let Some(transfer) = self.change(id) else { return };
        transfer.note(now, "paused", Some(fault.as_ref().map_or("paused here".into(), |f| f.message.clone())));
        transfer.paused.by_us = true;
        transfer.paused.fault = fault;
        let (incoming, content) = (matches!(transfer.side, Side::In { .. }), transfer.content);
        let agreed = transfer.agreed();
        self.drop_link(id);
        if agreed {
            self.back_to_connecting(id);
            if incoming {
                self.push(Effect::Torrent(TorrentCommand::Pause(content)));
            }
        }
        self.next_turn(id);
    }

    /// Lets a transfer that we held up go on.
    pub(super) fn release(&mut self, id: TransferId) {
        let now = self.now.wall;
        let Some(transfer) = self.change(id) else { return };
        transfer.paused.by_us = false;
        transfer.paused.fault = None;
        transfer.note(now, "resumed", Some("resumed here".into()));
        if transfer.agreed() || transfer.is_taken() {
            self.fetch(id);
            self.live(id).backoff.reset();
            self.seek_link(id);
        } else {
            self.offer_everywhere(id);
        }
    }

    /// The link, if there is one, is closed, and the grant withdrawn.
    pub(super) fn drop_link(&mut self, id: TransferId) {
        self.leave_line(id);
        self.leave_introduced(id);
        let granted = self.ungrant(id);
        let live = self.live(id);
        let link = live.link;
        live.unlink();
        live.renewed = false;
        live.seek_at = None;
        if let Some(link) = link {
            self.links.remove(&link);
            self.push(Effect::Torrent(TorrentCommand::Detach(link)));
        }
        if granted {
            self.push(Effect::Link(LinkCommand::Unwant(id.into())));
        }
    }

    /// A lapsed offer that nobody took.
    pub(super) fn expire_when_due(&mut self, id: TransferId) {
        let Some(transfer) = self.transfers.get(&id) else { return };
        let Some(expires) = transfer.expires else { return };
        let waiting = match &transfer.side {
            Side::Out { state: Outgoing::Preparing | Outgoing::Queued | Outgoing::Offered, taken_by, .. } => {
                taken_by.is_none()
            }
            Side::In { state: Incoming::Offered, .. } => true,
            Side::Out { .. } | Side::In { .. } => false,
        };
        if !waiting {
            return;
        }
        if expires <= self.now.wall {
            // A receiver may have accepted while we were away, so the devices that know of it are told.
            self.finish(id, End::Expired, Some("it was not accepted in time".into()));
        } else {
            self.watch_expiry(id);
        }
    }
}

/// What the other side hears when we end a transfer in this way; nothing where it knows by itself.
pub(super) fn end_notice(id: OfferId, direction: Direction, end: &End) -> Option<Request> {
    match (end, direction) {
        (End::Done, Direction::In) => Some(Request::Done { id }),
        (End::Declined { message }, Direction::In) => Some(Request::Decline { id, message: message.clone() }),
        (End::Done | End::Declined { .. }, Direction::Out) => Some(Request::Taken { id }),
        (End::Expired, Direction::In) => None, // the sender has a clock too
        (End::Expired, Direction::Out) => Some(Request::Expired { id }),
        (End::Cancelled, _) => Some(Request::Cancel { id }),
        // The device that took it told the sender; nobody else asks us.
        (End::Elsewhere, _) => None,
        (End::Failed(fault), _) => Some(Request::Failed { id, reason: told_reason(fault) }),
    }
}

/// Why we cannot go on, as the other person may know it: our own message can name paths of this computer.
fn told_reason(fault: &Fault) -> String {
    match fault.code.as_str() {
        "source-changed" => "what was to be sent has changed".into(),
        "source-missing" | "source-unreadable" | "source-empty" => "what was to be sent cannot be read any more".into(),
        "metadata-mismatch" | "bad-metadata" => "what came is not what was offered".into(),
        "disk-full" | "destination-unwritable" => "there is no room for it".into(),
        code => format!("it failed ({code})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_person_hears_why_but_no_path_of_ours() {
        let codes = ["source-changed", "source-missing", "bad-metadata", "destination-unwritable", "bad-state"];
        for code in codes {
            let fault = Fault::new(code, "/home/a/secret plans.odt was edited since it was prepared", "send it again");
            let id = OfferId::from_random(1);
            let Some(Request::Failed { reason, .. }) = end_notice(id, Direction::Out, &End::Failed(fault)) else {
                unreachable!("a failure is told");
            };
            assert!(!reason.is_empty() && !reason.contains('/'), "{reason}");
        }
    }
}
