//! The one owner of all dial requests and parked links. It alone decides which link is used.
//!
//! Of two devices the one with the smaller fingerprint chooses among the links there are, best way first, whichever side
//! dialed them, and sends the BitTorrent handshake on its choice. The other one listens on up to eight links and answers
//! where the content is granted to that device. So both agree without a further message.
//!
//! Invariants:
//! - not a byte is read from a link (past TLS) before a request names its peer;
//! - while no request names a peer, its links are among the few unknown ones; when its last request ends, they are closed;
//! - a request ends with one `Ready` or one `Failed`, or silently when it is cancelled.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use xbt_core::ids::Fingerprint;
use xbt_core::signal::Candidate;
use xbt_core::way::Ways;

use super::dial::Dialer;
use super::exchange;
use super::mailbox::{Command, Mailbox};
use super::parking::{Parked, Parking, State};
use super::pending::PendingEvents;
use super::report::{Exchanged, Report};
use super::requests::{Requests, Search};
use crate::addresses::interfaces::Interface;
use crate::addresses::local::Local;
use crate::addresses::outside::Outside;
use crate::event::LinkEvent;
use crate::handshake::Handshake;
use crate::rejection::Rejection;
use crate::stream::BoxedStream;
use crate::times::Times;
use crate::ways::attempt::Attempt;
use crate::ways::link::{Incoming, Link, LinkInfo};
use crate::ways::reason::{Failure, Reason};
use crate::ways::transport::Transports;
use xbt_core::effect::{DialRequest, LinkId};

/// How long late links (both sides dial) are not taken for those of an unknown device.
pub(super) const REMEMBERED: Duration = Duration::from_secs(60);

/// What the room is given at the start.
pub(crate) struct Setup {
    pub own: Fingerprint,
    pub peer_id: [u8; 20],
    pub ways: Ways,
    pub local: Local,
    pub times: Times,
    pub transports: Arc<Transports>,
    pub reports: mpsc::Sender<Report>,
    pub candidates: watch::Sender<Vec<Candidate>>,
    pub changes: watch::Sender<u64>,
}

/// What the room listens to.
pub(crate) struct Inputs {
    pub mailbox: Arc<Mailbox>,
    pub incoming: mpsc::Receiver<Incoming>,
    pub reports: mpsc::Receiver<Report>,
    pub interfaces: watch::Receiver<Vec<Interface>>,
    pub outside: watch::Receiver<Outside>,
    /// Notified when a way offers something else.
    pub offers: Arc<Notify>,
}

/// See the module.
pub(crate) struct Room {
    pub(super) setup: Setup,
    pub(super) dialer: Arc<Dialer>,
    pub(super) requests: Requests,
    pub(super) parking: Parking,
    /// Devices that a request named, and when last.
    pub(super) known: HashMap<Fingerprint, Instant>,
    pub(super) pending: PendingEvents,
    pub(super) outside: Outside,
    /// Numbers rounds and exchanges, so that reports of earlier ones are recognised.
    pub(super) counter: u64,
}

impl Room {
    pub fn new(setup: Setup) -> Self {
        let dialer = Arc::new(Dialer::new(setup.transports.clone(), setup.times, setup.reports.clone()));
        Self {
            setup,
            dialer,
            requests: Requests::default(),
            parking: Parking::default(),
            known: HashMap::new(),
            pending: PendingEvents::default(),
            outside: Outside::default(),
            counter: 0,
        }
    }

