//! What the agent has produced and the session has not taken yet.

use std::collections::VecDeque;

use tokio_xmpp::Stanza;
use xbt_core::session::SessionEvent;

/// Stanzas for the server, events for the rules, and whether the stream is still of use.
#[derive(Debug, Default)]
pub(super) struct Output {
    stanzas: VecDeque<Stanza>,
    events: VecDeque<SessionEvent>,
    /// Why this stream is of no use.
    broken: Option<String>,
}

impl Output {
    pub(super) fn send(&mut self, stanza: impl Into<Stanza>) {
        self.stanzas.push_back(stanza.into());
    }

    pub(super) fn tell(&mut self, event: SessionEvent) {
        self.events.push_back(event);
    }

    /// The stream must be replaced.
    pub(super) fn break_stream(&mut self, reason: &str) {
        self.broken = Some(reason.to_owned());
    }

    pub(super) fn take_stanza(&mut self) -> Option<Stanza> {
        self.stanzas.pop_front()
    }

    pub(super) fn take_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    pub(super) fn events_waiting(&self) -> usize {
        self.events.len()
    }

    pub(super) fn take_broken(&mut self) -> Option<String> {
        self.broken.take()
    }

    /// The stream is gone. Events stay: they are about what has happened.
    pub(super) fn stream_lost(&mut self) {
        self.stanzas.clear();
        self.broken = None;
    }
}
