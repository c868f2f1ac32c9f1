//! The wants that have no link yet: each is a grant ("this device may have this content") and a search.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use xbt_core::ids::{Fingerprint, FullJid, InfoHash, TransferId};
use xbt_core::signal::{Candidate, MAX_CANDIDATES, Reach};

use super::{Attempt, Way, way_to};

/// That a link is wanted, with whom, and for which content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// For which transfer.
    pub transfer: TransferId,
    /// With which device.
    pub peer: Fingerprint,
    /// For which content.
    pub info_hash: InfoHash,
    /// The device's address at its XMPP server, for relays.
    pub device: FullJid,
    /// Where the device may be reached; may be empty, the device dials too. Candidates beyond [`MAX_CANDIDATES`] are
    /// ignored.
    pub theirs: Reach,
    /// What the device was told about us.
    pub ours: Reach,
    /// How long hole punching is put off, so that both sides begin at about the same moment.
    pub delay: Duration,
    /// Only a way better than this one is wanted.
    pub better_than: Option<Way>,
}

/// A want and how far it has come. Dropping it stops everything that goes on for it.
pub(super) struct Wanted {
    pub want: Want,
    pub since: Instant,
    pub deadline: Instant,
    /// The latest for each candidate that has failed.
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
    pub fn new(mut want: Want, now: Instant, patience: Duration) -> Self {
        want.theirs.candidates.truncate(MAX_CANDIDATES);
        let mut seen = HashSet::new();
        want.theirs.candidates.retain(|candidate| seen.insert(*candidate));
        Self {
            want,
            since: now,
            deadline: now + patience,
            attempts: Vec::new(),
            round: None,
            redial_at: None,
            rounds: 0,
            talk: None,
        }
    }

    /// Keeps why a candidate has failed.
    pub fn note(&mut self, attempt: Attempt) {
        self.attempts.retain(|other| other.candidate != attempt.candidate);
        self.attempts.push(attempt);
    }

    /// The round is over, or stopped here; the next one waits twice as long each time, but at most 8 times `redial`.
    pub fn round_over(&mut self, now: Instant, redial: Duration) {
        self.round = None;
        self.redial_at = Some(now + redial * (1 << self.rounds.min(3)));
        self.rounds += 1;
    }

    /// The best way that its candidates, as far as they have not failed, could still give.
    pub fn best_hoped_for(&self) -> Option<Way> {
        let hopeful = |candidate: &&Candidate| !self.attempts.iter().any(|a| a.candidate == **candidate);
        self.want.theirs.candidates.iter().filter(hopeful).map(way_to).min()
    }

    /// What became of each candidate, in the order they were given.
    pub fn into_attempts(mut self) -> Vec<Attempt> {
        let attempts = std::mem::take(&mut self.attempts);
        let of = |candidate: &Candidate| attempts.iter().find(|a| a.candidate == *candidate).cloned();
        let unanswered = |candidate: &Candidate| Attempt {
            candidate: *candidate,
            way: way_to(candidate),
            code: "no-answer",
            reason: format!("{} did not answer in time", candidate.address),
        };
        self.want
            .theirs
            .candidates
            .iter()
            .map(|candidate| of(candidate).unwrap_or_else(|| unanswered(candidate)))
            .collect()
    }
}

/// All wants without a link. One that has got its link, or has failed, is not in here: its grant is used up.
#[derive(Default)]
pub(super) struct Wants(pub BTreeMap<TransferId, Wanted>);

impl Wants {
    pub fn of_peer(&self, peer: Fingerprint) -> impl Iterator<Item = &Wanted> {
        self.0.values().filter(move |wanted| wanted.want.peer == peer)
    }

    pub fn any(&self, peer: Fingerprint) -> bool {
        self.of_peer(peer).next().is_some()
    }

    /// The want that grants this content to this device and has no link in hand yet.
    pub fn granting(&self, peer: Fingerprint, info_hash: InfoHash) -> Option<TransferId> {
        self.of_peer(peer).find(|w| w.want.info_hash == info_hash && w.talk.is_none()).map(|w| w.want.transfer)
    }

    /// The want that reports of this round are about; none if it has been replaced or does something else by now.
    pub fn in_round(&mut self, transfer: TransferId, round: u64) -> Option<&mut Wanted> {
        self.0.get_mut(&transfer).filter(|w| w.round.as_ref().is_some_and(|(current, _)| *current == round))
    }

    /// Takes out all whose time is up.
    pub fn take_expired(&mut self, now: Instant) -> Vec<Wanted> {
        let expired: Vec<TransferId> =
            self.0.iter().filter(|(_, wanted)| wanted.deadline <= now).map(|(transfer, _)| *transfer).collect();
        expired.iter().filter_map(|transfer| self.0.remove(transfer)).collect()
    }
}
