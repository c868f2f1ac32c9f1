//! Requests of others that wait for the rules.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio_xmpp::jid::Jid;
use xbt_core::signal::Token;

/// How long the rules may take for an answer to a request of another device; less than that device waits.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// Most requests that wait, of all contacts and of one.
const MOST: usize = 256;
pub(super) const MOST_OF_ONE: usize = 32;

/// The first token of such a request: far from the ones that the rules hand out. Counted over all
/// sessions of the process, so that an answer can never meet a later session's request.
static NEXT_TOKEN: AtomicU64 = AtomicU64::new(1 << 63);

/// A request and where its answer goes.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) from: Jid,
    /// Of the IQ.
    pub(super) id: String,
    /// What was signed, if the signature is valid.
    pub(super) text: Option<Vec<u8>>,
    until: Instant,
}

/// All of them. The first is the oldest, since all have the same patience.
#[derive(Debug, Default)]
pub(super) struct AskedRequests(BTreeMap<Token, Asked>);

impl AskedRequests {
    /// Keeps a request until it is answered; gives it back if too many wait.
    pub(super) fn add(&mut self, from: Jid, id: String, text: Option<Vec<u8>>, now: Instant) -> Result<Token, Asked> {
        let asked = Asked { from, id, text, until: now + ANSWER_WITHIN };
        let of_one = self.0.values().filter(|other| other.from.to_bare() == asked.from.to_bare()).count();
        if self.0.len() >= MOST || of_one >= MOST_OF_ONE {
            return Err(asked);
        }
        let token = Token(NEXT_TOKEN.fetch_add(1, Ordering::Relaxed));
        self.0.insert(token, asked);
        Ok(token)
    }

    /// The request that the rules have answered.
    pub(super) fn take(&mut self, token: Token) -> Option<Asked> {
        self.0.remove(&token)
    }

    /// The next request that has waited too long.
    pub(super) fn take_overdue(&mut self, now: Instant) -> Option<Asked> {
        let entry = self.0.first_entry().filter(|entry| entry.get().until <= now)?;
        Some(entry.remove())
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.first_key_value().map(|(_, asked)| asked.until)
    }

    /// The stream is gone: the others do not wait any more.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
