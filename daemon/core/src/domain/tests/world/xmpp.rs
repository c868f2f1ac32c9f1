//! The server: roster, presence, and requests that arrive, get lost, doubled or overtaken.

use crate::effect::Effect;
use crate::ids::{Fingerprint, FullJid};
use crate::input::Input;
use crate::session::{Connection, RosterItem, SessionCommand, SessionEvent, Subscription};
use crate::signal::{
    Answer, Candidate, Condition, Connect, Introduction, Outcome, Refusal, Request, Signed, Stamp, Token,
};
use crate::transfer::{Direction, Peer, Transfer};

use super::{Event, Node, World, jid};

/// A request whose asker waits.
pub struct Pending {
    pub asker: Node,
    /// In which session; zero once there was an outcome.
    session: u64,
    pub token: Token,
    pub to: FullJid,
    pub request: Request,
    /// Of the asker, with its key.
    pub signed: Signed,
}

pub fn answers(effect: &Effect, to: Token) -> bool {
    matches!(effect, Effect::Session(SessionCommand::Answer { token, .. }) if *token == to)
}

const PATIENCE: u64 = 30_000;

impl World {
    /// Two people see each other.
    pub fn befriend(&mut self, a: &str, b: &str) {
        self.roster.insert((a.to_owned(), b.to_owned()));
        self.roster.insert((b.to_owned(), a.to_owned()));
    }

    pub fn find(&self, device: &FullJid) -> Option<Node> {
        self.devices.iter().position(|d| d.online && d.jid() == *device).map(Node)
    }

    fn roster_of(&self, node: Node) -> Vec<RosterItem> {
        let me = self.at(node).settings.account.clone();
        let mine = self.roster.iter().filter(|(a, _)| jid(a) == me);
        let item = |name: &String| RosterItem {
            jid: jid(name),
            name: Some(name.clone()),
            subscription: Subscription::Both,
            ask: false,
            groups: Vec::new(),
        };
        mine.map(|(_, b)| item(b)).collect()
    }

    /// Somebody is put on the roster of a device that is online.
    pub fn roster_push(&mut self, node: Node, name: &str) {
        let item =
            RosterItem { jid: jid(name), name: None, subscription: Subscription::Both, ask: false, groups: Vec::new() };
        self.tell(node, SessionEvent::RosterChanged(item));
    }

    /// Devices that see this one's presence.
    fn watchers(&self, node: Node) -> Vec<Node> {
        let me = &self.at(node).settings.account;
        let sees = |other: &Node| {
            let them = &self.at(*other).settings.account;
            *other != node
                && self.at(*other).online
                && (them == me || self.roster.iter().any(|(a, b)| jid(a) == *me && jid(b) == *them))
        };
        (0..self.devices.len()).map(Node).filter(sees).collect()
    }

    pub fn login(&mut self, node: Node) {
        self.login_as(node, true);
    }

    /// A login; other programs than xbt are seen, and are not asked.
    pub fn login_as(&mut self, node: Node, xbt: bool) {
        if self.at(node).online {
            return;
        }
        self.at_mut(node).online = true;
        let device = self.at(node).jid();
        let online = Connection::Online { device: device.clone(), resumed: false };
        self.tell(node, SessionEvent::Connection(online));
        let items = self.roster_of(node);
        self.tell(node, SessionEvent::Roster(items));
        if !self.at(node).online {
            return; // it crashed over that
        }
        for other in self.watchers(node) {
            let there = SessionEvent::Available { device: self.at(other).jid(), xbt: true };
            self.tell_later(node, there);
            self.tell_later(other, SessionEvent::Available { device: device.clone(), xbt });
        }
    }

    pub fn logout(&mut self, node: Node) {
        if !self.at(node).online {
            return;
        }
        for other in self.watchers(node) {
            let device = self.at(node).jid();
            self.tell_later(other, SessionEvent::Unavailable { device });
        }
        self.at_mut(node).online = false;
        let offline = Connection::Offline { reason: "the server has gone".into(), retry_in: Some(1_000) };
        self.tell(node, SessionEvent::Connection(offline));
        self.lose_pending(node);
        self.at_mut(node).session += 1; // what is under way to it is lost
    }

