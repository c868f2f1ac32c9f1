//! Where the password comes from: a command, a systemd credential or a file. Never the configuration itself.

use std::env;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use super::{Account, ConfigError, PasswordSource, Secret};
use crate::process::{self, RunError, last_line};

/// The name of the systemd credential (systemd.exec(5), `LoadCredential=`).
pub(super) const CREDENTIAL: &str = "xbt-password";

/// How long a command may take: long enough to unlock a key by hand.
const COMMAND_TIME: Duration = Duration::from_secs(30);

/// Most bytes of a password, and of a file or first line that holds one.
const MAX_PASSWORD: usize = 4096;

const ONE_LINE: &str = "it must hold the password and nothing else, in UTF-8";

/// Fetches the password: from the command, else from the systemd credential, else from the file.
///
/// The command is run by `sh -c` without a terminal, and has 30 seconds; the first line that it prints is the
/// password. A file must be a regular one that belongs to us and that nobody else may read or write.
///
/// # Errors
/// There is no source, or the source does not yield a password. No error holds any part of one.
pub async fn password(account: &Account) -> Result<Secret, ConfigError> {
    password_with(account, env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from), COMMAND_TIME).await
}

async fn password_with(account: &Account, credentials: Option<PathBuf>, time: Duration) -> Result<Secret, ConfigError> {
    let credential = credentials.map(|dir| dir.join(CREDENTIAL)).filter(|path| path.exists());
    match (&account.password, credential) {
        (Some(PasswordSource::Command(command)), _) => run(command, time).await,
        (_, Some(credential)) => read_credential(&credential),
        (Some(PasswordSource::File(file)), None) => read_file(file),
        (None, None) => Err(ConfigError::new(
            "password-missing",
            format!("there is no password for {}", account.jid),
            "write it into a file that only you can read (chmod 600) and name that as `password_file` in [account]; \
             or set `password_command`, or pass a systemd credential named xbt-password",
        )),
    }
}

/// Reads a password file; what is checked is the file that was opened, whatever its name means a moment later.
pub(super) fn read_file(path: &Path) -> Result<Secret, ConfigError> {
    // Without O_NONBLOCK a FIFO of that name would hold us up for ever.
    let flags = rustix::fs::OFlags::NONBLOCK.bits();
    let flags = i32::try_from(flags).unwrap_or_default();
    let fault = |what: String, hint: &str| {
        ConfigError::new("password-file", format!("the password file {} {what}", path.display()), hint)
    };
    let file = File::options().read(true).custom_flags(flags).open(path).map_err(|error| {
        fault(format!("cannot be read: {error}"), "check `password_file` in [account] of the configuration")
    })?;
    let meta =
        file.metadata().map_err(|error| fault(format!("cannot be looked at: {error}"), "check its permissions"))?;
    if !meta.is_file() {
        return Err(fault(
            "is not a regular file".to_owned(),
            "name a plain file; for anything else use `password_command`",
        ));
    }
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(fault("belongs to another user".to_owned(), "make a copy that is yours, with chmod 600"));
    }
    if meta.mode() & 0o077 != 0 {
        let what = format!("the password file {} can be read or written by others", path.display());
        return Err(ConfigError::new("password-permissions", what, format!("run chmod 600 '{}'", path.display())));
    }
    whole_file(file, &format!("the password file {}", path.display()))
}

/// Reads a credential; systemd has seen to its owner and mode.
fn read_credential(path: &Path) -> Result<Secret, ConfigError> {
    let what = format!("the systemd credential {CREDENTIAL}");
    let file = File::open(path).map_err(|error| {
        ConfigError::new(
            "password-file",
            format!("{what} cannot be read: {error}"),
            "check LoadCredential= in the unit",
        )
    })?;
    whole_file(file, &what)
}

fn whole_file(file: File, what: &str) -> Result<Secret, ConfigError> {
    let mut bytes = Vec::new();
    // One byte more than is allowed, with its line end, shows what is too long.
    file.take(MAX_PASSWORD as u64 + 3)
        .read_to_end(&mut bytes)
        .map_err(|error| ConfigError::new("password-file", format!("{what} cannot be read: {error}"), ONE_LINE))?;
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    secret(line.strip_suffix(b"\r").unwrap_or(line), what, ONE_LINE)
}

