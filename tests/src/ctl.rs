//! `xbtctl`, as a person or a script types it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::{programs, wait};

/// States after which nothing changes.
const ENDED: &[&str] = &["done", "declined", "cancelled", "expired", "elsewhere", "failed"];

/// A command that waits for nothing outside answers in less.
const ANSWER: Duration = Duration::from_secs(60);

/// Runs `xbtctl` against one daemon.
#[derive(Clone, Debug)]
pub struct Ctl {
    name: String,
    home: PathBuf,
    socket: PathBuf,
}

/// What a command did.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The exit code; `None`: killed by a signal.
    pub code: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

/// A refusal, as people and programs see it.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The stable code.
    pub code: String,
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// A command that was started and not yet waited for.
#[derive(Debug)]
pub struct Running {
    line: String,
    child: Option<Child>,
}

impl Ctl {
    /// For the daemon that listens on `socket`; commands run in `home`.
    pub fn new(name: &str, home: &Path, socket: &Path) -> Self {
        Self { name: name.to_owned(), home: home.to_owned(), socket: socket.to_owned() }
    }

    /// The daemon's socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The bare command, for callers with wishes of their own about input and output.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(programs::xbtctl());
        command
            .args(args)
            .current_dir(&self.home)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.home)
            .env("XBT_SOCKET", &self.socket)
            .env("TERM", std::env::var_os("TERM").unwrap_or_else(|| "dumb".into()))
            .env("LC_ALL", "C.UTF-8");
        command
    }

    /// Starts a command.
    pub fn spawn(&self, args: &[&str]) -> Running {
        let line = format!("{}: xbtctl {}", self.name, args.join(" "));
        let child = self.command(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Running { child: Some(child.unwrap_or_else(|error| panic!("{line}: {error}"))), line }
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.spawn(args).ends_within(ANSWER)
    }

    /// Runs a command that must succeed; returns what it printed.
    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert!(ran.code == Some(0), "{}: xbtctl {args:?} must succeed: {ran:#?}", self.name);
        ran.stdout
    }

    /// Runs a command with `--json` that must succeed; returns its only value.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let mut values = self.json_lines(args);
        assert!(values.len() == 1, "{}: xbtctl {args:?} --json must print one value: {values:?}", self.name);
        values.remove(0)
    }

    /// Runs a command with `--json` that must succeed; returns its values.
    #[track_caller]
    pub fn json_lines(&self, args: &[&str]) -> Vec<Value> {
        let stdout = self.ok(&[args, &["--json"]].concat());
        parse(&stdout)
            .unwrap_or_else(|error| panic!("{}: xbtctl {args:?} --json printed {stdout:?}: {error}", self.name))
    }

    /// Runs a command that must end with exit code `exit`: once for people, who must get a sentence and a hint, and once for programs, whose
    /// refusal is returned.
    #[track_caller]
    pub fn fails(&self, args: &[&str], exit: i32) -> Refusal {
        let plain = self.run(args);
        assert!(plain.code == Some(exit), "{}: xbtctl {args:?} must exit with {exit}: {plain:#?}", self.name);
        let has = |start: &str| {
            plain.stderr.lines().any(|line| line.strip_prefix(start).is_some_and(|rest| !rest.trim().is_empty()))
        };
        assert!(
            has("error: ") && has("hint: "),
            "{}: xbtctl {args:?} must say `error: …` and `hint: …`: {plain:#?}",
            self.name
        );
        let ran = self.run(&[args, &["--json"]].concat());
        assert!(ran.code == Some(exit), "{}: xbtctl {args:?} --json must exit with {exit}: {ran:#?}", self.name);
        let error =
            parse(&ran.stderr).ok().and_then(|values| values.into_iter().find_map(|value| value.get("error").cloned()));
        let error = error
            .unwrap_or_else(|| panic!("{}: xbtctl {args:?} --json must write an error to stderr: {ran:#?}", self.name));
        let field = |name: &str| match error[name].as_str() {
            Some(text) if !text.trim().is_empty() => text.to_owned(),
            _ => panic!("{}: xbtctl {args:?} --json: the error must have a {name}: {error}", self.name),
        };
        Refusal { code: field("code"), message: field("message"), hint: field("hint") }
    }

    /// Like [`Self::fails`], for a refusal by the daemon (exit code 1) whose code is known.
    #[track_caller]
    pub fn refused(&self, args: &[&str], code: &str) -> Refusal {
        let refusal = self.fails(args, 1);
        assert!(refusal.code == code, "{}: xbtctl {args:?} must be refused with {code}: {refusal:?}", self.name);
        refusal
    }

    /// Sends a path to a contact; returns the transfer's id.
    #[track_caller]
    pub fn send(&self, contact: &str, path: &Path) -> u64 {
        id(&self.json(&["send", contact, text(path)]))
    }

    /// Accepts an offer.
    #[track_caller]
    pub fn accept(&self, transfer: u64) {
        self.ok(&["accept", &transfer.to_string()]);
    }

    /// Runs a command on one transfer that must succeed: `decline`, `cancel`, `pause`, `resume`, `remove`.
    #[track_caller]
    pub fn tell(&self, command: &str, transfer: u64) {
        self.ok(&[command, &transfer.to_string()]);
    }

    /// All transfers.
    #[track_caller]
    pub fn list(&self) -> Vec<Value> {
        match self.json(&["list", "--all"]) {
            Value::Array(transfers) => transfers,
            other => panic!("{}: list --json must print an array: {other}", self.name),
        }
    }

    /// The transfers with this name, of one direction (`in` or `out`).
    #[track_caller]
    pub fn named(&self, direction: &str, name: &str) -> Vec<Value> {
        self.list().into_iter().filter(|one| one["direction"] == direction && one["name"] == name).collect()
    }

    /// Everything about one transfer.
    #[track_caller]
    pub fn show(&self, transfer: u64) -> Value {
        self.json(&["show", &transfer.to_string()])
    }

    /// Waits for an offer with this name; returns its id.
    #[track_caller]
    pub fn offer(&self, name: &str) -> u64 {
        let what = format!("{} has an offer called {name:?}", self.name);
        let found =
            wait::within(wait::LONG, || self.named("in", name).into_iter().find(|one| one["state"] == "offered"));
        id(&found.unwrap_or_else(|| panic!("waited in vain until {what}; it has {:#?}", self.list())))
    }

    /// Waits until a transfer has this state; fails at once when it ended in another.
    #[track_caller]
    pub fn reaches(&self, transfer: u64, state: &str) -> Value {
        self.becomes(transfer, &format!("is {state}"), |one| one["state"] == state)
    }

    /// Waits until `holds` is true for a transfer; fails at once when it has ended and it is not.
    #[track_caller]
    pub fn becomes(&self, transfer: u64, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let found = wait::within(wait::LONG, || {
            let one = self.show(transfer);
            if holds(&one) {
                return Some(one);
            }
            let ended = one["state"].as_str().is_some_and(|state| ENDED.contains(&state));
            assert!(!ended, "{}: transfer {transfer} ended before it {what}: {one:#}", self.name);
            None
        });
        found.unwrap_or_else(|| {
            panic!("{}: waited in vain until transfer {transfer} {what}: {:#}", self.name, self.show(transfer))
        })
    }

    /// Waits until a transfer has moved at least so many bytes.
    #[track_caller]
    pub fn has_moved(&self, transfer: u64, bytes: u64) -> u64 {
        let one = self.becomes(transfer, &format!("has moved {bytes} bytes"), |one| done_bytes(one) >= bytes);
        done_bytes(&one)
    }

    /// The daemon's status.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.json(&["status"])
    }

    /// Waits until the connection to the XMPP server is `online`, `offline`, `connecting` or `refused`.
    #[track_caller]
    pub fn connection_becomes(&self, state: &str, limit: Duration) -> Value {
        let found = wait::within(limit, || Some(self.status()).filter(|status| status["connection"] == state));
        found.unwrap_or_else(|| {
            panic!("{}: the connection did not become {state} within {limit:?}: {:#}", self.name, self.status())
        })
    }

    /// Waits until it has noticed that the XMPP server is away; it may be trying again already.
    #[track_caller]
    pub fn misses_server(&self) {
        let what = format!("{} misses its server", self.name);
        wait::until(&what, wait::SOON, || (self.status()["connection"] != "online").then_some(()));
    }

    /// Waits until a contact is seen running xbt.
    #[track_caller]
    pub fn sees(&self, contact: &str) {
        let found = wait::within(wait::LONG, || {
            let contacts = self.json(&["contacts"]);
            let seen = contacts.as_array()?.iter().any(|one| one["jid"] == contact && one["xbt"] == true);
            seen.then_some(())
        });
        found.unwrap_or_else(|| panic!("{} does not see {contact}: {:#}", self.name, self.json(&["contacts"])));
    }
}

