//! Requests to other devices: bounded in flight, tried again until they are answered.
//!
//! The outbox lives in memory only. What it holds follows from the state of the transfers, and a `sync` at
//! every appearance of a device finds what was lost, so a restart loses nothing.

mod tray;

use std::collections::{BTreeMap, HashMap};

use crate::domain::Domain;
use crate::domain::clock::Timer;
use crate::domain::live::Backoff;
use crate::effect::Effect;
use crate::ids::{BareJid, FullJid, OfferId, TransferId};
use crate::limits::PUT_OFF_MAX;
use crate::session::SessionCommand;
use crate::signal::{Outcome, Request, SyncItem, Token};
use crate::time::Mono;

use tray::{Class, Entry, Gate, Stage, Tray};

/// What a request is about; there is at most one for each device and subject, and a newer one takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Subject {
    Transfer(TransferId),
    /// To the receiver of the first transfer, about the one of the second.
    Introduction(TransferId, TransferId),
    /// One page of a `sync`.
    Sync(u32),
    /// An offer that has no row here (any more), or whose end is told once more.
    Gone(OfferId),
}

/// What is asked. Offers, connects and introductions are made when they are sent, from the state as it is then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Offer,
    Connect,
    Introduce,
    /// Decline, cancel, done, failed, taken: complete in itself, also when the transfer is removed meanwhile.
    Notice(Request),
    Sync(Vec<SyncItem>),
}

/// A request that waits for its outcome.
struct Sent {
    device: FullJid,
    offer: Option<OfferId>,
    at: Mono,
}

/// What an answer takes to come back from a device that has not answered yet, in milliseconds.
const USUAL_DELAY: u32 = 100;

#[derive(Default)]
pub(super) struct Outbox {
    trays: BTreeMap<FullJid, Tray>,
    tokens: HashMap<Token, Sent>,
    /// Half of the time that the last answer of a device took, in milliseconds.
    delays: HashMap<FullJid, u32>,
    next_page: u32,
}

impl Outbox {
    /// Puts a request in its place.
    pub(super) fn put(&mut self, device: &FullJid, subject: Subject, ask: Ask) {
        let tray = self.trays.entry(device.clone()).or_default();
        let mut sent = false;
        if let Some(old) = tray.entries.get(&subject) {
            if old.ask == ask && !matches!(old.stage, Stage::PutOff(_)) {
                return;
            }
            sent = old.sent && old.ask == ask;
        }
        tray.remove(subject);
        let class = ask.class();
        let entry = Entry { ask, stage: Stage::Waiting(0), backoff: Backoff::default(), sent };
        tray.entries.insert(subject, entry);
        tray.wait(subject, class);
    }

    /// Forgets all requests to a device that has gone; what is in flight is answered to nobody.
    pub(super) fn drop_device(&mut self, device: &FullJid) {
        if let Some(tray) = self.trays.remove(device) {
            tray.in_flight.keys().for_each(|token| drop(self.tokens.remove(token)));
        }
        self.delays.remove(device);
    }

    pub(super) fn clear(&mut self) {
        self.trays.clear();
        self.tokens.clear();
        self.delays.clear();
    }

    /// Forgets what is asked about a transfer, but not a notice, which must still arrive. Returns the resources to
    /// which the offer went without an answer: they may know of it.
    pub(super) fn drop_transfer(&mut self, contact: &BareJid, id: TransferId) -> Vec<String> {
        let subject = Subject::Transfer(id);
        let mut may_know = Vec::new();
        let first = FullJid::new(contact.clone(), "");
        for (device, tray) in self.trays.range_mut(first..).take_while(|(device, _)| device.bare == *contact) {
            let Some(entry) = tray.entries.get(&subject) else { continue };
            if entry.sent && entry.ask == Ask::Offer {
                may_know.push(device.resource.clone());
            }
            if !matches!(entry.ask, Ask::Notice(_)) {
                tray.remove(subject);
            }
        }
        may_know
    }

    /// The device is there again or has just spoken: nothing needs to wait any longer.
    pub(super) fn hurry(&mut self, device: &FullJid) {
        if let Some(tray) = self.trays.get_mut(device) {
            tray.ready(|_| true);
        }
    }

