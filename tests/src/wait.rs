//! Waiting for conditions, never for a fixed time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Long enough for anything that needs no content to move: logins, offers, answers, presence.
pub const SOON: Duration = Duration::from_secs(30);

/// Long enough for a transfer of the sizes that the tests use.
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

/// Checks again and again that `holds` stays true for `span`. For "this must not happen", which has no condition to wait for.
#[track_caller]
pub fn stays(what: &str, span: Duration, mut holds: impl FnMut() -> bool) {
    if within(span, || (!holds()).then_some(())).is_some() {
        panic!("{what} must stay so, and did not");
    }
}
