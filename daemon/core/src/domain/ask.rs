//! Asking other devices: what goes out when, and what follows from the answer.

use crate::domain::Domain;
use crate::domain::clock::Timer;
use crate::domain::outbox::{Ask, Settled, Subject};
use crate::domain::trust::Verdict;
use crate::effect::{Effect, Event};
use crate::ids::{Fingerprint, FullJid};
use crate::session::SessionCommand;
use crate::signal::{Answer, Condition, ErrorType, Outcome, Refusal, Request, Stamp, Token, Wait};

impl Domain {
    /// Sends every device that is reachable what is queued for it.
    pub(super) fn pump_outbox(&mut self) {
        for device in self.outbox.devices() {
            if !self.presence.is_reachable(&device) || self.is_blocked(&device) {
                continue;
            }
            let proved = self.proofs.key_of(&device).is_some();
            // One that is put off keeps its time.
            if !proved && !self.outbox.has(&device, Subject::Hello) {
                self.outbox.put(&device, Subject::Hello, Ask::Hello);
            }
            while let Some((subject, ask, sent)) = self.outbox.next(&device, proved) {
                self.ask(&device, subject, ask, sent);
            }
        }
    }

    fn ask(&mut self, device: &FullJid, subject: Subject, ask: Ask, sent: bool) {
        let request = match (ask, subject) {
            (Ask::Hello, _) => Some(Request::Hello),
            (Ask::Offer, Subject::Transfer(id)) => self.make_offer(id, device, sent),
            (Ask::Connect, Subject::Transfer(id)) => self.make_connect(id, device),
            (Ask::Notice(request), _) => Some(request),
            (Ask::Sync(items), _) => Some(Request::Sync(items)),
            (Ask::Introduce, Subject::Introduction(to, about)) => self.make_introduction(device, to, about),
            (Ask::Offer | Ask::Connect | Ask::Introduce, _) => None,
        };
        let stamp = match request {
            Some(Request::Hello) => Some(Stamp::challenge((self.entropy)())),
            Some(_) => self.proofs.stamp(device),
            None => None,
        };
        let (Some(request), Some(stamp)) = (request, stamp) else { return self.outbox.withdraw(device, subject) };
        let token = self.numbers.next_token();
        let key = self.proofs.key_of(device);
        if self.outbox.sent((device, key), subject, (token, &request), self.now.mono) {
            self.push(Effect::Session(SessionCommand::Request { token, to: device.clone(), request, stamp }));
        }
    }

    /// An answer, a refusal or nothing came back.
    pub(super) fn answered(&mut self, token: Token, outcome: Outcome, by: Option<Fingerprint>) {
        let Some((device, key)) = self.outbox.asked(token).map(|(device, key)| (device.clone(), key)) else { return };
        let proved = by.is_some() && key.is_none_or(|key| by == Some(key));
        let outcome = self.weighed(&device, outcome, proved);
        match self.outbox.settle(token, &outcome, self.now.mono) {
            Settled::Ignored => {}
            Settled::Overtaken { device, offer } => self.tell_end_again(&device, offer),
            Settled::Later { device, at } => self.timers.set(at, Timer::Outbox(device)),
            Settled::Over { device, subject, ask } => match (*ask, subject) {
                (Ask::Hello, _) => self.hello_answered(&device, outcome, by),
                (Ask::Offer, Subject::Transfer(id)) => self.offer_answered(id, &device, outcome),
                (Ask::Connect, Subject::Transfer(id)) => self.connect_answered(id, &device, outcome),
                (Ask::Sync(asked), _) => self.sync_answered(&device, &asked, outcome),
                // A notice or an introduction has arrived, or the other side cannot use it: both are the end of it.
                (Ask::Notice(_) | Ask::Introduce | Ask::Offer | Ask::Connect, _) => {}
            },
        }
    }

    /// What an outcome may decide. Only the device that was asked answers, and only its refusal is the last word; servers
    /// may refuse for the moment.
    fn weighed(&mut self, device: &FullJid, outcome: Outcome, proved: bool) -> Outcome {
        match outcome {
            Outcome::Lost => Outcome::Lost,
            Outcome::Refused(refusal) if proved => {
                if refusal.wait == Some(Wait::Hello) {
                    self.proofs.doubt(device);
                }
                Outcome::Refused(refusal)
            }
            Outcome::Answered(answer) if proved => Outcome::Answered(answer),
            Outcome::Answered(_) => {
                self.unproved(&device.bare);
                Outcome::Lost
            }
            Outcome::Refused(refusal) if refusal.may_pass() => Outcome::Refused(Refusal { wait: None, ..refusal }),
            Outcome::Refused(Refusal { text, .. }) => {
                Outcome::Refused(Refusal { kind: ErrorType::Wait, ..Refusal::new(Condition::Other, text) })
            }
        }
    }

    /// The device has proved its key.
    fn hello_answered(&mut self, device: &FullJid, outcome: Outcome, by: Option<Fingerprint>) {
        let (Outcome::Answered(Answer::Hello(epoch)), Some(key)) = (outcome, by) else { return };
        let is_new = self.proofs.proved(device, key, epoch);
        match self.meet(device, key) {
            Verdict::Trusted if is_new => self.appeared(device),
            Verdict::Trusted => {}
            Verdict::Blocked | Verdict::Claimed => self.outbox.drop_device(device),
        }
        self.push(Effect::Emit(Event::Contact(device.bare.clone())));
    }

    pub(super) fn outbox_when_due(&mut self, device: &FullJid) {
        self.outbox.due(device, self.now.mono);
    }

    /// Sends a device a notice that is complete in itself, if it is online; else a later `sync` has the same effect.
    pub(super) fn notice(&mut self, subject: Subject, device: &FullJid, request: Request) {
        if self.presence.runs_xbt(device) && !self.is_blocked(device) {
            self.outbox.put(device, subject, Ask::Notice(request));
        }
    }
}
