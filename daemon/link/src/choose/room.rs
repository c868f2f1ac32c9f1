//! The one owner of all wants and parked links. It alone decides which link is taken.
//!
//! Whose link: of two devices the one with the smaller fingerprint chooses among the links there are, best way first,
//! whoever dialled them, and sends the BitTorrent handshake on its choice. The other one listens on up to eight links
//! and answers where the content is granted to that device. So both agree without a further word.
//!
//! Invariants:
//! - not a byte is read from a link (past TLS) before its peer has a want;
//! - while a peer has no want, its links are among the few unknown ones; when its last want ends, they are closed;
//! - a want ends with one `Ready` or one `Failed`, or silently by `unwant`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use xbt_core::effect::{LinkFor, Want};
use xbt_core::ids::Fingerprint;
use xbt_core::signal::Candidate;
use xbt_core::way::Ways;

use crate::addresses::candidates::Ourselves;
use crate::addresses::interfaces::Interface;
use crate::addresses::outside::Outside;
use crate::choose::dial::Dialler;
use crate::choose::exchange::{self, TalkError};
use crate::choose::mailbox::{Mailbox, Order};
use crate::choose::parking::{Parked, Parking, State};
use crate::choose::pending::Outbox;
use crate::choose::requests::{Wanted, Wants};
use crate::event::{Refusal, reason};
use crate::handshake::Handshake;
use crate::ways::punched::observed::Seen;
use crate::ways::target::{self, Target};
use crate::{Attempt, BoxedStream, LinkEvent, Times, Way};

/// How long links that come too late (both sides dial) are not taken for those of an unknown device.
pub(super) const REMEMBERED: Duration = Duration::from_secs(60);

/// Where a link comes from.
#[derive(Clone, Debug)]
pub(crate) struct LinkInfo {
    /// Whose key was proved.
    pub peer: Fingerprint,
    pub way: Way,
    pub remote: Option<SocketAddr>,
    /// If we dialled: for which want, and which of its targets.
    pub dialled: Option<(LinkFor, Arc<Target>)>,
}

/// An authenticated link.
pub(crate) struct Link {
    pub info: LinkInfo,
    pub stream: BoxedStream,
}

/// What tasks report to the room.
pub(crate) enum Message {
    /// A link is there.
    Arrived(Link),
    /// Somebody was turned away at the door.
    Refused(Refusal),
    /// A target has failed.
    Tried { purpose: LinkFor, round: u64, attempt: Attempt },
    /// All targets have been tried.
    RoundOver { purpose: LinkFor, round: u64 },
    /// A parked link has spoken, or ended.
    Heard { link: u64, outcome: Result<(BoxedStream, Handshake), TalkError> },
    /// The exchange of handshakes for a want is over.
    Talked { purpose: LinkFor, talk: u64, info: LinkInfo, outcome: Result<(BoxedStream, Handshake), TalkError> },
}

/// What the room is given at the start.
pub(crate) struct Setup {
    pub own: Fingerprint,
    pub peer_id: [u8; 20],
    pub ways: Ways,
    pub advertise: Vec<SocketAddr>,
    pub ourselves: Ourselves,
    pub times: Times,
    pub dialler: Arc<Dialler>,
    pub report: mpsc::Sender<Message>,
    pub candidates: watch::Sender<Vec<Candidate>>,
    pub changes: watch::Sender<u64>,
}

/// See the module's description.
pub(crate) struct Room {
    pub(super) setup: Setup,
    pub(super) wants: Wants,
    pub(super) parking: Parking,
    /// Devices that had a want, and when last.
    pub(super) known: HashMap<Fingerprint, Instant>,
    pub(super) outbox: Outbox,
    pub(super) outside: Outside,
    pub(super) seen: Seen,
    /// Counts rounds and talks, so that reports of earlier ones are recognised.
    pub(super) counter: u64,
}

impl Room {
    pub fn new(setup: Setup) -> Self {
        Self {
            setup,
            wants: Wants::default(),
            parking: Parking::default(),
            known: HashMap::new(),
            outbox: Outbox::default(),
            outside: Outside::default(),
            seen: Seen::default(),
            counter: 0,
        }
    }

