//! Getting a link agreed: who asks whom, the arbiter, and the turns of a device pair.

use crate::domain::Domain;
use crate::domain::clock::Timer;
use crate::domain::outbox::{Ask, Subject};
use crate::domain::request::{Answered, Speaker};
use crate::effect::{DialRequest, Effect, Event, LinkCommand, TorrentCommand};
use crate::fault::Fault;
use crate::ids::{FullJid, TransferId};
use crate::limits::LINKS_PER_DEVICE;
use crate::signal::{
    Answer, Candidate, Condition, Connect, MAX_CANDIDATES, MAX_PROXIES, Outcome, Reach, Refusal, Request, SyncItem,
    SyncState, Wait,
};
use crate::transfer::{Direction, End, Incoming, Outgoing, Peer, Side, Transfer};
use crate::way::Way;

/// The sender gives the receiver this long to ask first, in milliseconds, which avoids most crossed connects.
const SENDER_WAITS: u64 = 2_000;

/// Longest delay of hole punching that the other side may ask for, in milliseconds.
const MAX_DELAY: u32 = 2_000;

/// What was agreed about a link.
struct Terms {
    theirs: Reach,
    delay: u32,
    better_than: Option<Way>,
}

impl Domain {
    /// Asks the other device for a link, if one is wanted and the device is online; otherwise does nothing.
    pub(super) fn seek_link(&mut self, id: TransferId) {
        let Some(transfer) = self.transfers.our(id) else { return };
        // Also for a transfer that the other side paused: we may have missed that it was resumed.
        let wants = (transfer.agreed() || transfer.is_taken()) && !transfer.paused.by_us && !transfer.linked();
        let Some(peer) = transfer.peer().filter(|_| wants).cloned() else { return };
        let device = FullJid::new(transfer.contact.clone(), peer.resource.clone());
        // Without a connection the request waits in its queue: the stream may be resumed.
        if !self.presence.runs_xbt(&device) || self.is_blocked(&device) {
            return;
        }
        // A search is under way, and the other side knows all that we do.
        if self.live(id).granted.is_some() && !self.has_news(id) {
            return;
        }
        if self.has_turn(id, &device.bare, &peer) {
            self.leave_line(id);
            self.outbox.put(&device, Subject::Transfer(id), Ask::Connect);
        } else {
            self.await_turn(id);
            self.push(Effect::Emit(Event::Transfer(id)));
        }
    }

    /// The same in a moment; the receiver goes first.
    pub(super) fn seek_soon(&mut self, id: TransferId) {
        let wait = match self.transfers.get(&id).map(Transfer::direction) {
            Some(Direction::In) => 0,
            Some(Direction::Out) => SENDER_WAITS,
            None => return,
        };
        self.seek_after(id, wait);
    }

    pub(super) fn seek_after(&mut self, id: TransferId, wait: u64) {
        let at = self.now.mono.after(wait);
        self.live(id).seek_at = Some(at);
        self.timers.set(at, Timer::Seek(id));
    }

    pub(super) fn seek_when_due(&mut self, id: TransferId) {
        let Some(at) = self.live.get(&id).and_then(|l| l.seek_at) else { return };
        if at <= self.now.mono {
            self.live(id).seek_at = None;
            self.seek_link(id);
        }
    }

    /// The `connect` as it is now, or none if no link is wanted any more. It tells our addresses, so it goes only to who
    /// has proved the key that was agreed upon.
    pub(super) fn make_connect(&mut self, id: TransferId, device: &FullJid) -> Option<Request> {
        let transfer = self.transfers.get(&id)?;
        let peer = transfer.peer().filter(|peer| self.is_proved(device, peer.fingerprint))?;
        let better_than = self.wants_better_than(id);
        if transfer.end().is_some() || transfer.paused.by_us || !self.wants_link(transfer) {
            return None;
        }
        if !self.has_turn(id, &transfer.contact, peer) {
            self.await_turn(id);
            return None;
        }
        let delay = self.outbox.delay(device).min(MAX_DELAY);
        let ours = self.our_connect(id)?;
        self.live(id).sent_reach = Some(ours.reach.clone());
        self.let_in_ahead(id, device);
        Some(Request::Connect(Connect { delay, better_than, ..ours }))
    }

