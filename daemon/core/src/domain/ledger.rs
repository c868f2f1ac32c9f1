//! The ledger: what each contact uses of what everybody shares, and what follows from that.
//!
//! Most of it is counted from the state when it is asked for. Its own state is the notices of each contact: some at once, and
//! one for all that follow within [`NOTICE_APART`].

use std::collections::BTreeMap;

use crate::domain::Domain;
use crate::domain::clock::Timer;
use crate::domain::view::bytes;
use crate::effect::{Effect, Event};
use crate::fault::Fault;
use crate::ids::{BareJid, TransferId};
use crate::limits::{NOTICE_APART, NOTICE_SENDERS, NOTICES_AT_ONCE, QUOTA_TIME, UNLINKED_TIME};
use crate::time::{Mono, Wall};
use crate::transfer::{Accepted, End, Incoming, Side, Transfer};

/// What one contact uses at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Offers that wait for an answer.
    pub offers: u64,
    /// Transfers from the contact that were accepted and have not ended.
    pub transfers: u64,
    /// Links, those of introduced devices included.
    pub links: u64,
    /// Requests to its devices that wait or are under way.
    pub requests: u64,
    /// Bytes for which space is reserved.
    pub reserved: u64,
    /// Files and folders of what is being received.
    pub files: u64,
    /// Bytes accepted automatically that count against its quota.
    pub automatic: u64,
    /// Notices held back and not yet shown.
    pub notices: u64,
}

/// Notices of each contact.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    notices: BTreeMap<BareJid, Held>,
}

#[derive(Debug)]
struct Held {
    until: Mono,
    /// Notices shown since `until` was set.
    told: usize,
    /// How many were not.
    count: u64,
}

impl Ledger {
    /// Whether a notice is shown immediately; otherwise it is counted.
    fn notice(&mut self, from: &BareJid, now: Mono) -> bool {
        if !self.notices.contains_key(from) && self.notices.len() >= NOTICE_SENDERS {
            return false;
        }
        let fresh = Held { until: now.after(NOTICE_APART), told: 0, count: 0 };
        let held = self.notices.entry(from.clone()).or_insert(fresh);
        let told = held.told < NOTICES_AT_ONCE;
        if told {
            held.told += 1;
        } else {
            held.count = held.count.saturating_add(1);
        }
        told
    }

    /// Time has passed: how many were held back, if any.
    fn due(&mut self, from: &BareJid, now: Mono) -> Option<(u64, Mono)> {
        let held = self.notices.get_mut(from).filter(|held| held.until <= now)?;
        if held.count == 0 {
            self.notices.remove(from);
            return None;
        }
        (held.until, held.told) = (now.after(NOTICE_APART), NOTICES_AT_ONCE);
        Some((std::mem::take(&mut held.count), held.until))
    }
}

impl Domain {
    /// What a contact uses.
    pub fn usage(&self, contact: &BareJid) -> Usage {
        let mut usage = Usage {
            requests: self.outbox.requests(contact) as u64,
            notices: self.ledger.notices.get(contact).map_or(0, |held| held.count),
            ..Usage::default()
        };
        for transfer in self.transfers.ours().filter(|t| t.contact == *contact) {
            self.add(&mut usage, transfer);
        }
        usage
    }

    /// Contacts that use anything, and what.
    pub fn ledger(&self) -> BTreeMap<BareJid, Usage> {
        let mut all: BTreeMap<BareJid, Usage> = BTreeMap::new();
        for transfer in self.transfers.ours() {
            let mut usage = Usage::default();
            self.add(&mut usage, transfer);
            if usage != Usage::default() {
                let sum = all.entry(transfer.contact.clone()).or_default();
                *sum = sum.plus(usage);
            }
        }
        let others = self.outbox.contacts().into_iter().chain(self.ledger.notices.keys().cloned());
        for contact in others.collect::<Vec<_>>() {
            let usage = all.entry(contact.clone()).or_default();
            usage.requests = self.outbox.requests(&contact) as u64;
            usage.notices = self.ledger.notices.get(&contact).map_or(0, |held| held.count);
        }
        all.retain(|_, usage| *usage != Usage::default());
        all
    }

