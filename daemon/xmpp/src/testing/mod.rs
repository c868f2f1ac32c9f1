//! A private server and a client for tests, of this crate and of others that need a real session.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, missing_docs)]

pub mod prosody;

use std::time::Duration;

use tokio::sync::mpsc;
use xbt_core::ids::{Fingerprint, FullJid};
use xbt_core::session::{Connection, SessionEvent};
use xbt_core::signal::{Signature, Signer};

use crate::{Session, SessionConfig, SessionHandle};

/// Bound on every wait: far above what anything takes, also on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Signs without cryptography, with a key of which each byte is the same; for tests, where nobody makes another's.
#[derive(Debug)]
pub struct Seals(pub u8);

impl Seals {
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint([self.0; 32])
    }
}

impl Signer for Seals {
    fn sign(&self, text: &[u8]) -> Option<Signature> {
        let mut bytes = [self.0; 64];
        text.iter().enumerate().for_each(|(n, byte)| bytes[n % 64] = byte ^ u8::rotate_left(bytes[n % 64], 1));
        Some(Signature { key: [self.0; 32], bytes })
    }

    fn signed_by(&self, text: &[u8], signature: &Signature) -> Option<Fingerprint> {
        let by = Seals(signature.key[0]);
        (by.sign(text) == Some(*signature)).then(|| by.fingerprint())
    }
}

/// A session, and the events it has sent so far.
pub struct Client {
    pub session: Session,
    pub handle: SessionHandle,
    events: mpsc::Receiver<SessionEvent>,
    pub seen: Vec<SessionEvent>,
}

impl Client {
    pub fn start(config: SessionConfig) -> Self {
        let (sender, events) = mpsc::channel(4);
        let signer = std::sync::Arc::new(Seals(config.jid.as_str().bytes().fold(0, u8::wrapping_add)));
        let (session, handle) = Session::start(config, signer, sender);
        Self { session, handle, events, seen: Vec::new() }
    }

    /// Starts and waits for the roster, after which presence has been sent.
    pub async fn online(config: SessionConfig) -> (Self, FullJid) {
        let mut client = Self::start(config);
        let device = client.until_online(false).await;
        client.until(|event| matches!(event, SessionEvent::Roster(_)).then_some(())).await;
        (client, device)
    }

    /// The first event from now on that is wanted.
    pub async fn until<T>(&mut self, mut wanted: impl FnMut(&SessionEvent) -> Option<T>) -> T {
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

    pub async fn until_online(&mut self, again: bool) -> FullJid {
        self.until(|event| match event {
            SessionEvent::Connection(Connection::Online { device, resumed }) if *resumed == again => {
                Some(device.clone())
            }
            _ => None,
        })
        .await
    }

    pub async fn until_xbt(&mut self, wanted: &FullJid) {
        self.until(|event| match event {
            SessionEvent::Available { device, xbt: true } if device == wanted => Some(()),
            _ => None,
        })
        .await;
    }

    pub async fn until_offline(&mut self) {
        self.until(|event| matches!(event, SessionEvent::Connection(Connection::Offline { .. })).then_some(())).await;
    }
}