impl Running {
    /// Waits until it ends.
    #[track_caller]
    pub fn ends_within(mut self, limit: Duration) -> Ran {
        let mut child = self.child.take().expect("waited for only once");
        // Both pipes are read beside the wait, or a chatty command would never end.
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let stdout = thread::spawn(move || read_all(stdout));
        let stderr = thread::spawn(move || read_all(stderr));
        let ended = wait::within(limit, || child.try_wait().expect("a child can be asked"));
        if ended.is_none() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let stdout = stdout.join().expect("reading does not panic");
        let stderr = stderr.join().expect("reading does not panic");
        let Some(status) = ended else { panic!("{} did not end within {limit:?}: {stdout}{stderr}", self.line) };
        Ran { code: status.code(), stdout, stderr }
    }

    /// Kills it and returns what it had written.
    pub fn killed(mut self) -> Output {
        let mut child = self.child.take().expect("waited for only once");
        child.kill().expect("a child can be killed");
        child.wait_with_output().expect("a child can be waited for")
    }

    /// Interrupts it, as Ctrl-C does.
    pub fn interrupt(&self) {
        let pid = self
            .child
            .as_ref()
            .and_then(|child| i32::try_from(child.id()).ok())
            .and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.expect("it runs"), rustix::process::Signal::INT)
            .expect("a child can be signalled");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The id of a transfer.
#[track_caller]
pub fn id(transfer: &Value) -> u64 {
    transfer["id"].as_u64().unwrap_or_else(|| panic!("a transfer has an id: {transfer}"))
}

/// The bytes that a transfer has moved.
#[track_caller]
pub fn done_bytes(transfer: &Value) -> u64 {
    transfer["done_bytes"].as_u64().unwrap_or_else(|| panic!("a transfer has done_bytes: {transfer}"))
}

/// A path as an argument.
#[track_caller]
pub fn text(path: &Path) -> &str {
    path.to_str().expect("the tests' own paths are UTF-8")
}

fn parse(text: &str) -> serde_json::Result<Vec<Value>> {
    serde_json::Deserializer::from_str(text).into_iter().collect()
}

fn read_all(from: Option<impl std::io::Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut from) = from {
        from.read_to_end(&mut bytes).expect("a pipe can be read");
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
