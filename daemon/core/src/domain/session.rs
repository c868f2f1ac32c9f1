//! Events of the XMPP session: connection, roster, presence.

use std::collections::BTreeSet;

use crate::contact::Contact;
use crate::domain::Domain;
use crate::domain::outbox::{Ask, Subject};
use crate::domain::presence::Arrival;
use crate::effect::{Effect, Event, Persist};
use crate::ids::{BareJid, FullJid, TransferId};
use crate::session::{Connection, RosterItem, SessionCommand, SessionEvent};
use crate::settings::Subscriptions;
use crate::transfer::{Outgoing, Side, Transfer};

impl Domain {
    pub(super) fn session(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Connection(connection) => self.connection_changed(connection),
            SessionEvent::Roster(items) => self.roster(items),
            SessionEvent::RosterChanged(item) => self.roster_item(item),
            SessionEvent::RosterRemoved(jid) => self.roster_removed(&jid),
            SessionEvent::Available { device, xbt } => self.available(device, xbt),
            SessionEvent::Unavailable { device } => self.unavailable(&device),
            SessionEvent::SubscriptionRequested(jid) => self.subscription_requested(jid),
            SessionEvent::Requested { token, from, request, signed } => self.requested(token, from, request, signed),
            SessionEvent::Chat { from, text } => self.chat(from, text),
            SessionEvent::Discarded { from } => self.stanza_discarded(from),
            SessionEvent::Answered { token, outcome, by } => self.answered(token, outcome, by),
            SessionEvent::Services(services) => self.server_offers(services),
            SessionEvent::LoggedIn(login) => self.logged_in(login),
        }
    }

    fn connection_changed(&mut self, connection: Connection) {
        if matches!(connection, Connection::Online { resumed: true, .. }) {
            self.outbox.hurry_all();
        }
        if let Connection::Online { resumed: false, .. } = connection {
            // A fresh login: all presences come again, and a `sync` follows each of them.
            let gone = self.presence.clear();
            self.proofs.clear();
            self.outbox.clear();
            for contact in gone {
                self.push(Effect::Emit(Event::Contact(contact)));
            }
        }
        self.presence.connection_changed(connection, self.now.mono);
        self.push(Effect::Emit(Event::Connection));
    }

    fn roster(&mut self, items: Vec<RosterItem>) {
        let listed: Vec<BareJid> = self.roster.listed().map(|c| c.jid.clone()).collect();
        let still: BTreeSet<BareJid> = items.iter().map(|item| item.jid.clone()).collect();
        for jid in listed {
            if !still.contains(&jid) {
                self.roster_removed(&jid);
            }
        }
        for item in items {
            self.roster_item(item);
        }
        let waiting: Vec<_> = self.transfers.ours().filter(|t| t.end().is_none()).map(|t| t.id).collect();
        for id in waiting {
            self.plan_courtesy(id);
        }
    }

    fn roster_item(&mut self, item: RosterItem) {
        let mut contact = self.roster.known(&item.jid);
        let approve = item.subscription.sees_contact() || item.ask;
        if approve && self.roster.answer(&item.jid) {
            self.push(Effect::Session(SessionCommand::ApproveSubscription(item.jid.clone())));
        }
        contact.update(item);
        self.save_contact(contact);
    }

    fn roster_removed(&mut self, jid: &BareJid) {
        let Some(contact) = self.roster.get(jid) else { return };
        let gone = RosterItem {
            jid: jid.clone(),
            name: None,
            subscription: Default::default(),
            ask: false,
            groups: Vec::new(),
        };
        let mut contact = contact.clone();
        contact.update(gone);
        contact.listed = false;
        self.save_contact(contact);
    }

    pub(super) fn save_contact(&mut self, contact: Contact) {
        if self.roster.save(&contact) {
            self.push(Effect::Emit(Event::Contact(contact.jid.clone())));
            self.persist(Persist::Contact(contact));
        }
    }

    fn is_this_device(&self, device: &FullJid) -> bool {
        device.bare == self.settings.account && device.resource == self.settings.resource
    }

    fn available(&mut self, device: FullJid, xbt: bool) {
        // Presence from outside the roster is ignored: it would grow without bound.
        let listed = self.roster.is_listed(&device.bare) || device.bare == self.settings.account;
        if self.is_this_device(&device) || !listed {
            return;
        }
        let arrival = self.presence.arrived(&device, xbt);
        if arrival == Arrival::Ignored {
            return;
        }
        if arrival != Arrival::Known(xbt) {
            self.push(Effect::Emit(Event::Contact(device.bare.clone())));
        }
        if xbt && arrival != Arrival::Known(true) {
            let mut contact = self.roster.known(&device.bare);
            contact.has_xbt = true;
            self.save_contact(contact);
            // So far it only says that it runs xbt: what follows, follows from the proof of its key.
            self.outbox.put(&device, Subject::Hello, Ask::Hello);
        } else if xbt {
            self.heard_again(&device);
        } else {
            self.outbox.drop_device(&device);
            self.proofs.left(&device);
        }
    }

    fn unavailable(&mut self, device: &FullJid) {
        self.outbox.drop_device(device);
        self.proofs.left(device);
        if self.presence.left(device) {
            self.push(Effect::Emit(Event::Contact(device.bare.clone())));
        }
    }

    /// A device is online and has proved a key that may take part: compare open transfers, offer what is queued for it, ask
    /// for the links that are wanted.
    pub(super) fn appeared(&mut self, device: &FullJid) {
        let Some(key) = self.proofs.key_of(device) else { return };
        self.outbox.hurry(device);
        self.sync_with(device);
        for id in self.transfers.open_with(&device.bare).collect::<Vec<_>>() {
            self.offer_to(id, device);
            if self.transfers.get(&id).and_then(Transfer::peer).is_some_and(|peer| peer.fingerprint == key) {
                self.live(id).backoff.reset();
                self.seek_soon(id);
                self.introduce(id);
            }
        }
    }

    /// A device that was online already sends its presence again: its server may have been unreachable meanwhile, so what
    /// was put off or refused is retried.
    fn heard_again(&mut self, device: &FullJid) {
        if !self.presence.may_retry(device, self.now.mono) {
            return;
        }
        self.outbox.hurry(device);
        for id in self.transfers.open_with(&device.bare).collect::<Vec<_>>() {
            self.offer_to(id, device);
            let unlinked = |t: &Transfer| !t.linked() && t.peer().is_some_and(|p| p.resource == device.resource);
            if self.transfers.get(&id).is_some_and(unlinked) {
                self.live(id).backoff.reset();
                self.seek_soon(id);
            }
        }
    }

    /// Offers a transfer to a device that has not acknowledged it yet.
    pub(super) fn offer_to(&mut self, id: TransferId, device: &FullJid) {
        let Some(transfer) = self.transfers.get(&id) else { return };
        let Side::Out { state: Outgoing::Queued | Outgoing::Offered, acknowledged, taken_by: None, .. } =
            &transfer.side
        else {
            return;
        };
        let known = acknowledged.contains(&device.resource) || self.is_this_device(device);
        if !known && !transfer.paused.any() && !self.is_blocked(device) {
            self.outbox.put(device, Subject::Transfer(id), Ask::Offer);
        }
    }

    fn subscription_requested(&mut self, jid: BareJid) {
        let added = self.roster.get(&jid).is_some_and(|c| c.listed && (c.subscription.sees_contact() || c.ask));
        if added {
            self.push(Effect::Session(SessionCommand::ApproveSubscription(jid)));
            return;
        }
        // Bounded: a stranger costs one entry, and a flood of strangers is not remembered.
        if self.roster.ask(&jid) {
            // Reported once, however often the request comes.
            if self.settings.subscriptions == Subscriptions::Ask {
                self.push(Effect::Emit(Event::SubscriptionRequested(jid)));
            }
        }
    }
}
