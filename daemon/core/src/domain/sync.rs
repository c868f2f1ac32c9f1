//! `sync`: at every appearance of a device the two sides compare their open transfers. Where they differ a
//! terminal state wins, so whatever was lost on the way is found here at the latest.
//!
//! Of two terminal states `done` wins: that the receiver has everything is a fact. So a sender that gave up what a device
//! had taken asks that device how it ended there, until it has answered.

use crate::domain::Domain;
use crate::domain::clock::Timer;
use crate::domain::connect::role;
use crate::domain::request::{Answered, Speaker};
use crate::fault::Fault;
use crate::ids::{Fingerprint, FullJid, TransferId};
use crate::signal::{Answer, MAX_SYNC_ITEMS, Outcome, Role, SyncItem, SyncState};
use crate::transfer::{Direction, End, Incoming, Outgoing, Side, Transfer};

/// Delay of a second `sync` after an offer, in milliseconds: one for all offers that came since.
const CONFIRM: u64 = 30_000;

impl Domain {
    /// Tells a device how our side of the transfers stands that it should know of.
    pub(super) fn sync_with(&mut self, device: &FullJid) {
        let Some(key) = self.proofs.key_of(device) else { return };
        let shared = self.transfers.open_with(&device.bare).chain(self.transfers.unsure_with(&device.bare));
        let items = shared.filter_map(|id| self.transfers.get(&id)).filter_map(|t| item_for(t, device, key));
        let items: Vec<_> = items.collect();
        self.outbox.put_sync(device, items.chunks(MAX_SYNC_ITEMS).map(<[SyncItem]>::to_vec));
    }

    /// An offer may arrive late, after the notice of its end and after a `sync` that did not contain it. So there is
    /// another `sync` once it has arrived.
    pub(super) fn confirm_soon(&mut self, device: &FullJid) {
        if self.confirming.insert(device.clone()) {
            self.timers.set(self.now.mono.after(CONFIRM), Timer::Confirm(device.clone()));
        }
    }

    pub(super) fn confirm_when_due(&mut self, device: &FullJid) {
        if self.confirming.remove(device)
            && self.transfers.unanswered_from(&device.bare) > 0
            && self.presence.runs_xbt(device)
        {
            self.sync_with(device);
        }
    }

    /// A device tells how its side stands: it hears in what we differ.
    pub(super) fn sync_requested(&mut self, from: &Speaker, items: Vec<SyncItem>) -> Answered {
        let items = &items[..items.len().min(MAX_SYNC_ITEMS)];
        for item in items {
            match item.role {
                Role::Receiver => self.has_heard(from, item),
                Role::Sender => self.sender_gave_up(from, item),
            }
        }
        Ok(Answer::Sync(items.iter().filter_map(|item| self.our_side(from, item)).collect()))
    }

    /// Who speaks of an offer has got it, also when its acknowledgement was lost.
    fn has_heard(&mut self, from: &Speaker, item: &SyncItem) {
        let from = &from.device;
        let Some(id) = self.transfers.find(&from.bare, item.id, Direction::Out).filter(|id| self.is_open(*id)) else {
            return;
        };
        match item.state {
            SyncState::Open | SyncState::Accepted => self.acknowledged(id, from),
            SyncState::Done
            | SyncState::Declined
            | SyncState::Cancelled
            | SyncState::Expired
            | SyncState::Taken
            | SyncState::Failed
            | SyncState::Unknown => {}
        }
    }

    /// The sender has ended what is open here: its word on that was lost.
    fn sender_gave_up(&mut self, from: &Speaker, item: &SyncItem) {
        let found = self.transfers.find(&from.device.bare, item.id, Direction::In);
        let Some(id) = found.filter(|id| self.is_open(*id)) else { return };
        match item.state {
            SyncState::Cancelled | SyncState::Failed => self.sender_differs(id, from, item.state),
            SyncState::Open
            | SyncState::Accepted
            | SyncState::Done
            | SyncState::Declined
            | SyncState::Expired
            | SyncState::Taken
            | SyncState::Unknown => {}
        }
    }

