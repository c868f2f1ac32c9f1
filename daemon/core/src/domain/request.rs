//! What other devices ask of us. Every request is answered exactly once, and doing one twice does no harm.

use std::fmt;

use crate::domain::Domain;
use crate::domain::ending::end_notice;
use crate::domain::outbox::Subject;
use crate::domain::trust::Verdict;
use crate::effect::{Effect, Persist};
use crate::fault::Fault;
use crate::hook::Hook;
use crate::ids::{BareJid, Fingerprint, FullJid, OfferId, TransferId};
use crate::limits::{
    FILES, MESSAGE, METADATA, METADATA_FOR_FOLDERS, METADATA_PER_FILE, NAME, OFFERS_PER_CONTACT, OPEN_PER_CONTACT,
};
use crate::session::SessionCommand;
use crate::signal::{Answer, Condition, Epoch, Offer, Refusal, Request, Signed, Stamp, Token, Wait};
use crate::time::Wall;
use crate::transfer::{Accepted, Content, Direction, End, Facts, Incoming, Outgoing, Paused, Peer, Side, Transfer};

pub(super) type Answered = Result<Answer, Refusal>;

impl Domain {
    pub(super) fn requested(&mut self, token: Token, from: FullJid, request: Request, signed: Option<Signed>) {
        let answer = match self.signed(&from, signed) {
            Ok(Signed { key, stamp }) if request == Request::Hello => Ok(self.greeted(&from, key, stamp)),
            Ok(signed) => self.speaker(from, signed).and_then(|speaker| self.heard(&speaker, request)),
            Err(refusal) => Err(refusal),
        };
        self.push(Effect::Session(SessionCommand::Answer { token, answer }));
    }

    /// Whether offers of this address are heard: those of contacts, and of our own other devices.
    pub fn hears(&self, from: &BareJid) -> bool {
        self.roster.is_listed(from) || *from == self.settings.account
    }

    /// Strangers learn nothing, not even that xbt runs here, and who does not sign decides nothing.
    fn signed(&mut self, device: &FullJid, signed: Option<Signed>) -> Result<Signed, Refusal> {
        if !self.hears(&device.bare) && !self.transfers.any_open_with(&device.bare) {
            return Err(Refusal::new(Condition::ServiceUnavailable, ""));
        }
        signed.ok_or_else(|| {
            self.unproved(&device.bare);
            Refusal::new(Condition::Forbidden, "this carries no valid signature of your device's key")
        })
    }

    /// A device asks for our proof. Whoever sends its `hello` again gains nothing: the answer says the same to all, and an
    /// epoch is of use to its key only.
    fn greeted(&mut self, device: &FullJid, key: Fingerprint, stamp: Stamp) -> Answer {
        let new = Epoch((self.entropy)().to_be_bytes());
        Answer::Hello(self.proofs.give(device, key, stamp.epoch, new))
    }

    /// Who speaks, if what it signed is new, and its key is one of the contact's that is not blocked.
    fn speaker(&mut self, device: FullJid, Signed { key, stamp }: Signed) -> Result<Speaker, Refusal> {
        match self.proofs.admit(&device, key, stamp) {
            Some(true) => {}
            Some(false) => {
                self.unproved(&device.bare);
                return Err(say_hello("this request has come before"));
            }
            None => return Err(say_hello("say hello first")),
        }
        if self.proofs.key_of(&device).is_some_and(|before| before != key) {
            self.proofs.doubt(&device);
        }
        // Who speaks is there, so what was put off for it need not wait.
        self.outbox.hurry(&device);
        match self.meet(&device, key) {
            Verdict::Trusted => Ok(Speaker { device, key }),
            Verdict::Blocked => Err(blocked()),
            Verdict::Claimed => Err(claimed()),
        }
    }

    fn heard(&mut self, from: &Speaker, request: Request) -> Answered {
        match request {
            // A `hello` decides nothing, and is answered before.
            Request::Hello => Err(say_hello("that is one")),
            Request::Offer(offer) => self.offered(from, offer),
            Request::Connect(connect) => self.connect_requested(from, connect),
            Request::Decline { id, message } => self.declined(from, id, message.as_deref().map(within)),
            Request::Cancel { id } => self.cancelled(from, id, End::Cancelled),
            Request::Expired { id } => self.cancelled(from, id, End::Expired),
            Request::Done { id } => self.done(from, id),
            Request::Failed { id, reason } => self.failed(from, id, &within(&reason)),
            Request::Taken { id } => self.taken(from, id),
            Request::Introduce(introduction) => self.introduced(from, introduction),
            Request::Sync(items) => self.sync_requested(from, items),
        }
    }

