//! Who is online with what: presence (RFC 6121, section 4) and the features behind it (XEP-0115).
//!
//! A device is reported once its features are known, not before: "online without xbt" would be wrong for the
//! moment that the question takes, and people would get a chat message instead of a file.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Instant;

use tokio_xmpp::jid::Jid;
use tokio_xmpp::parsers::caps::Caps;
use tokio_xmpp::parsers::disco::{DiscoInfoQuery, DiscoInfoResult};
use tokio_xmpp::parsers::presence::{Presence, Type};
use xbt_core::ids::{BareJid, FullJid};
use xbt_core::session::SessionEvent;

use super::{Agent, Payload, Purpose, address};
use crate::caps;

/// Most resources of one contact, and of all.
const MOST_OF_ONE: usize = 64;
const MOST: usize = 8192;

/// Most questions for features under way, and of them to one contact: devices that never answer must not keep those of
/// others waiting.
const MOST_QUESTIONS: usize = 32;
const MOST_QUESTIONS_TO_ONE: usize = 4;

/// How far the question for a device's features is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    /// There is none: they are known, or another device with the same hash is asked.
    None,
    /// In the queue.
    Waits,
    /// Under way.
    Sent,
}

/// One resource.
#[derive(Debug)]
struct Device {
    /// What its presence says about its features.
    caps: Option<Caps>,
    /// Whether its features are known.
    known: bool,
    /// About the features that it names now.
    question: Question,
    /// What was last reported about it, if anything.
    told: Option<bool>,
}

impl Device {
    fn hash(&self) -> Option<caps::Hash> {
        self.caps.as_ref().and_then(caps::hash_of)
    }
}

/// Everybody who is online.
#[derive(Debug, Default)]
pub(super) struct Devices {
    online: BTreeMap<BareJid, BTreeMap<String, Device>>,
    count: usize,
    /// To be asked for their features, oldest first: exactly those whose question waits.
    queue: VecDeque<FullJid>,
    /// Questions under way, to each contact; none is zero.
    questions: BTreeMap<BareJid, usize>,
    /// Hashes that one device that is online is asked about; the others with the same wait for its answer.
    asking: HashSet<caps::Hash>,
}

impl Devices {
    fn get_mut(&mut self, device: &FullJid) -> Option<&mut Device> {
        self.online.get_mut(&device.bare)?.get_mut(&device.resource)
    }

    fn remove(&mut self, device: &FullJid) -> Option<Device> {
        let resources = self.online.get_mut(&device.bare)?;
        let gone = resources.remove(&device.resource)?;
        if resources.is_empty() {
            self.online.remove(&device.bare);
        }
        self.count -= 1;
        Some(gone)
    }

    /// Whether there is a place for it.
    fn insert(&mut self, device: &FullJid, entry: Device) -> bool {
        let of_one = self.online.get(&device.bare).map_or(0, BTreeMap::len);
        if of_one >= MOST_OF_ONE || self.count >= MOST {
            return false;
        }
        self.online.entry(device.bare.clone()).or_default().insert(device.resource.clone(), entry);
        self.count += 1;
        true
    }

    /// The device is to be asked.
    fn enqueue(&mut self, device: &FullJid) {
        if let Some(entry) = self.get_mut(device) {
            entry.question = Question::Waits;
            self.queue.push_back(device.clone());
        }
    }

    /// The device will not be asked, or its answer does not count any more. Returns the hash that another device has to
    /// be asked about now.
    fn withdraw(&mut self, device: &FullJid) -> Option<caps::Hash> {
        let entry = self.get_mut(device)?;
        let hash = entry.hash();
        match std::mem::replace(&mut entry.question, Question::None) {
            Question::None => return None,
            Question::Waits => self.queue.retain(|waiting| waiting != device),
            Question::Sent => {}
        }
        hash
    }