    /// Whether there is an address or a proxy that the other side of a search has not heard of.
    pub(super) fn has_news(&mut self, id: TransferId) -> bool {
        let Some(now) = self.our_reach(id) else { return false };
        let Some(known) = self.live.get(&id).and_then(|live| live.known_reach.as_ref()) else { return false };
        now.candidates.iter().any(|candidate| !known.candidates.contains(candidate))
            || now.proxies.iter().any(|proxy| !known.proxies.contains(proxy))
    }

    fn our_connect(&mut self, id: TransferId) -> Option<Connect> {
        let reach = self.our_reach(id)?;
        let introduce = self.wants_introductions(id) && reach.candidates.iter().any(Candidate::is_tcp);
        let transfer = self.transfers.get(&id)?;
        Some(Connect {
            id: transfer.offer,
            info_hash: transfer.facts.as_ref()?.info_hash,
            fingerprint: self.settings.fingerprint,
            reach,
            delay: 0,
            better_than: None,
            introduce,
        })
    }

    /// A device asks for a link.
    pub(super) fn connect_requested(&mut self, from: &Speaker, connect: Connect) -> Answered {
        self.is_own_key(from, connect.fingerprint)?;
        let known = self.known(from, connect.id, Direction::Out);
        let id = known.or_else(|_| self.known(from, connect.id, Direction::In))?;
        let Some(transfer) = self.transfers.get(&id) else { return Err(gone()) };
        if transfer.end().is_some() {
            return Err(gone());
        }
        if transfer.facts.as_ref().is_none_or(|facts| facts.info_hash != connect.info_hash) {
            return Err(Refusal::new(Condition::NotAcceptable, "that is not the content of this offer"));
        }
        let peer = Peer { resource: from.device.resource.clone(), fingerprint: from.key };
        self.may_connect(id, &peer)?;
        self.agree(id, peer.clone());
        self.note_introducible(id, &connect);
        let Some(transfer) = self.transfers.get(&id) else { return Err(gone()) };
        if transfer.paused.by_us {
            return Err(Refusal::wait(Wait::Paused, format!("paused by {}", self.settings.account)));
        }
        if !self.has_turn(id, &from.device.bare, &peer) {
            self.await_turn(id);
            return Err(Refusal::wait(Wait::Turn, format!("{LINKS_PER_DEVICE} transfers are under way already")));
        }
        let now = self.now.mono;
        if !self.live(id).connects.admit(now) {
            return Err(Refusal::wait(Wait::Busy, "a link was asked for too often"));
        }
        let answer = self.our_connect(id).ok_or_else(gone)?;
        // Any way will do if either side considers the present link dead; the other side says so by omitting `better_than`.
        let better_than = connect.better_than.filter(|_| !self.live(id).stalled).and(self.in_use(id));
        let terms = Terms { theirs: connect.reach, delay: connect.delay.min(MAX_DELAY), better_than };
        self.want(id, &peer, terms, answer.reach.clone());
        Ok(Answer::Connect(answer))
    }

    /// The sender is the arbiter: the first accepted `connect` wins. At the receiver only the device that made the
    /// offer may ask, and only once the person has accepted.
    fn may_connect(&self, id: TransferId, peer: &Peer) -> Result<(), Refusal> {
        match self.transfers.get(&id).map(|t| &t.side) {
            Some(Side::Out { taken_by: Some(winner), .. }) if winner.fingerprint != peer.fingerprint => {
                Err(Refusal::new(Condition::Conflict, "another of your devices has taken it"))
            }
            Some(Side::Out { state: Outgoing::Preparing, .. }) => Err(gone()),
            Some(Side::Out { .. }) => Ok(()),
            Some(Side::In { from, .. }) if from.fingerprint != peer.fingerprint => {
                Err(Refusal::new(Condition::Forbidden, "another device made this offer"))
            }
            Some(Side::In { state: Incoming::Offered, .. }) => {
                Err(Refusal::new(Condition::Forbidden, "the offer has not been accepted"))
            }
            Some(Side::In { .. }) => Ok(()),
            None => Err(gone()),
        }
    }