    /// Lives until nobody takes events any more.
    pub async fn live(
        mut self,
        mailbox: Arc<Mailbox>,
        mut inbox: mpsc::Receiver<Message>,
        mut interfaces: watch::Receiver<Vec<Interface>>,
        (mut outside, mut seen): (watch::Receiver<Outside>, watch::Receiver<Seen>),
        events: mpsc::Sender<LinkEvent>,
    ) {
        loop {
            let now = Instant::now();
            self.settle(now);
            let wake = self.next_wake().unwrap_or(now + REMEMBERED);
            tokio::select! {
                () = mailbox.rung() => {
                    for (purpose, order) in mailbox.take() {
                        match order {
                            Order::Want(want) => self.want(*want),
                            Order::Unwant => self.unwant(purpose),
                        }
                    }
                }
                Some(message) = inbox.recv() => self.take(message),
                Ok(()) = interfaces.changed() => {
                    self.setup.ourselves.interfaces.clone_from(&interfaces.borrow_and_update());
                    self.reached_otherwise();
                    self.setup.changes.send_modify(|count| *count += 1);
                }
                Ok(()) = outside.changed() => {
                    self.outside = outside.borrow_and_update().clone();
                    self.reached_otherwise();
                }
                Ok(()) = seen.changed() => {
                    self.seen = seen.borrow_and_update().clone();
                    self.reached_otherwise();
                }
                permit = events.reserve(), if !self.outbox.is_empty() => {
                    let Ok(permit) = permit else { return };
                    if let Some(event) = self.outbox.next() {
                        permit.send(event);
                    }
                }
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Whether we are the side that chooses and speaks first.
    pub(super) fn speaks_to(&self, peer: Fingerprint) -> bool {
        self.setup.own < peer
    }

    fn want(&mut self, want: Want) {
        let now = Instant::now();
        let purpose = want.purpose();
        let Want { transfer, peer, info_hash, .. } = want;
        tracing::debug!(%transfer, %peer, candidates = want.theirs.candidates.len(), "a link is wanted");
        self.outbox.forget(purpose);
        let earlier = self.wants.0.remove(&purpose);
        let mut wanted = Wanted::new(want, self.setup.own, self.setup.ways, now, self.setup.times.want);
        if let Some(earlier) = earlier {
            if earlier.want.peer == peer && earlier.want.info_hash == info_hash {
                // Handshakes under way are as good for the new want.
                wanted.talk = earlier.talk;
            } else {
                self.close_unless_wanted(earlier.want.peer);
            }
        }
        if let Some((code, sentence)) = self.hopeless(peer) {
            for target in wanted.targets.clone() {
                let reason = sentence.to_owned();
                wanted.note(Attempt { way: target.way(), target: Some(target), code, reason });
            }
            let attempts = self.attempts(&wanted, None);
            let LinkFor { transfer, introduced } = purpose;
            self.outbox.outcome(purpose, LinkEvent::Failed { transfer, introduced, attempts });
            self.close_unless_wanted(peer);
            return;
        }
        self.known.insert(peer, now);
        if wanted.targets.contains(&Target::Punch) {
            let told = target::reflexive(&wanted.want.theirs);
            let may_be = |address: &SocketAddr| self.setup.ourselves.objection(*address).is_none();
            wanted.punch_to = told.into_iter().filter(may_be).collect();
            wanted.let_in = self.setup.dialler.let_in(peer, &wanted.punch_to);
        }
        if wanted.targets.iter().any(|target| self.setup.dialler.is_awaited(target, peer)) {
            let expecting = self.setup.dialler.clone().expect(wanted.want.clone());
            wanted.expecting = Some(AbortOnDropHandle::new(tokio::spawn(expecting)));
        }
        self.wants.0.insert(purpose, wanted);
        self.dial(purpose);
        self.heed(peer);
        self.answer_early(peer);
    }

    /// Why no link can come of it at all.
    fn hopeless(&self, peer: Fingerprint) -> Option<(&'static str, &'static str)> {
        if peer == self.setup.own {
            return Some((reason::OWN_DEVICE, "this device has no link to itself"));
        }
        (self.setup.ways == Ways::NONE).then_some(("way-off", "the configuration allows no way"))
    }

    fn unwant(&mut self, purpose: LinkFor) {
        self.outbox.forget(purpose);
        if let Some(wanted) = self.wants.0.remove(&purpose) {
            tracing::debug!(%purpose, "the link is no longer wanted");
            self.close_unless_wanted(wanted.want.peer);
        }
    }

    pub(super) fn close_unless_wanted(&mut self, peer: Fingerprint) {
        if !self.wants.any(peer) {
            self.parking.close_of_peer(peer);
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Arrived(link) => self.arrived(link),
            Message::Refused(refusal) => self.outbox.refusal(refusal),
            Message::Tried { purpose, round, attempt } => {
                if let Some(wanted) = self.wants.in_round(purpose, round) {
                    wanted.note(attempt);
                }
            }
            Message::RoundOver { purpose, round } => {
                let redial = self.setup.times.redial;
                if let Some(wanted) = self.wants.in_round(purpose, round) {
                    wanted.round_over(Instant::now(), redial);
                }
            }
            Message::Heard { link, outcome } => self.heard(link, outcome),
            Message::Talked { purpose, talk, info, outcome } => self.talked(purpose, talk, info, outcome),
        }
    }

    fn arrived(&mut self, link: Link) {
        let LinkInfo { peer, way, remote, ref dialled } = link.info;
        let wanted = self.wants.any(peer);
        tracing::debug!(%peer, %way, ?remote, dialled = dialled.is_some(), wanted, "an authenticated link");
        if dialled.is_some() && !wanted {
            return;
        }
        let now = Instant::now();
        let until = now + self.setup.times.parked;
        let wants = &self.wants;
        if let Some(gone) = self.parking.admit(link, |peer| wants.any(peer), now, until)
            && (self.wants.any(gone.peer) || !self.known.contains_key(&gone.peer))
        {
            self.refuse(&gone, reason::TOO_MANY);
        }
        self.heed(peer);
    }

    /// Listens on all links of a wanted peer, if that peer is the one to speak.
    fn heed(&mut self, peer: Fingerprint) {
        if self.speaks_to(peer) || !self.wants.any(peer) {
            return;
        }
        let waiting = |parked: &Parked| matches!(parked.state, State::Waiting(_));
        let links: Vec<u64> = self.parking.of_peer(peer).filter(|p| waiting(p)).map(|p| p.id).collect();
        for link in links {
            let Some(parked) = self.parking.take(link) else { continue };
            let State::Waiting(stream) = parked.state else { continue };
            let report = self.setup.report.clone();
            let task = tokio::spawn(async move {
                let outcome = exchange::heed(stream).await;
                let _ = report.send(Message::Heard { link, outcome }).await;
            });
            self.parking.put_back(Parked { state: State::Heeding { _task: AbortOnDropHandle::new(task) }, ..parked });
        }
    }

    fn heard(&mut self, link: u64, outcome: Result<(BoxedStream, Handshake), TalkError>) {
        // Closed meanwhile: so is the stream, here.
        let Some(parked) = self.parking.take(link) else { return };
        match outcome {
            Ok((stream, theirs)) => match self.wants.granting(parked.info.peer, theirs.info_hash) {
                Some(purpose) => self.answer(purpose, parked.info, stream, theirs),
                None => {
                    let until = parked.until.min(Instant::now() + self.setup.times.early);
                    self.parking.put_back(Parked { state: State::Early(stream, theirs), until, ..parked });
                }
            },
            Err(error) => self.lost(&parked.info, &error),
        }
    }

    /// A want has come: perhaps its peer was faster and has asked already.
    fn answer_early(&mut self, peer: Fingerprint) {
        let wants = &self.wants;
        let found = self.parking.of_peer(peer).find_map(|parked| match &parked.state {
            State::Early(_, theirs) => Some((parked.id, wants.granting(peer, theirs.info_hash)?)),
            State::Waiting(_) | State::Heeding { .. } => None,
        });
        let Some((link, purpose)) = found else { return };
        if let Some(Parked { info, state: State::Early(stream, theirs), .. }) = self.parking.take(link) {
            self.answer(purpose, info, stream, theirs);
        }
    }

    fn answer(&mut self, purpose: LinkFor, info: LinkInfo, stream: BoxedStream, theirs: Handshake) {
        let patience = self.setup.times.answer;
        let ours = Handshake::ours(theirs.info_hash, self.setup.peer_id);
        self.talk(purpose, info, async move {
            exchange::answer(stream, ours, patience).await.map(|stream| (stream, theirs))
        });
    }

    /// Lets the handshakes for a want go on in a task of their own.
    pub(super) fn talk(
        &mut self,
        purpose: LinkFor,
        info: LinkInfo,
        exchange: impl Future<Output = Result<(BoxedStream, Handshake), TalkError>> + Send + 'static,
    ) {
        self.counter += 1;
        let talk = self.counter;
        let report = self.setup.report.clone();
        let task = tokio::spawn(async move {
            let outcome = exchange.await;
            let _ = report.send(Message::Talked { purpose, talk, info, outcome }).await;
        });
        if let Some(wanted) = self.wants.0.get_mut(&purpose) {
            wanted.talk = Some((talk, AbortOnDropHandle::new(task)));
        }
    }

    fn talked(
        &mut self,
        purpose: LinkFor,
        talk: u64,
        info: LinkInfo,
        outcome: Result<(BoxedStream, Handshake), TalkError>,
    ) {
        let Some(wanted) = self.wants.0.get_mut(&purpose) else { return };
        if wanted.talk.as_ref().is_none_or(|(current, _)| *current != talk) {
            return;
        }
        wanted.talk = None;
        match outcome {
            Ok((stream, theirs)) => {
                let LinkInfo { peer, way, remote, ref dialled } = info;
                let relay = dialled.as_ref().and_then(|(_, target)| target.relay());
                tracing::debug!(%purpose, %peer, %way, ?remote, "a link is ready");
                let wanted = self.wants.0.remove(&purpose);
                let attempts = wanted.map(|wanted| self.attempts(&wanted, Some(way))).unwrap_or_default();
                self.known.insert(peer, Instant::now());
                let reserved = theirs.reserved;
                let (transfer, introduced) = (purpose.transfer, purpose.introduced.is_some());
                let ready =
                    LinkEvent::Ready { transfer, peer, introduced, stream, way, remote, relay, reserved, attempts };
                self.outbox.outcome(purpose, ready);
                self.close_unless_wanted(peer);
            }
            Err(error) => {
                self.lost(&info, &error);
                // It may have spoken on another link already.
                self.answer_early(info.peer);
            }
        }
    }
}
