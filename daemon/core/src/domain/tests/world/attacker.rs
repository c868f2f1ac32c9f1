//! Somebody on the way: a server, or another login on the same account. Has no key of anybody's, sees and keeps everything,
//! and sends it again, elsewhere, under other names, or changed. What a key signed counts as signed by it only between
//! the two devices and with the content and stamp that it signed; that is what signatures are in this world.

use crate::ids::{Fingerprint, FullJid};
use crate::input::Input;
use crate::session::{SessionCommand, SessionEvent};
use crate::signal::{Answer, Epoch, Outcome, Refusal, Request, Signed, Stamp, SyncItem, SyncState, Token, Wait};

use super::xmpp::Pending;
use super::{Node, World};

/// Requests and answers that are kept.
const KEPT: usize = 200;

/// Of the attacker.
const KEY: Fingerprint = Fingerprint([0xee; 32]);

/// A request as it was under way.
#[derive(Clone)]
struct Seen {
    from: FullJid,
    to: FullJid,
    request: Request,
    signed: Signed,
}

/// See the module.
#[derive(Default)]
pub struct Attacker {
    requests: Vec<Seen>,
    answers: Vec<Outcome>,
}

fn keep<T>(all: &mut Vec<T>, one: T, at: u64) {
    if all.len() < KEPT {
        all.push(one);
    } else {
        all[at as usize % KEPT] = one;
    }
}

impl World {
    /// A request goes out: it is kept, and perhaps something else is sent beside it.
    pub(super) fn attack(&mut self, pending: &Pending) {
        if self.faults.attacks == 0 {
            return;
        }
        let from = self.at(pending.asker).jid();
        let seen = Seen { from, to: pending.to.clone(), request: pending.request.clone(), signed: pending.signed };
        let at = self.random.next();
        keep(&mut self.attacker.requests, seen, at);
        while self.random.chance(self.faults.attacks) {
            let victim = self.random.below(self.attacker.requests.len() as u64) as usize;
            let seen = self.attacker.requests[victim].clone();
            let wait = self.random.below(120_000);
            self.attack_with(seen, wait);
        }
    }

    fn attack_with(&mut self, seen: Seen, wait: u64) {
        let Seen { from, to, request, signed } = seen;
        let other = Node(self.random.below(self.devices.len() as u64) as usize);
        let (here, there) = (self.at(other).jid(), self.find(&to));
        let mine = Signed { key: KEY, stamp: signed.stamp };
        let (node, from, request, signed) = match self.random.below(8) {
            // Again, as it was.
            0..2 => (there, from, request, Some(signed)),
            // To somebody else, or as from somebody else: the signature does not fit.
            2 => (Some(other), from, request, None),
            3 => (there, here, request, None),
            // Something else with the same stamp.
            4 => (there, from, self.worse(&request), None),
            // With the attacker's own key, from the account or the very resource.
            5 => (there, from, self.worse(&request), Some(mine)),
            6 => (there, FullJid::new(from.bare, "evil"), self.worse(&request), Some(mine)),
            // An end that nobody wanted.
            _ => (there, from, self.worse(&request), None),
        };
        if let Some(node) = node {
            let token = Token(1 << 60 | self.count());
            // Nobody waits for the answer.
            self.at_mut(node).asked.insert(token, 0);
            self.input_later(node, wait, Input::Session(SessionEvent::Requested { token, from, request, signed }));
        }
    }

    /// What would do harm.
    fn worse(&mut self, request: &Request) -> Request {
        let Some(id) = request.offer_id() else {
            let Request::Sync(items) = request else { return request.clone() };
            let done = |item: &SyncItem| SyncItem { state: SyncState::Done, ..*item };
            return Request::Sync(items.iter().map(done).collect());
        };
        match self.random.below(5) {
            0 => Request::Done { id },
            1 => Request::Cancel { id },
            2 => Request::Decline { id, message: None },
            3 => Request::Taken { id },
            _ => Request::Failed { id, reason: "evil".into() },
        }
    }

    /// An answer goes out: perhaps another one overtakes it.
    pub(super) fn attack_answer(&mut self, id: u64, outcome: &Outcome) {
        if self.faults.attacks == 0 {
            return;
        }
        let at = self.random.next();
        keep(&mut self.attacker.answers, outcome.clone(), at);
        if !self.random.chance(self.faults.attacks / 4) {
            return;
        }
        let by = self.random.chance(50).then_some(KEY);
        let old = self.attacker.answers[self.random.below(self.attacker.answers.len() as u64) as usize].clone();
        let is_hello = self.asks_hello(id);
        let (outcome, by) = match self.random.below(4) {
            0 => (Outcome::Answered(Answer::Acknowledged), by),
            1 => (Outcome::Refused(Refusal::wait(Wait::Hello, "hello?")), None),
            2 => (Outcome::Refused(Refusal::new(crate::signal::Condition::Conflict, "taken")), by),
            _ => (old, by),
        };
        // Whoever answers a `hello` with a key of its own is a device of that account, and does nothing worse here.
        self.outcome(id, outcome, 1, by.filter(|_| !is_hello));
    }

    /// The key of the device of this address.
    pub fn key_at(&self, device: &FullJid) -> Fingerprint {
        let known = self.devices.iter().find(|d| d.jid() == *device).map(|d| d.settings.fingerprint);
        let mut key = [0xa5; 32];
        device.to_string().bytes().enumerate().for_each(|(at, byte)| key[at % 32] ^= byte.rotate_left(at as u32));
        known.unwrap_or(Fingerprint(key))
    }

    /// A test speaks for a device that has this key: what the device it speaks to answers.
    pub fn speak(&mut self, node: Node, from: &FullJid, key: Fingerprint, request: Request) -> SessionCommand {
        let signed = self.stamped(node, from, key);
        self.say(node, from, request, Some(signed))
    }

    /// The signature of a new request of a device that has this key.
    pub fn stamped(&mut self, node: Node, from: &FullJid, key: Fingerprint) -> Signed {
        let place = (node, from.clone(), key);
        let known =
            self.epochs.get(&place).is_some_and(|(epoch, _)| self.at(node).domain.proofs.knows(from, key, *epoch));
        if !known {
            let signed = Signed { key, stamp: Stamp::challenge(7) };
            let answer = self.say(node, from, Request::Hello, Some(signed));
            let SessionCommand::Answer { answer, .. } = answer else { unreachable!() };
            // Strangers get none.
            let epoch = if let Ok(Answer::Hello(epoch)) = answer { epoch } else { Epoch([0; 16]) };
            self.epochs.insert(place.clone(), (epoch, 0));
        }
        let (epoch, number) = self.epochs.get_mut(&place).unwrap();
        *number += 1;
        Signed { key, stamp: Stamp { epoch: *epoch, number: *number } }
    }

    /// What a device answers to a request, signed or not.
    pub fn say(&mut self, node: Node, from: &FullJid, request: Request, signed: Option<Signed>) -> SessionCommand {
        let token = Token(1 << 50 | self.count());
        self.at_mut(node).asked.insert(token, 0);
        let from = from.clone();
        self.handle(node, Input::Session(SessionEvent::Requested { token, from, request, signed }));
        let is_answer = |c: &&SessionCommand| matches!(c, SessionCommand::Answer { token: t, .. } if *t == token);
        self.at(node).sent.iter().rev().find(is_answer).cloned().unwrap()
    }

    fn asks_hello(&self, id: u64) -> bool {
        self.pending.get(&id).is_some_and(|p| p.request == Request::Hello)
    }
}