    pub(super) fn page(&mut self) -> Subject {
        self.next_page = self.next_page.wrapping_add(1);
        Subject::Sync(self.next_page)
    }

    /// Why a device of the contact takes no offers now, and when the next one is tried.
    pub(super) fn put_off(&self, contact: &BareJid) -> Option<(&str, Option<Mono>)> {
        let first = FullJid::new(contact.clone(), "");
        let mut trays = self.trays.range(first..).take_while(|(device, _)| device.bare == *contact);
        trays.find(|(_, tray)| !tray.refusal.is_empty()).map(|(_, tray)| (tray.refusal.as_str(), tray.gate.opens()))
    }

    /// Something has changed that may let through what was put off: our network, or the connection to the server.
    pub(super) fn hurry_all(&mut self) {
        self.trays.values_mut().for_each(|tray| tray.ready(|_| true));
    }

    /// Transfers for which a `connect` to the device is in flight.
    pub(super) fn connecting(&self, device: &FullJid) -> impl Iterator<Item = TransferId> {
        let tray = self.trays.get(device);
        let flying = tray.into_iter().flat_map(|tray| tray.in_flight.iter().map(move |(token, s)| (tray, token, s)));
        flying.filter_map(|(tray, token, subject)| match (subject, tray.entries.get(subject)) {
            (Subject::Transfer(id), Some(Entry { ask: Ask::Connect, stage, .. })) => {
                (*stage == Stage::InFlight(*token)).then_some(*id)
            }
            (Subject::Transfer(_) | Subject::Introduction(..) | Subject::Sync(_) | Subject::Gone(_), _) => None,
        })
    }

    /// How long a word to or from the device is under way, in milliseconds, as far as we know.
    pub(super) fn delay(&self, device: &FullJid) -> u32 {
        self.delays.get(device).copied().unwrap_or(USUAL_DELAY)
    }

    /// Nothing is kept of what was answered.
    #[cfg(test)]
    pub(super) fn is_bounded(&self) -> bool {
        let in_flight: usize = self.trays.values().map(|t| t.in_flight.len()).sum();
        let lines = |t: &Tray| t.line.len() + t.put_off.len() <= t.entries.len();
        self.tokens.len() == in_flight && self.trays.values().all(lines)
    }
}

impl Domain {
    /// Asks every device that may be asked now what is waiting for it.
    pub(super) fn pump_outbox(&mut self) {
        self.outbox.trays.retain(|_, tray| !tray.entries.is_empty() || !tray.in_flight.is_empty());
        let devices: Vec<FullJid> =
            self.outbox.trays.keys().filter(|d| self.presence.is_reachable(d)).cloned().collect();
        for device in devices {
            while let Some((subject, ask)) = self.outbox.trays.get_mut(&device).and_then(Tray::next) {
                self.ask(&device, subject, ask);
            }
        }
    }

    fn ask(&mut self, device: &FullJid, subject: Subject, ask: Ask) {
        let entry = self.outbox.trays.get(device).and_then(|tray| tray.entries.get(&subject));
        let sent = entry.is_some_and(|e| e.sent);
        let request = match (ask, subject) {
            (Ask::Offer, Subject::Transfer(id)) => self.make_offer(id, device, sent),
            (Ask::Connect, Subject::Transfer(id)) => self.make_connect(id, device),
            (Ask::Notice(request), _) => Some(request),
            (Ask::Sync(items), _) => Some(Request::Sync(items)),
            (Ask::Introduce, Subject::Introduction(to, about)) => self.make_introduction(to, about),
            (Ask::Offer | Ask::Connect | Ask::Introduce, _) => None,
        };
        let token = self.numbers.next_token();
        let Some(tray) = self.outbox.trays.get_mut(device) else { return };
        let Some(request) = request else {
            tray.entries.remove(&subject);
            return;
        };
        if let Some(entry) = tray.entries.get_mut(&subject) {
            entry.stage = Stage::InFlight(token);
            entry.sent = true;
            tray.in_flight.insert(token, subject);
            let offer = if let Request::Offer(offer) = &request { Some(offer.id) } else { None };
            let at = self.now.mono;
            self.outbox.tokens.insert(token, Sent { device: device.clone(), offer, at });
            self.push(Effect::Session(SessionCommand::Request { token, to: device.clone(), request }));
        }
    }

