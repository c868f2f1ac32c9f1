//! Other receivers of the same content, as its sender has introduced them to us.
//!
//! Invariants. An introduced device is granted the one content of the transfer and nothing else; it is none of the
//! contact's devices. Its links come and go without a word in the transfer's history and are never waited for. They end
//! with the transfer, and when it is held up. Its key comes from the sender, who signs whatever it says, and whom we
//! trust for this content only, also where the contact is verified.

use crate::domain::Domain;
use crate::domain::clock::Timer;
use crate::domain::live::Introduced;
use crate::domain::request::{Answered, Speaker, blocked};
use crate::effect::{DialRequest, Effect, LinkCommand, LinkId, LinkTag, TorrentCommand};
use crate::ids::{BareJid, Fingerprint, FullJid, InfoHash, TransferId};
use crate::limits::{INTRODUCED_PER_TRANSFER, LINKS_PER_DEVICE};
use crate::signal::{Answer, Candidate, Condition, Introduction, MAX_CANDIDATES, Reach, Refusal, Wait};
use crate::transfer::{Direction, Incoming, Side, Transfer};

/// First wait before a failed link is tried again, in milliseconds; it doubles each time.
const AGAIN: u64 = 2_000;

/// Failed tries in a row, after which only a new introduction leads to another.
const TRIES: u32 = 4;

impl Domain {
    /// Whether we want to know of others who receive the same, and they may know of us.
    pub(super) fn wants_introductions(&self, id: TransferId) -> bool {
        let incoming = |t: &Transfer| t.direction() == Direction::In;
        self.settings.introduce && self.transfers.get(&id).is_some_and(incoming)
    }

    /// The sender tells of another receiver.
    pub(super) fn introduced(&mut self, from: &Speaker, introduction: Introduction) -> Answered {
        let Introduction { id: offer, info_hash, fingerprint, mut candidates } = introduction;
        let ways = self.settings.ways;
        if !self.settings.introduce || !(ways.direct || ways.mapped) {
            return Err(Refusal::new(Condition::Forbidden, "introductions are not wanted here"));
        }
        let id = self.known(from, offer, Direction::In)?;
        self.only_partner(id, from)?;
        self.may_be_introduced(id, info_hash, fingerprint)?;
        candidates.retain(Candidate::is_tcp);
        candidates.truncate(MAX_CANDIDATES);
        if candidates.is_empty() {
            return Err(Refusal::new(Condition::NotAcceptable, "no address that could be dialled"));
        }
        let now = self.now.mono;
        if !self.live(id).introductions.admit(now) {
            return Err(Refusal::wait(Wait::Busy, "too many introductions"));
        }
        let by = &from.device.bare;
        self.make_room(id, by, fingerprint)?;
        self.introduced.insert((by.clone(), fingerprint), id);
        let known = self.live(id).introduced.entry(fingerprint).or_default();
        known.failures = 0;
        let same = known.candidates == candidates;
        known.candidates = candidates;
        if known.link.is_none() && !(known.wanted && same) {
            self.want_introduced(id, fingerprint);
        }
        Ok(Answer::Acknowledged)
    }

    /// Whether it fits the transfer, and we have nothing against the key.
    fn may_be_introduced(&self, id: TransferId, info_hash: InfoHash, key: Fingerprint) -> Result<(), Refusal> {
        let Some(transfer) = self.transfers.get(&id) else { return Ok(()) };
        match &transfer.side {
            Side::In { state: Incoming::Connecting | Incoming::Receiving, .. } => {}
            Side::In { state: Incoming::Offered | Incoming::Ended(_), .. } | Side::Out { .. } => {
                return Err(Refusal::new(Condition::ItemNotFound, "that is not being received"));
            }
        }
        if transfer.facts.as_ref().is_none_or(|facts| facts.info_hash != info_hash) {
            return Err(Refusal::new(Condition::NotAcceptable, "that is not the content of this offer"));
        }
        if transfer.paused.any() {
            return Err(Refusal::wait(Wait::Paused, format!("paused by {}", self.settings.account)));
        }
        if key == self.settings.fingerprint || transfer.peer().is_some_and(|peer| peer.fingerprint == key) {
            return Err(Refusal::new(Condition::NotAcceptable, "that is one of the two devices that speak"));
        }
        if self.has_own(id, info_hash, key) {
            let text = "that device has a transfer of its own here for this content";
            return Err(Refusal::new(Condition::NotAcceptable, text));
        }
        // As a device of any contact.
        if self.devices.is_key_blocked(key) { Err(blocked()) } else { Ok(()) }
    }