    /// Runs until the receiver of events is gone.
    pub async fn run(mut self, mut inputs: Inputs, events: mpsc::Sender<LinkEvent>) {
        loop {
            let now = Instant::now();
            self.settle(now);
            let wake = self.next_wake().unwrap_or(now + REMEMBERED);
            tokio::select! {
                () = inputs.mailbox.posted() => {
                    for (id, command) in inputs.mailbox.take() {
                        match command {
                            Command::Dial(request) => self.request(*request),
                            Command::Cancel => self.cancel(id),
                        }
                    }
                }
                Some(report) = inputs.reports.recv() => self.report(report),
                Some(incoming) = inputs.incoming.recv() => match incoming {
                    Incoming::Link(link) => self.arrived(link),
                    Incoming::Rejected(rejected) => self.pending.rejected(rejected),
                },
                Ok(()) = inputs.interfaces.changed() => {
                    self.setup.local.interfaces.clone_from(&inputs.interfaces.borrow_and_update());
                    self.offers_changed();
                    self.setup.changes.send_modify(|count| *count += 1);
                }
                Ok(()) = inputs.outside.changed() => {
                    self.outside = inputs.outside.borrow_and_update().clone();
                    self.offers_changed();
                }
                () = inputs.offers.notified() => self.offers_changed(),
                permit = events.reserve(), if !self.pending.is_empty() => {
                    let Ok(permit) = permit else { return };
                    if let Some(event) = self.pending.next() {
                        permit.send(event);
                    }
                }
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Whether we are the side that chooses.
    pub(super) fn chooses(&self, peer: Fingerprint) -> bool {
        self.setup.own < peer
    }

    fn request(&mut self, request: DialRequest) {
        let now = Instant::now();
        let id = request.link_id();
        let DialRequest { transfer, peer, info_hash, .. } = request;
        tracing::debug!(%transfer, %peer, candidates = request.theirs.candidates.len(), "a link is requested");
        self.pending.forget(id);
        let earlier = self.requests.0.remove(&id);
        let mut search = Search::new(request, &self.setup.transports, now, self.setup.times.request);
        if let Some(earlier) = earlier {
            if earlier.request.peer == peer && earlier.request.info_hash == info_hash {
                // Handshakes under way are as good for the new request.
                search.exchange = earlier.exchange;
            } else {
                self.close_unless_expected(earlier.request.peer);
            }
        }
        if let Some(failure) = self.hopeless(peer) {
            for target in search.targets.clone() {
                search.record(Attempt::at(target, failure.clone()));
            }
            let attempts = self.attempts(&search, None);
            self.pending.outcome(id, LinkEvent::Failed { transfer, introduced: id.introduced, attempts });
            self.close_unless_expected(peer);
            return;
        }
        self.known.insert(peer, now);
        let Setup { transports, local, .. } = &self.setup;
        search.expecting = transports.expect(&search.request, &search.targets, local);
        self.requests.0.insert(id, search);
        self.dial(id);
        self.receive(peer);
        self.answer_early(peer);
    }

    /// Why no link can come of a request at all.
    fn hopeless(&self, peer: Fingerprint) -> Option<Failure> {
        if peer == self.setup.own {
            return Some(Failure::new(Reason::OwnDevice, "this device has no link to itself"));
        }
        let is_off = self.setup.ways == Ways::NONE;
        is_off.then(|| Failure::new(Reason::WayOff, "the configuration allows no way"))
    }

    fn cancel(&mut self, id: LinkId) {
        self.pending.forget(id);
        if let Some(search) = self.requests.0.remove(&id) {
            tracing::debug!(%id, "the link is no longer needed");
            self.close_unless_expected(search.request.peer);
        }
    }

    pub(super) fn close_unless_expected(&mut self, peer: Fingerprint) {
        if !self.requests.any(peer) {
            self.parking.close_of_peer(peer);
        }
    }

    fn report(&mut self, report: Report) {
        match report {
            Report::Opened(link) => self.arrived(link),
            Report::Failed { id, round, attempt } => {
                if let Some(search) = self.requests.in_round(id, round) {
                    search.record(attempt);
                }
            }
            Report::RoundOver { id, round } => {
                let redial = self.setup.times.redial;
                if let Some(search) = self.requests.in_round(id, round) {
                    search.round_over(Instant::now(), redial);
                }
            }
            Report::Received { link, outcome } => self.received(link, outcome),
            Report::Exchanged { id, exchange, info, outcome } => self.exchanged(id, exchange, info, outcome),
        }
    }

    fn arrived(&mut self, link: Link) {
        let LinkInfo { peer, way, remote, ref dialed } = link.info;
        let expected = self.requests.any(peer);
        tracing::debug!(%peer, %way, ?remote, dialed = dialed.is_some(), expected, "an authenticated link");
        if dialed.is_some() && !expected {
            return;
        }
        let now = Instant::now();
        let until = now + self.setup.times.parked;
        let requests = &self.requests;
        if let Some(gone) = self.parking.admit(link, |peer| requests.any(peer), now, until)
            && (self.requests.any(gone.peer) || !self.known.contains_key(&gone.peer))
        {
            self.reject(&gone, Rejection::TooMany);
        }
        self.receive(peer);
    }

    /// Waits for the handshake on all links of a peer that a request names, if that peer is the one to choose.
    fn receive(&mut self, peer: Fingerprint) {
        if self.chooses(peer) || !self.requests.any(peer) {
            return;
        }
        let waiting = |parked: &Parked| matches!(parked.state, State::Waiting(_));
        let links: Vec<u64> = self.parking.of_peer(peer).filter(|p| waiting(p)).map(|p| p.id).collect();
        for link in links {
            let Some(parked) = self.parking.take(link) else { continue };
            let State::Waiting(stream) = parked.state else { continue };
            let reports = self.setup.reports.clone();
            let task = tokio::spawn(async move {
                let outcome = exchange::receive(stream).await;
                let _ = reports.send(Report::Received { link, outcome }).await;
            });
            self.parking.put_back(Parked { state: State::Receiving { _task: AbortOnDropHandle::new(task) }, ..parked });
        }
    }

    fn received(&mut self, link: u64, outcome: Exchanged) {
        // Closed meanwhile: so is the stream, here.
        let Some(parked) = self.parking.take(link) else { return };
        match outcome {
            Ok((stream, theirs)) => match self.requests.granting(parked.info.peer, theirs.info_hash) {
                Some(id) => self.answer(id, parked.info, stream, theirs),
                None => {
                    let peer = parked.info.peer;
                    tracing::debug!(%peer, "asked for a content that is not granted, or not yet");
                    let until = parked.until.min(Instant::now() + self.setup.times.early);
                    self.parking.put_back(Parked { state: State::Early(stream, theirs), until, ..parked });
                }
            },
            Err(error) => self.lost(&parked.info, &error),
        }
    }

    /// A request has come: perhaps its peer was faster and has asked already.
    fn answer_early(&mut self, peer: Fingerprint) {
        let requests = &self.requests;
        let found = self.parking.of_peer(peer).find_map(|parked| match &parked.state {
            State::Early(_, theirs) => Some((parked.id, requests.granting(peer, theirs.info_hash)?)),
            State::Waiting(_) | State::Receiving { .. } => None,
        });
        let Some((link, id)) = found else { return };
        if let Some(Parked { info, state: State::Early(stream, theirs), .. }) = self.parking.take(link) {
            self.answer(id, info, stream, theirs);
        }
    }

    fn answer(&mut self, id: LinkId, info: LinkInfo, stream: BoxedStream, theirs: Handshake) {
        let patience = self.setup.times.answer;
        let ours = Handshake::ours(theirs.info_hash, self.setup.peer_id);
        let answered = async move { exchange::answer(stream, ours, patience).await.map(|stream| (stream, theirs)) };
        self.exchange(id, info, answered);
    }

    /// Runs the exchange of handshakes for a request in a task of its own.
    pub(super) fn exchange(
        &mut self,
        id: LinkId,
        info: LinkInfo,
        exchange: impl Future<Output = Exchanged> + Send + 'static,
    ) {
        self.counter += 1;
        let number = self.counter;
        let reports = self.setup.reports.clone();
        let task = tokio::spawn(async move {
            let outcome = exchange.await;
            let _ = reports.send(Report::Exchanged { id, exchange: number, info, outcome }).await;
        });
        if let Some(search) = self.requests.0.get_mut(&id) {
            search.exchange = Some((number, AbortOnDropHandle::new(task)));
        }
    }

    fn exchanged(&mut self, id: LinkId, exchange: u64, info: LinkInfo, outcome: Exchanged) {
        let Some(search) = self.requests.0.get_mut(&id) else { return };
        if search.exchange.as_ref().is_none_or(|(current, _)| *current != exchange) {
            return;
        }
        search.exchange = None;
        match outcome {
            Ok((stream, theirs)) => self.ready(id, info, stream, theirs),
            Err(error) => {
                self.lost(&info, &error);
                // The peer may have sent its handshake on another link already.
                self.answer_early(info.peer);
            }
        }
    }
}
