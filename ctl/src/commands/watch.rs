//! `xbtctl watch`

use std::collections::HashMap;
use std::time::Duration;

use xbt_api::{Event, EventKind, MAX_WAIT_MS, State, Transfer};

use crate::context::Context;
use crate::describe::{state_text, tone};
use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::text::{clean, percent, rate, size, title};
use crate::time::Clock;

/// Between two lines about a transfer that only progresses, for people: this much of it.
const STEP: u64 = 10;

/// Most transfers whose progress is remembered. Beyond that some lines too many are printed.
const MOST_SEEN: usize = 10_000;

/// Prints events until it is interrupted or the daemon goes.
pub async fn run(context: &Context) -> Result<(), Failure> {
    let client = context.connect().await?;
    let mut seq = client.events(None, Duration::ZERO).await?.seq;
    let mut told = Told::default();
    if context.out.is_conversation() {
        context.out.note("Watching; Ctrl-C ends it.");
    }
    loop {
        let news = client.events(Some(seq), Duration::from_millis(MAX_WAIT_MS)).await?;
        seq = news.seq;
        if news.lagged {
            context.out.note("some events were skipped");
        }
        for event in news.events {
            if context.out.json {
                context.out.json_line(&event)?;
            } else if !context.out.is_terminal() {
                context.out.line(&line(&event))?;
            } else if told.is_news(&event) {
                context.out.line(&coloured(&context.out, &Clock::new(true), &event))?;
            }
        }
        // Readers expect each event immediately.
        context.out.flush()?;
    }
}

/// What was printed last, so that progress does not flood the terminal.
#[derive(Debug, Default)]
struct Told {
    transfers: HashMap<u64, (State, bool, Option<String>, u64)>,
}

impl Told {
    fn is_news(&mut self, event: &Event) -> bool {
        let Some(transfer) = &event.transfer else { return true };
        if event.kind != EventKind::Transfer {
            return true;
        }
        let now = (transfer.state, transfer.paused, reason(&event.text).map(str::to_owned), percent(transfer) / STEP);
        if transfer.state.has_ended() {
            return self.transfers.remove(&transfer.id).is_none_or(|before| before != now);
        }
        if self.transfers.len() >= MOST_SEEN {
            self.transfers.clear();
        }
        self.transfers.insert(transfer.id, now.clone()).as_ref() != Some(&now)
    }
}

/// The daemon describes a transfer in a sentence that ends with the reason in parentheses.
fn reason(text: &str) -> Option<&str> {
    text.strip_suffix(')')?.split_once(" (").map(|(_, reason)| reason)
}

/// The stable form for programs and log files.
fn line(event: &Event) -> String {
    let mut line = format!("{} {}", clean(&event.at), event.kind);
    if let Some(transfer) = &event.transfer {
        line += &format!(" {} {} {}%", transfer.id, transfer.state, percent(transfer));
        if transfer.rate > 0 {
            line += &format!(" {}", rate(transfer.rate));
        }
        line += &format!(" {}", title(transfer));
    }
    // The line already has everything else that the sentence says about a transfer.
    let text = if event.transfer.is_some() { reason(&event.text) } else { Some(event.text.as_str()) };
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        line += &format!(": {}", clean(text));
    }
    line
}

/// For the person at the terminal.
fn coloured(out: &Out, clock: &Clock, event: &Event) -> String {
    let time = out.paint(Tone::Faint, &clock.time_of_day(&event.at));
    let text = clean(&event.text);
    let what = match (&event.transfer, event.kind) {
        (Some(transfer), EventKind::Removed) => format!("{} {} was removed", transfer.id, title(transfer)),
        (Some(transfer), _) => about(out, transfer, reason(&text)),
        (None, EventKind::Device | EventKind::Notice) => out.paint(Tone::Attention, &text),
        (None, EventKind::Transfer | EventKind::Removed | EventKind::Connection | EventKind::Contact) => text,
    };
    format!("{time}  {what}")
}

fn about(out: &Out, transfer: &Transfer, reason: Option<&str>) -> String {
    let mut line = format!("{} {}  {}", transfer.id, title(transfer), out.paint(tone(transfer), &state_text(transfer)));
    match transfer.state {
        State::Offered | State::Done => line += &format!("  {}", size(transfer.size)),
        State::Sending | State::Receiving if transfer.rate > 0 => line += &format!("  {}", rate(transfer.rate)),
        _ => {}
    }
    // The state already includes why a transfer waits.
    if let Some(reason) = reason.filter(|_| transfer.why.is_none()) {
        line += &out.paint(Tone::Faint, &format!("  {reason}"));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::out::Color;
    use crate::sample;

    #[test]
    fn progress_is_told_in_steps_and_everything_else_at_once() {
        let mut told = Told::default();
        let mut news = |state, percent: u64| {
            let transfer = Transfer { done_bytes: percent, size: 100, ..sample::transfer(7, state) };
            let text = format!("transfer 7 to bob@example.org: {state} (link direct-tcp6)");
            told.is_news(&Event { text, ..sample::event(EventKind::Transfer, Some(transfer)) })
        };
        let lines = [
            (State::Queued, 0),
            (State::Queued, 0),
            (State::Sending, 0),
            (State::Sending, 9),
            (State::Sending, 10),
            (State::Sending, 19),
            (State::Done, 100),
        ];
        let told: Vec<_> = lines.iter().map(|(state, percent)| news(*state, *percent)).collect();
        assert_eq!(told, [true, false, true, false, true, false, true]);
    }

    #[test]
    fn a_line_of_a_log_says_each_thing_once() {
        let sending = Transfer { rate: 2_097_152, done_bytes: 50, size: 100, ..sample::transfer(7, State::Sending) };
        let text = "transfer 7 to bob@example.org: sending (link direct-tcp6)".into();
        let told = line(&Event { text, ..sample::event(EventKind::Transfer, Some(sending)) });
        let expected = "transfer 7 sending 50% 2.0 MiB/s holiday → bob@example.org: link direct-tcp6";
        assert_eq!(told.split_once(' ').map(|(_, told)| told), Some(expected));
        let told = line(&Event { text: "bob is online".into(), ..sample::event(EventKind::Contact, None) });
        assert!(told.ends_with(" contact: bob is online"), "{told}");
    }

    #[test]
    fn a_line_for_people_says_when_what_and_how_far() {
        let out = Out::new(false, false, Color::Never);
        let clock = Clock::at("2026-01-31T12:00:10Z", Some(jiff::tz::TimeZone::UTC));
        let sending = Transfer { rate: 2_097_152, done_bytes: 50, size: 100, ..sample::transfer(7, State::Sending) };
        let text = "transfer 7 to bob@example.org: sending (link direct-tcp6)".into();
        let event = Event { text, ..sample::event(EventKind::Transfer, Some(sending)) };
        let expected = "12:00:00  7 holiday → bob@example.org  sending 50%  2.0 MiB/s  link direct-tcp6";
        assert_eq!(coloured(&out, &clock, &event), expected);
        let event = Event { text: "bob@example.org is online\u{1b}".into(), ..sample::event(EventKind::Contact, None) };
        assert_eq!(coloured(&out, &clock, &event), "12:00:00  bob@example.org is online\u{fffd}");
    }
}
