//! Requests to other devices: bounded in flight, tried again until they are answered.
//!
//! The outbox lives in memory only. What it holds follows from the state of the transfers, and a `sync` at
//! every appearance of a device finds what was lost, so a restart loses nothing.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::domain::Domain;
use crate::domain::clock::Timer;
use crate::domain::live::Backoff;
use crate::effect::Effect;
use crate::ids::{FullJid, TransferId};
use crate::limits::REQUESTS_PER_DEVICE;
use crate::signal::{Outcome, Refusal, Request, SessionCommand, SyncItem, Token};
use crate::time::Mono;

/// What a request is about; there is at most one for each device and subject, and a newer one takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Subject {
    Transfer(TransferId),
    /// One page of a `sync`.
    Sync(u32),
}

/// What is asked. Offers and connects are made when they are sent, from the state as it is then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Offer,
    Connect,
    /// Decline, cancel, done, failed, taken: complete in itself, also when the transfer is removed meanwhile.
    Notice(Request),
    Sync(Vec<SyncItem>),
}

#[derive(Debug)]
enum Stage {
    Waiting,
    InFlight(Token),
    PutOff(Mono),
}

#[derive(Debug)]
struct Entry {
    ask: Ask,
    stage: Stage,
    backoff: Backoff,
}

/// The requests to one device.
#[derive(Debug, Default)]
struct Tray {
    entries: BTreeMap<Subject, Entry>,
    /// Subjects in the order they are sent; those without a waiting entry are passed over.
    order: VecDeque<Subject>,
    in_flight: usize,
}

#[derive(Default)]
pub(super) struct Outbox {
    trays: BTreeMap<FullJid, Tray>,
    tokens: HashMap<Token, (FullJid, Subject)>,
    next_page: u32,
}

impl Outbox {
    /// Puts a request in its place. Offers queue up; all else goes before them.
    pub(super) fn put(&mut self, device: &FullJid, subject: Subject, ask: Ask) {
        let tray = self.trays.entry(device.clone()).or_default();
        let same = tray.entries.get(&subject).is_some_and(|e| e.ask == ask && !matches!(e.stage, Stage::PutOff(_)));
        if same {
            return;
        }
        if matches!(ask, Ask::Offer) {
            tray.order.push_back(subject)
        } else {
            tray.order.push_front(subject)
        }
        tray.entries.insert(subject, Entry { ask, stage: Stage::Waiting, backoff: Backoff::default() });
    }

    /// Forgets all requests to a device that has gone; what is in flight is answered to nobody.
    pub(super) fn drop_device(&mut self, device: &FullJid) {
        self.trays.remove(device);
        self.tokens.retain(|_, (to, _)| to != device);
    }

    pub(super) fn clear(&mut self) {
        self.trays.clear();
        self.tokens.clear();
    }

    /// Forgets what is asked about a transfer, but not a notice, which must still arrive.
    pub(super) fn drop_transfer(&mut self, id: TransferId) {
        let subject = Subject::Transfer(id);
        for tray in self.trays.values_mut() {
            if tray.entries.get(&subject).is_some_and(|e| !matches!(e.ask, Ask::Notice(_))) {
                tray.entries.remove(&subject);
            }
        }
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
}

impl Tray {
    /// Lets put-off requests go whose moment the caller finds come.
    fn ready(&mut self, due: impl Fn(Mono) -> bool) {
        for (subject, entry) in &mut self.entries {
            if let Stage::PutOff(at) = entry.stage
                && due(at)
            {
                entry.stage = Stage::Waiting;
                self.order.push_back(*subject);
            }
        }
    }

