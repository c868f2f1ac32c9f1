//! How transfers, contacts and limits read: what several commands say in the same words.

use xbt_api::{Contact, Direction, Limits, LimitsBy, State, Status, Survey, Transfer};

use crate::out::Tone;
use crate::text::{clean, duration, percent, rate};
use crate::time::Clock;

/// `10.7 MiB/s, 1m 50s left`, or nothing while nothing moves.
pub fn speed(transfer: &Transfer) -> String {
    match (transfer.rate, transfer.eta_s) {
        (0, _) => String::new(),
        (bytes, None) => rate(bytes),
        (bytes, Some(seconds)) => format!("{}, {} left", rate(bytes), duration(seconds)),
    }
}

/// `sending 50%`, `queued (bob is offline)`.
pub fn state_text(transfer: &Transfer) -> String {
    // Which of the active states a paused transfer is in says nothing.
    let moving = matches!(transfer.state, State::Connecting | State::Sending | State::Receiving);
    let mut text = String::with_capacity(64);
    text += if transfer.paused && moving { "paused" } else { transfer.state.as_str() };
    match transfer.state {
        State::Preparing | State::Sending | State::Receiving => text += &format!(" {}%", percent(transfer)),
        State::Connecting if transfer.done_bytes > 0 => text += &format!(" {}%", percent(transfer)),
        State::Failed => {
            if let Some(error) = &transfer.error {
                text.extend([" (", &clean(&error.message), ")"]);
            }
        }
        State::Connecting
        | State::Queued
        | State::Offered
        | State::Done
        | State::Declined
        | State::Cancelled
        | State::Expired
        | State::Elsewhere => {}
    }
    if transfer.paused && !moving {
        text += ", paused";
    }
    if let Some(why) = &transfer.why {
        text.extend([" (", &clean(&why.text), ")"]);
    }
    text
}

/// The colour of a transfer's state.
pub fn tone(transfer: &Transfer) -> Tone {
    match transfer.state {
        State::Done => Tone::Good,
        State::Failed | State::Expired => Tone::Bad,
        State::Offered if transfer.direction == Direction::In => Tone::Attention,
        State::Sending | State::Receiving | State::Connecting | State::Preparing if transfer.paused => Tone::Faint,
        State::Sending | State::Receiving | State::Connecting | State::Preparing => Tone::Busy,
        State::Queued | State::Offered => Tone::Plain,
        State::Declined | State::Cancelled | State::Elsewhere => Tone::Faint,
    }
}

/// Whether a contact is online and can receive now.
pub fn presence(contact: &Contact) -> (&'static str, Tone) {
    match (contact.online, contact.xbt) {
        (false, false) if contact.asked => ("has not said yes yet", Tone::Attention),
        (_, true) => ("online, xbt", Tone::Good),
        (true, false) => ("online", Tone::Busy),
        (false, false) => ("offline", Tone::Faint),
    }
}

/// What to do about an additional key of a contact.
pub fn new_key(contact: &str) -> String {
    let contact = clean(contact);
    format!("{contact} has a new key: ask whether it is theirs, then run 'xbtctl contacts verify {contact}'")
}

/// What to do about somebody who asks to be a contact.
pub fn request(contact: &str) -> String {
    let contact = clean(contact);
    format!(
        "{contact} asks to be your contact: 'xbtctl contacts add {contact}' says yes, 'xbtctl contacts remove {contact}' no"
    )
}

/// Limits for people; nothing if there are none.
pub fn limits(limits: Limits) -> Option<String> {
    let one = |limit: u64, way: &str| (limit > 0).then(|| format!("{} {way}", rate(limit)));
    let both: Vec<_> = [one(limits.upload, "up"), one(limits.download, "down")].into_iter().flatten().collect();
    (!both.is_empty()).then(|| both.join(", "))
}

/// The limits for everything together, with their origin and end, as part of a sentence.
pub fn in_force(status: &Status, clock: &Clock) -> Option<String> {
    let told = limits(status.limits)?;
    let Some(pace) = &status.pace else { return Some(format!("limited to {told}")) };
    let (by, until) = match (pace.by, pace.schedule) {
        (LimitsBy::Hand, _) => (" by hand".to_owned(), None),
        (LimitsBy::Schedule, Some(number)) => (format!(" by schedule {number}"), pace.until.as_deref()),
        (LimitsBy::Schedule | LimitsBy::Configuration, _) => (String::new(), pace.until.as_deref()),
    };
    let until = until.map(|until| format!(" until {}", clock.today_or_date(until))).unwrap_or_default();
    Some(format!("limited to {told}{by}{until}"))
}

/// What a send leaves out, a line for each reason.
pub fn left_out(survey: &Survey) -> Vec<String> {
    let counted = |count: u64, one: &str, many: &str| match count {
        0 => None,
        1 => Some(format!("left out: 1 {one}")),
        more => Some(format!("left out: {more} {many}")),
    };
    let lines = [
        counted(survey.omitted, "thing that cannot be sent", "things that cannot be sent"),
        counted(survey.excluded, "thing that is excluded", "things that are excluded (--exclude, .xbtignore)"),
        counted(survey.unfinished, "unfinished download", "unfinished downloads"),
    ];
    lines.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use xbt_api::Pace;

    use super::*;
    use crate::sample;

    #[test]
    fn limits_in_force_are_told_with_who_set_them_and_until_when() {
        let clock = Clock::at("2026-01-31T12:00:00Z", Some(jiff::tz::TimeZone::UTC));
        let told = |upload, by, schedule, until: &str| {
            let pace = Pace { by, schedule, until: Some(until.to_owned()) };
            in_force(&Status { limits: Limits { upload, download: 0 }, pace: Some(pace), ..sample::status() }, &clock)
        };
        let (today, tomorrow) = ("2026-01-31T18:00:00Z", "2026-02-01T06:00:00Z");
        let expected = "limited to 1.0 MiB/s up by schedule 2 until 18:00";
        assert_eq!(told(1 << 20, LimitsBy::Schedule, Some(2), today).as_deref(), Some(expected));
        let expected = "limited to 1.0 MiB/s up until 2026-02-01 06:00";
        assert_eq!(told(1 << 20, LimitsBy::Configuration, None, tomorrow).as_deref(), Some(expected));
        let expected = "limited to 1.0 MiB/s up by hand";
        assert_eq!(told(1 << 20, LimitsBy::Hand, Some(2), today).as_deref(), Some(expected));
        assert_eq!(told(0, LimitsBy::Schedule, Some(2), today), None);
    }

    #[test]
    fn only_limits_that_are_set_are_told() {
        let described = |upload, download| limits(Limits { upload, download });
        assert_eq!(described(0, 0), None);
        assert_eq!(described(1 << 20, 0).as_deref(), Some("1.0 MiB/s up"));
        assert_eq!(described(1, 2_048).as_deref(), Some("1 B/s up, 2.0 KiB/s down"));
    }
}
