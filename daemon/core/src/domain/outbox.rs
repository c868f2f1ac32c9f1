//! Requests to other devices: bounded in flight, retried until they are answered.
//!
//! The outbox lives in memory only. What it holds follows from the state of the transfers, and the `sync` that
//! follows each appearance of a device finds what was lost, so a restart loses nothing.

mod queue;

use std::collections::{BTreeMap, HashMap};

use crate::ids::{BareJid, Fingerprint, FullJid, OfferId, TransferId};
use crate::signal::{Outcome, Request, SyncItem, Token, Wait};
use crate::time::Mono;

use queue::Queue;

/// What a request is about; there is at most one for each device and subject, and a newer one replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Subject {
    Hello,
    Transfer(TransferId),
    /// To the receiver of the first transfer, about the one of the second.
    Introduction(TransferId, TransferId),
    /// A page of the `sync` that compares all transfers, by its place.
    Sync(u32),
    /// A `sync` about one offer.
    State(OfferId),
    /// An offer that has no row here (any more), or whose end is reported again.
    Gone(OfferId),
}

/// What is asked. Offers, connects and introductions are made when they are sent, from the state as it is then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Hello,
    Offer,
    Connect,
    Introduce,
    /// Decline, cancel, done, failed, taken: complete in itself, also when the transfer is removed meanwhile.
    Notice(Request),
    Sync(Vec<SyncItem>),
}

/// What follows from the outcome of a request.
#[derive(Debug)]
pub(super) enum Settled {
    /// Nothing.
    Ignored,
    /// The request had been replaced, and the offer in it may have arrived after the news of its end.
    Overtaken { device: FullJid, offer: OfferId },
    /// Requests to the device wait until then.
    Later { device: FullJid, at: Mono },
    /// The request is off the queue.
    Over { device: FullJid, subject: Subject, ask: Box<Ask> },
}

/// A request that waits for its outcome.
struct Sent {
    device: FullJid,
    /// What the device has proved; none: this was the `hello`.
    key: Option<Fingerprint>,
    offer: Option<OfferId>,
    at: Mono,
}

/// The assumed delay of a device that has not answered yet, in milliseconds.
const USUAL_DELAY: u32 = 100;

/// See the module.
#[derive(Default)]
pub(super) struct Outbox {
    queues: BTreeMap<FullJid, Queue>,
    tokens: HashMap<Token, Sent>,
    /// Half the time that the last answer of a device took, in milliseconds.
    delays: HashMap<FullJid, u32>,
}

impl Outbox {
    /// Queues a request, in place of an older one about the same.
    pub(super) fn put(&mut self, device: &FullJid, subject: Subject, ask: Ask) {
        self.queues.entry(device.clone()).or_default().put(subject, ask);
    }

    /// Whether a request about this is queued or under way.
    pub(super) fn has(&self, device: &FullJid, subject: Subject) -> bool {
        self.queues.get(device).is_some_and(|queue| queue.get(subject).is_some())
    }

    /// Devices for which something is queued.
    pub(super) fn devices(&mut self) -> Vec<FullJid> {
        self.queues.retain(|_, queue| !queue.is_empty());
        self.queues.keys().cloned().collect()
    }

    /// The next request that may be sent to a device, and whether it may have arrived before. [`Self::sent`] or
    /// [`Self::withdraw`] follows. Before it has `proved` its key that can be a `hello` only.
    pub(super) fn next(&mut self, device: &FullJid, proved: bool) -> Option<(Subject, Ask, bool)> {
        self.queues.get_mut(device).and_then(|queue| queue.next(proved))
    }

    /// The device to which a request of ours went, and the key that it had proved; none if this was the `hello`.
    pub(super) fn asked(&self, token: Token) -> Option<(&FullJid, Option<Fingerprint>)> {
        self.tokens.get(&token).map(|sent| (&sent.device, sent.key))
    }

    /// A request goes out to a device that has proved this key; false if it is no longer queued.
    pub(super) fn sent(
        &mut self,
        (device, key): (&FullJid, Option<Fingerprint>),
        subject: Subject,
        (token, request): (Token, &Request),
        now: Mono,
    ) -> bool {
        let sent = self.queues.get_mut(device).is_some_and(|queue| queue.sent(subject, token));
        if sent {
            let offer = if let Request::Offer(offer) = request { Some(offer.id) } else { None };
            let key = key.filter(|_| *request != Request::Hello);
            self.tokens.insert(token, Sent { device: device.clone(), key, offer, at: now });
        }
        sent
    }

    /// There is nothing to ask any more.
    pub(super) fn withdraw(&mut self, device: &FullJid, subject: Subject) {
        if let Some(queue) = self.queues.get_mut(device) {
            queue.take(subject);
        }
    }

