//! What waits to be told. The room never waits for its owner, so this has to be bounded by itself.

use std::collections::VecDeque;

use xbt_core::effect::LinkFor;
use xbt_core::signal::Candidate;

use crate::LinkEvent;
use crate::addresses::candidates::Source;
use crate::event::Refusal;

/// Refusals that wait; what comes beyond is not told.
const MOST_REFUSALS: usize = 64;

/// At most one outcome per link that was wanted, one list of candidates, and [`MOST_REFUSALS`].
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    outcomes: VecDeque<(LinkFor, LinkEvent)>,
    candidates: Option<Vec<Candidate>>,
    refusals: VecDeque<Refusal>,
}

impl Outbox {
    /// A `Ready` or `Failed`; an earlier one of the same want that nobody has taken is void.
    pub fn outcome(&mut self, purpose: LinkFor, event: LinkEvent) {
        self.forget(purpose);
        self.outcomes.push_back((purpose, event));
    }

    /// Takes back what was not yet told about a want. A link among it is closed.
    pub fn forget(&mut self, purpose: LinkFor) {
        self.outcomes.retain(|(of, _)| *of != purpose);
    }

    pub fn candidates(&mut self, list: Vec<Candidate>) {
        self.candidates = Some(list);
    }

    pub fn refusal(&mut self, refusal: Refusal) {
        let alike = |other: &Refusal| {
            other.reason == refusal.reason
                && other.peer == refusal.peer
                && Source::of(other.remote) == Source::of(refusal.remote)
        };
        if self.refusals.len() < MOST_REFUSALS && !self.refusals.iter().any(alike) {
            self.refusals.push_back(refusal);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty() && self.candidates.is_none() && self.refusals.is_empty()
    }

    /// The next to tell; outcomes first.
    pub fn next(&mut self) -> Option<LinkEvent> {
        if let Some((_, event)) = self.outcomes.pop_front() {
            return Some(event);
        }
        if let Some(list) = self.candidates.take() {
            return Some(LinkEvent::CandidatesChanged(list));
        }
        let Refusal { remote, reason, peer } = self.refusals.pop_front()?;
        Some(LinkEvent::Refused { remote, reason, peer })
    }
}