    /// An answer, a refusal or nothing came back.
    pub(super) fn answered(&mut self, token: Token, outcome: Outcome) {
        let Some(Sent { device, offer, at }) = self.outbox.tokens.remove(&token) else { return };
        if matches!(outcome, Outcome::Answered(_)) {
            let half = u32::try_from(self.now.mono.since(at) / 2).unwrap_or(u32::MAX);
            self.outbox.delays.insert(device.clone(), half);
        }
        let Some(tray) = self.outbox.trays.get_mut(&device) else { return };
        let Some(subject) = tray.in_flight.remove(&token) else { return };
        if tray.entries.get(&subject).is_none_or(|e| e.stage != Stage::InFlight(token)) {
            // A newer request took its place. Should an offer have come after the word on how it ended, that is told again.
            if let (Some(offer), Outcome::Answered(_) | Outcome::Lost) = (offer, outcome) {
                self.tell_end_again(&device, offer);
            }
            return;
        }
        match (&outcome, offer) {
            (Outcome::Refused(refusal), Some(_)) if refusal.may_pass() => {
                refusal.sentence().clone_into(&mut tray.refusal);
                return self.shut_gate(&device, subject);
            }
            (Outcome::Answered(_), Some(_)) => {
                (tray.gate, tray.gate_backoff, tray.refusal) = Default::default();
            }
            (Outcome::Answered(_) | Outcome::Refused(_) | Outcome::Lost, _) => {}
        }
        let again = match &outcome {
            Outcome::Answered(_) => false,
            Outcome::Lost => true,
            Outcome::Refused(refusal) => refusal.may_pass(),
        };
        // Links have their own way of trying again.
        if again && !matches!(tray.entries.get(&subject), Some(Entry { ask: Ask::Connect, .. })) {
            return self.put_off(&device, subject);
        }
        let Some(entry) = tray.remove(subject) else { return };
        match (entry.ask, subject) {
            (Ask::Offer, Subject::Transfer(id)) => self.offer_answered(id, &device, outcome),
            (Ask::Connect, Subject::Transfer(id)) => self.connect_answered(id, &device, outcome),
            (Ask::Sync(asked), _) => self.sync_answered(&device, &asked, outcome),
            // A notice or an introduction has arrived, or the other side cannot use it: both are the end of it.
            (Ask::Notice(_) | Ask::Introduce, _) | (Ask::Offer | Ask::Connect, _) => {}
        }
    }

    fn put_off(&mut self, device: &FullJid, subject: Subject) {
        let Some(tray) = self.outbox.trays.get_mut(device) else { return };
        let Some(entry) = tray.entries.get_mut(&subject) else { return };
        let at = self.now.mono.after(entry.backoff.fail());
        entry.stage = Stage::PutOff(at);
        tray.put_off.insert(subject);
        self.timers.set(at, Timer::Outbox(device.clone()));
    }

    /// The device takes no more offers now: this one and all others wait.
    fn shut_gate(&mut self, device: &FullJid, subject: Subject) {
        let Some(tray) = self.outbox.trays.get_mut(device) else { return };
        if let Some(entry) = tray.entries.get_mut(&subject) {
            entry.sent = false; // it was not taken in
        }
        tray.wait(subject, Class::Offer);
        if !matches!(tray.gate, Gate::Shut(_)) {
            let at = self.now.mono.after(tray.gate_backoff.fail_up_to(PUT_OFF_MAX));
            tray.gate = Gate::Shut(at);
            self.timers.set(at, Timer::Outbox(device.clone()));
        }
    }

    pub(super) fn outbox_when_due(&mut self, device: &FullJid) {
        let now = self.now.mono;
        if let Some(tray) = self.outbox.trays.get_mut(device) {
            tray.ready(|at| at <= now);
        }
    }

    /// Tells a device something that ends in itself, if it is there; else a later `sync` does.
    pub(super) fn notice(&mut self, subject: Subject, device: &FullJid, request: Request) {
        if self.presence.runs_xbt(device) {
            self.outbox.put(device, subject, Ask::Notice(request));
        }
    }
}