    /// The next request that may be sent.
    fn next(&mut self) -> Option<(Subject, Ask)> {
        if self.in_flight >= REQUESTS_PER_DEVICE {
            return None;
        }
        while let Some(subject) = self.order.pop_front() {
            if let Some(Entry { stage: Stage::Waiting, ask, .. }) = self.entries.get(&subject) {
                return Some((subject, ask.clone()));
            }
        }
        None
    }
}

impl Domain {
    /// Asks every device that may be asked now what is waiting for it.
    pub(super) fn pump_outbox(&mut self) {
        let devices: Vec<FullJid> = self.outbox.trays.keys().filter(|d| self.reachable(d)).cloned().collect();
        for device in devices {
            while let Some((subject, ask)) = self.outbox.trays.get_mut(&device).and_then(Tray::next) {
                self.ask(&device, subject, ask);
            }
        }
    }

    fn ask(&mut self, device: &FullJid, subject: Subject, ask: Ask) {
        let request = match (ask, subject) {
            (Ask::Offer, Subject::Transfer(id)) => self.make_offer(id, device),
            (Ask::Connect, Subject::Transfer(id)) => self.make_connect(id, device),
            (Ask::Notice(request), Subject::Transfer(_) | Subject::Sync(_)) => Some(request),
            (Ask::Sync(items), Subject::Transfer(_) | Subject::Sync(_)) => Some(Request::Sync(items)),
            (Ask::Offer | Ask::Connect, Subject::Sync(_)) => None,
        };
        let token = self.token();
        let Some(tray) = self.outbox.trays.get_mut(device) else { return };
        let Some(request) = request else {
            tray.entries.remove(&subject);
            return;
        };
        if let Some(entry) = tray.entries.get_mut(&subject) {
            entry.stage = Stage::InFlight(token);
            tray.in_flight += 1;
            self.outbox.tokens.insert(token, (device.clone(), subject));
            self.push(Effect::Session(SessionCommand::Request { token, to: device.clone(), request }));
        }
    }

    /// An answer, a refusal or nothing came back.
    pub(super) fn answered(&mut self, token: Token, outcome: Outcome) {
        let Some((device, subject)) = self.outbox.tokens.remove(&token) else { return };
        let Some(tray) = self.outbox.trays.get_mut(&device) else { return };
        tray.in_flight = tray.in_flight.saturating_sub(1);
        let current = tray.entries.get(&subject).is_some_and(|e| matches!(e.stage, Stage::InFlight(t) if t == token));
        if !current {
            return; // a newer request took its place
        }
        if let Outcome::Lost | Outcome::Refused(Refusal { wait: Some(_), .. }) = &outcome
            && !matches!(tray.entries.get(&subject), Some(Entry { ask: Ask::Connect, .. }))
        {
            self.put_off(&device, subject);
            return;
        }
        let Some(entry) = tray.entries.remove(&subject) else { return };
        match (entry.ask, subject) {
            (Ask::Offer, Subject::Transfer(id)) => self.offer_answered(id, &device, outcome),
            (Ask::Connect, Subject::Transfer(id)) => self.connect_answered(id, &device, outcome),
            (Ask::Sync(_), Subject::Transfer(_) | Subject::Sync(_)) => self.sync_answered(&device, outcome),
            // A notice has arrived, or the other side cannot use it: both are the end of it.
            (Ask::Notice(_), _) | (Ask::Offer | Ask::Connect, Subject::Sync(_)) => {}
        }
    }

    fn put_off(&mut self, device: &FullJid, subject: Subject) {
        let Some(tray) = self.outbox.trays.get_mut(device) else { return };
        let Some(entry) = tray.entries.get_mut(&subject) else { return };
        let at = self.now.mono.after(entry.backoff.fail());
        entry.stage = Stage::PutOff(at);
        self.timers.set(at, Timer::Outbox(device.clone()));
    }

    pub(super) fn outbox_when_due(&mut self, device: &FullJid) {
        let now = self.now.mono;
        if let Some(tray) = self.outbox.trays.get_mut(device) {
            tray.ready(|at| at <= now);
        }
    }

    /// Tells a device something that ends in itself, if it can be told now; else a later `sync` does.
    pub(super) fn notice(&mut self, id: TransferId, device: &FullJid, request: Request) {
        if self.reachable(device) {
            self.outbox.put(device, Subject::Transfer(id), Ask::Notice(request));
        }
    }
}
