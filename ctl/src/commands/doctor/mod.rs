//! `xbtctl doctor`: what works, what does not, and what to do about it.
//!
//! It asks the daemon what it knows; nobody else is asked. [`judge`] holds the rules about this computer and the account,
//! [`reach`] those about the network; both are pure.

mod judge;
mod reach;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::Serialize;

use super::Context;
use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::text::clean;
use crate::time::Clock;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Level {
    /// As it should be.
    Ok,
    /// It works, and could be better.
    Note,
    /// Something does not work.
    Problem,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Problem => "problem",
        }
    }

    fn tone(self) -> Tone {
        match self {
            Self::Ok => Tone::Good,
            Self::Note => Tone::Attention,
            Self::Problem => Tone::Bad,
        }
    }
}

/// What one check has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    /// Stable, for programs; `docs/commands.md` lists them.
    check: &'static str,
    level: Level,
    text: String,
    /// What to do.
    remedy: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, text: text.into(), remedy: None }
    }

    fn note(check: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, level: Level::Note, text: text.into(), remedy: Some(remedy.into()) }
    }

    fn problem(check: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Problem, ..Self::note(check, text, remedy) }
    }

    /// One line; the word of the level has a colour of its own.
    fn line(&self, out: &Out) -> String {
        let level = out.paint(self.level.tone(), &format!("{:<7}", self.level.word()));
        let remedy = self.remedy.as_deref().filter(|remedy| !remedy.is_empty());
        let remedy = remedy.map(|remedy| format!(" → {}", clean(remedy))).unwrap_or_default();
        format!("{level}  {:<10}  {}{remedy}", self.check, clean(&self.text))
    }
}

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
    // What is wrong was told.
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
    let text = "it is not known where the daemon's socket is: none of XDG_RUNTIME_DIR, XDG_STATE_HOME and HOME is set";
    Finding::problem("daemon", text, "name it with --socket or XBT_SOCKET")
}

fn unreachable(failure: Failure) -> Finding {
    match failure.errors.into_iter().next() {
        Some(error) => Finding::problem("daemon", error.message, error.hint),
        None => Finding::problem("daemon", "the daemon does not answer", "systemctl --user start xbtd"),
    }
}
