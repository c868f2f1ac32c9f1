//! All of xbt: two daemons, an XMPP server, encrypted links.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bench::{Content, Contestant, Cost, Took};
use crate::ctl::Ctl;
use crate::daemon::{Daemon, jid};
use crate::stage::Stage;

/// Longer than the slowest content takes.
const LONG: Duration = Duration::from_secs(900);

/// Alice sends to Bob, who accepts by rule.
#[derive(Debug)]
pub struct Xbt {
    /// What alice and bob tell. First, as it ends before what it watches.
    events: [Watch; 2],
    alice: Daemon,
    bob: Daemon,
    /// Last, as daemons end before their server.
    _stage: Stage,
}

impl Xbt {
    /// Two daemons with an untouched Prosody.
    pub fn new() -> Self {
        Self::on(Stage::new())
    }

    /// Two daemons of this stage.
    pub fn on(stage: Stage) -> Self {
        let bob =
            stage.person("bob").with("accept.from", vec![jid("alice")]).with("accept.max_size", "100 GiB").online();
        let alice = stage.online("alice");
        alice.ctl.sees(&jid("bob"));
        let events = [&alice, &bob].map(|daemon| Watch::of(&daemon.ctl));
        Self { events, alice, bob, _stage: stage }
    }

    /// Both daemons.
    pub fn daemons(&self) -> [&Daemon; 2] {
        [&self.alice, &self.bob]
    }
}

impl Default for Xbt {
    fn default() -> Self {
        Self::new()
    }
}

impl Contestant for Xbt {
    fn name(&self) -> &'static str {
        "xbt, all of it, encrypted"
    }

    fn hand_over(&mut self, content: &Content, into: &Path) -> Took {
        server_reads_again();
        let before = self.daemons().map(ticks);
        self.daemons().into_iter().for_each(forget_peak);
        let begun = Instant::now();
        let id = self.alice.ctl.send(&jid("bob"), &content.path);
        let [sender, receiver] = &mut self.events;
        let prepared = sender.until(id, |state| state != "preparing") - begun;
        let sent = sender.until(id, |state| state == "done") - begun;
        // Done is what is done on both sides; bob has nothing else under way.
        let done = sent.max(receiver.until_event(|event| event["transfer"]["state"] == "done") - begun);
        let ticks: u64 = self.daemons().iter().zip(before).map(|(daemon, before)| ticks(daemon) - before).sum();
        let memory = self.daemons().iter().map(|daemon| memory(daemon, "VmHWM")).max().unwrap_or_default();
        let name = content.path.file_name().expect("contents have names");
        let arrived = self.bob.downloads().join(name);
        fs::rename(&arrived, into.join(name)).expect("it has arrived under its name");
        Took {
            prepare: Some(prepared.as_secs_f64()),
            moved: (done - prepared).as_secs_f64(),
            cost: Cost { cpu: ticks as f64 / 100.0, memory },
        }
    }
}

/// Stock Prosody reads nothing from a client for a while after what it has read (0.1 ms for each byte): the last words of
/// one round would hold up the next, which comes sooner than any person would send again.
pub(in crate::bench) fn server_reads_again() {
    thread::sleep(Duration::from_millis(300));
}

/// Events of one daemon with the moments at which they came.
#[derive(Debug)]
pub struct Watch {
    child: Child,
    news: Receiver<(Instant, Value)>,
}

impl Watch {
    /// Begins to watch.
    pub fn of(ctl: &Ctl) -> Self {
        let mut command = ctl.command(&["watch", "--json"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("xbtctl runs");
        let lines = BufReader::new(child.stdout.take().expect("it is a pipe")).lines();
        // Bounded by what two daemons tell of one transfer at a time.
        let (tell, news) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or_default();
                if tell.send((Instant::now(), event)).is_err() {
                    return;
                }
            }
        });
        Self { child, news }
    }

    /// When a transfer got into a state.
    pub fn until(&mut self, id: u64, holds: impl Fn(&str) -> bool) -> Instant {
        self.until_event(|event| {
            let transfer = &event["transfer"];
            transfer["id"] == id && transfer["state"].as_str().is_some_and(&holds)
        })
    }

    /// When something happened.
    pub fn until_event(&mut self, mut holds: impl FnMut(&Value) -> bool) -> Instant {
        loop {
            let (at, event) = self.news.recv_timeout(LONG).expect("it happens in time");
            let state = &event["transfer"]["state"];
            assert!(state != "failed" && state != "cancelled", "{event:#}");
            if holds(&event) {
                return at;
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A number of `/proc/<pid>/status`, in bytes.
pub fn memory(daemon: &Daemon, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or_else(|| panic!("the kernel tells {field}")) * 1024
}

/// The most memory is counted anew from now on (proc(5), `clear_refs`).
pub fn forget_peak(daemon: &Daemon) {
    let _ = fs::write(format!("/proc/{}/clear_refs", daemon.pid()), "5");
}

/// Processor time that a daemon has used, in the kernel's ticks of 10 ms.
pub fn ticks(daemon: &Daemon) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).unwrap_or_default();
    // The second column is the program's name in parentheses, which may hold anything.
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    rest.split(' ').skip(11).take(2).filter_map(|column| column.parse::<u64>().ok()).sum()
}