    /// The next question for features: asked of the first whose contact has not too many already.
    fn next_question(&mut self) -> Option<FullJid> {
        if self.questions.values().sum::<usize>() >= MOST_QUESTIONS {
            return None;
        }
        let to_one = |device: &FullJid| self.questions.get(&device.bare).copied().unwrap_or(0);
        let position = self.queue.iter().position(|device| to_one(device) < MOST_QUESTIONS_TO_ONE)?;
        self.queue.remove(position)
    }

    /// A question has an answer, or never will have one.
    fn question_over(&mut self, contact: &BareJid) {
        if let Some(count) = self.questions.get_mut(contact) {
            *count -= 1;
            if *count == 0 {
                self.questions.remove(contact);
            }
        }
    }

    /// Devices with this hash whose features are not known.
    fn waiting_for(&self, hash: &caps::Hash) -> Vec<FullJid> {
        let all = self.online.iter().flat_map(|(bare, resources)| resources.iter().map(move |(r, d)| (bare, r, d)));
        all.filter(|(_, _, device)| !device.known && device.hash().as_ref() == Some(hash))
            .map(|(bare, resource, _)| FullJid::new(bare.clone(), resource.clone()))
            .collect()
    }
}

impl Agent {
    /// How many devices wait to be asked, and hashes for an answer.
    #[cfg(test)]
    pub(super) fn unexplained(&self) -> (usize, usize) {
        (self.devices.queue.len(), self.devices.asking.len())
    }

    pub(super) fn presence(&mut self, presence: Presence, now: Instant) {
        let Some(from) = presence.from else { return };
        match presence.type_ {
            Type::None => {
                let caps = presence.payloads.into_iter().find_map(|element| Caps::try_from(element).ok());
                self.available(&from, caps, now);
            }
            Type::Unavailable | Type::Error => {
                self.in_band_gone(&from);
                match address::full(&from) {
                    Some(device) => self.gone(&device),
                    None => self.forget(&address::bare(&from)),
                }
            }
            Type::Subscribe => {
                let asks = address::bare(&from);
                if from.node().is_some() && asks != self.account.bare() {
                    self.tell(SessionEvent::SubscriptionRequested(asks));
                }
            }
            // The roster push that comes with them says it all.
            Type::Subscribed | Type::Unsubscribe | Type::Unsubscribed | Type::Probe => {}
        }
        self.ask_features(now);
    }

    fn available(&mut self, from: &Jid, caps: Option<Caps>, now: Instant) {
        let Some(device) = address::full(from) else { return };
        if self.account.is_this_device(from) || !self.is_friend(from) {
            return;
        }
        let mut left = None;
        match self.devices.get_mut(&device) {
            Some(entry) => {
                let same = match (&entry.caps, &caps) {
                    // Servers may leave out what has not changed (XEP-0115, section 8.4).
                    (_, None) => true,
                    (Some(before), Some(caps)) => (&before.hash, &before.ver) == (&caps.hash, &caps.ver),
                    (None, Some(_)) => false,
                };
                if same {
                    if entry.told == Some(true) {
                        self.tell(SessionEvent::Available { device, xbt: true });
                    }
                    return;
                }
                left = self.devices.withdraw(&device);
                if let Some(entry) = self.devices.get_mut(&device) {
                    entry.caps = caps;
                }
            }
            None => {
                let entry = Device { caps, known: false, question: Question::None, told: None };
                if !self.devices.insert(&device, entry) {
                    tracing::debug!(%device, "too many devices online");
                    return;
                }
            }
        }
        self.look_up(&device, now);
        // Those with the hash that it had waited for its answer.
        if let Some(hash) = left {
            self.ask_next(&hash);
            self.ask_features(now);
        }
    }

    /// Finds out what a device runs: from its hash, or by a question.
    fn look_up(&mut self, device: &FullJid, now: Instant) {
        let Some(entry) = self.devices.get_mut(device) else { return };
        let hash = entry.hash();
        match (&entry.caps, &hash) {
            // Every xbt names its features.
            (None, _) => self.learnt(device, false),
            (Some(_), Some(hash)) => match self.known.get(hash) {
                Some(xbt) => self.learnt(device, xbt),
                None if self.devices.asking.contains(hash) => {
                    // Reported once the other's answer is here; the last report stands until then.
                    self.unlearn(device);
                }
                None => {
                    self.devices.asking.insert(hash.clone());
                    self.unlearn(device);
                    self.devices.enqueue(device);
                }
            },
            (Some(_), None) => {
                self.unlearn(device);
                self.devices.enqueue(device);
            }
        }
        self.ask_features(now);
    }

