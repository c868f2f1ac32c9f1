//! Events that the owner has not taken yet. We never wait for the owner, so they are bounded here.

use std::collections::VecDeque;

use xbt_core::signal::Candidate;

use crate::addresses::source::Source;
use crate::event::LinkEvent;
use crate::rejection::Rejected;
use xbt_core::effect::LinkId;

/// Rejections that wait; further ones are dropped.
const MAX_REJECTED: usize = 64;

/// At most one outcome per link that was requested, one list of candidates, and [`MAX_REJECTED`].
#[derive(Debug, Default)]
pub(crate) struct PendingEvents {
    outcomes: VecDeque<(LinkId, LinkEvent)>,
    candidates: Option<Vec<Candidate>>,
    rejected: VecDeque<Rejected>,
}

impl PendingEvents {
    /// A `Ready` or `Failed`; replaces an earlier one of the same link.
    pub fn outcome(&mut self, id: LinkId, event: LinkEvent) {
        self.forget(id);
        self.outcomes.push_back((id, event));
    }

    /// Drops what waits about a link. If that is a link, it is closed.
    pub fn forget(&mut self, id: LinkId) {
        self.outcomes.retain(|(of, _)| *of != id);
    }

    pub fn candidates(&mut self, list: Vec<Candidate>) {
        self.candidates = Some(list);
    }

    pub fn rejected(&mut self, rejected: Rejected) {
        let is_alike = |other: &Rejected| {
            other.reason == rejected.reason
                && other.peer == rejected.peer
                && Source::of(other.remote) == Source::of(rejected.remote)
        };
        if self.rejected.len() < MAX_REJECTED && !self.rejected.iter().any(is_alike) {
            self.rejected.push_back(rejected);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty() && self.candidates.is_none() && self.rejected.is_empty()
    }

    /// The next event; outcomes first.
    pub fn next(&mut self) -> Option<LinkEvent> {
        if let Some((_, event)) = self.outcomes.pop_front() {
            return Some(event);
        }
        if let Some(list) = self.candidates.take() {
            return Some(LinkEvent::CandidatesChanged(list));
        }
        self.rejected.pop_front().map(LinkEvent::Rejected)
    }
}