    /// Records which device is on the other end. The first time, the contact's other devices are notified that it is
    /// taken.
    fn agree(&mut self, id: TransferId, peer: Peer) {
        let now = self.now.wall;
        let Some(contact) = self.transfers.get(&id).map(|t| t.contact.clone()) else { return };
        let turn = self.has_turn(id, &contact, &peer);
        let winner = peer.resource.clone();
        let Some(transfer) = self.transfers.change(id) else { return };
        let from = format!("{}/{}", transfer.contact, peer.resource);
        // A device that asks for a link has resumed it.
        transfer.paused.by_contact = false;
        let mut first = false;
        let mut moved = None;
        match &mut transfer.side {
            Side::Out { state, taken_by, acknowledged, .. } => {
                first = taken_by.is_none();
                acknowledged.insert(peer.resource.clone());
                *taken_by = Some(peer);
                if first || *state == Outgoing::Queued {
                    let next = if turn { Outgoing::Connecting } else { Outgoing::Queued };
                    moved = (*state != next).then_some(if turn { "connecting" } else { "queued" });
                    *state = next;
                }
            }
            Side::In { from, .. } => from.resource = peer.resource,
        }
        if let Some(state) = moved {
            transfer.note(now, state, Some(format!("taken by {from}")));
        }
        if first {
            self.offer_over(id);
            self.tell_taken(id, &winner);
        }
    }

    /// Grants the device a link and dials it.
    fn want(&mut self, id: TransferId, peer: &Peer, terms: Terms, ours: Reach) {
        let Terms { mut theirs, delay, better_than } = terms;
        let Some(transfer) = self.transfers.get(&id) else { return };
        let device = FullJid::new(transfer.contact.clone(), peer.resource.clone());
        let Some(info_hash) = transfer.facts.as_ref().map(|f| f.info_hash) else { return };
        let content = transfer.content;
        let outgoing = transfer.direction() == Direction::Out;
        theirs.candidates.truncate(MAX_CANDIDATES);
        theirs.proxies.truncate(MAX_PROXIES);
        self.has_own_now(id, info_hash, peer.fingerprint);
        self.grant(id, peer.fingerprint);
        self.leave_line(id);
        let live = self.live(id);
        live.renewed = live.link.is_some();
        live.ahead = None;
        live.seek_at = None;
        live.seeking = None;
        live.refusal = None;
        if outgoing {
            self.push(Effect::Torrent(TorrentCommand::Seed(content)));
            self.limit_content(id);
        }
        self.live(id).known_reach = Some(ours.clone());
        let peer = peer.fingerprint;
        let own = self.own_device();
        let introduced = false;
        let want =
            DialRequest { transfer: id, peer, introduced, info_hash, own, device, theirs, ours, delay, better_than };
        self.push(Effect::Link(LinkCommand::Dial(Box::new(want))));
    }

    /// The outcome of our `connect`.
    pub(super) fn connect_answered(&mut self, id: TransferId, device: &FullJid, outcome: Outcome) {
        if !matches!(outcome, Outcome::Answered(Answer::Connect(_))) {
            self.shut_out_ahead(id);
        }
        let open = |t: &Transfer| t.end().is_none() && !t.paused.by_us && self.wants_link(t);
        if !self.transfers.get(&id).is_some_and(open) {
            return self.next_turn(id);
        }
        if self.in_use(id).is_some() && !matches!(outcome, Outcome::Answered(Answer::Connect(_))) {
            return self.nothing_better(id, Vec::new());
        }
        match outcome {
            Outcome::Answered(Answer::Connect(connect)) => self.connect_granted(id, device, connect),
            Outcome::Answered(_) | Outcome::Lost => self.seek_again(id, None),
            Outcome::Refused(refusal) => self.connect_refused(id, device, refusal),
        }
        // It failed, so its turn goes to another transfer.
        if self.live.get(&id).is_some_and(|l| l.granted.is_none()) {
            self.next_turn(id);
        }
    }

