//! A send: from the command to the moment when a device takes it.

use crate::domain::Domain;
use crate::domain::clock::Timer;
use crate::domain::view::bytes;
use crate::effect::{Data, Effect, Event, Persist, Reply, TorrentCommand};
use crate::fault::Fault;
use crate::ids::{BareJid, ContentId, FullJid, OfferId, TransferId};
use crate::input::NewSend;
use crate::limits::{DEVICES_PER_CONTACT, MESSAGE, NAME, RECIPIENTS};
use crate::session::SessionCommand;
use crate::signal::{Offer, Outcome, Request};
use crate::time::Wall;
use crate::transfer::{Content, Facts, Outgoing, Paused, Side, Transfer};

/// How long a contact that was never seen with xbt has to show a device before the courtesy message, in milliseconds.
const COURTESY_DELAY: u64 = 10_000;

impl Domain {
    pub(super) fn send(&mut self, send: NewSend) -> Result<Reply, Fault> {
        let NewSend { contacts, paths, name, provisional_name, message, expire_ms, open, skip_special, exclude } = send;
        let mut recipients = Vec::new();
        for contact in contacts {
            self.may_send_to(&contact)?;
            if !recipients.contains(&contact) {
                recipients.push(contact);
            }
            if recipients.len() > RECIPIENTS {
                break;
            }
        }
        if recipients.is_empty() || recipients.len() > RECIPIENTS {
            let hint = format!("name between 1 and {RECIPIENTS} contacts");
            return Err(Fault::new(
                "bad-recipients",
                if recipients.is_empty() { "a send needs a contact" } else { "too many contacts for one send" },
                hint,
            ));
        }
        too_long("name", name.as_deref().unwrap_or(&provisional_name), NAME)?;
        too_long("message", message.as_deref().unwrap_or_default(), MESSAGE)?;
        if open {
            self.can_be_reached()?;
        }
        let content = Content { id: self.numbers.next_content(), paths, name, open, skip_special, exclude };
        let expires = expire_ms.map(|ms| Wall(self.now.wall.0.saturating_add_unsigned(ms)));
        let ids = recipients
            .into_iter()
            .map(|contact| self.new_send(contact, content.id, provisional_name.clone(), message.clone(), expires));
        let ids: Vec<_> = ids.collect();
        self.persist(Persist::Content(content.clone()));
        self.persist(Persist::Counters(self.numbers.kept()));
        self.contents.add(content.clone());
        self.push(Effect::Torrent(TorrentCommand::Prepare(content)));
        Ok(Reply::Transfers(ids))
    }

    /// Whether the person can mean this contact. Before the first roster nobody knows, so the send is queued; so it is
    /// for contacts who do not let us see their presence yet.
    fn may_send_to(&self, contact: &BareJid) -> Result<(), Fault> {
        let own = *contact == self.settings.account;
        if own || self.roster.listed().next().is_none() && !self.presence.is_online() {
            return Ok(());
        }
        self.needs_listed(contact)
    }

    fn new_send(
        &mut self,
        contact: BareJid,
        content: ContentId,
        name: String,
        message: Option<String>,
        expires: Option<Wall>,
    ) -> TransferId {
        let id = self.numbers.next_transfer();
        let side =
            Side::Out { state: Outgoing::Preparing, acknowledged: Default::default(), taken_by: None, courtesy: false };
        let transfer = Transfer {
            id,
            offer: OfferId::from_random((self.entropy)()),
            account: self.settings.account.clone(),
            contact,
            content,
            side,
            name,
            facts: None,
            message,
            paused: Paused::default(),
            limits: Default::default(),
            priority: Default::default(),
            hook_due: false,
            expires,
            created: self.now.wall,
            updated: self.now.wall,
            history: Vec::new(),
            steps: 0,
        };
        self.add_transfer(transfer);
        self.watch_expiry(id);
        id
    }

    /// A transfer that is new here.
    pub(super) fn add_transfer(&mut self, mut transfer: Transfer) {
        let state = transfer.state_name();
        transfer.note(self.now.wall, state, None);
        self.transfers.add(transfer);
    }

    /// The content has been hashed: every send of it can be offered.
    pub(super) fn prepared(&mut self, content: ContentId, name: String, facts: Facts) {
        let now = self.now.wall;
        let preparing = |t: &Transfer| matches!(t.side, Side::Out { state: Outgoing::Preparing, .. });
        let ids = self.transfers_of(content, preparing);
        if ids.is_empty() && self.transfers_of(content, |t| t.end().is_none()).is_empty() {
            // All sends of it were cancelled while it was hashed.
            self.push(Effect::Torrent(TorrentCommand::Forget(content, Data::Keep)));
        }
        for id in ids {
            self.live(id).done_bytes = 0;
            let Some(transfer) = self.transfers.change(id) else { continue };
            transfer.name.clone_from(&name);
            transfer.facts = Some(facts.clone());
            if let Side::Out { state, .. } = &mut transfer.side {
                *state = Outgoing::Queued;
            }
            transfer.note(now, "queued", None);
            self.offer_everywhere(id);
        }
    }

    /// Ids of the transfers of a content that fulfil a condition.
    pub(super) fn transfers_of(&self, content: ContentId, condition: impl Fn(&Transfer) -> bool) -> Vec<TransferId> {
        self.transfers.of_content(content).filter(|t| condition(t)).map(|t| t.id).collect()
    }

