//! When to ask again: pure rules about time.

use std::time::Duration;

/// What we ask for. Short enough that what a crash leaves behind is gone soon (RFC 6887, section 15, leaves it to us).
pub(super) const WANTED_LIFETIME: Duration = Duration::from_secs(3600);

/// No router makes us ask more often than twice in this time.
const SHORTEST: Duration = Duration::from_secs(120);
/// No router is believed to keep a mapping for longer.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// A mapping is checked this often at least: a router that was switched off and on has forgotten it, and UPnP does not
/// announce that.
const LOOK: Duration = Duration::from_secs(15 * 60);

/// Gaps between the starts of searches while nothing was ever granted. A search takes some seconds, so 25 s mean that
/// a router that has just come up is found within 30.
const FIRST: [u64; 3] = [5, 10, 20];
const STEADY: Duration = Duration::from_secs(25);
/// How long the steady gap lasts.
const STEADY_FOR: Duration = Duration::from_secs(5 * 60);
/// The gaps after that.
const LATER: [u64; 4] = [60, 120, 300, 600];
/// And after those.
const SLOWEST: Duration = Duration::from_secs(15 * 60);
/// The first gap after a mapping was lost; each next one is twice as long.
const LOST: Duration = Duration::from_secs(15);

/// The lifetime that a router granted, clamped to between 2 minutes and 24 hours.
pub(super) fn lifetime(granted: u32) -> Duration {
    Duration::from_secs(granted.into()).clamp(SHORTEST, LONGEST)
}

/// How long after it was granted a mapping is renewed: before half of its lifetime, and every 15 minutes at least.
pub(super) fn renew_after(lifetime: Duration) -> Duration {
    (lifetime * 9 / 20).min(LOOK)
}

/// Consecutive searches without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Series {
    /// Nothing was granted yet; so many searches took so long, from start to start.
    Looking {
        /// Searches made.
        searches: u32,
        /// From the start of the first to the start of the last one.
        spent: Duration,
    },
    /// What was granted is lost.
    Lost {
        /// Searches made.
        searches: u32,
    },
}

impl Series {
    /// Before the first search.
    pub const NEW: Self = Self::Looking { searches: 0, spent: Duration::ZERO };
    /// A renewal has just failed.
    pub const LOST: Self = Self::Lost { searches: 0 };

    /// One more search has failed: the gap from its start to the start of the next one.
    pub fn failed(&mut self) -> Duration {
        match self {
            Self::Looking { searches, spent } => {
                let gap = gap(*searches, *spent);
                *searches = searches.saturating_add(1);
                *spent = spent.saturating_add(gap);
                gap
            }
            Self::Lost { searches } => {
                let gap = LOST.saturating_mul(1 << (*searches).min(6)).min(SLOWEST);
                *searches = searches.saturating_add(1);
                gap
            }
        }
    }
}

fn gap(searches: u32, spent: Duration) -> Duration {
    let searches = usize::try_from(searches).unwrap_or(usize::MAX);
    if let Some(seconds) = FIRST.get(searches) {
        return Duration::from_secs(*seconds);
    }
    if spent < STEADY_FOR {
        return STEADY;
    }
    // How many searches fit before is fixed by the figures above.
    let first: u64 = FIRST.iter().sum();
    let steady = (STEADY_FOR.as_secs() - first).div_ceil(STEADY.as_secs());
    let before = FIRST.len() + usize::try_from(steady).unwrap_or(usize::MAX);
    LATER.get(searches.saturating_sub(before)).map_or(SLOWEST, |seconds| Duration::from_secs(*seconds))
}

/// A router's count of the seconds since it last forgot its mappings, and our time when it was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epoch {
    /// By the router's count.
    pub theirs: u32,
    /// By ours, from any fixed point.
    pub ours: Duration,
}

impl Epoch {
    /// Whether the router forgot its mappings between these two (RFC 6887, section 8.5; RFC 6886, section 3.6, is
    /// close enough to be held to the same).
    pub fn broken_by(self, now: Self) -> bool {
        if now.theirs.saturating_add(1) < self.theirs {
            return true;
        }
        let theirs = u64::from(now.theirs.saturating_sub(self.theirs));
        let ours = now.ours.saturating_sub(self.ours).as_secs();
        ours + 2 < theirs - theirs / 16 || theirs + 2 < ours - ours / 16
    }
}
