//! Limits at certain times of the week, by the local clock.

use crate::rate::RateChange;
use crate::time::{Wall, Zone};

/// The names of the days as the configuration writes them, Monday first.
pub const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Minutes of a day.
pub const DAY: u16 = 24 * 60;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = DAY as i64 * MINUTE_MS;

/// Limits from one time of day to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// On which days it begins: Monday is the lowest bit.
    pub days: u8,
    /// Its first minute of the day, below [`DAY`].
    pub from: u16,
    /// The minute after its last one, at most [`DAY`]. Where it is not after `from` the span ends on the next day.
    pub to: u16,
    /// The limits meanwhile; what is `None` is as at other times.
    pub change: RateChange,
}

/// Which schedule holds, and for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its place in the list; none: no schedule.
    pub schedule: Option<usize>,
    /// When another one, or none, holds instead.
    pub until: Option<Wall>,
}

/// Looks at the schedules: the first whose time it is holds.
///
/// `until` is exact as long as the zone's offset stays as it is; whoever waits for it looks again when that changes
/// ([`Zone::until`]). Where the local clock skips an hour a span in that hour is skipped with it, and where an hour
/// comes twice it holds twice.
pub fn standing(schedules: &[Schedule], now: Wall, zone: Zone) -> Standing {
    let local = zone.local(now);
    let (day, of_day) = (local.div_euclid(DAY_MS), local.rem_euclid(DAY_MS));
    let schedule = holds(schedules, day, of_day / MINUTE_MS);
    let mut edges: Vec<(i64, i64)> = (0..=8)
        .flat_map(|ahead| {
            schedules.iter().flat_map(move |s| [(day + ahead, s.from.into()), (day + ahead, s.to.into())])
        })
        .map(|(day, minute): (i64, i64)| (day + minute / i64::from(DAY), minute % i64::from(DAY)))
        .filter(|(day, minute)| day * DAY_MS + minute * MINUTE_MS > local)
        .collect();
    edges.sort_unstable();
    edges.dedup();
    let change = edges.into_iter().find(|(day, minute)| holds(schedules, *day, *minute) != schedule);
    let until = change.map(|(day, minute)| Wall(now.0.saturating_add(day * DAY_MS + minute * MINUTE_MS - local)));
    Standing { schedule, until }
}

/// The first schedule whose time it is at that minute of that day since the epoch, by the local clock.
fn holds(schedules: &[Schedule], day: i64, minute: i64) -> Option<usize> {
    schedules.iter().position(|s| {
        let (from, to) = (i64::from(s.from), i64::from(s.to));
        if from < to {
            on(s.days, day) && (from..to).contains(&minute)
        } else {
            on(s.days, day) && minute >= from || on(s.days, day - 1) && minute < to
        }
    })
}

/// Whether a day since the epoch, which was a Thursday, is one of them.
fn on(days: u8, day: i64) -> bool {
    days & 1 << (day + 3).rem_euclid(7) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: u8 = 0x7f;
    const WORK: u8 = 0x1f;

    fn at(days: u8, from: u16, to: u16) -> Schedule {
        Schedule { days, from, to, change: RateChange::default() }
    }

    /// A moment in the week of Monday 2026-11-23, in UTC.
    fn when(day: i64, hour: i64, minute: i64) -> Wall {
        Wall(1_795_392_000_000 + day * DAY_MS + (hour * 60 + minute) * MINUTE_MS)
    }

    fn look(schedules: &[Schedule], now: Wall) -> (Option<usize>, Option<Wall>) {
        let Standing { schedule, until } = standing(schedules, now, Zone::default());
        (schedule, until)
    }

    #[test]
    fn a_span_of_working_days_begins_and_ends_to_the_minute() {
        let work = [at(WORK, 8 * 60, 18 * 60)];
        assert_eq!(look(&work, when(0, 7, 59)), (None, Some(when(0, 8, 0))));
        assert_eq!(look(&work, when(0, 8, 0)), (Some(0), Some(when(0, 18, 0))));
        assert_eq!(look(&work, Wall(when(0, 18, 0).0 - 1)), (Some(0), Some(when(0, 18, 0))));
        assert_eq!(look(&work, when(0, 18, 0)), (None, Some(when(1, 8, 0))));
        assert_eq!(look(&work, when(4, 20, 0)), (None, Some(when(7, 8, 0))), "not on Saturday");
    }

    #[test]
    fn a_span_over_midnight_belongs_to_the_day_on_which_it_begins() {
        let night = [at(1 << 4, 22 * 60, 6 * 60)];
        assert_eq!(look(&night, when(4, 5, 0)), (None, Some(when(4, 22, 0))), "Friday morning");
        assert_eq!(look(&night, when(4, 23, 0)), (Some(0), Some(when(5, 6, 0))));
        assert_eq!(look(&night, when(5, 5, 59)), (Some(0), Some(when(5, 6, 0))));
        assert_eq!(look(&night, when(5, 6, 0)), (None, Some(when(11, 22, 0))));
    }

    #[test]
    fn the_first_whose_time_it_is_holds_and_edges_that_change_nothing_do_not_count() {
        let both = [at(WORK, 12 * 60, 13 * 60), at(ALL, 8 * 60, 18 * 60)];
        assert_eq!(look(&both, when(0, 9, 0)), (Some(1), Some(when(0, 12, 0))));
        assert_eq!(look(&both, when(0, 12, 30)), (Some(0), Some(when(0, 13, 0))));
        assert_eq!(look(&both, when(5, 9, 0)), (Some(1), Some(when(5, 18, 0))), "no lunch on Saturday");
    }

    #[test]
    fn a_schedule_for_always_never_ends_and_none_never_begins() {
        assert_eq!(look(&[at(ALL, 0, DAY)], when(3, 3, 3)), (Some(0), None));
        assert_eq!(look(&[at(0, 0, DAY)], when(3, 3, 3)), (None, None));
        assert_eq!(look(&[], when(3, 3, 3)), (None, None));
    }

    #[test]
    fn the_clock_on_the_wall_counts_wherever_it_hangs() {
        let work = [at(WORK, 8 * 60, 18 * 60)];
        let zone = |hours: i32| Zone { offset_s: hours * 3_600, until: None };
        let early = standing(&work, when(0, 7, 30), zone(1));
        assert_eq!((early.schedule, early.until), (Some(0), Some(when(0, 17, 0))), "08:30 there");
        let sunday = standing(&work, when(0, 2, 0), zone(-5));
        assert_eq!((sunday.schedule, sunday.until), (None, Some(when(0, 13, 0))), "Sunday evening there");
    }

    #[test]
    fn no_moment_is_beyond_the_arithmetic() {
        let work = [at(WORK, 8 * 60, 18 * 60)];
        for now in [i64::MIN, i64::MIN / 2, -1, 0, i64::MAX / 2, i64::MAX] {
            let _ = standing(&work, Wall(now), Zone { offset_s: i32::MAX, until: None });
        }
    }
}