    fn offered(&mut self, speaker: &Speaker, offer: Offer) -> Answered {
        let from = &speaker.device;
        if let Some(refusal) = contradiction(&offer) {
            return Err(refusal);
        }
        self.is_own_key(speaker, offer.fingerprint)?;
        if let Some(tombstone) = self.transfers.tombstone(&from.bare, offer.id, Direction::In) {
            let end = tombstone.end.clone();
            return self.offered_again(speaker, offer.id, None, Some(end));
        }
        if let Some(id) = self.transfers.find(&from.bare, offer.id, Direction::In) {
            let end = self.transfers.get(&id).and_then(|t| t.end().cloned());
            return self.offered_again(speaker, offer.id, Some(id), end);
        }
        if offer.expires.is_some_and(|at| Wall(at) <= self.now.wall) {
            return Err(Refusal::new(Condition::NotAcceptable, "the offer has expired"));
        }
        let unanswered = self.transfers.unanswered_from(&from.bare);
        if unanswered >= OFFERS_PER_CONTACT || self.transfers.incoming_from(&from.bare) >= OPEN_PER_CONTACT {
            return Err(Refusal::wait(Wait::Busy, "too many offers are open already"));
        }
        self.new_offer(from, offer);
        Ok(Answer::Acknowledged)
    }

    /// A replay: nothing is made twice, and who asks again hears how it ended.
    fn offered_again(&mut self, from: &Speaker, offer: OfferId, id: Option<TransferId>, end: Option<End>) -> Answered {
        if let Some(transfer) = id.and_then(|id| self.transfers.get(&id))
            && transfer.peer().is_some_and(|peer| peer.fingerprint != from.key)
        {
            return Err(Refusal::new(Condition::Conflict, "another device made this offer"));
        }
        if let Some(request) = end.and_then(|end| end_notice(offer, Direction::In, &end)) {
            self.notice(id.map_or(Subject::Gone(offer), Subject::Transfer), &from.device, request);
        }
        Ok(Answer::Acknowledged)
    }

    fn new_offer(&mut self, from: &FullJid, offer: Offer) {
        let id = self.numbers.next_transfer();
        let (number, paths) = (self.numbers.next_content(), Vec::new());
        let content = Content { id: number, paths, name: None, open: false, skip_special: false, exclude: Vec::new() };
        self.persist(Persist::Counters(self.numbers.kept()));
        self.persist(Persist::Content(content.clone()));
        let transfer = Transfer {
            id,
            offer: offer.id,
            account: self.settings.account.clone(),
            contact: from.bare.clone(),
            content: content.id,
            side: Side::In {
                state: Incoming::Offered,
                from: Peer { resource: from.resource.clone(), fingerprint: offer.fingerprint },
                folder: None,
                path: None,
                accepted: Accepted::default(),
            },
            name: offer.name,
            facts: Some(Facts {
                info_hash: offer.info_hash,
                size: offer.size,
                files: offer.files,
                metadata_size: offer.metadata_size,
            }),
            message: offer.message,
            paused: Paused::default(),
            limits: Default::default(),
            priority: Default::default(),
            hook_due: false,
            expires: offer.expires.map(Wall),
            created: self.now.wall,
            updated: self.now.wall,
            history: Vec::new(),
            steps: 0,
        };
        self.contents.add(content);
        self.add_transfer(transfer);
        self.watch_expiry(id);
        self.confirm_soon(from);
        self.rule_on(id);
    }

    fn declined(&mut self, from: &Speaker, offer: OfferId, message: Option<String>) -> Answered {
        let id = self.known(from, offer, Direction::Out)?;
        if self.is_open(id) && self.may_end(id, from) {
            self.settle(id, End::Declined { message }, Some(format!("declined by {from}")));
            self.tell_taken(id, &from.device.resource);
        }
        Ok(Answer::Acknowledged)
    }

