//! Notices when the wall clock is set.
//!
//! A certificate that was "not yet valid" at boot is fine once the clock has been set from the network; waiting for the
//! end of a pause would only cost time.

use std::io;

use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::net::unix::pipe::Receiver;

/// A timer that is never due, but cannot be read any more when the clock that it follows is set (timerfd_create(2)).
/// Tokio's pipe is its only safe way to wait for a descriptor of another kind.
pub(super) struct Clock(Option<Receiver>);

/// In the year 2255; the kernel counts nanoseconds in 63 bits.
const NEVER: i64 = 9_000_000_000;

impl Clock {
    /// Begins to watch. Where the system does not allow it, nothing is ever noticed.
    pub(super) fn watch() -> Self {
        match timer() {
            Ok(timer) => Self(Some(timer)),
            Err(error) => {
                tracing::debug!(%error, "changes of the clock go unnoticed");
                Self(None)
            }
        }
    }

    /// Waits until the clock is set. May be dropped at any time and called again.
    pub(super) async fn set(&self) {
        let Some(timer) = &self.0 else { return std::future::pending().await };
        loop {
            if timer.readable().await.is_err() {
                return std::future::pending().await;
            }
            match timer.try_read(&mut [0; 8]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.raw_os_error() == Some(Errno::CANCELED.raw_os_error()) => return,
                Ok(_) | Err(_) => return std::future::pending().await,
            }
        }
    }
}

fn timer() -> io::Result<Receiver> {
    let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
    let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
    let once = Itimerspec { it_interval: zero, it_value: Timespec { tv_sec: NEVER, ..zero } };
    timerfd_settime(&timer, TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET, &once)?;
    Receiver::from_owned_fd_unchecked(timer)
}
