//! What a service manager gives us and wants to hear: systemd, where there is one (sd_listen_fds(3), sd_notify(3)).
//!
//! Without one nothing here does anything.

use std::io;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::time::Instant;
use xbt_api::text::is_treacherous;

/// Between two status lines. Rates change all the time, and nobody reads faster.
const STATUS_PAUSE: Duration = Duration::from_secs(5);

/// Most characters of a status line.
const STATUS_LENGTH: usize = 200;

/// The socket that the service manager listens on for us. To be called once, before anything else opens files.
///
/// # Errors
/// What was handed over is not one listening stream socket of a path.
pub fn inherited_socket() -> io::Result<Option<UnixListener>> {
    let mut handed = ListenFd::from_env();
    if handed.len() > 1 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "more than one socket was handed over"));
    }
    handed.take_unix_listener(0)
}

/// Where notices go.
pub(crate) type Tell = Box<dyn FnMut(&NotifyState<'_>) + Send>;

/// Tells the service manager how the daemon is. Owned by the one loop whose standstill is the daemon's: it has no
/// timer of its own, so that nobody says that we are alive while that loop hangs.
pub struct Supervisor {
    tell: Option<Tell>,
    /// Between two signs of life; none are wanted if there is none.
    every: Option<Duration>,
    next_sign: Instant,
    told: String,
    told_at: Option<Instant>,
    changed: bool,
}

impl Supervisor {
    /// For the manager that the environment names, if any.
    pub fn from_env() -> Self {
        let tell = std::env::var_os("NOTIFY_SOCKET").map(|_| -> Tell { Box::new(notify) });
        Self::new(tell, sd_notify::watchdog_enabled())
    }

    /// `limit`: how long the manager bears silence.
    pub(crate) fn new(tell: Option<Tell>, limit: Option<Duration>) -> Self {
        let every = limit.filter(|limit| tell.is_some() && !limit.is_zero()).map(|limit| limit / 2);
        let (told, told_at) = (String::new(), None);
        Self { tell, every, next_sign: Instant::now(), told, told_at, changed: true }
    }

    /// Something happened that the status line may tell.
    pub fn changed(&mut self) {
        self.changed = true;
    }

    /// When there is something to tell next; never while nothing happens, but for the signs of life.
    pub fn next(&self) -> Option<Instant> {
        let status = self.told_at.filter(|_| self.changed && self.tell.is_some()).map(|at| at + STATUS_PAUSE);
        let sign = self.every.map(|_| self.next_sign);
        status.into_iter().chain(sign).min()
    }

    /// Gives the sign of life if it is due.
    pub fn alive(&mut self, now: Instant) {
        let (Some(every), Some(tell)) = (self.every, &mut self.tell) else { return };
        if now >= self.next_sign {
            self.next_sign = now + every;
            tell(&NotifyState::Watchdog);
        }
    }

    /// Whether a status line may be told now.
    pub fn wants_status(&self, now: Instant) -> bool {
        let rested = self.told_at.is_none_or(|at| now >= at + STATUS_PAUSE);
        self.tell.is_some() && self.changed && rested
    }

    /// Tells what is going on, unless that is what was told last.
    pub fn status(&mut self, now: Instant, text: &str) {
        // A line end would begin another notice.
        let text: String = text.chars().map(|c| if is_treacherous(c) { ' ' } else { c }).take(STATUS_LENGTH).collect();
        self.changed = false;
        self.told_at = Some(now);
        if let Some(tell) = self.tell.as_mut().filter(|_| text != self.told) {
            tell(&NotifyState::Status(&text));
            self.told = text;
        }
    }
}

/// The daemon serves its socket.
pub fn ready() {
    notify(&NotifyState::Ready);
}

/// The daemon is about to end.
pub fn stopping() {
    notify(&NotifyState::Stopping);
}

fn notify(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        tracing::warn!(%error, "could not notify the service manager");
    }
}

/// Waits until then; for ever if that is never.
pub async fn until(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::mpsc;

    use super::*;

    fn heard(limit: Option<Duration>) -> (Supervisor, mpsc::Receiver<String>) {
        let (sender, heard) = mpsc::channel();
        let tell: Tell = Box::new(move |state| sender.send(state.to_string()).unwrap());
        (Supervisor::new(Some(tell), limit), heard)
    }

    #[tokio::test]
    async fn signs_of_life_come_at_half_of_what_the_manager_bears() {
        let (mut supervisor, heard) = heard(Some(Duration::from_secs(60)));
        let start = Instant::now();
        for second in 0..=90 {
            supervisor.alive(start + Duration::from_secs(second));
        }
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["WATCHDOG=1"; 4]);
        assert_eq!(supervisor.next(), Some(start + Duration::from_secs(120)));
    }

    #[tokio::test]
    async fn the_status_line_is_told_when_it_changes_and_not_more_often_than_every_few_seconds() {
        let (mut supervisor, heard) = heard(None);
        let start = Instant::now();
        assert!(supervisor.wants_status(start));
        supervisor.status(start, "online");
        assert_eq!(supervisor.next(), None, "nothing happens, so nobody is woken");
        supervisor.changed();
        assert!(!supervisor.wants_status(start + STATUS_PAUSE / 2));
        assert_eq!(supervisor.next(), Some(start + STATUS_PAUSE));
        assert!(supervisor.wants_status(start + STATUS_PAUSE));
        supervisor.status(start + STATUS_PAUSE, "online");
        supervisor.changed();
        supervisor.status(start + 2 * STATUS_PAUSE, "two\nMAINPID=1");
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["STATUS=online", "STATUS=two MAINPID=1"]);
    }

    #[tokio::test]
    async fn without_a_manager_nothing_is_due_ever() {
        let mut supervisor = Supervisor::new(None, Some(Duration::from_secs(1)));
        supervisor.changed();
        assert_eq!(supervisor.next(), None);
        assert!(!supervisor.wants_status(Instant::now() + STATUS_PAUSE));
    }
}