    /// `end`: as it is for a receiver. A receiver's device has no other reason than that it does not want it any more.
    fn cancelled(&mut self, from: &Speaker, offer: OfferId, end: End) -> Answered {
        if let Ok(id) = self.known(from, offer, Direction::In) {
            self.only_partner(id, from)?;
            return Ok(self.withdrawn(id, &from.device, end));
        }
        let id = self.known(from, offer, Direction::Out)?;
        if self.is_open(id) && self.may_end(id, from) {
            self.settle(id, End::Cancelled, Some(format!("cancelled by {from}")));
            self.tell_taken(id, &from.device.resource);
        }
        Ok(Answer::Acknowledged)
    }

    /// The sender takes its offer back, or the offer has lapsed by the sender's clock.
    fn withdrawn(&mut self, id: TransferId, from: &FullJid, end: End) -> Answer {
        let row = self.transfers.get(&id);
        if let Some(Transfer { offer, side: Side::In { state: Incoming::Ended(End::Done), .. }, .. }) = row {
            // Too late: it is here, and the sender should not believe otherwise.
            let done = Request::Done { id: *offer };
            self.notice(Subject::Transfer(id), from, done);
        } else {
            let reason = match &end {
                End::Expired => "it was not accepted in time".to_owned(),
                End::Done | End::Declined { .. } | End::Cancelled | End::Elsewhere | End::Failed(_) => {
                    format!("cancelled by {}", from.bare)
                }
            };
            self.settle(id, end, Some(reason));
        }
        Answer::Acknowledged
    }

    fn done(&mut self, from: &Speaker, offer: OfferId) -> Answered {
        let id = self.known(from, offer, Direction::Out)?;
        self.only_partner(id, from)?;
        self.receiver_done(id, &from.device);
        Ok(Answer::Acknowledged)
    }

    /// The device that took it says that all has verified. That stands, also when we gave up at the same moment.
    pub(super) fn receiver_done(&mut self, id: TransferId, from: &FullJid) {
        let gave_up = |t: &Transfer| matches!(t.end(), Some(End::Cancelled | End::Failed(_)));
        if self.transfers.get(&id).is_some_and(gave_up) {
            let now = self.now.wall;
            if let Some(transfer) = self.transfers.change(id)
                && let Side::Out { state, .. } = &mut transfer.side
            {
                *state = Outgoing::Ended(End::Done);
                transfer.note(now, "done", Some(format!("{from} had received and verified it before")));
            }
            self.end_is_settled(id);
            self.run_hook(id, Hook::Complete);
        } else if self.is_open(id) {
            let size = self.transfers.get(&id).and_then(|t| t.facts.as_ref()).map_or(0, |f| f.size);
            self.live(id).done_bytes = size;
            self.settle(id, End::Done, Some(format!("received and verified by {from}")));
        }
    }

    fn failed(&mut self, from: &Speaker, offer: OfferId, reason: &str) -> Answered {
        let known = self.known(from, offer, Direction::Out).or_else(|_| self.known(from, offer, Direction::In));
        let id = known?;
        if self.transfers.get(&id).is_some_and(|t| t.direction() == Direction::In) {
            self.only_partner(id, from)?;
            self.fail_remotely(id, &from.device, reason);
        } else if self.is_open(id) && self.may_end(id, from) {
            self.fail_remotely(id, &from.device, reason);
            self.tell_taken(id, &from.device.resource);
        }
        Ok(Answer::Acknowledged)
    }

    /// The other side cannot go on.
    pub(super) fn fail_remotely(&mut self, id: TransferId, from: &FullJid, reason: &str) {
        let fault = Fault::new(
            "other-side-failed",
            format!("{} could not go on: {reason}", from.bare),
            "ask them to fix that, then send it again",
        );
        self.settle(id, End::Failed(fault), Some(reason.to_owned()));
    }

    fn taken(&mut self, from: &Speaker, offer: OfferId) -> Answered {
        let id = self.known(from, offer, Direction::In)?;
        self.only_partner(id, from)?;
        self.settle(id, End::Elsewhere, Some("another device of yours has it".into()));
        Ok(Answer::Acknowledged)
    }