    /// A device sends its presence again, and nothing in it has changed.
    pub fn repeat_presence(&mut self, node: Node) {
        for other in self.watchers(node) {
            let device = self.at(node).jid();
            self.tell_later(other, SessionEvent::Available { device, xbt: true });
        }
    }

    /// The stream breaks and is resumed: presences stay, what was asked is lost.
    pub fn hang(&mut self, node: Node) {
        if self.at(node).online {
            let offline = Connection::Offline { reason: "no answer".into(), retry_in: Some(1_000) };
            self.tell(node, SessionEvent::Connection(offline));
            self.lose_pending(node);
        }
    }

    pub fn resume_stream(&mut self, node: Node) {
        if self.at(node).online {
            let device = self.at(node).jid();
            self.tell(node, SessionEvent::Connection(Connection::Online { device, resumed: true }));
        }
    }

    fn lose_pending(&mut self, node: Node) {
        let lost: Vec<u64> = self.pending.iter().filter(|(_, p)| p.asker == node).map(|(id, _)| *id).collect();
        for id in lost {
            self.unanswered(id);
        }
    }

    fn tell(&mut self, node: Node, event: SessionEvent) {
        self.handle(node, Input::Session(event));
    }

    /// Presences come in the order they were sent.
    fn tell_later(&mut self, node: Node, event: SessionEvent) {
        self.input_later(node, 30, Input::Session(event));
    }

    pub fn session(&mut self, node: Node, command: SessionCommand) {
        self.at_mut(node).sent.push(command.clone());
        match command {
            SessionCommand::Request { token, to, request, stamp } => self.ask(node, token, to, request, stamp),
            SessionCommand::Answer { token, answer } => self.answer(node, token, answer),
            SessionCommand::Courtesy { .. }
            | SessionCommand::AddContact { .. }
            | SessionCommand::RemoveContact(_)
            | SessionCommand::ApproveSubscription(_)
            | SessionCommand::DenySubscription(_)
            | SessionCommand::AllowLogin(_) => {}
        }
    }

    fn ask(&mut self, node: Node, token: Token, to: FullJid, request: Request, stamp: Stamp) {
        assert!(self.at_mut(node).tokens.insert(token), "a token is used once");
        assert_ne!(self.at(node).jid(), to, "nobody asks himself");
        if let Request::Connect(connect) = &request {
            self.may_know_addresses(node, &to, connect, None);
        }
        if let Request::Introduce(introduction) = &request {
            self.may_be_introduced(node, &to, introduction);
        }
        let id = self.count();
        let (asker, session) = (node, self.at(node).session);
        let signed = Signed { key: self.at(node).settings.fingerprint, stamp };
        let pending = Pending { asker, session, token, to: to.clone(), request, signed };
        self.attack(&pending);
        self.pending.insert(id, pending);
        self.later(PATIENCE, Event::Unanswered { id });
        let copies = 1 + u64::from(self.random.chance(self.faults.double));
        for _ in 0..copies {
            let lost = self.random.chance(self.faults.lose);
            let wait = self.delay(node, self.find(&to));
            if !lost {
                self.later(wait, Event::Request { id });
            }
        }
        // A second copy may also come long after the first was answered.
        if self.faults.late && self.random.chance(20) {
            let late = self.random.below(200_000);
            self.later(late, Event::Request { id });
        }
    }

    /// Addresses are told only to the device with which a transfer was agreed, and only that a link is wanted for.
    fn may_know_addresses(&self, node: Node, to: &FullJid, connect: &Connect, by: Option<Fingerprint>) {
        let proved = |key| by.map_or_else(|| self.at(node).domain.is_proved(to, key), |by| by == key);
        let agreed = |t: &Transfer| {
            t.offer == connect.id
                && t.contact == to.bare
                && (t.agreed() || t.is_taken())
                && t.peer().is_some_and(|p| proved(p.fingerprint))
        };
        assert!(self.at(node).domain.transfers().any(agreed), "addresses are told to {to}");
    }

