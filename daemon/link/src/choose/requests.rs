//! Dial requests that have no link yet: each is a grant ("this device may have this content") and a search.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use xbt_core::ids::{Fingerprint, InfoHash};
use xbt_core::signal::MAX_CANDIDATES;
use xbt_core::way::Way;

use crate::ways::attempt::Attempt;
use crate::ways::reason::{Failure, Reason};
use crate::ways::target::Target;
use crate::ways::transport::{Guard, Transports};
use xbt_core::effect::{DialRequest, LinkId};

/// A dial request and how far its search has come. Dropping it stops everything that goes on for it.
pub(crate) struct Search {
    pub request: Arc<DialRequest>,
    /// What can be tried, in the order in which it is.
    pub targets: Vec<Target>,
    /// Let the other side open links.
    pub expecting: Vec<Guard>,
    pub since: Instant,
    pub deadline: Instant,
    /// The latest for each target that has failed.
    attempts: Vec<Attempt>,
    /// The round of dials under way, with its number.
    pub round: Option<(u64, AbortOnDropHandle<()>)>,
    /// When the next round may begin.
    pub redial_at: Option<Instant>,
    rounds: u32,
    /// The exchange of BitTorrent handshakes under way, with its number.
    pub exchange: Option<(u64, AbortOnDropHandle<()>)>,
}

impl Search {
    pub fn new(mut request: DialRequest, transports: &Transports, now: Instant, patience: Duration) -> Self {
        request.theirs.candidates.truncate(MAX_CANDIDATES);
        let mut seen = HashSet::new();
        request.theirs.candidates.retain(|candidate| seen.insert(*candidate));
        Self {
            targets: transports.targets(&request),
            request: Arc::new(request),
            expecting: Vec::new(),
            since: now,
            deadline: now + patience,
            attempts: Vec::new(),
            round: None,
            redial_at: None,
            rounds: 0,
            exchange: None,
        }
    }

    /// Records why a target has failed.
    pub fn record(&mut self, attempt: Attempt) {
        self.attempts.retain(|other| other.target != attempt.target);
        self.attempts.push(attempt);
    }

    /// The round is over, or stopped here; the next one waits twice as long each time, but at most 8 times `redial`.
    pub fn round_over(&mut self, now: Instant, redial: Duration) {
        self.round = None;
        self.redial_at = Some(now + redial * (1 << self.rounds.min(3)));
        self.rounds += 1;
    }

    /// The best way that the targets which have not failed could still give.
    pub fn best_hoped_for(&self) -> Option<Way> {
        let is_open = |target: &&Target| !self.attempts.iter().any(|a| a.target.as_ref() == Some(*target));
        self.targets.iter().filter(is_open).map(|target| target.way).min()
    }

    /// Whether a link by this way is of use.
    pub fn accepts(&self, way: Way) -> bool {
        self.request.better_than.is_none_or(|in_use| way < in_use)
    }

    /// What became of each target that was of use, in the order in which they were tried.
    pub fn attempts(&self) -> Vec<Attempt> {
        let of = |target: &Target| self.attempts.iter().find(|a| a.target.as_ref() == Some(target)).cloned();
        let unanswered = |target: &Target| {
            let failure = Failure::new(Reason::NoAnswer, format!("{target} did not answer in time"));
            Attempt::at(target.clone(), failure)
        };
        let all = self
            .targets
            .iter()
            .filter_map(|target| of(target).or_else(|| (!target.way.is_variant()).then(|| unanswered(target))));
        all.filter(|attempt| attempt.failure.reason != Reason::ShortLine).collect()
    }
}

/// All requests without a link. One that has got its link, or has failed, is not in here: its grant is used up.
#[derive(Default)]
pub(crate) struct Requests(pub BTreeMap<LinkId, Search>);

impl Requests {
    pub fn of_peer(&self, peer: Fingerprint) -> impl Iterator<Item = &Search> {
        self.0.values().filter(move |search| search.request.peer == peer)
    }

    pub fn any(&self, peer: Fingerprint) -> bool {
        self.of_peer(peer).next().is_some()
    }

    /// The request that grants this content to this device and has no link in hand yet. Whether the link is better than
    /// the one in use is up to the side that chooses: it may know that one to be dead, and a contact that prefers a worse
    /// way could just as well close the better one.
    pub fn granting(&self, peer: Fingerprint, info_hash: InfoHash) -> Option<LinkId> {
        let grants = |search: &&Search| search.request.info_hash == info_hash && search.exchange.is_none();
        self.of_peer(peer).find(grants).map(|search| search.request.link_id())
    }

    /// The request that reports of this round are about; none if it has been replaced or is past that round.
    pub fn in_round(&mut self, id: LinkId, round: u64) -> Option<&mut Search> {
        self.0.get_mut(&id).filter(|search| search.round.as_ref().is_some_and(|(current, _)| *current == round))
    }

    /// Takes out all whose time is up.
    pub fn take_expired(&mut self, now: Instant) -> Vec<Search> {
        let expired: Vec<LinkId> =
            self.0.iter().filter(|(_, search)| search.deadline <= now).map(|(id, _)| *id).collect();
        expired.iter().filter_map(|id| self.0.remove(id)).collect()
    }
}
