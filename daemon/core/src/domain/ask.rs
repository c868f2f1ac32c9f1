//! Asking other devices: what goes out when, and what follows from the answer.

use crate::domain::Domain;
use crate::domain::clock::Timer;
use crate::domain::outbox::{Ask, Settled, Subject};
use crate::effect::Effect;
use crate::ids::FullJid;
use crate::session::SessionCommand;
use crate::signal::{Outcome, Request, Token};

impl Domain {
    /// Sends every device that is reachable what is queued for it.
    pub(super) fn pump_outbox(&mut self) {
        for device in self.outbox.devices() {
            if self.presence.is_reachable(&device) {
                while let Some((subject, ask, sent)) = self.outbox.next(&device) {
                    self.ask(&device, subject, ask, sent);
                }
            }
        }
    }

    fn ask(&mut self, device: &FullJid, subject: Subject, ask: Ask, sent: bool) {
        let request = match (ask, subject) {
            (Ask::Offer, Subject::Transfer(id)) => self.make_offer(id, device, sent),
            (Ask::Connect, Subject::Transfer(id)) => self.make_connect(id, device),
            (Ask::Notice(request), _) => Some(request),
            (Ask::Sync(items), _) => Some(Request::Sync(items)),
            (Ask::Introduce, Subject::Introduction(to, about)) => self.make_introduction(to, about),
            (Ask::Offer | Ask::Connect | Ask::Introduce, _) => None,
        };
        let Some(request) = request else { return self.outbox.withdraw(device, subject) };
        let token = self.numbers.next_token();
        if self.outbox.sent(device, subject, (token, &request), self.now.mono) {
            self.push(Effect::Session(SessionCommand::Request { token, to: device.clone(), request }));
        }
    }

    /// An answer, a refusal or nothing came back.
    pub(super) fn answered(&mut self, token: Token, outcome: Outcome) {
        match self.outbox.settle(token, &outcome, self.now.mono) {
            Settled::Ignored => {}
            Settled::Overtaken { device, offer } => self.tell_end_again(&device, offer),
            Settled::Later { device, at } => self.timers.set(at, Timer::Outbox(device)),
            Settled::Over { device, subject, ask } => match (*ask, subject) {
                (Ask::Offer, Subject::Transfer(id)) => self.offer_answered(id, &device, outcome),
                (Ask::Connect, Subject::Transfer(id)) => self.connect_answered(id, &device, outcome),
                (Ask::Sync(asked), _) => self.sync_answered(&device, &asked, outcome),
                // A notice or an introduction has arrived, or the other side cannot use it: both are the end of it.
                (Ask::Notice(_) | Ask::Introduce, _) | (Ask::Offer | Ask::Connect, _) => {}
            },
        }
    }

    pub(super) fn outbox_when_due(&mut self, device: &FullJid) {
        self.outbox.due(device, self.now.mono);
    }

    /// Sends a device a notice that is complete in itself, if it is online; else a later `sync` has the same effect.
    pub(super) fn notice(&mut self, subject: Subject, device: &FullJid, request: Request) {
        if self.presence.runs_xbt(device) {
            self.outbox.put(device, subject, Ask::Notice(request));
        }
    }
}
