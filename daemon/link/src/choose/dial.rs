//! Trying the targets of one request, with a head start for the better ones (the idea of RFC 8305).
//!
//! Addresses are dialed one after the other, a few at once. Relays, which cost the bandwidth of others, begin when nothing
//! better is left or has answered for a while.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};
use xbt_core::way::Way;

use super::permits::Permits;
use super::report::Report;
use crate::addresses::local::Local;
use crate::times::Times;
use crate::ways::attempt::Attempt;
use crate::ways::link::{Link, LinkInfo};
use crate::ways::reason::{Failure, Reason};
use crate::ways::target::Target;
use crate::ways::transport::{Dial, Opened, Start, Transports};
use xbt_core::effect::DialRequest;

/// Dials at once for one request: of addresses, and of everything else. Addresses that swallow packets, of which a
/// computer behind a firewall may have many, must not keep the other ways waiting until the request ends.
const MAX_OF_REQUEST: usize = 4;

/// Dials at once for all requests, likewise; and of these for one contact.
const MAX: (usize, usize) = (32, 12);

/// The same for devices that were introduced to us: no transfer waits for them, so they must not keep others waiting.
const MAX_INTRODUCED: (usize, usize) = (16, 6);

/// What dials beside the others get once these have ended, so that the next round is not held up.
const ALONE: Duration = Duration::from_secs(1);

/// A dial gets at least this long, however many candidates wait: one lost packet must not decide (RFC 6298: 1 s).
const MIN_CONNECT: Duration = Duration::from_secs(3);

/// What all dials share.
pub(crate) struct Dialer {
    transports: Arc<Transports>,
    times: Times,
    /// For addresses, for those of introduced devices, and for everything else.
    addresses: Permits,
    introduced: Permits,
    others: Permits,
    reports: mpsc::Sender<Report>,
}

/// One round through the targets of a request.
pub(crate) struct Round {
    pub request: Arc<DialRequest>,
    /// When the request came.
    pub since: Instant,
    /// Distinguishes its reports from those of other rounds.
    pub number: u64,
    /// In the order in which they are tried.
    pub targets: Vec<Target>,
    pub local: Arc<Local>,
}

type Dialed = (Target, Result<Option<Opened>, Failure>);

/// What is under way.
type Running = Vec<(Target, AbortHandle)>;

impl Dialer {
    pub fn new(transports: Arc<Transports>, times: Times, reports: mpsc::Sender<Report>) -> Self {
        let (addresses, introduced, others) = (Permits::new(MAX), Permits::new(MAX_INTRODUCED), Permits::new(MAX));
        Self { transports, times, addresses, introduced, others, reports }
    }

    /// Goes through the targets once, and reports each link, each failure, and the end. After the first link only better
    /// ways are still tried.
    pub async fn run(self: Arc<Self>, round: Round) {
        let mut waiting: VecDeque<Target> = round.targets.iter().cloned().collect();
        let patience = self.patience(&waiting);
        let mut dials: JoinSet<Dialed> = JoinSet::new();
        let mut running: Running = Vec::new();
        let mut next = Instant::now();
        let mut ends: Option<Instant> = None;
        while !(waiting.is_empty() && dials.is_empty()) {
            let first = self.first(&waiting, &round, &running, next);
            let is_beside = |(target, _): &(Target, AbortHandle)| self.is_beside(target, &round);
            let alone = waiting.is_empty() && running.iter().all(is_beside);
            let end = *ends.get_or_insert_with(|| Instant::now() + ALONE);
            if !alone {
                ends = None;
            }
            tokio::select! {
                () = sleep_until(end), if alone => break,
                Some(ended) = dials.join_next() => {
                    let (target, outcome) = match ended {
                        Ok(dialed) => dialed,
                        // Aborted, and reported, by `stop_not_better`.
                        Err(error) => {
                            running.retain(|(_, task)| task.id() != error.id());
                            continue;
                        }
                    };
                    running.retain(|(other, _)| *other != target);
                    match outcome {
                        // The other side opens it.
                        Ok(None) => {}
                        Ok(Some(opened)) => {
                            let way = target.way;
                            self.opened(&round, target, opened).await;
                            for worse in stop_not_better(way, &mut waiting, &mut running) {
                                let failure = passed_over(&worse);
                                self.failed(&round, worse, failure).await;
                            }
                        }
                        Err(failure) => {
                            self.failed(&round, target, failure).await;
                            // The head start was for this one (RFC 8305, section 5).
                            next = Instant::now();
                        }
                    }
                }
                () = sleep_until(first.map_or(next, |(_, at)| at)), if first.is_some() => {
                    let Some(target) = first.and_then(|(position, _)| waiting.remove(position)) else { continue };
                    tracing::debug!(transfer = %round.request.transfer, %target, "dialing");
                    let (request, local) = (round.request.clone(), round.local.clone());
                    let task = dials.spawn(self.clone().dial(request, local, target.clone(), patience));
                    if !self.is_beside(&target, &round) {
                        next = Instant::now() + self.times.stagger;
                    }
                    running.push((target, task));
                }
            }
        }
        let (id, round) = (round.request.link_id(), round.number);
        let _ = self.reports.send(Report::RoundOver { id, round }).await;
    }

