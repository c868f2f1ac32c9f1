//! A program on a terminal, as a person sits before it: `script` (util-linux) makes the terminal.

use std::io::{Read, Write};

use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::wait;
use rustix::process::{Pid, Signal, kill_process};

/// Lines of a terminal that nobody gave a size.
const LINES: u16 = 30;
/// Columns of a terminal that nobody gave a size.
const COLUMNS: u16 = 120;

/// A program with a terminal of its own.
pub struct Terminal {
    child: Child,
    keys: Option<ChildStdin>,
    written: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
    lines: u16,
    columns: u16,
}

impl Terminal {
    /// Starts a command with its folder and its environment. Its words must need no quoting.
    pub fn run(command: &Command) -> Self {
        Self::sized(command, LINES, COLUMNS)
    }

    /// Like [`Self::run`], on a terminal of `lines` and `columns`.
    pub fn sized(command: &Command, lines: u16, columns: u16) -> Self {
        // `script` gives a terminal of no size.
        let mut line = format!("stty rows {lines} cols {columns}; ");
        line += &command.get_program().to_string_lossy();
        for word in command.get_args() {
            line += &format!(" {}", word.to_string_lossy());
        }
        let mut script = Command::new("script");
        script.args(["-qefc", &line, "/dev/null"]).env_clear();
        script.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        script.env("TERM", "xterm-256color").env("SHELL", "/bin/sh");
        if let Some(folder) = command.get_current_dir() {
            script.current_dir(folder);
        }
        let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script (util-linux)");
        let mut stdout = child.stdout.take().unwrap();
        let written = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&written);
        let reader = thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = stdout.read(&mut bytes) {
                kept.lock().unwrap().extend(&bytes[..read]);
            }
        });
        Self { keys: child.stdin.take(), child, written, reader: Some(reader), lines, columns }
    }

    /// All that was written to the terminal so far.
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned()
    }

    /// What a person sees now.
    pub fn sight(&self) -> String {
        self.cells().contents()
    }

    /// The same with colours.
    pub fn cells(&self) -> vt100::Screen {
        let mut terminal = vt100::Parser::new(self.lines, self.columns, 0);
        terminal.process(&self.written.lock().unwrap());
        terminal.screen().clone()
    }

    /// Waits until a person can see something.
    #[track_caller]
    pub fn sees(&self, text: &str) {
        if wait::within(wait::SOON, || self.sight().contains(text).then_some(())).is_none() {
            panic!("{text:?} cannot be seen:\n{}", self.sight());
        }
    }

    /// Waits until the terminal shows something for the `count`th time.
    #[track_caller]
    pub fn shows(&self, text: &str, count: usize) {
        if wait::within(wait::SOON, || (self.screen().matches(text).count() >= count).then_some(())).is_none() {
            panic!("{text:?} does not appear in: {}", self.screen());
        }
    }

    /// Types keys.
    pub fn types(&mut self, keys: &str) {
        let stdin = self.keys.as_mut().unwrap();
        stdin.write_all(keys.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// Sends a signal to the program itself, below `script` and its shell.
    pub fn signal(&self, signal: Signal) {
        let child = |pid: u32| {
            let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            children.split_whitespace().next().and_then(|pid| pid.parse().ok())
        };
        let mut pid = self.child.id();
        while let Some(below) = child(pid) {
            pid = below;
        }
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits until the program has ended; its exit code.
    #[track_caller]
    pub fn ends(mut self) -> (i32, String) {
        let status = wait::until("the program on the terminal ends", wait::SOON, || self.child.try_wait().unwrap());
        // Its last words may still be in the pipe.
        self.reader.take().unwrap().join().unwrap();
        (status.code().unwrap_or(-1), self.screen())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
