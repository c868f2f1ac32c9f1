//! Trying the targets of one want, with a head start for the better ones (the idea of RFC 8305).
//!
//! Addresses are dialled one after the other, a few at once. Punching begins at the moment that both sides have agreed
//! upon. Relays, which cost somebody else's bandwidth, begin when nothing better is left or has answered for a while.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};
use xbt_core::effect::Want;
use xbt_core::ids::Fingerprint;

use crate::addresses::candidates::Ourselves;
use crate::choose::permits::Permits;
use crate::choose::room::{Link, LinkInfo, Message};
use crate::identity::tls::Tls;
use crate::ways::punched::{Expectation, Punch};
use crate::ways::relays::{self, Reason, Session};
use crate::ways::target::Target;
use crate::ways::{punched::observed as punched, tcp};
use crate::{Attempt, BoxedStream, Times, Way};

/// Dials at once for one want: of addresses, and of everything else. Addresses that swallow what is sent, of which a
/// computer behind a firewall may have many, must not keep the other ways waiting until the want ends.
const MOST_OF_WANT: usize = 4;

/// Dials at once for all wants, likewise; and of these for one contact.
const MOST: (usize, usize) = (32, 12);

/// The same for devices that were introduced to us: no transfer waits for them, so they must not keep others waiting.
const MOST_INTRODUCED: (usize, usize) = (16, 6);

/// A dial gets at least this long, however many candidates wait: one lost packet must not decide (RFC 6298: 1 s).
const LEAST_CONNECT: Duration = Duration::from_secs(3);

/// What all dials share.
pub(crate) struct Dialler {
    own: Fingerprint,
    tls: Arc<Tls>,
    times: Times,
    session: Session,
    punch: Option<Punch>,
    places: Places,
    inbox: mpsc::Sender<Message>,
}

/// Where dials of each kind have their places.
struct Places {
    addresses: Permits,
    introduced: Permits,
    others: Permits,
}

impl Places {
    fn of(&self, want: &Want, target: &Target) -> &Permits {
        match (target.is_address(), want.introduced) {
            (true, false) => &self.addresses,
            (true, true) => &self.introduced,
            (false, _) => &self.others,
        }
    }
}

/// One round through the targets of a want.
pub(crate) struct Round {
    pub want: Arc<Want>,
    /// Since when there is the want.
    pub since: Instant,
    /// Tells its reports from those of other rounds.
    pub number: u64,
    /// In the order in which they are tried.
    pub targets: Vec<Target>,
    /// Where holes are punched to.
    pub punch_to: Arc<[SocketAddr]>,
    /// What is not dialled, whoever says so.
    pub ourselves: Arc<Ourselves>,
}

type Dialled = (Target, Result<Option<(BoxedStream, Option<SocketAddr>)>, Reason>);

/// What is under way.
type Running = Vec<(Target, AbortHandle)>;

/// With whom, where holes are punched to, and what is not dialled.
type Whom = (Arc<Want>, Arc<[SocketAddr]>, Arc<Ourselves>);

impl Round {
    fn to(&self, target: &Target) -> Whom {
        let punch_to = if *target == Target::Punch { self.punch_to.clone() } else { Arc::default() };
        (self.want.clone(), punch_to, self.ourselves.clone())
    }
}

impl Dialler {
    pub fn new(
        own: Fingerprint,
        tls: Arc<Tls>,
        times: Times,
        session: Session,
        punch: Option<Punch>,
        inbox: mpsc::Sender<Message>,
    ) -> Self {
        let places = Places {
            addresses: Permits::new(MOST),
            introduced: Permits::new(MOST_INTRODUCED),
            others: Permits::new(MOST),
        };
        Self { own, tls, times, session, punch, places, inbox }
    }