    /// Which of the waiting targets comes first, and when; none if as many are under way as may be.
    fn first(
        &self,
        waiting: &VecDeque<Target>,
        round: &Round,
        running: &Running,
        next: Instant,
    ) -> Option<(usize, Instant)> {
        let of_kind = |addresses: bool| {
            let under_way = running.iter().filter(|(target, _)| target.is_address() == addresses).count();
            let mut all = waiting.iter().enumerate();
            let (position, target) = all.find(|(_, target)| target.is_address() == addresses)?;
            (under_way < MAX_OF_REQUEST).then(|| (position, self.start_at(target, round, running, next)))
        };
        // Where both may begin at once, the address does.
        [true, false].into_iter().filter_map(of_kind).min_by_key(|(_, at)| *at)
    }

    fn start_at(&self, target: &Target, round: &Round, running: &Running, next: Instant) -> Instant {
        let transport = self.transports.of(target.way);
        match transport.map_or(Start::After(Duration::ZERO), |transport| transport.start(&round.request)) {
            Start::After(delay) => next.max(round.since + delay),
            Start::Beside => round.since,
            Start::Behind(head_start) => {
                let better_runs = running.iter().any(|(other, _)| other.way < target.way);
                if better_runs { next.max(round.since + head_start) } else { next }
            }
        }
    }

    fn is_beside(&self, target: &Target, round: &Round) -> bool {
        self.transports.of(target.way).is_some_and(|way| way.start(&round.request) == Start::Beside)
    }

    async fn dial(
        self: Arc<Self>,
        request: Arc<DialRequest>,
        local: Arc<Local>,
        target: Target,
        patience: Duration,
    ) -> Dialed {
        let permits = match (target.is_address(), request.introduced) {
            (true, false) => &self.addresses,
            (true, true) => &self.introduced,
            (false, _) => &self.others,
        };
        let _permit = permits.acquire(&request.device.bare).await;
        let outcome = match self.transports.of(target.way) {
            Some(way) => way.connect(Dial { request: &request, target: &target, local: &local, patience }).await,
            None => Ok(None),
        };
        (target, outcome)
    }

    /// What an address gets: the full time for up to four addresses; less for more, so that the last ones get their turn
    /// before the request ends.
    fn patience(&self, targets: &VecDeque<Target>) -> Duration {
        let addresses = targets.iter().filter(|target| target.is_address()).count();
        let turns = addresses.div_ceil(MAX_OF_REQUEST).max(1);
        let share = self.times.request / u32::try_from(turns).unwrap_or(u32::MAX);
        self.times.connect.min(share.max(MIN_CONNECT))
    }

    async fn opened(&self, round: &Round, target: Target, Opened { stream, remote }: Opened) {
        let (peer, way, id) = (round.request.peer, target.way, round.request.link_id());
        let info = LinkInfo { peer, way, remote, dialed: Some((id, Arc::new(target))) };
        // Without a receiver the link is closed.
        let _ = self.reports.send(Report::Opened(Link { info, stream })).await;
    }

    async fn failed(&self, round: &Round, target: Target, failure: Failure) {
        let id = round.request.link_id();
        tracing::debug!(%id, code = failure.reason.code(), reason = failure.text, "no link");
        let attempt = Attempt::at(target, failure);
        let _ = self.reports.send(Report::Failed { id, round: round.number, attempt }).await;
    }
}

/// Ends everything that could not give a better way than `got`.
fn stop_not_better(got: Way, waiting: &mut VecDeque<Target>, running: &mut Running) -> Vec<Target> {
    let mut stopped = Vec::new();
    waiting.retain(|target| {
        let better = target.way < got;
        if !better {
            stopped.push(target.clone());
        }
        better
    });
    running.retain(|(target, task)| {
        let better = target.way < got;
        if !better {
            task.abort();
            stopped.push(target.clone());
        }
        better
    });
    stopped
}

fn passed_over(target: &Target) -> Failure {
    Failure::new(Reason::PassedOver, format!("{target} was not tried to the end: another way had opened"))
}
