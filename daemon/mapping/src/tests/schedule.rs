use std::time::Duration;

use crate::schedule::{Epoch, Series, lifetime, renew_after};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn gaps(mut series: Series, count: usize) -> Vec<u64> {
    (0..count).map(|_| series.failed().as_secs()).collect()
}

#[test]
fn lifetimes_are_brought_within_two_minutes_and_a_day() {
    for (told, kept) in [(0, 120), (1, 120), (119, 120), (120, 120), (3600, 3600), (86_401, 86_400), (u32::MAX, 86_400)]
    {
        assert_eq!(lifetime(told), seconds(kept));
    }
}

#[test]
fn mappings_are_renewed_before_half_of_their_lifetime_and_looked_at_every_quarter_of_an_hour() {
    assert_eq!(renew_after(seconds(120)), seconds(54));
    assert_eq!(renew_after(seconds(600)), seconds(270));
    assert_eq!(renew_after(seconds(86_400)), seconds(900));
}

#[test]
fn a_router_that_comes_up_in_the_first_five_minutes_is_found_within_thirty_seconds() {
    let gaps = gaps(Series::NEW, 14);
    assert_eq!(gaps[..4], [5, 10, 20, 25]);
    assert!(gaps.iter().all(|gap| *gap < 30), "{gaps:?}");
    assert!((280..=330).contains(&gaps.iter().sum::<u64>()), "{gaps:?}");
}

#[test]
fn later_searches_grow_apart_to_a_quarter_of_an_hour() {
    let gaps = gaps(Series::NEW, 60);
    assert_eq!(gaps[13..20], [25, 60, 120, 300, 600, 900, 900], "{gaps:?}");
    assert!(gaps.is_sorted());
    assert_eq!(gaps.last(), Some(&900));
}

#[test]
fn what_is_lost_is_searched_for_in_gaps_from_fifteen_seconds_to_fifteen_minutes() {
    assert_eq!(gaps(Series::LOST, 8), [15, 30, 60, 120, 240, 480, 900, 900]);
    assert_eq!(gaps(Series::LOST, 200).last(), Some(&900));
}

fn broken(theirs: (u32, u32), ours: (u64, u64)) -> bool {
    let epoch = |theirs, ours| Epoch { theirs, ours: seconds(ours) };
    epoch(theirs.0, ours.0).broken_by(epoch(theirs.1, ours.1))
}

#[test]
fn a_router_whose_clock_goes_as_ours_has_forgotten_nothing() {
    assert!(!broken((100, 160), (0, 60)));
    assert!(!broken((100, 100), (0, 0)));
    // Datagrams overtake one another.
    assert!(!broken((100, 99), (0, 0)));
    assert!(!broken((100, 156), (0, 60)));
    assert!(!broken((u32::MAX - 1, u32::MAX), (0, 1)));
}

#[test]
fn a_router_whose_clock_went_back_or_jumped_has_forgotten_its_mappings() {
    assert!(broken((100, 3), (0, 60)));
    assert!(broken((100, 98), (0, 0)));
    assert!(broken((100, 110), (0, 600)));
    assert!(broken((100, 1000), (0, 60)));
    assert!(broken((u32::MAX, 0), (0, 1)));
}
