//! What is tried for a want, what is told of it, and what others are told about us.

use std::sync::Arc;

use tokio_util::task::AbortOnDropHandle;
use xbt_core::effect::LinkFor;

use super::room::{Room, Setup};
use crate::addresses::candidates::{Ourselves, candidates};
use crate::choose::dial::Round;
use crate::choose::explain::{self, Known};
use crate::choose::requests::Wanted;
use crate::ways::target::Target;
use crate::{Attempt, Way};

impl Room {
    /// Begins a round of dials.
    pub(crate) fn dial(&mut self, purpose: LinkFor) {
        let Some(wanted) = self.wants.0.get_mut(&purpose) else { return };
        wanted.redial_at = None;
        let peer = wanted.want.peer;
        let mut targets = Vec::new();
        for target in wanted.targets.clone() {
            let objection = match &target {
                Target::Address(candidate) => self.setup.ourselves.objection(candidate.address),
                Target::Proxy { proxy, ours: false } if self.setup.ways.only_relays() => {
                    let is_ours = wanted.want.ours.proxies.iter().any(|own| own.jid == proxy.jid);
                    (!is_ours).then_some("is named by the contact alone and would learn our address")
                }
                Target::Punch | Target::Proxy { .. } | Target::InBand => None,
            };
            match objection {
                None if self.setup.dialler.is_awaited(&target, peer) => {}
                None => targets.push(target),
                Some(why) => {
                    let reason = format!("{target} {why}: not dialled");
                    wanted.note(Attempt { way: target.way(), target: Some(target), code: "not-dialled", reason });
                }
            }
        }
        if targets.is_empty() {
            return;
        }
        self.counter += 1;
        let number = self.counter;
        let (want, punch_to) = (wanted.want.clone(), wanted.punch_to.clone());
        let ourselves = Arc::new(self.setup.ourselves.clone());
        let round = Round { want, since: wanted.since, number, targets, punch_to, ourselves };
        let task = tokio::spawn(self.setup.dialler.clone().run(round));
        wanted.round = Some((number, AbortOnDropHandle::new(task)));
    }

    /// Everything that was tried for a want, and why the other ways were not.
    pub(crate) fn attempts(&self, wanted: &Wanted, got: Option<Way>) -> Vec<Attempt> {
        let mut attempts = wanted.attempts();
        let known = Known { ways: self.setup.ways, outside: &self.outside, seen: &self.seen };
        attempts.iter_mut().for_each(|attempt| explain::add(attempt, &wanted.want, &known));
        attempts.extend(explain::untried(&wanted.want, &attempts, got, &known));
        attempts
    }

    /// The interfaces, or what is seen of us from outside, are not as before.
    pub(crate) fn reached_otherwise(&mut self) {
        let Setup { ourselves: Ourselves { listening, interfaces, .. }, advertise, ways, .. } = &self.setup;
        let told = candidates(listening, interfaces, advertise, (&self.outside, &self.seen), *ways);
        if *self.setup.candidates.borrow() != told {
            tracing::info!(count = told.len(), "our own addresses have changed");
            self.setup.candidates.send_replace(told.clone());
            self.outbox.candidates(told);
        }
    }
}
