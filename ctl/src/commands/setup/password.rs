//! Where to keep the password: in the Secret Service if there is one, else in a file that only its owner can read.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use clap::ValueEnum;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use xbt_api::codes;

use crate::context::Context;
use crate::failure::Failure;
use crate::paths::in_path;

/// libsecret's own tool; with it no library and no D-Bus of ours is needed.
const TOOL: &str = "secret-tool";

/// Long enough to unlock a keyring by hand.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the password is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Store {
    /// In the Secret Service if it works, otherwise in a file
    Auto,
    /// In the Secret Service (GNOME Keyring, KWallet, KeePassXC), by secret-tool
    SecretService,
    /// In a file that only you can read
    File,
}

/// Where it is.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// `secret-tool lookup` finds it under this account.
    SecretService {
        /// The bare JID.
        jid: String,
    },
    /// A file with nothing else in it.
    File(PathBuf),
}

impl Place {
    /// The line of `[account]` that tells the daemon.
    pub fn setting(&self) -> (&'static str, String) {
        match self {
            Self::SecretService { jid } => {
                ("password_command", format!("{TOOL} lookup service xbt account {}", shell_word(jid)))
            }
            Self::File(path) => ("password_file", path.to_string_lossy().into_owned()),
        }
    }

    /// For people.
    pub fn told(&self) -> String {
        match self {
            Self::SecretService { .. } => "your desktop's keyring (Secret Service)".to_owned(),
            Self::File(path) => format!("{}, which only you can read", path.display()),
        }
    }

    /// For programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::SecretService { .. } => "secret-service",
            Self::File(_) => "file",
        }
    }
}

/// For `sh`, whatever it holds.
fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Keeps the password where `store` says.
pub async fn keep(context: &Context, store: Store, jid: &str, password: &str, folder: &Path) -> Result<Place, Failure> {
    let wanted = match store {
        Store::File => false,
        Store::SecretService => true,
        Store::Auto => in_path(TOOL).is_some(),
    };
    if wanted {
        match in_secret_service(jid, password).await {
            Ok(()) => return Ok(Place::SecretService { jid: jid.to_owned() }),
            Err(why) if store == Store::Auto => {
                context
                    .out
                    .note(&format!("The Secret Service did not store the password ({why}); using a file instead."));
            }
            Err(why) => {
                let hint = "see whether your keyring runs and is unlocked, or use --keep file";
                let what = format!("the Secret Service did not store the password: {why}");
                return Err(Failure::refused(codes::LOCAL_IO, what, hint));
            }
        }
    }
    in_file(password, folder)
}

/// Writes `folder/password`, 0600. An older one is replaced as a whole.
pub fn in_file(password: &str, folder: &Path) -> Result<Place, Failure> {
    let path = folder.join("password");
    let new = folder.join(format!(".password-{}", std::process::id()));
    let write = || -> io::Result<()> {
        // A left-over of an earlier process with our number.
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(password.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        std::fs::rename(&new, &path)
    };
    write().map_err(|error| Failure::local(format!("{} cannot be written: {error}", path.display())))?;
    Ok(Place::File(path))
}

/// Stores it and makes sure that it comes back, as the daemon will ask for it; else why not.
async fn in_secret_service(jid: &str, password: &str) -> Result<(), String> {
    let label = format!("--label=xbt: {jid}");
    tool(&["store", &label, "service", "xbt", "account", jid], password).await?;
    let found = tool(&["lookup", "service", "xbt", "account", jid], "").await?;
    let found = found.stdout.strip_suffix(b"\n").unwrap_or(&found.stdout);
    if found == password.as_bytes() { Ok(()) } else { Err("it does not return what was stored".to_owned()) }
}

async fn tool(args: &[&str], input: &str) -> Result<Output, String> {
    let run = async {
        let mut command = Command::new(TOOL);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A tool that does not read says why in its own words.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        child.wait_with_output().await
    };
    let output = tokio::time::timeout(PATIENCE, run).await.map_err(|_| "it does not answer".to_owned())?;
    let output = output.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("{TOOL} is not installed (Debian has it in libsecret-tools)"),
        _ => format!("{TOOL} cannot be run: {error}"),
    })?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it failed");
    Err(said.trim().chars().take(200).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_strange_address_stays_one_word_of_the_shell() {
        assert_eq!(shell_word("o'neil@example.org"), "'o'\\''neil@example.org'");
        let place = Place::SecretService { jid: "a@b".into() };
        assert_eq!(place.setting().1, "secret-tool lookup service xbt account 'a@b'");
    }

    #[test]
    fn a_password_file_is_private_and_an_older_one_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        for password in ["a much longer old one", "new"] {
            in_file(password, dir.path()).unwrap();
        }
        let path = dir.path().join("password");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
