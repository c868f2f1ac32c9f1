//! `xbtctl doctor`: what works, what does not, and what to do about it.
//!
//! It only asks the daemon for what it already knows. [`judge`] holds the rules about this computer and the account,
//! [`reach`] those about the network; both are pure.

mod finding;
mod judge;
mod reach;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::Serialize;

use self::finding::{Finding, Level};
use crate::context::Context;
use crate::failure::Failure;
use crate::time::Clock;

#[derive(Serialize)]
struct Report<'a> {
    healthy: bool,
    findings: &'a [Finding],
}

/// Looks for what is wrong with daemon, account and network, and says what to do.
pub async fn run(context: &Context) -> Result<(), Failure> {
    let findings = match look(context).await {
        Ok(findings) => findings,
        Err(failure) => vec![unreachable(failure)],
    };
    let healthy = findings.iter().all(|finding| finding.level != Level::Problem);
    if context.out.json {
        context.out.json_line(&Report { healthy, findings: &findings })?;
    } else {
        for finding in &findings {
            context.out.line(&finding.line(&context.out))?;
        }
    }
    // The findings are printed already.
    if healthy { Ok(()) } else { Err(Failure::not_done(Vec::new())) }
}

async fn look(context: &Context) -> Result<Vec<Finding>, Failure> {
    if context.socket_path().is_err() {
        return Ok(vec![no_socket()]);
    }
    let status = context.connect().await?.status().await?;
    let clock = Clock::new(context.out.is_terminal());
    let here = judge::Here { now: Timestamp::now(), clock, version: env!("CARGO_PKG_VERSION") };
    Ok(judge::findings(&status, &here))
}

fn no_socket() -> Finding {
    let text = "the daemon's socket path is unknown: XDG_RUNTIME_DIR, XDG_STATE_HOME and HOME are all unset";
    Finding::problem("daemon", text, "set --socket or XBT_SOCKET")
}

fn unreachable(failure: Failure) -> Finding {
    match failure.errors.into_iter().next() {
        Some(error) => Finding::problem("daemon", error.message, error.hint),
        None => Finding::problem("daemon", "the daemon does not respond", "systemctl --user start xbtd"),
    }
}
