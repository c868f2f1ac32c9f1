//! Trying the candidates of one want, with a head start for the better ones (the idea of RFC 8305).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};
use xbt_core::ids::{Fingerprint, TransferId};
use xbt_core::signal::Candidate;

use super::room::{Link, LinkInfo, Message};
use super::tls::Tls;
use super::{Attempt, BoxedStream, Times, Way, tcp, way_to};

/// Dials at once for one want.
const MOST_OF_WANT: usize = 4;

/// Dials at once for all wants.
const MOST: usize = 32;

/// A dial gets at least this long, however many candidates wait: one lost packet must not decide (RFC 6298: 1 s).
const LEAST_CONNECT: Duration = Duration::from_secs(3);

/// What all dials share.
pub(super) struct Dialler {
    tls: Arc<Tls>,
    times: Times,
    permits: Semaphore,
    inbox: mpsc::Sender<Message>,
}

/// One round through the candidates of a want.
pub(super) struct Round {
    pub transfer: TransferId,
    /// Tells its reports from those of other rounds.
    pub number: u64,
    pub peer: Fingerprint,
    pub candidates: Vec<Candidate>,
}

type Dialled = (Candidate, Result<BoxedStream, (&'static str, String)>);

impl Dialler {
    pub fn new(tls: Arc<Tls>, times: Times, inbox: mpsc::Sender<Message>) -> Self {
        Self { tls, times, permits: Semaphore::new(MOST), inbox }
    }

    /// Goes through the candidates once. Tells the room each link and each failure, and then that it is over. After
    /// the first link only better ways are still tried.
    pub async fn run(self: Arc<Self>, round: Round) {
        let mut waiting: VecDeque<Candidate> = in_turns(&round.candidates).into();
        let connect = self.connect_time(waiting.len());
        let mut dials: JoinSet<Dialled> = JoinSet::new();
        let mut running: Vec<(Candidate, AbortHandle)> = Vec::new();
        let mut next = Instant::now();
        while !(waiting.is_empty() && dials.is_empty()) {
            let may_start = !waiting.is_empty() && running.len() < MOST_OF_WANT;
            tokio::select! {
                Some(ended) = dials.join_next() => {
                    let (candidate, outcome) = match ended {
                        Ok(dialled) => dialled,
                        // Aborted, and told, by `stop_not_better`.
                        Err(error) => {
                            running.retain(|(_, task)| task.id() != error.id());
                            continue;
                        }
                    };
                    running.retain(|(other, _)| *other != candidate);
                    match outcome {
                        Ok(stream) => {
                            let way = way_to(&candidate);
                            self.link(&round, candidate, stream).await;
                            for worse in stop_not_better(way, &mut waiting, &mut running) {
                                self.tried(&round, worse, "passed-over", passed_over(&worse)).await;
                            }
                        }
                        Err((code, reason)) => {
                            self.tried(&round, candidate, code, reason).await;
                            // The head start was for this one (RFC 8305, section 5).
                            next = Instant::now();
                        }
                    }
                }
                () = sleep_until(next), if may_start => {
                    let Some(candidate) = waiting.pop_front() else { continue };
                    tracing::debug!(transfer = %round.transfer, address = %candidate.address, "dialling");
                    let task = dials.spawn(self.clone().dial(round.peer, candidate, connect));
                    running.push((candidate, task));
                    next = Instant::now() + self.times.stagger;
                }
            }
        }
        let _ = self.inbox.send(Message::RoundOver { transfer: round.transfer, round: round.number }).await;
    }

    async fn dial(self: Arc<Self>, peer: Fingerprint, candidate: Candidate, connect: Duration) -> Dialled {
        let _permit = self.permits.acquire().await;
        (candidate, tcp::dial(&self.tls, peer, candidate.address, connect, &self.times).await)
    }

    /// The full time for up to four candidates; less for more, so that the last ones get their turn before the want ends.
    fn connect_time(&self, candidates: usize) -> Duration {
        let turns = candidates.div_ceil(MOST_OF_WANT).max(1);
        let share = self.times.want / u32::try_from(turns).unwrap_or(u32::MAX);
        self.times.connect.min(share.max(LEAST_CONNECT))
    }

    async fn link(&self, round: &Round, candidate: Candidate, stream: BoxedStream) {
        let info = LinkInfo {
            peer: round.peer,
            way: way_to(&candidate),
            remote: Some(candidate.address),
            dialled: Some((round.transfer, candidate)),
        };
        // Where the room has gone, so does the link.
        let _ = self.inbox.send(Message::Arrived(Link { info, stream })).await;
    }

    async fn tried(&self, round: &Round, candidate: Candidate, code: &'static str, reason: String) {
        tracing::debug!(transfer = %round.transfer, code, reason, "no link");
        let attempt = Attempt { candidate, way: way_to(&candidate), code, reason };
        let _ = self.inbox.send(Message::Tried { transfer: round.transfer, round: round.number, attempt }).await;
    }
}

/// IPv6 and IPv4 in turns, IPv6 first (RFC 8305, section 4), each in the given order: many dead addresses of one
/// family must not keep the other one waiting. Ports that a router mapped come after IPv4 ones of the device itself.
pub(super) fn in_turns(candidates: &[Candidate]) -> Vec<Candidate> {
    let (mut v6, mut v4): (Vec<Candidate>, Vec<Candidate>) =
        candidates.iter().partition(|candidate| way_to(candidate) == Way::DirectTcp6);
    v4.sort_by_key(way_to);
    v6.reverse();
    v4.reverse();
    let mut turns = Vec::with_capacity(candidates.len());
    while !(v6.is_empty() && v4.is_empty()) {
        turns.extend(v6.pop());
        turns.extend(v4.pop());
    }
    turns
}

/// Ends everything that could not give a better way than `got`.
fn stop_not_better(
    got: Way,
    waiting: &mut VecDeque<Candidate>,
    running: &mut Vec<(Candidate, AbortHandle)>,
) -> Vec<Candidate> {
    let mut stopped = Vec::new();
    waiting.retain(|candidate| {
        let better = way_to(candidate) < got;
        if !better {
            stopped.push(*candidate);
        }
        better
    });
    running.retain(|(candidate, task)| {
        let better = way_to(candidate) < got;
        if !better {
            task.abort();
            stopped.push(*candidate);
        }
        better
    });
    stopped
}

fn passed_over(candidate: &Candidate) -> String {
    format!("{} was not tried to the end: another address had answered", candidate.address)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use xbt_core::signal::CandidateKind;

    #[test]
    fn families_take_turns_and_ipv6_begins() {
        let host = |address: &str| Candidate { kind: CandidateKind::Host, address: address.parse().unwrap() };
        let mapped = Candidate { kind: CandidateKind::Mapped, address: "203.0.113.1:9".parse().unwrap() };
        let (a4, b4, a6, b6) =
            (host("192.0.2.1:1"), host("192.0.2.2:1"), host("[2001:db8::1]:1"), host("[2001:db8::2]:1"));
        assert_eq!(in_turns(&[mapped, a4, b4, a6, b6]), [a6, a4, b6, b4, mapped]);
    }
}