    /// The outcome of a request is known.
    pub(super) fn settle(&mut self, token: Token, outcome: &Outcome, now: Mono) -> Settled {
        let Some(Sent { device, key, offer, at }) = self.tokens.remove(&token) else { return Settled::Ignored };
        if matches!(outcome, Outcome::Answered(_)) {
            let half = u32::try_from(now.since(at) / 2).unwrap_or(u32::MAX);
            self.delays.insert(device.clone(), half);
        }
        let Some(queue) = self.queues.get_mut(&device) else { return Settled::Ignored };
        let Some((subject, is_current)) = queue.landed(token) else { return Settled::Ignored };
        if !is_current {
            return match (offer, outcome) {
                (Some(offer), Outcome::Answered(_) | Outcome::Lost) => Settled::Overtaken { device, offer },
                (Some(_), Outcome::Refused(_)) | (None, _) => Settled::Ignored,
            };
        }
        let retry = match (outcome, offer) {
            (Outcome::Refused(refusal), Some(_)) if refusal.may_pass() && refusal.wait != Some(Wait::Hello) => {
                return match queue.trip(subject, refusal.sentence(), now) {
                    Some(at) => Settled::Later { device, at },
                    None => Settled::Ignored,
                };
            }
            (Outcome::Answered(_), Some(_)) => {
                queue.reset();
                false
            }
            (Outcome::Answered(_), None) => false,
            (Outcome::Refused(refusal), _) => refusal.may_pass() || key.is_none(),
            (Outcome::Lost, _) => true,
        };
        // Links have their own way of trying again.
        let is_connect = matches!(queue.get(subject), Some((Ask::Connect, _)));
        if retry && !is_connect {
            return match queue.retry(subject, now) {
                Some(at) => Settled::Later { device, at },
                None => Settled::Ignored,
            };
        }
        match queue.take(subject) {
            Some(ask) => Settled::Over { device, subject, ask: Box::new(ask) },
            None => Settled::Ignored,
        }
    }

    /// Forgets all requests to a device that has gone; the outcome of what is in flight is ignored.
    pub(super) fn drop_device(&mut self, device: &FullJid) {
        if let Some(queue) = self.queues.remove(device) {
            queue.tokens().for_each(|token| drop(self.tokens.remove(&token)));
        }
        self.delays.remove(device);
    }

    pub(super) fn clear(&mut self) {
        self.queues.clear();
        self.tokens.clear();
        self.delays.clear();
    }

    /// Forgets what is asked about a transfer, but not a notice, which must still arrive. Returns the resources to
    /// which the offer went without an answer: they may know of it.
    pub(super) fn drop_transfer(&mut self, contact: &BareJid, id: TransferId) -> Vec<String> {
        let subject = Subject::Transfer(id);
        let mut may_know = Vec::new();
        let first = FullJid::new(contact.clone(), "");
        for (device, queue) in self.queues.range_mut(first..).take_while(|(device, _)| device.bare == *contact) {
            let Some((ask, sent)) = queue.get(subject) else { continue };
            if sent && *ask == Ask::Offer {
                may_know.push(device.resource.clone());
            }
            if !matches!(ask, Ask::Notice(_)) {
                queue.take(subject);
            }
        }
        may_know
    }

    /// The device is there again or has just spoken: nothing needs to wait any longer.
    pub(super) fn hurry(&mut self, device: &FullJid) {
        if let Some(queue) = self.queues.get_mut(device) {
            queue.ready(|_| true);
        }
    }

    /// Something has changed that may let through what was put off: our network, or the connection to the server.
    pub(super) fn hurry_all(&mut self) {
        self.queues.values_mut().for_each(|queue| queue.ready(|_| true));
    }

    /// Time has passed: what was put off until now is tried again.
    pub(super) fn due(&mut self, device: &FullJid, now: Mono) {
        if let Some(queue) = self.queues.get_mut(device) {
            queue.ready(|at| at <= now);
        }
    }

    /// Queues the pages of a `sync`, in place of all those of an older one: a device that puts them off again and again
    /// gets no more of them than there are.
    pub(super) fn put_sync(&mut self, device: &FullJid, pages: impl Iterator<Item = Vec<SyncItem>>) {
        let queue = self.queues.entry(device.clone()).or_default();
        queue.drop_sync();
        (0..).zip(pages).for_each(|(place, page)| queue.put(Subject::Sync(place), Ask::Sync(page)));
    }

    /// How many requests to the devices of a contact wait or are under way.
    pub(super) fn requests(&self, contact: &BareJid) -> usize {
        let first = FullJid::new(contact.clone(), "");
        self.queues.range(first..).take_while(|(device, _)| device.bare == *contact).map(|(_, queue)| queue.len()).sum()
    }

    /// Contacts to whose devices something is queued.
    pub(super) fn contacts(&self) -> Vec<BareJid> {
        let mut contacts: Vec<BareJid> = self.queues.keys().map(|device| device.bare.clone()).collect();
        contacts.dedup();
        contacts
    }

    /// Why a device of the contact takes no offers now, and when the next one is tried.
    pub(super) fn put_off(&self, contact: &BareJid) -> Option<(&str, Option<Mono>)> {
        let first = FullJid::new(contact.clone(), "");
        let mut queues = self.queues.range(first..).take_while(|(device, _)| device.bare == *contact);
        queues.find_map(|(_, queue)| queue.refusal())
    }

    /// Transfers for which a `connect` to the device is in flight.
    pub(super) fn connecting(&self, device: &FullJid) -> impl Iterator<Item = TransferId> {
        self.queues.get(device).into_iter().flat_map(Queue::connecting)
    }

    /// How long a stanza to or from the device is under way, in milliseconds, as far as we know.
    pub(super) fn delay(&self, device: &FullJid) -> u32 {
        self.delays.get(device).copied().unwrap_or(USUAL_DELAY)
    }

    /// Nothing is kept of what was answered.
    #[cfg(test)]
    pub(super) fn is_bounded(&self) -> bool {
        let in_flight: usize = self.queues.values().map(|q| q.tokens().count()).sum();
        self.tokens.len() == in_flight && self.queues.values().all(Queue::is_bounded)
    }
}
