//! The requests to one device: which goes next, which waits, and which is tried again later.

use std::collections::{BTreeMap, BTreeSet};

use super::{Ask, Subject};
use crate::domain::live::Backoff;
use crate::limits::REQUESTS_PER_DEVICE;
use crate::signal::Token;
use crate::time::Mono;

/// Offers queue up; all else goes before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Urgent,
    Offer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// With its place in the line.
    Waiting(u64),
    InFlight(Token),
    PutOff(Mono),
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) ask: Ask,
    pub(super) stage: Stage,
    pub(super) backoff: Backoff,
    /// It may have arrived, whatever came back.
    pub(super) sent: bool,
}

/// Whether a device takes offers. One that says "too many" is not asked about each of the others too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Gate {
    #[default]
    Open,
    /// One offer finds out.
    Ajar,
    Shut(Mono),
}

impl Gate {
    /// When the next offer finds out.
    pub(super) fn opens(self) -> Option<Mono> {
        match self {
            Self::Shut(at) => Some(at),
            Self::Open | Self::Ajar => None,
        }
    }
}

/// The requests to one device.
#[derive(Debug, Default)]
pub(super) struct Tray {
    pub(super) entries: BTreeMap<Subject, Entry>,
    /// Those that wait, in the order they are sent.
    pub(super) line: BTreeMap<(Class, u64), Subject>,
    /// Those that are tried again later.
    pub(super) put_off: BTreeSet<Subject>,
    /// At most [`REQUESTS_PER_DEVICE`]; what was in flight and has been replaced counts until its outcome is known.
    pub(super) in_flight: BTreeMap<Token, Subject>,
    pub(super) gate: Gate,
    pub(super) gate_backoff: Backoff,
    /// What the device said when it took no more offers.
    pub(super) refusal: String,
    pub(super) next: u64,
}

impl Tray {
    pub(super) fn wait(&mut self, subject: Subject, class: Class) {
        self.next += 1;
        if let Some(entry) = self.entries.get_mut(&subject) {
            entry.stage = Stage::Waiting(self.next);
            self.line.insert((class, self.next), subject);
        }
    }

    pub(super) fn remove(&mut self, subject: Subject) -> Option<Entry> {
        let entry = self.entries.remove(&subject)?;
        match entry.stage {
            Stage::Waiting(place) => drop(self.line.remove(&(entry.ask.class(), place))),
            Stage::PutOff(_) => drop(self.put_off.remove(&subject)),
            Stage::InFlight(_) => {}
        }
        Some(entry)
    }

    /// Lets put-off requests go whose moment the caller finds come.
    pub(super) fn ready(&mut self, due: impl Fn(Mono) -> bool) {
        if let Gate::Shut(at) = self.gate
            && due(at)
        {
            self.gate = Gate::Ajar;
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

    pub(super) fn offers_in_flight(&self) -> bool {
        let is_offer = |s: &Subject| self.entries.get(s).is_some_and(|e| e.ask == Ask::Offer);
        self.in_flight.values().any(is_offer)
    }

    /// The next request that may be sent.
    pub(super) fn next(&mut self) -> Option<(Subject, Ask)> {
        let (key, subject) = self.line.first_key_value().map(|(key, subject)| (*key, *subject))?;
        let open = match (key.0, self.gate) {
            (Class::Urgent, _) | (Class::Offer, Gate::Open) => true,
            (Class::Offer, Gate::Ajar) => !self.offers_in_flight(),
            (Class::Offer, Gate::Shut(_)) => false,
        };
        if self.in_flight.len() >= REQUESTS_PER_DEVICE || !open {
            return None;
        }
        self.line.remove(&key);
        self.entries.get(&subject).map(|entry| (subject, entry.ask.clone()))
    }
}

impl Ask {
    pub(super) fn class(&self) -> Class {
        match self {
            Self::Offer => Class::Offer,
            Self::Connect | Self::Introduce | Self::Notice(_) | Self::Sync(_) => Class::Urgent,
        }
    }
}