    /// Whether the device itself, and not only somebody who introduces it, sends us this content or receives it from us: its
    /// links belong to that.
    fn has_own(&self, id: TransferId, info_hash: InfoHash, key: Fingerprint) -> bool {
        let own = |t: &Transfer| {
            t.id != id
                && (t.agreed() || t.is_taken())
                && t.peer().is_some_and(|peer| peer.fingerprint == key)
                && t.facts.as_ref().is_some_and(|facts| facts.info_hash == info_hash)
        };
        let mut of_owners = self.devices.owners(key).flat_map(|owner| self.transfers.open_with(owner));
        of_owners.any(|id| self.transfers.get(&id).is_some_and(own))
    }

    /// The device has a transfer of its own for this content from now on: who introduced it has no part in its links.
    pub(super) fn has_own_now(&mut self, own: TransferId, info_hash: InfoHash, key: Fingerprint) {
        let known = self.live.iter().filter(|(id, live)| **id != own && live.introduced.contains_key(&key));
        for id in known.map(|(id, _)| *id).collect::<Vec<_>>() {
            let facts = self.transfers.get(&id).and_then(|t| t.facts.as_ref());
            if facts.is_some_and(|facts| facts.info_hash == info_hash)
                && let Some(known) = self.live.get_mut(&id).and_then(|live| live.introduced.remove(&key))
            {
                self.leave_one(id, key, known.link);
            }
        }
    }

    /// Keeps two bounds: devices introduced for a transfer, and links with one device that this contact introduced.
    fn make_room(&mut self, id: TransferId, by: &BareJid, key: Fingerprint) -> Result<(), Refusal> {
        let elsewhere = self.introduced.get(&(by.clone(), key)).filter(|other| *other != id).count();
        if elsewhere >= LINKS_PER_DEVICE {
            return Err(Refusal::wait(Wait::Turn, format!("{LINKS_PER_DEVICE} links with this device are enough")));
        }
        let live = self.live(id);
        if live.introduced.contains_key(&key) || live.introduced.len() < INTRODUCED_PER_TRANSFER {
            return Ok(());
        }
        let given_up = |one: &Introduced| !one.wanted && one.link.is_none() && one.seek_at.is_none();
        let Some(gone) = live.introduced.iter().find(|(_, one)| given_up(one)).map(|(key, _)| *key) else {
            return Err(Refusal::wait(Wait::Busy, format!("{INTRODUCED_PER_TRANSFER} others are known already")));
        };
        live.introduced.remove(&gone);
        self.introduced.remove(&(by.clone(), gone), id);
        Ok(())
    }

    /// Grants the device a link for this content, and looks for one.
    fn want_introduced(&mut self, id: TransferId, peer: Fingerprint) {
        let Some(candidates) = self.our_reach(id).map(|reach| reach.candidates) else { return };
        let own = self.own_device();
        let Some(transfer) = self.transfers.get(&id) else { return };
        let (Some(facts), Some(by)) = (&transfer.facts, transfer.peer()) else { return };
        let (info_hash, device) = (facts.info_hash, FullJid::new(transfer.contact.clone(), by.resource.clone()));
        let Some(known) = self.live.get_mut(&id).and_then(|live| live.introduced.get_mut(&peer)) else { return };
        (known.wanted, known.seek_at) = (true, None);
        // Over TCP only: an introduction carries nothing for the other ways.
        let ours = Reach { candidates: candidates.into_iter().filter(Candidate::is_tcp).collect(), ..Reach::default() };
        let theirs = Reach { candidates: known.candidates.clone(), ..Reach::default() };
        let want = DialRequest {
            transfer: id,
            peer,
            introduced: true,
            info_hash,
            own,
            device,
            theirs,
            ours,
            delay: 0,
            better_than: None,
        };
        self.push(Effect::Link(LinkCommand::Dial(Box::new(want))));
    }

