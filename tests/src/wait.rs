//! Waiting for conditions, never for a fixed time.
//!
//! The limits only end a test that hangs: none of them says how fast something has to be. What must not happen has no
//! condition to wait for; such a test waits for something that comes after it (a later offer, the answer to a ping).

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Long enough for anything that needs no content to move, even on a busy machine: logins, offers, answers, presence.
pub const SOON: Duration = Duration::from_secs(60);

/// Long enough for a transfer of the sizes that the tests use, and for a daemon to come back to a server that was away:
/// its attempts are up to a minute apart.
pub const LONG: Duration = Duration::from_secs(180);

/// Between two looks at a condition. Short against what is waited for, long against what a look costs.
const INTERVAL: Duration = Duration::from_millis(50);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Makes every wait, running or to come, panic: the demo ends this way, by unwinding, when a person interrupts it.
pub fn interrupt() {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Whether [`interrupt`] was called.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Looks again and again until `look` finds something, and returns that. Panics, naming `what`, when `limit` has passed.
#[track_caller]
pub fn until<T>(what: &str, limit: Duration, look: impl FnMut() -> Option<T>) -> T {
    match within(limit, look) {
        Some(found) => found,
        None => panic!("waited {limit:?} in vain until {what}"),
    }
}

/// Like [`until`], but returns `None` when `limit` has passed.
pub fn within<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        assert!(!interrupted(), "interrupted");
        if Instant::now() >= end {
            return None;
        }
        thread::sleep(INTERVAL);
    }
}