    /// The transfer that a contact's device speaks about.
    pub(super) fn known(&self, from: &Speaker, offer: OfferId, direction: Direction) -> Result<TransferId, Refusal> {
        self.transfers
            .find(&from.device.bare, offer, direction)
            .ok_or_else(|| Refusal::new(Condition::ItemNotFound, "there is no such offer (any more)"))
    }

    pub(super) fn is_open(&self, id: TransferId) -> bool {
        self.transfers.get(&id).is_some_and(|t| t.end().is_none())
    }

    /// Only the device on the other end may speak: the one that made the offer, or the one that took it.
    pub(super) fn only_partner(&self, id: TransferId, from: &Speaker) -> Result<(), Refusal> {
        let partner = self.transfers.get(&id).and_then(Transfer::peer);
        if partner.is_some_and(|peer| peer.fingerprint == from.key) {
            return Ok(());
        }
        Err(Refusal::new(Condition::Forbidden, "that is for another device to say"))
    }

    /// Whether a device of the contact may end this open send: the one that took it, and while nobody has, any.
    fn may_end(&self, id: TransferId, from: &Speaker) -> bool {
        self.transfers.get(&id).and_then(Transfer::peer).is_none_or(|winner| winner.fingerprint == from.key)
    }

    /// What is said of the speaker's own key must be so.
    pub(super) fn is_own_key(&mut self, from: &Speaker, fingerprint: Fingerprint) -> Result<(), Refusal> {
        if fingerprint == from.key {
            return Ok(());
        }
        self.unproved(&from.device.bare);
        self.claims(&from.device.bare, fingerprint);
        Err(Refusal::new(Condition::NotAcceptable, "that is not the key which signed this"))
    }
}

/// A device that has proved its key with what it says.
#[derive(Clone, Debug)]
pub(super) struct Speaker {
    pub(super) device: FullJid,
    pub(super) key: Fingerprint,
}

impl fmt::Display for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.device.fmt(f)
    }
}

/// Prose from outside, cut to its bound.
fn within(text: &str) -> String {
    let end = (0..=MESSAGE.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text[..end.unwrap_or(0)].to_owned()
}

/// What cannot be true of any content, or is beyond our bounds.
fn contradiction(offer: &Offer) -> Option<Refusal> {
    let text = if offer.files == 0 {
        "an offer has at least one file".to_owned()
    } else if offer.files > FILES {
        format!("more than {FILES} files in one content are not taken")
    } else if offer.metadata_size == 0 || offer.metadata_size > METADATA {
        format!("metadata of {} bytes is not taken", offer.metadata_size)
    } else if u64::from(offer.metadata_size) > plausible_metadata(offer) {
        "so few files of that size do not need so much metadata".to_owned()
    } else if i64::try_from(offer.size).is_err() {
        "no file system holds that".to_owned()
    } else if offer.name.is_empty() {
        "an offer has a name".to_owned()
    } else if offer.name.contains(['/', '\0']) || offer.name == "." || offer.name == ".." {
        "the name of an offer is one part of a path".to_owned()
    } else if offer.name.len() > NAME {
        format!("a name of more than {NAME} bytes is not taken")
    } else if offer.message.as_ref().is_some_and(|text| text.len() > MESSAGE) {
        format!("a message of more than {MESSAGE} bytes is not taken")
    } else {
        return None;
    };
    Some(Refusal::new(Condition::NotAcceptable, text))
}

/// The most metadata that so many files of so many bytes can need: 20 bytes for each piece of at least 16 KiB, and
/// something for empty folders, whose number an offer does not say.
fn plausible_metadata(offer: &Offer) -> u64 {
    let pieces = offer.size.div_ceil(16 << 10);
    let for_files = offer.files.saturating_mul(METADATA_PER_FILE);
    pieces.saturating_mul(20).saturating_add(for_files).saturating_add(METADATA_FOR_FOLDERS)
}

/// What is not new, or may not be.
fn say_hello(text: &str) -> Refusal {
    Refusal::wait(Wait::Hello, text)
}

/// Another contact has shown it before.
pub(super) fn claimed() -> Refusal {
    Refusal::new(Condition::Forbidden, "this device's key is known here as somebody else's; tell the person")
}

/// The key came after the contact was verified.
pub(super) fn blocked() -> Refusal {
    Refusal::new(Condition::Forbidden, "this device's key is not verified; ask the person to compare safety numbers")
}
