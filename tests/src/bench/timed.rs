//! A program whose cost is told when it ends, by GNU time.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tempfile::NamedTempFile;

use super::Cost;
use crate::wait;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(300);

/// A running program.
#[derive(Debug)]
pub struct Timed {
    name: String,
    child: Child,
    /// Of a program whose words nobody wants: none. A pipe that nobody reads from would hold it up once it is full.
    said: Option<BufReader<ChildStdout>>,
    cost: NamedTempFile,
}

impl Timed {
    /// Starts a program with its arguments in a folder.
    pub fn start<A: AsRef<OsStr>>(program: &[A], args: &[&str], folder: &Path) -> Self {
        Self::launch(program, args, folder, Stdio::piped())
    }

    /// Starts one that serves until it is stopped, and whose words nobody wants.
    pub fn serve<A: AsRef<OsStr>>(program: &[A], args: &[&str], folder: &Path) -> Self {
        Self::launch(program, args, folder, Stdio::null())
    }

    fn launch<A: AsRef<OsStr>>(program: &[A], args: &[&str], folder: &Path, stdout: Stdio) -> Self {
        let cost = NamedTempFile::new().expect("a file can be made");
        let name = format!("{} {}", program[0].as_ref().display(), args.join(" "));
        let child = Command::new("time")
            .args(["-q", "-f", "%U %S %M", "-o"])
            .arg(cost.path())
            .args(["setpriv", "--pdeathsig", "KILL", "--"])
            .args(program)
            .args(args)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(fs::File::create(folder.join("stderr.log")).expect("the folder can be written"))
            .process_group(0)
            .spawn();
        let mut child = child.unwrap_or_else(|error| panic!("GNU time cannot start {name}: {error}"));
        let said = child.stdout.take().map(BufReader::new);
        Self { name, child, said, cost }
    }

    /// The next line that it says.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.said.as_mut().map_or(0, |said| said.read_line(&mut line).unwrap_or_default());
        assert!(read > 0, "{} said nothing more", self.name);
        line
    }

    /// A number of the next JSON line that it says.
    pub fn number(&mut self, key: &str) -> f64 {
        let line = self.line();
        let value: Value = serde_json::from_str(&line).unwrap_or_default();
        value[key].as_f64().unwrap_or_else(|| panic!("{} said {line:?} instead of {key}", self.name))
    }

    /// Tells it a line.
    pub fn tell(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("it is a pipe");
        writeln!(stdin, "{line}").and_then(|()| stdin.flush()).unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }

    /// Waits until it ends well by itself.
    pub fn ended(mut self) -> Cost {
        drop(self.child.stdin.take());
        // Beside the waiting, which has a limit.
        let said = self.said.take().map(|mut said| {
            thread::spawn(move || {
                let mut all = String::new();
                let _ = said.read_to_string(&mut all);
                all
            })
        });
        let status = wait::until(&format!("{} ends", self.name), LONG, || self.child.try_wait().ok().flatten());
        if !status.success() {
            let said = said.and_then(|said| said.join().ok()).unwrap_or_default();
            panic!("{} ended with {status}: {said}", self.name);
        }
        self.used()
    }

    /// Ends it: its stdin is closed, and where that is not enough it gets SIGTERM.
    pub fn stop(mut self) -> Cost {
        drop(self.child.stdin.take());
        let gone = wait::within(Duration::from_millis(200), || self.child.try_wait().ok().flatten());
        if gone.is_none() {
            self.signal_child(Signal::TERM);
            wait::until(&format!("{} stops", self.name), wait::SOON, || self.child.try_wait().ok().flatten());
        }
        self.used()
    }

    /// The program itself and not the one that times it, which would not tell the cost any more.
    fn signal_child(&self, signal: Signal) {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        for pid in children.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    fn used(&self) -> Cost {
        let text = fs::read_to_string(self.cost.path()).unwrap_or_default();
        let last = text.lines().last().unwrap_or_default();
        let numbers: Vec<f64> = last.split(' ').filter_map(|number| number.parse().ok()).collect();
        let [user, system, kib] = numbers[..] else { panic!("{}: GNU time said {text:?}", self.name) };
        Cost { cpu: user + system, memory: kib as u64 * 1024 }
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        if self.child.try_wait().ok().flatten().is_none() {
            if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
                let _ = kill_process_group(group, Signal::KILL);
            }
            let _ = self.child.wait();
        }
    }
}
