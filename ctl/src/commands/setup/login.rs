//! One login, or a new account, with what the person gave: done by the daemon's own program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;
use xbt_api::{ApiError, codes};

use super::document::{self, Document};
use super::password;
use crate::failure::Failure;
use crate::paths::in_path;

/// Longer than the daemon's own limits: a minute, or two for a new account.
const PATIENCE: Duration = Duration::from_secs(150);

/// What is to be done with the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// See whether it lets us in.
    LogIn,
    /// Make it.
    Register,
}

/// What `xbtd --try-login` and `--register` print.
#[derive(Debug, Deserialize)]
struct Report {
    ok: bool,
    #[serde(default)]
    jid: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    hint: String,
}

/// A configuration and a password in a private folder, for the duration of the login.
#[derive(Debug)]
pub struct Trial {
    folder: PathBuf,
    config: PathBuf,
}

impl Trial {
    /// Writes both; in memory where the system has such a folder.
    pub fn prepare(document: &Document, password: &str) -> Result<Self, Failure> {
        let base = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_dir());
        let base = base.unwrap_or_else(std::env::temp_dir);
        let folder = base.join(format!("xbt-setup-{}", std::process::id()));
        document::make_new_private_folder(&folder)?;
        let trial = Self { config: folder.join("xbtd.toml"), folder };
        let place = password::in_file(password, &trial.folder)?;
        document::write(&trial.config, &document.text(&place), false)?;
        Ok(trial)
    }

    /// Whether it works: the account's address as the daemon writes it, or why not.
    pub async fn run(&self, daemon: &Path, attempt: Attempt) -> Result<Result<String, ApiError>, Failure> {
        let failed = |what: String| {
            let hint = "install xbtctl and xbtd of the same version, or skip the login with --no-login";
            Failure::refused(codes::LOCAL_IO, what, hint)
        };
        let mut command = Command::new(daemon);
        command.arg(match attempt {
            Attempt::LogIn => "--try-login",
            Attempt::Register => "--register",
        });
        command.arg("--config").arg(&self.config);
        command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        let output = output.map_err(|_| failed("the server did not respond in time".to_owned()))?;
        let output = output.map_err(|error| failed(format!("{} cannot be run: {error}", daemon.display())))?;
        let report: Report = serde_json::from_slice(&output.stdout)
            .map_err(|_| failed(format!("{} does not support that", daemon.display())))?;
        // The configuration is a passing one, so its name and line would mislead.
        let prefix = self.config.display().to_string();
        let message = match report.message.strip_prefix(&prefix) {
            Some(rest) => rest.trim_start_matches(|c: char| c == ':' || c.is_ascii_digit()).trim_start(),
            None => &report.message,
        };
        match report.ok {
            true => Ok(Ok(report.jid)),
            false => Ok(Err(refusal(&report.code, message, &report.hint))),
        }
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        // The folder is private; nothing more can be done on failure.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// `xbtd`: beside this program, else where programs are.
pub fn find_daemon() -> Result<PathBuf, Failure> {
    let beside = std::env::current_exe().ok().map(|path| path.with_file_name("xbtd"));
    beside.filter(|path| path.is_file()).or_else(|| in_path("xbtd")).ok_or_else(|| {
        let hint = "install it beside xbtctl, or skip the test login with --no-login";
        Failure::refused(codes::LOCAL_IO, "xbtd is not installed", hint)
    })
}

/// What the daemon says about a login, or its configuration.
fn refusal(code: &str, message: &str, hint: &str) -> ApiError {
    let hint = match code {
        "wrong-password" => {
            "check the address and the password; do they work in a chat program? --register creates a new account"
        }
        "server-unreachable" => {
            "check the domain after the @ and your network; if the server has another name, give it with --server"
        }
        "bad-certificate" => {
            "if the server uses its own authority, give its certificate with --ca-file; otherwise someone may be intercepting the connection"
        }
        "no-mechanism" => {
            "ask the server's operator for SCRAM; if you trust the server with the password itself: --least-mechanism PLAIN"
        }
        _ => hint,
    };
    ApiError::new(code, message, hint)
}