    fn our_side(&self, from: &Speaker, item: &SyncItem) -> Option<SyncItem> {
        let contact = &from.device.bare;
        let (ours, direction) = match item.role {
            Role::Sender => (Role::Receiver, Direction::In),
            Role::Receiver => (Role::Sender, Direction::Out),
        };
        let state = match self.transfers.find(contact, item.id, direction).and_then(|id| self.transfers.get(&id)) {
            Some(transfer) => state_for(transfer, from.key)?,
            None => match self.transfers.tombstone(contact, item.id, direction) {
                Some(tombstone) => end_for(&tombstone.end, direction, false),
                None => SyncState::Unknown,
            },
        };
        Some(SyncItem { id: item.id, role: ours, state })
    }

    pub(super) fn sync_answered(&mut self, device: &FullJid, asked: &[SyncItem], outcome: Outcome) {
        // A refused or odd answer tells nothing; lost ones the outbox asks again.
        let Outcome::Answered(Answer::Sync(items)) = outcome else { return };
        let Some(key) = self.proofs.key_of(device) else { return };
        let speaker = Speaker { device: device.clone(), key };
        for item in asked.iter().filter(|item| item.role == Role::Sender) {
            let there = items.iter().find(|there| there.id == item.id && there.role == Role::Receiver);
            self.end_compared(&speaker, item, there.map(|there| there.state));
        }
        for item in items.iter().take(MAX_SYNC_ITEMS) {
            let direction = match item.role {
                Role::Receiver => Direction::Out,
                Role::Sender => Direction::In,
            };
            let Some(id) = self.transfers.find(&device.bare, item.id, direction).filter(|id| self.is_open(*id)) else {
                continue;
            };
            match direction {
                Direction::Out => self.receiver_differs(id, &speaker, item.state),
                Direction::In => self.sender_differs(id, &speaker, item.state),
            }
        }
    }

    /// We said that we gave up what the device had taken: it answers how that stands there, or not if just so.
    fn end_compared(&mut self, from: &Speaker, asked: &SyncItem, there: Option<SyncState>) {
        // What was open when it was asked about may have ended since: the answer is older than that.
        if matches!(asked.state, SyncState::Open | SyncState::Accepted) {
            return;
        }
        let Some(id) = self.transfers.find(&from.device.bare, asked.id, Direction::Out) else { return };
        let partner = |t: &Transfer| t.peer().is_some_and(|peer| peer.fingerprint == from.key);
        if !self.transfers.get(&id).is_some_and(|t| t.is_unsure() && partner(t)) {
            return;
        }
        match there {
            Some(SyncState::Done) => self.receiver_done(id, &from.device),
            Some(SyncState::Open | SyncState::Accepted) => {}
            Some(
                SyncState::Declined
                | SyncState::Cancelled
                | SyncState::Expired
                | SyncState::Taken
                | SyncState::Failed
                | SyncState::Unknown,
            )
            | None => self.end_is_settled(id),
        }
    }

    /// Both sides know how it ended: the device that took it is not asked any more.
    pub(super) fn end_is_settled(&mut self, id: TransferId) {
        if let Some(Transfer { side: Side::Out { acknowledged, taken_by: Some(peer), .. }, .. }) =
            self.transfers.change(id)
        {
            acknowledged.remove(&peer.resource);
        }
        self.transfers.refile(id);
    }

    /// What the receiver's device says of our send.
    fn receiver_differs(&mut self, id: TransferId, from: &Speaker, state: SyncState) {
        let winner = match self.transfers.get(&id).map(|t| &t.side) {
            Some(Side::Out { taken_by, .. }) => taken_by.as_ref().map(|p| p.fingerprint),
            Some(Side::In { .. }) | None => return,
        };
        let by_another = winner.is_some_and(|winner| winner != from.key);
        let device = &from.device;
        match state {
            SyncState::Unknown => self.offer_anew(id, from),
            SyncState::Done if winner.is_some() && !by_another => self.receiver_done(id, device),
            SyncState::Declined if !by_another => {
                self.settle(id, End::Declined { message: None }, Some(format!("declined by {device}")));
                self.tell_taken(id, &device.resource);
            }
            SyncState::Cancelled if !by_another => {
                self.settle(id, End::Cancelled, Some(format!("cancelled by {device}")));
                self.tell_taken(id, &device.resource);
            }
            SyncState::Failed if !by_another => {
                self.fail_remotely(id, device, "it failed there");
                self.tell_taken(id, &device.resource);
            }
            // The device that took it cannot go on with it.
            SyncState::Expired | SyncState::Taken if winner.is_some() && !by_another => {
                self.fail_remotely(id, device, "it has ended there");
            }
            // Another device's word, or nothing that ends our side: our own clock says when it lapses.
            SyncState::Open
            | SyncState::Accepted
            | SyncState::Done
            | SyncState::Declined
            | SyncState::Cancelled
            | SyncState::Expired
            | SyncState::Taken
            | SyncState::Failed => {}
        }
    }

