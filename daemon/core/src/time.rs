//! The two clocks that every input carries.

use serde::{Deserialize, Serialize};

/// A moment on the wall clock, in milliseconds since the Unix epoch. It may jump in both directions, so it is
/// shown to people and compared with moments other people named, and nothing is timed by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wall(pub i64);

/// A moment on the monotonic clock, in milliseconds since the daemon started. Retries and rates are timed by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub u64);

impl Mono {
    /// So many milliseconds later.
    pub fn after(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds since `earlier`, zero if that is in the future.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// How the local clock stands against UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// Seconds that it is ahead.
    pub offset_s: i32,
    /// When that changes next (daylight saving time begins or ends), if it does.
    pub until: Option<Wall>,
}

impl Zone {
    /// Years beyond the reach of any calendar are all the same, and leave room to reckon with.
    const FAR: i64 = i64::MAX / 4;

    /// What the local clock shows, in milliseconds since it showed the epoch.
    pub fn local(self, wall: Wall) -> i64 {
        wall.0.clamp(-Self::FAR, Self::FAR) + i64::from(self.offset_s) * 1_000
    }
}

/// Both clocks, read when the input happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// What a clock on the wall shows.
    pub wall: Wall,
    /// What never goes back.
    pub mono: Mono,
    /// Where the clock on the wall hangs.
    pub zone: Zone,
}