    /// Goes through the targets once. Tells the room each link and each failure, and then that it is over. After the
    /// first link only better ways are still tried.
    pub async fn run(self: Arc<Self>, round: Round) {
        let mut waiting: VecDeque<Target> = round.targets.iter().cloned().collect();
        let connect = self.connect_time(&waiting);
        let mut dials: JoinSet<Dialled> = JoinSet::new();
        let mut running: Running = Vec::new();
        let mut next = Instant::now();
        while !(waiting.is_empty() && dials.is_empty()) {
            let first = self.first(&waiting, &round, &running, next);
            tokio::select! {
                Some(ended) = dials.join_next() => {
                    let (target, outcome) = match ended {
                        Ok(dialled) => dialled,
                        // Aborted, and told, by `stop_not_better`.
                        Err(error) => {
                            running.retain(|(_, task)| task.id() != error.id());
                            continue;
                        }
                    };
                    running.retain(|(other, _)| *other != target);
                    match outcome {
                        // The other side brings it.
                        Ok(None) => {}
                        Ok(Some((stream, remote))) => {
                            let way = target.way();
                            self.link(&round, target, stream, remote).await;
                            for worse in stop_not_better(way, &mut waiting, &mut running) {
                                let reason = passed_over(&worse);
                                self.tried(&round, worse, "passed-over", reason).await;
                            }
                        }
                        Err((code, reason)) => {
                            self.tried(&round, target, code, reason).await;
                            // The head start was for this one (RFC 8305, section 5).
                            next = Instant::now();
                        }
                    }
                }
                () = sleep_until(first.map_or(next, |(_, at)| at)), if first.is_some() => {
                    let Some(target) = first.and_then(|(position, _)| waiting.remove(position)) else { continue };
                    tracing::debug!(transfer = %round.want.transfer, %target, "dialling");
                    let task = dials.spawn(self.clone().dial(round.to(&target), target.clone(), connect));
                    running.push((target, task));
                    next = Instant::now() + self.times.stagger;
                }
            }
        }
        let (purpose, round) = (round.want.purpose(), round.number);
        let _ = self.inbox.send(Message::RoundOver { purpose, round }).await;
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
            (under_way < MOST_OF_WANT).then(|| (position, self.start_at(target, round, running, next)))
        };
        // Where both may begin at once, the address does.
        [true, false].into_iter().filter_map(of_kind).min_by_key(|(_, at)| *at)
    }

    /// When the next target may be tried: relays not before the better ways have had their time, or have failed.
    fn start_at(&self, target: &Target, round: &Round, running: &Running, next: Instant) -> Instant {
        let head_start = match target {
            Target::Address(_) => Duration::ZERO,
            Target::Punch => Duration::from_millis(round.want.delay.into()),
            Target::Proxy { .. } => self.times.before_proxy,
            Target::InBand => self.times.before_in_band,
        };
        let is_relay = matches!(target, Target::Proxy { .. } | Target::InBand);
        let better_runs = running.iter().any(|(other, _)| other.way() < target.way());
        if is_relay && !better_runs { next } else { next.max(round.since + head_start) }
    }

    async fn dial(self: Arc<Self>, (want, punch_to, ourselves): Whom, target: Target, connect: Duration) -> Dialled {
        let _permit = self.places.of(&want, &target).acquire(&want.device.bare).await;
        let (tls, times, session, peer) = (&self.tls, &self.times, &self.session, want.peer);
        let opened = match &target {
            Target::Address(candidate) => {
                let address = candidate.address;
                let link = tcp::dial(tls, peer, address, connect, times).await;
                return (target, link.map(|stream| Some((stream, Some(address)))));
            }
            Target::Punch => {
                let outcome = match &self.punch {
                    Some(punch) => punched::connect(punch, self.own, peer, &punch_to, times.punch).await,
                    None => Err(("io-error", "this computer gave no UDP socket for hole punching".to_owned())),
                };
                return (target, outcome.map(|link| link.map(|(stream, remote)| (stream, Some(remote)))));
            }
            Target::Proxy { proxy, ours } => {
                relays::at_proxy(session, tls, &want, (proxy, *ours), &ourselves, times).await
            }
            Target::InBand => relays::open_in_band(session, tls, &want, times).await,
        };
        (target, opened.map(|stream| Some((stream, None))))
    }

    /// Lets datagrams of a device in while it is wanted.
    pub fn let_in(&self, peer: Fingerprint, addresses: &[SocketAddr]) -> Option<Expectation> {
        self.punch.as_ref().map(|punch| punch.expect(peer, addresses.to_vec()))
    }

    /// Whether this target is for the other device to open.
    pub fn is_awaited(&self, target: &Target, peer: Fingerprint) -> bool {
        *target == Target::InBand && self.own > peer
    }

    /// Takes the in-band bytestreams that the other device opens, until dropped.
    pub async fn expect(self: Arc<Self>, want: Arc<Want>) {
        loop {
            match relays::expect_in_band(&self.session, &self.tls, &want, &self.times).await {
                Ok(stream) => {
                    let info = LinkInfo { peer: want.peer, way: Way::InBand, remote: None, dialled: None };
                    let _ = self.inbox.send(Message::Arrived(Link { info, stream })).await;
                }
                Err((code, reason)) => {
                    tracing::debug!(transfer = %want.transfer, code, reason, "no in-band bytestream");
                    sleep(self.times.redial).await;
                }
            }
        }
    }

    /// The full time for up to four addresses; less for more, so that the last ones get their turn before the want ends.
    fn connect_time(&self, targets: &VecDeque<Target>) -> Duration {
        let addresses = targets.iter().filter(|target| target.is_address()).count();
        let turns = addresses.div_ceil(MOST_OF_WANT).max(1);
        let share = self.times.want / u32::try_from(turns).unwrap_or(u32::MAX);
        self.times.connect.min(share.max(LEAST_CONNECT))
    }

    async fn link(&self, round: &Round, target: Target, stream: BoxedStream, remote: Option<SocketAddr>) {
        let want = &round.want;
        let info =
            LinkInfo { peer: want.peer, way: target.way(), remote, dialled: Some((want.purpose(), Arc::new(target))) };
        // Where the room has gone, so does the link.
        let _ = self.inbox.send(Message::Arrived(Link { info, stream })).await;
    }

    async fn tried(&self, round: &Round, target: Target, code: &'static str, reason: String) {
        let purpose = round.want.purpose();
        tracing::debug!(%purpose, code, reason, "no link");
        let attempt = Attempt { way: target.way(), target: Some(target), code, reason };
        let _ = self.inbox.send(Message::Tried { purpose, round: round.number, attempt }).await;
    }
}

/// Ends everything that could not give a better way than `got`.
fn stop_not_better(got: Way, waiting: &mut VecDeque<Target>, running: &mut Running) -> Vec<Target> {
    let mut stopped = Vec::new();
    waiting.retain(|target| {
        let better = target.way() < got;
        if !better {
            stopped.push(target.clone());
        }
        better
    });
    running.retain(|(target, task)| {
        let better = target.way() < got;
        if !better {
            task.abort();
            stopped.push(target.clone());
        }
        better
    });
    stopped
}

fn passed_over(target: &Target) -> String {
    format!("{target} was not tried to the end: another way had opened")
}