    /// The device has lost its memory: it gets the offer as if for the first time.
    fn offer_anew(&mut self, id: TransferId, from: &Speaker) {
        let device = &from.device;
        let winner = self.transfers.get(&id).and_then(Transfer::peer).map(|peer| peer.fingerprint);
        let forgotten = winner == Some(from.key);
        if forgotten {
            self.drop_link(id);
            self.next_turn(id);
        }
        let now = self.now.wall;
        let Some(transfer) = self.transfers.change(id) else { return };
        let Side::Out { state, acknowledged, taken_by, .. } = &mut transfer.side else { return };
        acknowledged.remove(&device.resource);
        if forgotten {
            *taken_by = None;
            *state = Outgoing::Queued;
            transfer.note(now, "queued", Some(format!("{device} has forgotten it")));
        }
        self.offer_to(id, device);
    }

    /// What the sender's device says of an offer that we have.
    fn sender_differs(&mut self, id: TransferId, from: &Speaker, state: SyncState) {
        let device = &from.device;
        let Some(transfer) = self.transfers.get(&id) else { return };
        if transfer.peer().is_none_or(|peer| peer.fingerprint != from.key) {
            return;
        }
        match state {
            SyncState::Open | SyncState::Accepted => {}
            SyncState::Expired => self.settle(id, End::Expired, Some("it was not accepted in time".into())),
            SyncState::Taken => self.settle(id, End::Elsewhere, Some("another device of yours has it".into())),
            SyncState::Cancelled => self.settle(id, End::Cancelled, Some(format!("cancelled by {}", device.bare))),
            SyncState::Failed => self.fail_remotely(id, device, "it failed there"),
            SyncState::Unknown | SyncState::Done | SyncState::Declined => {
                let message = format!("{} does not offer it any more", device.bare);
                let fault = Fault::new("withdrawn", message, "ask them to send it again");
                self.settle(id, End::Failed(fault), Some("the offer was withdrawn".into()));
            }
        }
    }
}

/// Our line about a transfer that this device should know of, or that we want to know of.
fn item_for(transfer: &Transfer, device: &FullJid, key: Fingerprint) -> Option<SyncItem> {
    let state = match &transfer.side {
        Side::Out { state, acknowledged, taken_by, .. } => {
            let taken = taken_by.as_ref().is_some_and(|peer| peer.fingerprint == key);
            match state {
                Outgoing::Ended(end) if taken && transfer.is_unsure() => {
                    return Some(SyncItem { id: transfer.offer, role: Role::Sender, state: end.sync_state() });
                }
                Outgoing::Ended(_) | Outgoing::Preparing => return None,
                Outgoing::Queued | Outgoing::Offered | Outgoing::Connecting | Outgoing::Sending => {}
            }
            if !taken && !acknowledged.contains(&device.resource) {
                return None;
            }
            if taken { SyncState::Accepted } else { SyncState::Open }
        }
        Side::In { from, .. } if from.fingerprint != key => return None,
        Side::In { state, .. } => match state {
            Incoming::Offered => SyncState::Open,
            Incoming::Connecting | Incoming::Receiving => SyncState::Accepted,
            Incoming::Ended(_) => return None,
        },
    };
    Some(SyncItem { id: transfer.offer, role: role(transfer), state })
}

/// How a transfer stands here, if the device that asks should hear of it.
fn state_for(transfer: &Transfer, key: Fingerprint) -> Option<SyncState> {
    let partner = transfer.peer().is_some_and(|peer| peer.fingerprint == key);
    match (&transfer.side, transfer.end()) {
        (_, Some(end)) => Some(end_for(end, transfer.direction(), partner)),
        (Side::Out { taken_by: Some(_), .. }, None) if !partner => Some(SyncState::Taken),
        (Side::Out { .. } | Side::In { .. }, None) => None,
    }
}

/// How we report an ended transfer: a receiver's device that did not end it learns that another one did.
fn end_for(end: &End, direction: Direction, partner: bool) -> SyncState {
    match (direction, end) {
        (Direction::Out, End::Done | End::Declined { .. }) if !partner => SyncState::Taken,
        (Direction::Out | Direction::In, end) => end.sync_state(),
    }
}