    fn connect_granted(&mut self, id: TransferId, device: &FullJid, connect: Connect) {
        let Some(transfer) = self.transfers.get(&id) else { return };
        let same = transfer.facts.as_ref().is_some_and(|f| f.info_hash == connect.info_hash);
        let Some(peer) = transfer.peer().filter(|p| same && p.fingerprint == connect.fingerprint).cloned() else {
            self.shut_out_ahead(id);
            return self.granted_in_vain(id, "the other device answered with a key or content that was not agreed");
        };
        if !self.devices.is_trusted(&device.bare, peer.fingerprint) {
            self.shut_out_ahead(id);
            return self.granted_in_vain(id, "the other device's key is not verified");
        }
        self.agree(id, peer.clone());
        self.note_introducible(id, &connect);
        let Some(ours) = self.live(id).sent_reach.take() else { return };
        let better_than = self.wants_better_than(id);
        self.want(id, &peer, Terms { theirs: connect.reach, delay: 0, better_than }, ours);
    }

    /// The other device agreed, but its answer is not acceptable: a present link stays.
    fn granted_in_vain(&mut self, id: TransferId, reason: &str) {
        match self.in_use(id) {
            Some(_) => self.nothing_better(id, Vec::new()),
            None => self.seek_again(id, Some(reason.to_owned())),
        }
    }

    fn connect_refused(&mut self, id: TransferId, device: &FullJid, refusal: Refusal) {
        let incoming = self.transfers.get(&id).is_some_and(|t| t.direction() == Direction::In);
        match (refusal.condition, refusal.wait) {
            (Condition::Conflict, _) if incoming => {
                self.settle(id, End::Elsewhere, Some("another device of yours has it".into()));
            }
            (Condition::Forbidden | Condition::NotAcceptable, _) if incoming => {
                let message = format!("{} refused the link: {}", device.bare, refusal.sentence());
                let fault = Fault::new("refused", message, "ask them to send it again");
                self.finish(id, End::Failed(fault), Some(refusal.text));
            }
            // It has ended there, and we missed how: ask.
            (Condition::ItemNotFound, _) => self.ask_state(id, device),
            (Condition::ResourceConstraint, Some(Wait::Paused)) => self.paused_there(id),
            (Condition::ResourceConstraint, Some(Wait::Turn)) => {
                self.await_turn(id);
                self.seek_again(id, None);
            }
            (
                Condition::ResourceConstraint
                | Condition::Conflict
                | Condition::Forbidden
                | Condition::NotAcceptable
                | Condition::BadRequest
                | Condition::ServiceUnavailable
                | Condition::FeatureNotImplemented
                | Condition::RemoteServerNotFound
                | Condition::RemoteServerTimeout
                | Condition::RecipientUnavailable
                | Condition::InternalServerError
                | Condition::Other,
                _,
            ) => self.seek_again(id, Some(refusal.text)),
        }
    }

    /// The person on the other side paused it. That side asks for the link when it resumes; we ask now and then in case we
    /// miss that.
    fn paused_there(&mut self, id: TransferId) {
        let now = self.now.wall;
        self.leave_introduced(id);
        let Some(transfer) = self.transfers.change(id) else { return };
        if !transfer.paused.by_contact {
            transfer.paused.by_contact = true;
            let reason = format!("paused by {}", transfer.contact);
            transfer.note(now, "paused", Some(reason));
        }
        self.seek_after(id, crate::limits::RETRY_MAX);
    }

    pub(super) fn ask_state(&mut self, id: TransferId, device: &FullJid) {
        let Some(transfer) = self.transfers.get(&id) else { return };
        let items = vec![SyncItem { id: transfer.offer, role: role(transfer), state: SyncState::Accepted }];
        self.outbox.put(device, Subject::State(transfer.offer), Ask::Sync(items));
        self.seek_again(id, None);
    }

    /// Tries again later, with backoff.
    pub(super) fn seek_again(&mut self, id: TransferId, reason: Option<String>) {
        let live = self.live(id);
        if reason.is_some() {
            live.refusal = reason;
        }
        let wait = live.backoff.fail();
        self.seek_after(id, wait);
        self.push(Effect::Emit(Event::Transfer(id)));
    }
}

/// Which end of the transfer we are.
pub(super) fn role(transfer: &Transfer) -> crate::signal::Role {
    match transfer.direction() {
        Direction::Out => crate::signal::Role::Sender,
        Direction::In => crate::signal::Role::Receiver,
    }
}

fn gone() -> Refusal {
    Refusal::new(Condition::ItemNotFound, "there is no such offer (any more)")
}
