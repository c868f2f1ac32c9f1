//! Sessions against a real Prosody.

#![allow(clippy::unwrap_used, clippy::panic)]

mod downgrade;
mod feigned;
mod hostile;
mod login;
mod narrow;
mod protocol;
mod proxy;
mod raw;
mod relays;
mod talk;

use xbt_core::ids::FullJid;
use xbt_core::session::{Connection, SessionCommand, SessionEvent};
use xbt_core::signal::{Outcome, Refusal, Request, Stamp, Token};

use super::testing::prosody;
use super::testing::{Client, SOON};

impl Client {
    async fn until_requested(&mut self) -> (Token, FullJid, Request) {
        self.until(|event| match event {
            SessionEvent::Requested { token, from, request, .. } => Some((*token, from.clone(), request.clone())),
            _ => None,
        })
        .await
    }

    async fn request(&self, token: u64, to: &FullJid, request: Request) {
        self.handle
            .send(SessionCommand::Request { token: Token(token), to: to.clone(), request, stamp: Stamp::challenge(1) })
            .await;
    }

    async fn outcome(&mut self, wanted: u64) -> Outcome {
        self.until(|event| match event {
            SessionEvent::Answered { token, outcome, .. } if *token == Token(wanted) => Some(outcome.clone()),
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
