//! The wants that have no link yet: each is a grant ("this device may have this content") and a search.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use xbt_core::effect::{LinkFor, Want};
use xbt_core::ids::{Fingerprint, InfoHash};
use xbt_core::signal::MAX_CANDIDATES;
use xbt_core::way::Ways;

use crate::ways::punched::Expectation;
use crate::ways::target::{Target, targets};
use crate::{Attempt, Way};

/// A want and how far it has come. Dropping it stops everything that goes on for it.
pub(crate) struct Wanted {
    pub want: Arc<Want>,
    /// What can be tried, in the order in which it is.
    pub targets: Vec<Target>,
    /// Waits for an in-band bytestream that the other device opens.
    pub expecting: Option<AbortOnDropHandle<()>>,
    /// Where holes are punched to, as far as we may.
    pub punch_to: Arc<[SocketAddr]>,
    /// Lets in what comes through a hole.
    pub let_in: Option<Expectation>,
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
    pub talk: Option<(u64, AbortOnDropHandle<()>)>,
}

impl Wanted {
    pub fn new(mut want: Want, own: Fingerprint, ways: Ways, now: Instant, patience: Duration) -> Self {
        want.theirs.candidates.truncate(MAX_CANDIDATES);
        let mut seen = HashSet::new();
        want.theirs.candidates.retain(|candidate| seen.insert(*candidate));
        let targets = targets((own, want.peer), (&want.ours, &want.theirs), ways, want.better_than);
        Self {
            want: Arc::new(want),
            targets,
            expecting: None,
            punch_to: Arc::default(),
            let_in: None,
            since: now,
            deadline: now + patience,
            attempts: Vec::new(),
            round: None,
            redial_at: None,
            rounds: 0,
            talk: None,
        }
    }

    /// Keeps why a target has failed.
    pub fn note(&mut self, attempt: Attempt) {
        self.attempts.retain(|other| other.target != attempt.target);
        self.attempts.push(attempt);
    }

    /// The round is over, or stopped here; the next one waits twice as long each time, but at most 8 times `redial`.
    pub fn round_over(&mut self, now: Instant, redial: Duration) {
        self.round = None;
        self.redial_at = Some(now + redial * (1 << self.rounds.min(3)));
        self.rounds += 1;
    }

    /// The best way that its targets, as far as they have not failed, could still give.
    pub fn best_hoped_for(&self) -> Option<Way> {
        let hopeful = |target: &&Target| !self.attempts.iter().any(|a| a.target.as_ref() == Some(*target));
        self.targets.iter().filter(hopeful).map(Target::way).min()
    }

    /// Whether a link by this way is of use.
    pub fn takes(&self, way: Way) -> bool {
        self.want.better_than.is_none_or(|in_use| way < in_use)
    }

    /// What became of each target, in the order in which they were tried.
    pub fn attempts(&self) -> Vec<Attempt> {
        let of = |target: &Target| self.attempts.iter().find(|a| a.target.as_ref() == Some(target)).cloned();
        let unanswered = |target: &Target| Attempt {
            target: Some(target.clone()),
            way: target.way(),
            code: "no-answer",
            reason: format!("{target} did not answer in time"),
        };
        self.targets.iter().map(|target| of(target).unwrap_or_else(|| unanswered(target))).collect()
    }
}

/// All wants without a link. One that has got its link, or has failed, is not in here: its grant is used up.
#[derive(Default)]
pub(crate) struct Wants(pub BTreeMap<LinkFor, Wanted>);

impl Wants {
    pub fn of_peer(&self, peer: Fingerprint) -> impl Iterator<Item = &Wanted> {
        self.0.values().filter(move |wanted| wanted.want.peer == peer)
    }

    pub fn any(&self, peer: Fingerprint) -> bool {
        self.of_peer(peer).next().is_some()
    }

    /// The want that grants this content to this device and has no link in hand yet. Whether the link is better than the
    /// one in use is the choosing side's affair: it may take that one for dead, and a contact that would rather have a
    /// worse way could as well end the better one.
    pub fn granting(&self, peer: Fingerprint, info_hash: InfoHash) -> Option<LinkFor> {
        self.of_peer(peer).find(|w| w.want.info_hash == info_hash && w.talk.is_none()).map(|w| w.want.purpose())
    }

    /// The want that reports of this round are about; none if it has been replaced or does something else by now.
    pub fn in_round(&mut self, purpose: LinkFor, round: u64) -> Option<&mut Wanted> {
        self.0.get_mut(&purpose).filter(|w| w.round.as_ref().is_some_and(|(current, _)| *current == round))
    }

    /// Takes out all whose time is up.
    pub fn take_expired(&mut self, now: Instant) -> Vec<Wanted> {
        let expired: Vec<LinkFor> =
            self.0.iter().filter(|(_, wanted)| wanted.deadline <= now).map(|(purpose, _)| *purpose).collect();
        expired.iter().filter_map(|purpose| self.0.remove(purpose)).collect()
    }
}