    fn unlearn(&mut self, device: &FullJid) {
        if let Some(entry) = self.devices.get_mut(device) {
            entry.known = false;
        }
    }

    fn learnt(&mut self, device: &FullJid, xbt: bool) {
        let Some(entry) = self.devices.get_mut(device) else { return };
        entry.known = true;
        if entry.told.replace(xbt) != Some(xbt) {
            self.tell(SessionEvent::Available { device: device.clone(), xbt });
        }
    }

    /// Sends the next questions, within [`MOST_QUESTIONS`].
    pub(super) fn ask_features(&mut self, now: Instant) {
        while let Some(device) = self.devices.next_question() {
            let Some(entry) = self.devices.get_mut(&device) else { continue };
            entry.question = Question::Sent;
            let (hash, caps) = (entry.hash(), entry.caps.clone());
            let (Some(caps), Ok(to)) = (caps, address::from_full(&device)) else { continue };
            let query = DiscoInfoQuery { node: Some(caps::node_of(&caps)) };
            *self.devices.questions.entry(device.bare.clone()).or_default() += 1;
            self.ask(Some(to.into()), Payload::Get(query.into()), Purpose::Features { device, hash }, now);
        }
    }

    /// The answer to a question about what a device named then, or none.
    pub(super) fn features(
        &mut self,
        device: &FullJid,
        hash: Option<caps::Hash>,
        info: Option<&DiscoInfoResult>,
        now: Instant,
    ) {
        self.devices.question_over(&device.bare);
        let asked = |entry: &&mut Device| entry.question == Question::Sent && entry.hash() == hash;
        let Some(entry) = self.devices.get_mut(device).filter(asked) else {
            // It names other features by now, or is gone: others were asked about the hash.
            return self.ask_features(now);
        };
        entry.question = Question::None;
        let verified = hash.as_ref().filter(|hash| info.is_some_and(|info| caps::verified(hash, info)));
        let xbt = info.is_some_and(caps::speaks_xbt);
        if let Some(hash) = verified {
            self.known.insert(hash.clone(), xbt);
            self.devices.asking.remove(hash);
            for waiting in self.devices.waiting_for(hash) {
                self.learnt(&waiting, xbt);
            }
        } else {
            // A hash that does not fit says something about this device only. The next one with it is asked itself.
            self.learnt(device, xbt);
            if let Some(hash) = hash {
                self.ask_next(&hash);
            }
        }
        self.ask_features(now);
    }

    fn ask_next(&mut self, hash: &caps::Hash) {
        match self.devices.waiting_for(hash).into_iter().next() {
            Some(next) => self.devices.enqueue(&next),
            None => {
                self.devices.asking.remove(hash);
            }
        }
    }

    /// One resource is offline.
    fn gone(&mut self, device: &FullJid) {
        let hash = self.devices.withdraw(device);
        let Some(entry) = self.devices.remove(device) else { return };
        if entry.told.is_some() {
            self.tell(SessionEvent::Unavailable { device: device.clone() });
        }
        // Its answer may never come: ask another device with the same hash.
        if let Some(hash) = hash {
            self.ask_next(&hash);
        }
    }

    /// All resources of a contact are offline, or no longer our business.
    pub(super) fn forget(&mut self, contact: &BareJid) {
        if let Ok(contact) = address::from_bare(contact) {
            self.in_band_gone(&contact.into());
        }
        let resources = self.devices.online.get(contact).map(|resources| resources.keys().cloned().collect());
        let resources: Vec<String> = resources.unwrap_or_default();
        for resource in resources {
            self.gone(&FullJid::new(contact.clone(), resource));
        }
    }
}