    fn add(&self, usage: &mut Usage, transfer: &Transfer) {
        let live = self.live.get(&transfer.id);
        usage.links += live.map_or(0, |live| {
            let introduced = live.introduced.values().filter(|known| known.link.is_some()).count();
            u64::from(live.link.is_some()) + introduced as u64
        });
        let Side::In { state, .. } = &transfer.side else { return };
        usage.automatic = usage.automatic.saturating_add(self.automatic(transfer));
        match state {
            Incoming::Offered => usage.offers += 1,
            Incoming::Connecting | Incoming::Receiving => usage.transfers += 1,
            Incoming::Ended(_) => {}
        }
        if self.reserves_space(transfer) {
            let facts = transfer.facts.as_ref();
            let done = live.map_or(0, |live| live.done_bytes);
            let missing = facts.map_or(0, |facts| facts.disk().saturating_sub(done));
            usage.reserved = usage.reserved.saturating_add(missing);
            usage.files = usage.files.saturating_add(facts.map_or(0, |facts| facts.files));
        }
    }

    /// Whether space is reserved for what is still missing. What a rule accepted takes none before its first link: an offer
    /// alone costs its sender nothing.
    pub(super) fn reserves_space(&self, transfer: &Transfer) -> bool {
        match &transfer.side {
            Side::In { state: Incoming::Connecting | Incoming::Receiving, accepted, .. } => {
                *accepted != Accepted::ByRule { linked: false }
            }
            Side::In { state: Incoming::Offered | Incoming::Ended(_), .. } | Side::Out { .. } => false,
        }
    }

    /// Bytes of a transfer that count against the quota of its contact.
    fn automatic(&self, transfer: &Transfer) -> u64 {
        let Side::In { accepted: Accepted::ByRule { .. }, .. } = transfer.side else { return 0 };
        let counts = match transfer.end() {
            None => true,
            Some(End::Done) => self.now.wall.0 - transfer.updated.0 < QUOTA_TIME,
            Some(End::Declined { .. } | End::Cancelled | End::Expired | End::Elsewhere | End::Failed(_)) => false,
        };
        transfer.facts.as_ref().filter(|_| counts).map_or(0, |facts| facts.disk())
    }

    /// Whether a rule may accept it beside what it accepted from the same contact before.
    pub(super) fn within_quota(&self, id: TransferId) -> Result<(), Fault> {
        let quota = self.settings.accept_quota;
        let Some(transfer) = self.transfers.get(&id).filter(|_| quota > 0) else { return Ok(()) };
        let used = self.usage(&transfer.contact).automatic;
        let more = transfer.facts.as_ref().map_or(0, |facts| facts.disk());
        if used.saturating_add(more) <= quota {
            return Ok(());
        }
        let message = format!(
            "{} has filled {} of the {} that are accepted automatically within a day",
            transfer.contact,
            bytes(used),
            bytes(quota)
        );
        Err(Fault::new("over-quota", message, format!("'xbtctl accept {id}' accepts it all the same")))
    }

    /// What a rule accepts and never gets a link expires.
    pub(super) fn expire_without_link(&mut self, id: TransferId) {
        let until = Wall(self.now.wall.0.saturating_add(UNLINKED_TIME));
        if let Some(transfer) = self.transfers.change(id) {
            transfer.expires = Some(until);
        }
        self.watch_expiry(id);
    }

    /// Somebody wrote to this device.
    pub(super) fn chat(&mut self, from: BareJid, text: String) {
        if self.ledger.notice(&from, self.now.mono) {
            self.timers.set(self.now.mono.after(NOTICE_APART), Timer::Notices(from.clone()));
            self.push(Effect::Emit(Event::Chat { from, text }));
        }
    }

    pub(super) fn notices_when_due(&mut self, from: BareJid) {
        if let Some((messages, until)) = self.ledger.due(&from, self.now.mono) {
            self.timers.set(until, Timer::Notices(from.clone()));
            self.push(Effect::Emit(Event::MoreChat { from, messages }));
        }
    }
}

impl Usage {
    fn plus(self, other: Self) -> Self {
        Self {
            offers: self.offers + other.offers,
            transfers: self.transfers + other.transfers,
            links: self.links + other.links,
            requests: self.requests + other.requests,
            reserved: self.reserved.saturating_add(other.reserved),
            files: self.files.saturating_add(other.files),
            automatic: self.automatic.saturating_add(other.automatic),
            notices: self.notices + other.notices,
        }
    }
}
