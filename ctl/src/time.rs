//! Points in time, for people: local time, and a rough "3m ago" in one unit, which `jiff` does not print.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::text::clean;

/// What "ago" and "local" mean.
#[derive(Clone, Debug)]
pub struct Clock {
    now: Timestamp,
    /// None: as the daemon says it, in UTC.
    zone: Option<TimeZone>,
}

impl Clock {
    /// The present. `local`: print local time, else as received.
    pub fn new(local: bool) -> Self {
        Self { now: Timestamp::now(), zone: local.then(TimeZone::system) }
    }

    /// At a moment of the test's choice.
    #[cfg(test)]
    pub fn at(now: &str, zone: Option<TimeZone>) -> Self {
        Self { now: now.parse().unwrap_or(Timestamp::UNIX_EPOCH), zone }
    }

    /// `3m ago`; nothing for what is no time.
    pub fn ago(&self, moment: &str) -> String {
        match self.seconds_since(moment) {
            None => String::new(),
            Some(0) => "now".to_owned(),
            Some(seconds) => {
                let (number, unit) = rough(seconds.unsigned_abs());
                if seconds < 0 { format!("in {number}{unit}") } else { format!("{number}{unit} ago") }
            }
        }
    }

    /// Date and time, and how long ago that was.
    pub fn moment(&self, moment: &str) -> String {
        let told = self.time_and_date(moment);
        match self.ago(moment) {
            ago if ago.is_empty() => told,
            ago => format!("{told} ({ago})"),
        }
    }

    /// Date and time.
    pub fn time_and_date(&self, moment: &str) -> String {
        match (&self.zone, moment.parse::<Timestamp>()) {
            (Some(zone), Ok(time)) => time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
            (Some(_), Err(_)) | (None, _) => clean(moment),
        }
    }

    /// The time of day where that is today, else date and time, to the minute; the whole moment where it is for programs.
    pub fn today_or_date(&self, moment: &str) -> String {
        let (Some(zone), Ok(time)) = (&self.zone, moment.parse::<Timestamp>()) else { return clean(moment) };
        let time = time.to_zoned(zone.clone());
        let today = self.now.to_zoned(zone.clone()).date() == time.date();
        time.strftime(if today { "%H:%M" } else { "%Y-%m-%d %H:%M" }).to_string()
    }

    /// The time of day for what happens now; the whole moment where it is for programs.
    pub fn time_of_day(&self, moment: &str) -> String {
        match (&self.zone, moment.parse::<Timestamp>()) {
            (Some(zone), Ok(time)) => time.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string(),
            (Some(_), Err(_)) | (None, _) => clean(moment),
        }
    }

    /// Whether a moment is longer ago than so many seconds.
    pub fn is_older(&self, moment: &str, seconds: u64) -> bool {
        self.seconds_since(moment).is_some_and(|since| u64::try_from(since).is_ok_and(|since| since > seconds))
    }

    fn seconds_since(&self, moment: &str) -> Option<i64> {
        let then: Timestamp = moment.parse().ok()?;
        Some(self.now.as_second() - then.as_second())
    }
}

/// The largest unit only.
fn rough(seconds: u64) -> (u64, &'static str) {
    match seconds {
        86_400.. => (seconds / 86_400, "d"),
        3_600.. => (seconds / 3_600, "h"),
        60.. => (seconds / 60, "m"),
        0.. => (seconds, "s"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn how_long_ago_is_told_in_the_largest_unit() {
        let clock = Clock::at("2026-01-31T12:00:00Z", None);
        for (moment, text) in [
            ("2026-01-31T12:00:00.4Z", "now"),
            ("2026-01-31T11:59:20Z", "40s ago"),
            ("2026-01-31T09:30:00Z", "2h ago"),
            ("2025-12-31T12:00:00Z", "31d ago"),
            ("2026-01-31T12:05:01Z", "in 5m"),
            ("nonsense", ""),
        ] {
            assert_eq!(clock.ago(moment), text, "{moment}");
        }
    }

    #[test]
    fn moments_are_told_by_the_local_clock_on_a_terminal_and_as_on_the_wire_elsewhere() {
        let moment = "2026-01-31T11:58:00Z";
        let wire = Clock::at("2026-01-31T12:00:00Z", None);
        assert_eq!(wire.moment(moment), "2026-01-31T11:58:00Z (2m ago)");
        assert_eq!(wire.time_of_day(moment), moment);
        let east = TimeZone::fixed(jiff::tz::offset(5));
        let local = Clock::at("2026-01-31T12:00:00Z", Some(east));
        assert_eq!(local.moment(moment), "2026-01-31 16:58:00 (2m ago)");
        assert_eq!(local.time_of_day(moment), "16:58:00");
        assert_eq!(local.moment("\u{1b}x"), "\u{fffd}x");
    }
}
