//! The daemon as a user unit of systemd.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::Command;
use xbt_api::{Client, Connection};

use crate::ask;
use crate::context::Context;
use crate::failure::Failure;
use crate::out::Tone;

/// systemctl waits until the daemon says that it is ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a login is waited for; it has just worked, so it will not take long.
const ONLINE: Duration = Duration::from_secs(15);

/// What became of the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// It starts now and at every login.
    Enabled,
    /// It ran already, and has been restarted with the new configuration.
    Restarted,
    /// A daemon runs and was left alone.
    Running,
    /// It could be enabled, and was not.
    No,
    /// There is no such unit, or no systemd.
    Unavailable,
}

impl Started {
    /// For programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Restarted => "restarted",
            Self::Running => "running",
            Self::No => "not-enabled",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Offers to enable the unit. `elsewhere`: the configuration is not where the unit looks for it.
pub async fn offer(context: &Context, leave: bool, yes: bool, elsewhere: bool) -> Result<Started, Failure> {
    let runs = runs(context).await;
    let alone = if runs { Started::Running } else { Started::No };
    if !systemctl(&["cat", "xbtd.service"]).await {
        return Ok(if runs { Started::Running } else { Started::Unavailable });
    }
    if leave || elsewhere {
        return Ok(alone);
    }
    let active = systemctl(&["is-active", "xbtd.service"]).await;
    if runs && !active {
        // Somebody started it by hand; the unit would only quarrel with it.
        return Ok(Started::Running);
    }
    let question = match active {
        true => "Restart xbtd, so that it takes the new configuration?",
        false => "Start xbtd now, and from now on at every login?",
    };
    if !(yes || ask::is_possible() && !context.out.json && ask::yes_unless_no(question).await?) {
        return Ok(alone);
    }
    // A program may have used the socket before there was a configuration, too often for systemd.
    systemctl(&["reset-failed", "xbtd.service", "xbtd.socket"]).await;
    let enabled = systemctl(&["enable", "xbtd.service"]).await && systemctl(&["restart", "xbtd.service"]).await;
    match (enabled, active) {
        (true, true) => Ok(Started::Restarted),
        (true, false) => Ok(Started::Enabled),
        (false, _) => {
            context.out.note("xbtd could not be started; 'journalctl --user -u xbtd' says why");
            Ok(alone)
        }
    }
}

/// Waits until the daemon that was started is online, or knows why not, and says so.
pub async fn tell_connection(context: &Context) -> Result<(), Failure> {
    let path = context.socket_path()?;
    let end = Instant::now() + ONLINE;
    while let Ok(client) = Client::connect(&path).await {
        let Ok(status) = client.status().await else { break };
        let failed = status.connection_error.filter(|_| status.connection != Connection::Connecting);
        match (status.connection, failed) {
            (Connection::Online, _) => {
                let tick = context.out.paint(Tone::Good, "✓");
                return Ok(context.out.remark(&format!("{tick} xbtd is running and online."))?);
            }
            (Connection::Refused | Connection::Offline, Some(error)) => {
                context.out.note(&format!("xbtd is running but not online: {}", error.message));
                return Ok(());
            }
            (Connection::Connecting | Connection::Refused | Connection::Offline, _) if Instant::now() < end => {
                // Wait for any event; the next one is usually about the connection.
                let seq = client.events(None, Duration::ZERO).await?.seq;
                client.events(Some(seq), Duration::from_millis(500)).await?;
            }
            (Connection::Connecting | Connection::Refused | Connection::Offline, _) => break,
        }
    }
    context.out.note("xbtd is running; 'xbtctl status' says whether it is online");
    Ok(())
}

/// Whether a daemon answers.
async fn runs(context: &Context) -> bool {
    let Ok(path) = context.socket_path() else { return false };
    Client::connect(&path).await.is_ok()
}

/// Whether a command to the user's systemd succeeded; it does not where there is none.
async fn systemctl(args: &[&str]) -> bool {
    let mut command = Command::new("systemctl");
    command.arg("--user").args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = tokio::time::timeout(PATIENCE, command.kill_on_drop(true).status()).await;
    matches!(status, Ok(Ok(status)) if status.success())
}