    /// Of others a device is told only what they allowed, and only where both receive the same.
    fn may_be_introduced(&self, node: Node, to: &FullJid, introduction: &Introduction) {
        let serves = |t: &Transfer, who: &dyn Fn(&Peer) -> bool| {
            let same = t.facts.as_ref().is_some_and(|f| f.info_hash == introduction.info_hash);
            same && t.linked() && t.direction() == Direction::Out && t.peer().is_some_and(who)
        };
        let all = || self.at(node).domain.transfers();
        assert!(
            all().any(|t| t.offer == introduction.id
                && t.contact == to.bare
                && serves(t, &|p| p.resource == to.resource))
        );
        assert!(all().any(|t| serves(t, &|p| p.fingerprint == introduction.fingerprint)), "{introduction:?}");
        let other = self.devices.iter().find(|d| d.settings.fingerprint == introduction.fingerprint).unwrap();
        assert!(other.settings.introduce && self.at(node).settings.introduce, "nobody is told of who does not want it");
        assert!(!introduction.candidates.is_empty() && introduction.candidates.iter().all(Candidate::is_tcp));
    }

    fn delay(&mut self, from: Node, to: Option<Node>) -> u64 {
        let wait = 5 + self.random.below(if self.faults.reorder { 3_000 } else { 45 });
        let Some(to) = to.filter(|_| !self.faults.reorder) else { return wait };
        let latest = self.latest.entry((from, to)).or_default();
        *latest = (self.now + wait).max(*latest);
        *latest - self.now
    }

    /// The request of `ask` reaches somebody, or nobody. Requests are kept for late copies.
    pub fn arrive(&mut self, id: u64) {
        let Some(p) = self.pending.get(&id) else { return };
        let (asker, to, request, signed) = (p.asker, p.to.clone(), p.request.clone(), Some(p.signed));
        if let Some((condition, kind)) = self.faults.error {
            let wait = self.delay(asker, None);
            let refusal = Refusal { kind, ..Refusal::new(condition, "") };
            return self.outcome(id, Outcome::Refused(refusal), wait, None);
        }
        let Some(node) = self.find(&to) else {
            let wait = self.delay(asker, None);
            self.outcome(id, Outcome::Refused(Refusal::new(Condition::ServiceUnavailable, "")), wait, None);
            return;
        };
        let token = Token(1 << 40 | self.count());
        self.at_mut(node).asked.insert(token, id);
        let from = self.at(asker).jid();
        self.tell(node, SessionEvent::Requested { token, from, request, signed });
    }

    fn answer(&mut self, node: Node, token: Token, answer: Result<Answer, Refusal>) {
        let id = self.at_mut(node).asked.remove(&token).expect("answers what was asked, once");
        let Some((asker, to)) = self.pending.get(&id).map(|p| (p.asker, self.at(p.asker).jid())) else { return };
        if let Ok(Answer::Connect(connect)) = &answer {
            // The request was stamped with what only this device has answered with, and signed.
            let by = self.pending.get(&id).map(|p| p.signed.key);
            self.may_know_addresses(node, &to, connect, by);
        }
        if let Err(refusal) = &answer {
            let silent = refusal.condition == Condition::ServiceUnavailable;
            assert!(silent || !refusal.text.is_empty(), "a refusal has a text: {refusal:?}");
        }
        let outcome = match answer {
            Ok(answer) => Outcome::Answered(answer),
            Err(refusal) => Outcome::Refused(refusal),
        };
        let wait = self.delay(node, Some(asker));
        let by = Some(self.at(node).settings.fingerprint);
        self.attack_answer(id, &outcome);
        if !self.random.chance(self.faults.lose) {
            self.outcome(id, outcome, wait, by);
        }
    }

    /// The first outcome counts; late copies of the request find nobody who waits.
    pub(super) fn outcome(&mut self, id: u64, outcome: Outcome, wait: u64, by: Option<Fingerprint>) {
        let Some(p) = self.pending.get_mut(&id) else { return };
        let (asker, token) = (p.asker, p.token);
        let waiting = std::mem::replace(&mut p.session, 0);
        if waiting == self.at(asker).session {
            self.input_later(asker, wait, Input::Session(SessionEvent::Answered { token, outcome, by }));
        }
    }

    pub fn unanswered(&mut self, id: u64) {
        let Some(p) = self.pending.get_mut(&id) else { return };
        let (asker, token) = (p.asker, p.token);
        let waiting = std::mem::replace(&mut p.session, 0);
        if waiting == self.at(asker).session {
            self.tell(asker, SessionEvent::Answered { token, outcome: Outcome::Lost, by: None });
        }
    }
}