    /// Offers it to all devices of the contact that are there.
    pub(super) fn offer_everywhere(&mut self, id: TransferId) {
        let Some(contact) = self.transfers.get(&id).map(|t| t.contact.clone()) else { return };
        for device in self.presence.xbt_devices(&contact) {
            self.offer_to(id, &device);
        }
        self.plan_courtesy(id);
    }

    /// The offer as it is now, or none if there is nothing to offer any more. `sent`: it went out before, unanswered.
    pub(super) fn make_offer(&self, id: TransferId, device: &FullJid, sent: bool) -> Option<Request> {
        let transfer = self.transfers.get(&id)?;
        let Side::Out { state: Outgoing::Queued | Outgoing::Offered, taken_by: None, acknowledged, .. } =
            &transfer.side
        else {
            return None;
        };
        // An offer that may have arrived is retried until it is answered, so that we know which devices have it.
        if acknowledged.contains(&device.resource) || transfer.paused.any() && !sent {
            return None;
        }
        self.offer_of(transfer).map(Request::Offer)
    }

    fn offer_of(&self, transfer: &Transfer) -> Option<Offer> {
        let facts = transfer.facts.as_ref()?;
        Some(Offer {
            id: transfer.offer,
            info_hash: facts.info_hash,
            size: facts.size,
            files: facts.files,
            metadata_size: facts.metadata_size,
            expires: transfer.expires.map(|at| at.0),
            name: transfer.name.clone(),
            message: transfer.message.clone(),
            fingerprint: self.settings.fingerprint,
        })
    }

    /// A device has answered the offer.
    pub(super) fn offer_answered(&mut self, id: TransferId, device: &FullJid, outcome: Outcome) {
        match outcome {
            Outcome::Answered(_) => self.acknowledged(id, device),
            Outcome::Refused(refusal) => {
                self.live(id).refusal = Some(refusal.sentence().to_owned());
                self.push(Effect::Emit(Event::Transfer(id)));
            }
            // The outbox keeps what was lost and asks again.
            Outcome::Lost => {}
        }
    }

    /// The device has the offer.
    pub(super) fn acknowledged(&mut self, id: TransferId, device: &FullJid) {
        let now = self.now.wall;
        let known = |t: &Transfer| match &t.side {
            Side::Out { acknowledged, .. } => acknowledged.contains(&device.resource),
            Side::In { .. } => true,
        };
        if self.transfers.get(&id).is_none_or(known) {
            return;
        }
        let Some(transfer) = self.transfers.change(id) else { return };
        let Side::Out { state, acknowledged, taken_by, .. } = &mut transfer.side else { return };
        // A contact that keeps changing its resources gets the offer each time; that costs nothing here.
        if acknowledged.len() < DEVICES_PER_CONTACT {
            acknowledged.insert(device.resource.clone());
        }
        if *state == Outgoing::Queued && taken_by.is_none() {
            *state = Outgoing::Offered;
            transfer.note(now, "offered", Some(format!("to {device}")));
        }
        self.live(id).refusal = None;
    }

    /// Sets the timer for the courtesy message if the contact may be one who has never run xbt.
    pub(super) fn plan_courtesy(&mut self, id: TransferId) {
        if self.wants_courtesy(id) {
            self.timers.set(self.now.mono.after(COURTESY_DELAY), Timer::Courtesy(id));
        }
    }

    fn wants_courtesy(&self, id: TransferId) -> bool {
        let Some(transfer) = self.transfers.get(&id) else { return false };
        let Side::Out { state: Outgoing::Queued, courtesy: false, .. } = transfer.side else { return false };
        let subscribed = |c: &crate::contact::Contact| c.listed && !c.has_xbt && c.subscription.sees_contact();
        self.settings.courtesy_message
            && transfer.account == self.settings.account
            && transfer.contact != self.settings.account
            && !transfer.paused.any()
            && self.roster.get(&transfer.contact).is_some_and(subscribed)
    }

    pub(super) fn courtesy_when_due(&mut self, id: TransferId) {
        if !self.presence.is_online() || !self.wants_courtesy(id) {
            return;
        }
        let now = self.now.wall;
        let Some(offer) = self.transfers.get(&id).and_then(|t| self.offer_of(t)) else { return };
        let magnet = self.transfers.get(&id).and_then(|t| self.magnet(t));
        let Some(transfer) = self.transfers.change(id) else { return };
        if let Side::Out { courtesy, .. } = &mut transfer.side {
            *courtesy = true;
        }
        transfer.note(now, "courtesy-message", None);
        let mut text = format!(
            "I would like to send you \"{}\" ({}) with xbt, which hands files over from machine to machine. \
             If you run xbt on this account, it will offer it to you.",
            offer.name,
            bytes(offer.size)
        );
        if let Some(magnet) = magnet {
            text += &format!(" Or fetch it with any BitTorrent program: {magnet}");
        }
        let to = transfer.contact.clone();
        self.push(Effect::Session(SessionCommand::Courtesy { to, text, offer }));
    }
}

/// What the other side would refuse is refused here first.
fn too_long(what: &str, text: &str, most: usize) -> Result<(), Fault> {
    if text.len() <= most {
        return Ok(());
    }
    let code = format!("{what}-too-long");
    let message = format!("the {what} has {} bytes, and at most {most} are sent", text.len());
    Err(Fault::new(&code, message, format!("use a shorter {what}")))
}
