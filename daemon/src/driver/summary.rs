//! What is going on, as the one line that `systemctl status` shows.

use std::collections::BTreeSet;

use tokio::time::Instant;
use xbt_api::State;
use xbt_core::session::Connection;
use xbt_core::transfer::{Direction, Transfer};

use super::{Driver, views};

/// Transfers by what they do.
#[derive(Debug, Default)]
struct Counts<'a> {
    preparing: usize,
    connecting: usize,
    sending: usize,
    up: u64,
    receiving: usize,
    down: u64,
    waiting: usize,
    waited_for: BTreeSet<&'a str>,
    asking: usize,
    paused: usize,
}

impl Driver {
    /// Tells the service manager what is due.
    pub(super) fn supervise(&mut self) {
        let now = Instant::now();
        self.rooms.supervisor.alive(now);
        if self.rooms.supervisor.wants_status(now) {
            let text = self.summary();
            self.rooms.supervisor.status(now, &text);
        }
    }

    fn summary(&self) -> String {
        if let Some(error) = &self.state_error {
            return format!("waiting: {}", error.message);
        }
        let connection = match self.domain.connection() {
            Connection::Online { .. } => format!("online as {}", self.domain.settings().account),
            other @ (Connection::Connecting | Connection::Offline { .. } | Connection::Refused { .. }) => {
                views::connection_sentence(other)
            }
        };
        let now = self.mono();
        let open: Vec<_> = self.domain.transfers().filter(|transfer| transfer.end().is_none()).collect();
        let waited: Vec<String> = open.iter().map(|transfer| transfer.contact.to_string()).collect();
        let mut counts = Counts::default();
        for (transfer, contact) in open.iter().zip(&waited) {
            let rate = if transfer.linked() { self.domain.live_view(transfer.id, now).rate } else { 0 };
            counts.add(transfer, contact, rate);
        }
        let transfers = Some(counts.told()).filter(|told| !told.is_empty());
        let config = self.config_error.as_ref().map(|error| format!("configuration not reloaded: {}", error.message));
        [Some(connection), transfers, config].into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

impl<'a> Counts<'a> {
    fn add(&mut self, transfer: &Transfer, contact: &'a str, rate: u64) {
        if transfer.paused.any() {
            self.paused += 1;
            return;
        }
        match (views::state(transfer), transfer.direction()) {
            (State::Preparing, _) => self.preparing += 1,
            (State::Queued, _) | (State::Offered, Direction::Out) => {
                self.waiting += 1;
                self.waited_for.insert(contact);
            }
            (State::Offered, Direction::In) => self.asking += 1,
            (State::Connecting, _) => self.connecting += 1,
            (State::Sending, _) => {
                self.sending += 1;
                self.up += rate;
            }
            (State::Receiving, _) => {
                self.receiving += 1;
                self.down += rate;
            }
            (
                State::Done | State::Declined | State::Cancelled | State::Expired | State::Elsewhere | State::Failed,
                _,
            ) => {}
        }
    }

    fn told(&self) -> String {
        let whom = match (self.waited_for.first(), self.waited_for.len()) {
            (Some(one), 1) => (*one).to_owned(),
            (_, contacts) => format!("{contacts} contacts"),
        };
        let parts = [
            (self.sending, format!("sending at {}", rate(self.up))),
            (self.receiving, format!("receiving at {}", rate(self.down))),
            (self.connecting, "connecting".to_owned()),
            (self.preparing, "preparing".to_owned()),
            (self.waiting, format!("waiting for {whom}")),
            (self.asking, "to be answered by you".to_owned()),
            (self.paused, "paused".to_owned()),
        ];
        let parts = parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        parts.collect::<Vec<_>>().join(", ")
    }
}

/// Without fractions: a line that changes with every byte would be told all the time.
fn rate(bytes: u64) -> String {
    let (unit, name) = [(1 << 30, "GiB/s"), (1 << 20, "MiB/s"), (1 << 10, "KiB/s")]
        .into_iter()
        .find(|(unit, _)| bytes >= *unit)
        .unwrap_or((1, "B/s"));
    format!("{} {name}", bytes / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_moves_and_who_is_waited_for() {
        let mut counts = Counts { sending: 2, up: 11 << 20, waiting: 1, ..Counts::default() };
        counts.waited_for.insert("bob@example.org");
        assert_eq!(counts.told(), "2 sending at 11 MiB/s, 1 waiting for bob@example.org");
        counts.waited_for.insert("dave@example.org");
        counts.waiting = 3;
        assert!(counts.told().ends_with("3 waiting for 2 contacts"));
        assert_eq!(Counts::default().told(), "");
    }

    #[test]
    fn rates_are_told_without_fractions() {
        assert_eq!([rate(0), rate(2047), rate(11 << 20), rate(3 << 30)], ["0 B/s", "1 KiB/s", "11 MiB/s", "3 GiB/s"]);
    }
}
