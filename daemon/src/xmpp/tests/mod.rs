//! Sessions against a real Prosody.

#![allow(clippy::unwrap_used, clippy::panic)]

mod hostile;
mod login;
pub(crate) mod prosody;
mod protocol;
mod proxy;
mod raw;
mod relays;
mod talk;

use std::time::Duration;

use tokio::sync::mpsc;
use xbt_core::ids::FullJid;
use xbt_core::session::{Connection, SessionCommand, SessionEvent};
use xbt_core::signal::{Outcome, Refusal, Request, Token};

use super::{Session, SessionConfig, SessionHandle};

/// Bound on every wait: far above what anything takes, also on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// A session with what it has told.
pub(crate) struct Client {
    pub session: Session,
    pub handle: SessionHandle,
    events: mpsc::Receiver<SessionEvent>,
    pub seen: Vec<SessionEvent>,
}

impl Client {
    pub(crate) fn start(config: SessionConfig) -> Self {
        let (sender, events) = mpsc::channel(4);
        let (session, handle) = Session::start(config, sender);
        Self { session, handle, events, seen: Vec::new() }
    }

    /// Starts and waits for the roster, after which presence has been sent.
    pub(crate) async fn online(config: SessionConfig) -> (Self, FullJid) {
        let mut client = Self::start(config);
        let device = client.until_online(false).await;
        client.until(|event| matches!(event, SessionEvent::Roster(_)).then_some(())).await;
        (client, device)
    }

    /// The first event from now on that is wanted.
    pub(crate) async fn until<T>(&mut self, mut wanted: impl FnMut(&SessionEvent) -> Option<T>) -> T {
        let found = tokio::time::timeout(SOON, async {
            loop {
                let event = self.events.recv().await.expect("the session lives");
                let found = wanted(&event);
                self.seen.push(event);
                if let Some(found) = found {
                    return found;
                }
            }
        });
        match found.await {
            Ok(found) => found,
            Err(_) => panic!("not seen in time; seen: {:#?}", self.seen),
        }
    }

    pub(crate) async fn until_online(&mut self, again: bool) -> FullJid {
        self.until(|event| match event {
            SessionEvent::Connection(Connection::Online { device, resumed }) if *resumed == again => {
                Some(device.clone())
            }
            _ => None,
        })
        .await
    }

    pub(crate) async fn until_xbt(&mut self, wanted: &FullJid) {
        self.until(|event| match event {
            SessionEvent::Available { device, xbt: true } if device == wanted => Some(()),
            _ => None,
        })
        .await;
    }

    pub(crate) async fn until_offline(&mut self) {
        self.until(|event| matches!(event, SessionEvent::Connection(Connection::Offline { .. })).then_some(())).await;
    }

    async fn until_requested(&mut self) -> (Token, FullJid, Request) {
        self.until(|event| match event {
            SessionEvent::Requested { token, from, request } => Some((*token, from.clone(), request.clone())),
            _ => None,
        })
        .await
    }

    async fn request(&self, token: u64, to: &FullJid, request: Request) {
        self.handle.send(SessionCommand::Request { token: Token(token), to: to.clone(), request }).await;
    }

    async fn outcome(&mut self, wanted: u64) -> Outcome {
        self.until(|event| match event {
            SessionEvent::Answered { token, outcome } if *token == Token(wanted) => Some(outcome.clone()),
            _ => None,
        })
        .await
    }

    async fn answer(&self, token: Token, answer: Result<xbt_core::signal::Answer, Refusal>) {
        self.handle.send(SessionCommand::Answer { token, answer }).await;
    }

    /// What a refused session told, and that it told it once.
    async fn until_refused(&mut self) -> &'static str {
        self.until(|event| match event {
            SessionEvent::Connection(Connection::Refused { code, reason, hint, .. }) => {
                assert!(!reason.is_empty() && !hint.is_empty());
                Some(*code)
            }
            _ => None,
        })
        .await
    }
}