    /// The engine has a link with an introduced device.
    pub(super) fn introduced_up(&mut self, id: TransferId, peer: Fingerprint, link: LinkTag) {
        let runs = self.transfers.get(&id).is_some_and(|t| t.agreed() && !t.paused.any());
        let known = self.live.get_mut(&id).and_then(|live| live.introduced.get_mut(&peer));
        let Some(known) = known.filter(|known| runs && known.wanted) else {
            return self.push(Effect::Torrent(TorrentCommand::Detach(link)));
        };
        (known.wanted, known.present) = (false, (0, 0));
        // A newer link replaces one whose end we have not noticed yet.
        if let Some(old) = known.link.replace(link) {
            self.links.remove(old);
            self.push(Effect::Torrent(TorrentCommand::Detach(old)));
        }
        self.links.add(link, LinkId { transfer: id, introduced: Some(peer) });
        if self.links.has_ended(link) {
            self.link_closed(link, "it was closed at once".into());
        }
    }

    /// No link with an introduced device came about.
    pub(super) fn introduced_failed(&mut self, id: TransferId, peer: Fingerprint) {
        let Some(known) = self.live.get_mut(&id).and_then(|live| live.introduced.get_mut(&peer)) else { return };
        known.wanted = false;
        self.introduced_again(id, peer);
    }

    /// A link with an introduced device has ended.
    pub(super) fn introduced_closed(&mut self, id: TransferId, peer: Fingerprint, link: LinkTag) {
        if let Some(known) = self.live(id).introduced.get_mut(&peer).filter(|known| known.link == Some(link)) {
            known.link = None;
            self.introduced_again(id, peer);
        }
    }

    /// Tries again soon, but gives up after some tries: nothing depends on it.
    fn introduced_again(&mut self, id: TransferId, peer: Fingerprint) {
        let now = self.now.mono;
        let Some(known) = self.live.get_mut(&id).and_then(|live| live.introduced.get_mut(&peer)) else { return };
        if known.wanted || known.failures >= TRIES {
            return;
        }
        let at = now.after(AGAIN << known.failures);
        known.failures += 1;
        known.seek_at = Some(at);
        self.timers.set(at, Timer::Introduced(id));
    }

    pub(super) fn introduced_when_due(&mut self, id: TransferId) {
        let now = self.now.mono;
        let Some(live) = self.live.get(&id) else { return };
        let due = live.introduced.iter().filter(|(_, known)| known.seek_at.is_some_and(|at| at <= now));
        for peer in due.map(|(peer, _)| *peer).collect::<Vec<_>>() {
            self.want_introduced(id, peer);
        }
    }

    /// How much went over a link since it came up.
    pub(super) fn introduced_moved(&mut self, link: LinkTag, uploaded: u64, downloaded: u64) {
        let Some((id, peer)) = self.links.introduced(link) else { return };
        let Some(live) = self.live.get_mut(&id) else { return };
        let Some(known) = live.introduced.get_mut(&peer) else { return };
        let before = std::mem::replace(&mut known.present, (uploaded, downloaded));
        if before != known.present {
            known.failures = 0; // it is good for something
        }
        live.moved_beside(uploaded.saturating_sub(before.0), downloaded.saturating_sub(before.1));
    }

    /// Closes the links with introduced devices and forgets those.
    pub(super) fn leave_introduced(&mut self, id: TransferId) {
        let Some(known) = self.live.get_mut(&id).map(|live| std::mem::take(&mut live.introduced)) else { return };
        for (peer, known) in known {
            self.leave_one(id, peer, known.link);
        }
    }

    fn leave_one(&mut self, id: TransferId, peer: Fingerprint, link: Option<LinkTag>) {
        if let Some(by) = self.transfers.get(&id).map(|t| t.contact.clone()) {
            self.introduced.remove(&(by, peer), id);
        }
        if let Some(link) = link {
            self.links.remove(link);
            self.push(Effect::Torrent(TorrentCommand::Detach(link)));
        }
        self.push(Effect::Link(LinkCommand::Withdraw(LinkId { transfer: id, introduced: Some(peer) })));
    }

    /// The configuration was read again.
    pub(super) fn introductions_allowed(&mut self) {
        if !self.settings.introduce {
            let with: Vec<TransferId> =
                self.live.iter().filter(|(_, live)| !live.introduced.is_empty()).map(|(id, _)| *id).collect();
            with.into_iter().for_each(|id| self.leave_introduced(id));
        }
    }
}
