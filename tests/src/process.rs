//! Programs that run beside the test and end with it.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::wait;

/// How many lines of a log a failing test shows.
const TAIL: usize = 60;

/// A program that was started.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// What to start, and how.
#[derive(Debug)]
pub struct Launch<'a> {
    /// How messages call it.
    pub name: &'a str,
    /// Programs that run it, such as `nsenter` with its arguments; they replace themselves by the next one.
    pub through: Vec<OsString>,
    /// The program.
    pub program: &'a Path,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its whole environment, besides `PATH`.
    pub env: Vec<(&'static str, OsString)>,
    /// Where it stands.
    pub folder: &'a Path,
    /// Where what it writes to stdout and stderr is added.
    pub log: PathBuf,
}

impl Process {
    /// Starts a program. It is killed when the thread that started it ends, whatever happens, and root's right to read everything is taken
    /// from it, so that files can be unreadable for it as they are for people.
    pub fn start(launch: Launch<'_>) -> Self {
        let mut line = launch.through;
        line.extend(["setpriv", "--pdeathsig", "KILL"].map(OsString::from));
        if geteuid().is_root() {
            line.extend(["--bounding-set", "-dac_override,-dac_read_search"].map(OsString::from));
        }
        line.extend(["--".into(), launch.program.into()]);
        line.extend(launch.args);
        let log = OpenOptions::new().create(true).append(true).open(&launch.log).expect("the log can be written");
        let child = Command::new(&line[0])
            .args(&line[1..])
            .env_clear()
            .env("PATH", path())
            .envs(launch.env)
            .current_dir(launch.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be cloned"))
            .stderr(log)
            .process_group(0) // an interrupt from the keyboard is for the test, which then ends its children
            .spawn();
        match child {
            Ok(child) => Self { name: launch.name.to_owned(), child, log: launch.log },
            Err(error) => panic!("{} cannot be started through {:?}: {error}", launch.name, line[0]),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub fn kill9(mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a process id is a positive number");
        kill_process(pid, signal).expect("a child can be signalled");
    }

    /// Sends SIGTERM and waits until it has ended; panics if it takes longer than `limit`.
    pub fn terminate(mut self, limit: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        wait::until(&format!("{} ends after SIGTERM", self.name), limit, || self.ended())
    }

    /// Waits until it ends by itself.
    pub fn ends_within(mut self, limit: Duration) -> ExitStatus {
        wait::until(&format!("{} ends by itself", self.name), limit, || self.ended())
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        read_log(&self.log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let ended = self.child.try_wait().ok().flatten();
        if std::thread::panicking() {
            let how = ended.map_or_else(|| "still running".to_owned(), |status| status.to_string());
            tell(&format!(
                "---- the end of what {} wrote ({how}; {}) ----\n{}",
                self.name,
                self.log.display(),
                tail(&self.log)
            ));
        }
        if ended.is_none() {
            // Nothing can be done about a failure here, and the kernel kills it with this thread at the latest.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Prints while a test fails. Unlike a bare `eprintln!` it does not abort the clean-up when nobody reads any more.
pub(crate) fn tell(text: &str) {
    let _ = std::panic::catch_unwind(|| eprintln!("{text}"));
}

/// Where programs are looked for: also where Debian keeps those that it thinks are for root only, such as `ip`.
pub(crate) fn path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    path
}

/// A path as one word of a shell's line.
pub fn shell_word(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

/// The text of a log, or nothing where there is none yet.
pub fn read_log(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// The last lines of a log.
pub fn tail(path: &Path) -> String {
    let text = read_log(path);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}
