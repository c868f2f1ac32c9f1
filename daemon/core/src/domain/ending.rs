//! Pausing, resuming and ending transfers.

use crate::domain::Domain;
use crate::domain::outbox::Subject;
use crate::effect::{Data, Effect, LinkCommand, TorrentCommand};
use crate::fault::Fault;
use crate::hook::Hook;
use crate::ids::{ContentId, FullJid, OfferId, TransferId};
use crate::signal::Request;
use crate::transfer::{Accepted, Direction, End, Incoming, Outgoing, Side, Transfer};

impl Domain {
    /// Ends a transfer by our own decision and notifies the other side.
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

    /// Ends a transfer here, on either side's decision, and stops everything that runs for it.
    pub(super) fn settle(&mut self, id: TransferId, end: End, reason: Option<String>) {
        let now = self.now.wall;
        let Some(transfer) = self.transfers.change(id) else { return };
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
        self.transfers.refile(id);
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

    /// Stops hashing or seeding a content that no send needs any more.
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

    /// The devices to notify of the end: of a send all that know of the offer, else the one that made it.
    fn party(&self, transfer: &Transfer) -> Vec<FullJid> {
        let device = |resource: &String| FullJid::new(transfer.contact.clone(), resource.clone());
        match &transfer.side {
            Side::Out { acknowledged, .. } => acknowledged.iter().map(device).collect(),
            Side::In { from, .. } => vec![device(&from.resource)],
        }
    }

    /// Stops offering. A device that has not answered may have the offer nonetheless, so it counts as one that knows of it.
    pub(super) fn offer_over(&mut self, id: TransferId) {
        let Some(contact) = self.transfers.get(&id).map(|t| t.contact.clone()) else { return };
        let may_know = self.outbox.drop_transfer(&contact, id);
        if let Some(Transfer { side: Side::Out { acknowledged, .. }, .. }) = self.transfers.change(id) {
            acknowledged.extend(may_know);
        }
    }

    /// The offer may have arrived after the notice of its end: sends that notice again.
    pub(super) fn tell_end_again(&mut self, device: &FullJid, offer: OfferId) {
        let row = self.transfers.find(&device.bare, offer, Direction::Out).and_then(|id| self.transfers.get(&id));
        let taken = row.and_then(Transfer::peer).is_some_and(|peer| peer.resource != device.resource);
        let tombstone = || self.transfers.tombstone(&device.bare, offer, Direction::Out);
        let end = row.and_then(Transfer::end).or_else(|| tombstone().map(|t| &t.end));
        let request = match end {
            _ if taken => Some(Request::Taken { id: offer }),
            Some(end) => end_notice(offer, Direction::Out, end),
            None => None,
        };
        if let Some(request) = request {
            // Queued beside the first notice, which may still arrive before the offer.
            self.notice(Subject::Gone(offer), device, request);
        }
    }

    /// Notifies the contact's other devices that this one has taken the transfer or answered for all.
    pub(super) fn tell_taken(&mut self, id: TransferId, winner: &str) {
        let Some(transfer) = self.transfers.get(&id) else { return };
        let request = Request::Taken { id: transfer.offer };
        let others: Vec<_> = self.party(transfer).into_iter().filter(|d| d.resource != winner).collect();
        for device in others {
            self.notice(Subject::Transfer(id), &device, request.clone());
        }
    }

    /// Pauses a transfer from our side: for the person, or because of a fault that the person has to fix.
    pub(super) fn hold(&mut self, id: TransferId, fault: Option<Fault>) {
        let now = self.now.wall;
        let Some(transfer) = self.transfers.change(id) else { return };
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

    /// Resumes a transfer that was paused here.
    pub(super) fn release(&mut self, id: TransferId) {
        let now = self.now.wall;
        let Some(transfer) = self.transfers.change(id) else { return };
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

    /// Closes the link, if there is one, and withdraws the dial request.
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
            self.links.remove(link);
            self.push(Effect::Torrent(TorrentCommand::Detach(link)));
        }
        if granted {
            self.push(Effect::Link(LinkCommand::Withdraw(id.into())));
        }
    }

    /// Ends an offer that has expired before a device took it.
    pub(super) fn expire_when_due(&mut self, id: TransferId) {
        let Some(transfer) = self.transfers.get(&id) else { return };
        let Some(expires) = transfer.expires else { return };
        let waiting = match &transfer.side {
            Side::Out { state: Outgoing::Preparing | Outgoing::Queued | Outgoing::Offered, taken_by, .. } => {
                taken_by.is_none()
            }
            Side::In { state: Incoming::Offered, .. }
            | Side::In { state: Incoming::Connecting, accepted: Accepted::ByRule { linked: false }, .. } => true,
            Side::Out { .. } | Side::In { .. } => false,
        };
        if !waiting {
            return;
        }
        if expires <= self.now.wall {
            // A receiver may have accepted while we were offline, so the devices that know of the offer are notified.
            self.finish(id, End::Expired, Some("it was not accepted in time".into()));
        } else {
            self.watch_expiry(id);
        }
    }
}

/// The notice for the other side when we end a transfer this way; none where it knows already.
pub(super) fn end_notice(id: OfferId, direction: Direction, end: &End) -> Option<Request> {
    match (end, direction) {
        (End::Done, Direction::In) => Some(Request::Done { id }),
        (End::Declined { message }, Direction::In) => Some(Request::Decline { id, message: message.clone() }),
        (End::Done | End::Declined { .. }, Direction::Out) => Some(Request::Taken { id }),
        (End::Expired, Direction::In) => None, // the sender has a clock too
        (End::Expired, Direction::Out) => Some(Request::Expired { id }),
        (End::Cancelled, _) => Some(Request::Cancel { id }),
        // The sender knows from the device that took it.
        (End::Elsewhere, _) => None,
        (End::Failed(fault), _) => Some(Request::Failed { id, reason: public_reason(fault) }),
    }
}

/// The reason as the other person may read it: our own message can contain paths of this computer.
fn public_reason(fault: &Fault) -> String {
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