/// A password is 1 to 4096 bytes of UTF-8 without control characters (SASLprep prohibits them, RFC 4013, section 2.3).
fn secret(bytes: &[u8], what: &str, hint: &str) -> Result<Secret, ConfigError> {
    let fault = |why: &str| ConfigError::new("password-bad", format!("{what} {why}"), hint);
    if bytes.is_empty() {
        return Err(fault("holds no password"));
    }
    if bytes.len() > MAX_PASSWORD {
        return Err(fault("holds more than a password"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| fault("holds something that is not UTF-8 text"))?;
    if text.contains('\n') {
        return Err(fault("holds more than one line"));
    }
    if text.chars().any(char::is_control) {
        return Err(fault("holds control characters"));
    }
    Ok(Secret::new(text))
}

async fn run(command: &str, time: Duration) -> Result<Secret, ConfigError> {
    let fault =
        |what: String, hint: &str| ConfigError::new("password-command", format!("`password_command` {what}"), hint);
    let try_it = "run it in a terminal; its first line of output must be the password";
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command);
    let output = process::run(&mut shell, time).await.map_err(|error| match error {
        RunError::Start(_) | RunError::Follow(_) => fault(error.to_string(), try_it),
        RunError::TooLong(time) => {
            let hint = "it runs without a terminal: use one that asks in a window, or unlock the password store first";
            fault(format!("gave no password within {} s", time.as_secs()), hint)
        }
    })?;
    if !output.status.success() {
        return Err(fault(format!("failed ({}){}", output.status, last_line(&output.stderr)), try_it));
    }
    let first = output.stdout.split(|byte| *byte == b'\n').next().unwrap_or_default();
    secret(first.strip_suffix(b"\r").unwrap_or(first), "the first line that `password_command` printed", try_it)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::time::Instant;

    use tempfile::TempDir;

    use super::*;

    fn account(password: Option<PasswordSource>) -> Account {
        let jid = xbt_core::ids::BareJid::from_normalised("a@example.org");
        Account {
            jid,
            password,
            server: None,
            tls: super::super::Tls::StartTls,
            ca_file: None,
            least_mechanism: xbt_core::login::Mechanism::ScramSha1,
        }
    }

    fn file(dir: &TempDir, content: &[u8], mode: u32) -> PathBuf {
        let path = dir.path().join("password");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    async fn from_command(command: &str) -> Result<Secret, ConfigError> {
        let account = account(Some(PasswordSource::Command(command.to_owned())));
        password_with(&account, None, Duration::from_secs(20)).await
    }

    #[tokio::test]
    async fn the_first_line_that_a_command_prints_is_the_password() {
        for command in
            ["echo hunter2", "printf hunter2", "printf 'hunter2\\r\\nlogin: a\\n'", "cat; yes hunter2 | head -c 300000"]
        {
            assert_eq!(from_command(command).await.unwrap().expose(), "hunter2", "{command}");
        }
        assert_eq!(from_command("echo ' two words '").await.unwrap().expose(), " two words ");
    }

    #[tokio::test]
    async fn what_a_command_leaves_running_does_not_hold_up_the_password() {
        let started = Instant::now();
        assert_eq!(from_command("sleep 15 & echo hunter2").await.unwrap().expose(), "hunter2");
        assert!(started.elapsed() < Duration::from_secs(14), "waited for the sleep");
    }

    #[tokio::test]
    async fn a_command_that_fails_is_told_with_what_it_complained_about_but_not_with_what_it_printed() {
        let error = from_command("echo hunter2; echo first >&2; echo 'no such entry' >&2; exit 3").await.unwrap_err();
        assert_eq!(error.code, "password-command");
        assert!(error.message.ends_with("failed (exit status: 3): no such entry"), "{error:?}");
        assert!(!format!("{error:?}").contains("hunter2"));
        assert_eq!(from_command("true").await.unwrap_err().code, "password-bad");
        assert_eq!(from_command("printf '\\377\\n'").await.unwrap_err().code, "password-bad");
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_ended_with_all_that_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let pids = dir.path().join("pids");
        let command = format!("sleep 600 & echo $! $$ > '{}'; wait", pids.display());
        let started = Instant::now();
        let account = account(Some(PasswordSource::Command(command)));
        let error = password_with(&account, None, Duration::from_secs(1)).await.unwrap_err();
        assert!(error.message.contains("gave no password within 1 s"), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(60));
        let gone = |pid: &str| match fs::read_to_string(format!("/proc/{pid}/stat")) {
            // A dead child of a dead parent may wait for init to collect it.
            Ok(stat) => stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")),
            Err(_) => true,
        };
        let pids = fs::read_to_string(pids).unwrap();
        while !pids.split_whitespace().all(gone) {
            assert!(started.elapsed() < Duration::from_secs(60), "still there: {pids}");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_command_comes_before_a_credential_and_a_credential_before_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(&dir, b"from file", 0o600);
        let credentials = tempfile::tempdir().unwrap();
        let in_credentials = Some(credentials.path().to_owned());
        let from_file = account(Some(PasswordSource::File(path)));
        let ask = async |account: &Account| password_with(account, in_credentials.clone(), COMMAND_TIME).await;
        assert_eq!(ask(&from_file).await.unwrap().expose(), "from file");
        assert_eq!(ask(&account(None)).await.unwrap_err().code, "password-missing");

        fs::write(credentials.path().join("xbt-password"), "from credential\n").unwrap();
        assert_eq!(ask(&from_file).await.unwrap().expose(), "from credential");
        assert_eq!(ask(&account(None)).await.unwrap().expose(), "from credential");
        let command = account(Some(PasswordSource::Command("echo from command".to_owned())));
        assert_eq!(ask(&command).await.unwrap().expose(), "from command");
    }

    #[test]
    fn the_end_of_the_line_is_not_part_of_the_password() {
        let dir = tempfile::tempdir().unwrap();
        for content in ["hunter2", "hunter2\n", "hunter2\r\n"] {
            assert_eq!(read_file(&file(&dir, content.as_bytes(), 0o600)).unwrap().expose(), "hunter2", "{content:?}");
        }
        assert_eq!(read_file(&file(&dir, " pass wörd \n".as_bytes(), 0o400)).unwrap().expose(), " pass wörd ");
    }

    #[test]
    fn a_file_that_others_may_read_or_write_is_refused_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        for mode in [0o644, 0o640, 0o620, 0o602, 0o604, 0o610] {
            let path = file(&dir, b"hunter2", mode);
            let error = read_file(&path).unwrap_err();
            assert_eq!(error.code, "password-permissions", "{mode:o}");
            assert_eq!(error.hint, format!("run chmod 600 '{}'", path.display()));
        }
    }

    #[test]
    fn what_is_not_a_plain_file_is_refused_without_waiting_for_it() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read_file(dir.path()).unwrap_err().code, "password-file");
        assert_eq!(read_file(&dir.path().join("none")).unwrap_err().code, "password-file");
        let fifo = dir.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg("-m600").arg(&fifo).status().unwrap().success());
        assert!(read_file(&fifo).unwrap_err().message.ends_with("is not a regular file"));
    }

    #[test]
    fn content_that_cannot_be_a_password_is_refused_and_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let exact = [b"x".repeat(MAX_PASSWORD), b"\r\n".to_vec()].concat();
        assert!(read_file(&file(&dir, &exact, 0o600)).is_ok());
        let long = b"hunter2".repeat(MAX_PASSWORD);
        for content in [&b""[..], b"\n", b"hunter2\nhunter3\n", b"hunter2\n\n", b"hunter2\x1b", b"hunter2\xff", &long] {
            let error = read_file(&file(&dir, content, 0o600)).unwrap_err();
            assert_eq!(error.code, "password-bad");
            assert!(!format!("{error:?}").contains("hunter"), "{error:?}");
        }
    }
}
