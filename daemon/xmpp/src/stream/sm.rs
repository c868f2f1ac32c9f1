//! Stream management (XEP-0198): what both sides count, and what is sent again after a resumption.

use std::collections::VecDeque;

use tokio_xmpp::Stanza;
use tokio_xmpp::parsers::sm;

use super::stanza_limit;
use crate::failure::Lost;

/// Most stanzas that the server may leave unacknowledged: beyond that something is wrong with it.
const MOST_UNACKED: usize = 2048;

/// The counters of one logical stream, which may outlive its connections.
pub(crate) struct Management {
    /// Names the stream for a resumption; none if the server cannot resume.
    id: Option<String>,
    /// Stanzas received, modulo 2³².
    received: u32,
    /// Stanzas of ours that the server has acknowledged, modulo 2³².
    acked: u32,
    /// What was sent since, oldest first, at most [`MOST_UNACKED`].
    unacked: VecDeque<Box<Stanza>>,
    /// What had not been written when the connection broke.
    unsent: VecDeque<Box<Stanza>>,
}

/// The server's counter is impossible, or it never acknowledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadCount {
    /// More than we sent, or less than before.
    #[error("the server acknowledged what was never sent")]
    Impossible,
    /// See [`MOST_UNACKED`].
    #[error("the server acknowledges nothing")]
    TooFew,
}

impl From<BadCount> for Lost {
    fn from(error: BadCount) -> Self {
        Self::for_good(format!("stream management failed: {error}"))
    }
}

impl Management {
    pub(crate) fn new(enabled: &sm::Enabled) -> Self {
        let id = enabled.id.as_ref().filter(|_| enabled.resume).map(|id| id.0.clone());
        Self { id, received: 0, acked: 0, unacked: VecDeque::new(), unsent: VecDeque::new() }
    }

    /// How to ask for a resumption; none if that is not possible.
    pub(crate) fn resume(&self) -> Option<sm::Resume> {
        self.id.as_ref().map(|id| sm::Resume { h: self.received, previd: sm::StreamId(id.clone()) })
    }

    pub(crate) fn received(&mut self) {
        self.received = self.received.wrapping_add(1);
    }

    /// Our answer to `<r/>`.
    pub(crate) fn ack(&self) -> sm::A {
        sm::A::new(self.received)
    }

    pub(crate) fn sent(&mut self, stanza: Box<Stanza>) -> Result<(), BadCount> {
        if self.unacked.len() >= MOST_UNACKED {
            return Err(BadCount::TooFew);
        }
        self.unacked.push_back(stanza);
        Ok(())
    }

    pub(crate) fn acked(&mut self, h: u32) -> Result<(), BadCount> {
        // Modulo 2³²: a counter that went backwards gives a number far above what waits.
        let count = usize::try_from(h.wrapping_sub(self.acked)).unwrap_or(usize::MAX);
        if count > self.unacked.len() {
            return Err(BadCount::Impossible);
        }
        self.unacked.drain(..count);
        self.acked = h;
        Ok(())
    }

    /// Bytes of the longest stanza that is not acknowledged.
    pub(crate) fn longest_unacked(&self) -> usize {
        self.unacked.iter().map(|stanza| stanza_limit::length(stanza)).max().unwrap_or_default()
    }

    /// The connection has broken before these were written.
    pub(crate) fn put_aside(&mut self, unsent: impl IntoIterator<Item = Box<Stanza>>) {
        self.unsent.extend(unsent);
    }

    /// After a resumption: takes out what the server has not got.
    pub(crate) fn resumed(&mut self, h: u32) -> Result<VecDeque<Box<Stanza>>, BadCount> {
        self.acked(h)?;
        let mut again = std::mem::take(&mut self.unacked);
        again.append(&mut self.unsent);
        Ok(again)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio_xmpp::parsers::presence::Presence;

    fn management() -> Management {
        Management::new(&sm::Enabled { id: Some(sm::StreamId("x".into())), location: None, max: None, resume: true })
    }

    fn stanza() -> Box<Stanza> {
        Box::new(Presence::available().into())
    }

    #[test]
    fn what_was_not_acknowledged_is_sent_again() {
        let mut management = management();
        for _ in 0..5 {
            management.sent(stanza()).unwrap();
        }
        management.acked(2).unwrap();
        assert_eq!(management.resumed(4).unwrap().len(), 1);
    }

    #[test]
    fn what_was_never_written_is_sent_behind_what_was() {
        let mut management = management();
        management.sent(stanza()).unwrap();
        management.put_aside([Box::new(Presence::unavailable().into())]);
        let again = management.resumed(0).unwrap();
        assert!(matches!(&*again[1], Stanza::Presence(presence) if presence == &Presence::unavailable()));
        assert_eq!((again.len(), management.resumed(0).unwrap().len()), (2, 0));
    }

    #[test]
    fn impossible_counters_are_errors_also_where_they_wrap() {
        let mut management = management();
        assert_eq!(management.acked(1), Err(BadCount::Impossible));
        management.acked = u32::MAX;
        management.sent(stanza()).unwrap();
        management.sent(stanza()).unwrap();
        management.acked(0).unwrap();
        assert_eq!(management.acked(u32::MAX), Err(BadCount::Impossible));
        assert_eq!(management.acked(1), Ok(()));
    }

    #[test]
    fn a_server_that_never_acknowledges_is_given_up() {
        let mut management = management();
        for _ in 0..MOST_UNACKED {
            management.sent(stanza()).unwrap();
        }
        assert_eq!(management.sent(stanza()), Err(BadCount::TooFew));
    }

    #[test]
    fn without_an_id_there_is_no_resumption() {
        let enabled = sm::Enabled { id: None, location: None, max: None, resume: true };
        assert!(Management::new(&enabled).resume().is_none());
        assert!(management().resume().is_some());
    }
}
