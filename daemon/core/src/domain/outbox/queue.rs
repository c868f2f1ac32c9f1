//! The requests to one device: which goes next, which waits, and which is tried again later.

use std::collections::{BTreeMap, BTreeSet};

use super::{Ask, Subject};
use crate::domain::live::Backoff;
use crate::ids::TransferId;
use crate::limits::{PUT_OFF_MAX, REQUESTS_PER_DEVICE, RETRY_MAX};
use crate::signal::Token;
use crate::time::Mono;

/// Offers queue up; everything else goes before them, and `hello` before all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Hello,
    Urgent,
    Offer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// With its place in the line.
    Waiting(u64),
    InFlight(Token),
    PutOff(Mono),
}

#[derive(Debug)]
struct Entry {
    ask: Ask,
    stage: Stage,
    backoff: Backoff,
    /// It may have arrived, whatever came back.
    sent: bool,
}

/// A circuit breaker for offers: a device that says "too many" to one is not asked about each of the others too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Breaker {
    /// Offers pass.
    #[default]
    Closed,
    /// One offer passes, as a probe.
    HalfOpen,
    /// No offer passes until then.
    Open(Mono),
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Queue {
    entries: BTreeMap<Subject, Entry>,
    /// Those that wait, in the order they are sent.
    line: BTreeMap<(Class, u64), Subject>,
    /// Those that are tried again later.
    put_off: BTreeSet<Subject>,
    /// At most [`REQUESTS_PER_DEVICE`]; what was in flight and has been replaced counts until its outcome is known.
    in_flight: BTreeMap<Token, Subject>,
    breaker: Breaker,
    breaker_backoff: Backoff,
    /// What the device said when it refused further offers.
    refusal: String,
    next: u64,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.in_flight.is_empty()
    }

    /// Adds a request, in place of an older one about the same.
    pub(super) fn put(&mut self, subject: Subject, ask: Ask) {
        let mut sent = false;
        if let Some(old) = self.entries.get(&subject) {
            if old.ask == ask && !matches!(old.stage, Stage::PutOff(_)) {
                return;
            }
            sent = old.sent && old.ask == ask;
        }
        self.remove(subject);
        let class = ask.class();
        let entry = Entry { ask, stage: Stage::Waiting(0), backoff: Backoff::default(), sent };
        self.entries.insert(subject, entry);
        self.wait(subject, class);
    }

    fn wait(&mut self, subject: Subject, class: Class) {
        self.next += 1;
        if let Some(entry) = self.entries.get_mut(&subject) {
            entry.stage = Stage::Waiting(self.next);
            self.line.insert((class, self.next), subject);
        }
    }

    fn remove(&mut self, subject: Subject) -> Option<Entry> {
        let entry = self.entries.remove(&subject)?;
        match entry.stage {
            Stage::Waiting(place) => drop(self.line.remove(&(entry.ask.class(), place))),
            Stage::PutOff(_) => drop(self.put_off.remove(&subject)),
            Stage::InFlight(_) => {}
        }
        Some(entry)
    }

    /// Takes a request out, whatever its stage. Returns what was asked.
    pub(super) fn take(&mut self, subject: Subject) -> Option<Ask> {
        self.remove(subject).map(|entry| entry.ask)
    }

    /// Takes all pages of a `sync` out.
    pub(super) fn drop_sync(&mut self) {
        let pages = self.entries.range(Subject::Sync(0)..=Subject::Sync(u32::MAX));
        for subject in pages.map(|(subject, _)| *subject).collect::<Vec<_>>() {
            self.remove(subject);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What is asked about a subject, and whether it may have arrived.
    pub(super) fn get(&self, subject: Subject) -> Option<(&Ask, bool)> {
        self.entries.get(&subject).map(|entry| (&entry.ask, entry.sent))
    }

    /// Lets go on what waits for a moment that the caller finds come.
    pub(super) fn ready(&mut self, due: impl Fn(Mono) -> bool) {
        if let Breaker::Open(until) = self.breaker
            && due(until)
        {
            self.breaker = Breaker::HalfOpen;
        }
        for subject in self.put_off.clone() {
            if let Some(Entry { stage: Stage::PutOff(at), ask, .. }) = self.entries.get(&subject)
                && due(*at)
            {
                let class = ask.class();
                self.put_off.remove(&subject);
                self.wait(subject, class);
            }
        }
    }

    fn offers_in_flight(&self) -> bool {
        let is_offer = |s: &Subject| self.entries.get(s).is_some_and(|e| e.ask == Ask::Offer);
        self.in_flight.values().any(is_offer)
    }

    /// The next request that may be sent, and whether it may have arrived before. [`Self::sent`] or [`Self::take`]
    /// follows.
    pub(super) fn next(&mut self, proved: bool) -> Option<(Subject, Ask, bool)> {
        let (key, subject) = self.line.first_key_value().map(|(key, subject)| (*key, *subject))?;
        let passes = match (key.0, self.breaker) {
            (Class::Hello, _) => true,
            (Class::Urgent, _) | (Class::Offer, Breaker::Closed) => proved,
            (Class::Offer, Breaker::HalfOpen) => proved && !self.offers_in_flight(),
            (Class::Offer, Breaker::Open(_)) => false,
        };
        if self.in_flight.len() >= REQUESTS_PER_DEVICE || !passes {
            return None;
        }
        self.line.remove(&key);
        self.entries.get(&subject).map(|entry| (subject, entry.ask.clone(), entry.sent))
    }

    /// The request goes out.
    pub(super) fn sent(&mut self, subject: Subject, token: Token) -> bool {
        let Some(entry) = self.entries.get_mut(&subject) else { return false };
        entry.stage = Stage::InFlight(token);
        entry.sent = true;
        self.in_flight.insert(token, subject);
        true
    }

    /// The outcome of what is in flight is known. Returns the subject, and whether its request is still that one.
    pub(super) fn landed(&mut self, token: Token) -> Option<(Subject, bool)> {
        let subject = self.in_flight.remove(&token)?;
        let is_current = self.entries.get(&subject).is_some_and(|e| e.stage == Stage::InFlight(token));
        Some((subject, is_current))
    }

    /// A request is tried again at the moment that this returns.
    pub(super) fn retry(&mut self, subject: Subject, now: Mono) -> Option<Mono> {
        let entry = self.entries.get_mut(&subject)?;
        let most = if entry.ask == Ask::Hello { PUT_OFF_MAX } else { RETRY_MAX };
        let at = now.after(entry.backoff.fail_up_to(most));
        entry.stage = Stage::PutOff(at);
        self.put_off.insert(subject);
        Some(at)
    }

    /// The device refuses further offers: this one and all others wait. Returns until when, if that is news.
    pub(super) fn trip(&mut self, subject: Subject, refusal: &str, now: Mono) -> Option<Mono> {
        refusal.clone_into(&mut self.refusal);
        if let Some(entry) = self.entries.get_mut(&subject) {
            entry.sent = false; // the device did not keep it
        }
        self.wait(subject, Class::Offer);
        match self.breaker {
            Breaker::Open(_) => None,
            Breaker::Closed | Breaker::HalfOpen => {
                let until = now.after(self.breaker_backoff.fail_up_to(PUT_OFF_MAX));
                self.breaker = Breaker::Open(until);
                Some(until)
            }
        }
    }

    /// The device takes offers.
    pub(super) fn reset(&mut self) {
        (self.breaker, self.breaker_backoff, self.refusal) = Default::default();
    }

    /// Why the device takes no offers now, and when the next one is tried.
    pub(super) fn refusal(&self) -> Option<(&str, Option<Mono>)> {
        let until = match self.breaker {
            Breaker::Open(until) => Some(until),
            Breaker::Closed | Breaker::HalfOpen => None,
        };
        (!self.refusal.is_empty()).then_some((self.refusal.as_str(), until))
    }

    /// Transfers for which a `connect` is in flight.
    pub(super) fn connecting(&self) -> impl Iterator<Item = TransferId> {
        self.in_flight.iter().filter_map(|(token, subject)| match (subject, self.entries.get(subject)) {
            (Subject::Transfer(id), Some(Entry { ask: Ask::Connect, stage, .. })) => {
                (*stage == Stage::InFlight(*token)).then_some(*id)
            }
            (
                Subject::Hello
                | Subject::Transfer(_)
                | Subject::Introduction(..)
                | Subject::Sync(_)
                | Subject::State(_)
                | Subject::Gone(_),
                _,
            ) => None,
        })
    }

    /// What is in flight.
    pub(super) fn tokens(&self) -> impl Iterator<Item = Token> {
        self.in_flight.keys().copied()
    }

    #[cfg(test)]
    pub(super) fn is_bounded(&self) -> bool {
        self.line.len() + self.put_off.len() <= self.entries.len()
    }
}

impl Ask {
    fn class(&self) -> Class {
        match self {
            Self::Hello => Class::Hello,
            Self::Offer => Class::Offer,
            Self::Connect | Self::Introduce | Self::Notice(_) | Self::Sync(_) => Class::Urgent,
        }
    }
}
