//! Numbers that are never used twice.

use crate::effect::Counters;
use crate::ids::{ContentId, TransferId};
use crate::signal::Token;

/// The next ones.
#[derive(Default)]
pub(super) struct Numbers {
    kept: Counters,
    /// Unique while the daemon runs only.
    token: u64,
}

impl Numbers {
    pub(super) fn new(kept: Counters) -> Self {
        Self { kept, token: 0 }
    }

    /// To be written before anything that bears one of the numbers.
    pub(super) fn kept(&self) -> Counters {
        self.kept
    }

    pub(super) fn next_transfer(&mut self) -> TransferId {
        let id = TransferId(self.kept.transfer);
        self.kept.transfer += 1;
        id
    }

    pub(super) fn next_content(&mut self) -> ContentId {
        let id = ContentId(self.kept.content);
        self.kept.content += 1;
        id
    }

    pub(super) fn next_token(&mut self) -> Token {
        self.token += 1;
        Token(self.token)
    }
}
