//! The person's own commands: run in turn, never by a shell, with the facts in their environment.

mod facts;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use xbt_core::hook::Hook;
use xbt_core::ids::{BareJid, TransferId};

use crate::ownership::others_may_write;
use crate::process::{self, last_line};

pub(crate) use facts::{Facts, facts};

/// Commands that run at once.
const AT_ONCE: usize = 4;

/// The same for one contact, so that slow commands for its offers do not hold up those for others.
const AT_ONCE_FOR_ONE: usize = 2;

/// Commands that wait for their turn, of all contacts.
const WAITING: usize = 1_024;

/// The same for the offers of one contact, who could make many.
const OFFERS_WAITING: usize = 32;

/// Most bytes of its output that the log gets.
const LOGGED: usize = 2_048;

/// What the commands may know of the daemon's environment: where things are and how people here write and see. Nothing
/// else, so nothing secret.
const INHERITED: [&str; 13] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
];

/// A command that is to run.
#[derive(Debug)]
pub(crate) struct Job {
    /// For which transfer.
    pub transfer: TransferId,
    /// With whom.
    pub contact: BareJid,
    /// What it is for.
    pub hook: Hook,
    /// Program and arguments.
    pub command: Vec<String>,
    /// What has happened.
    pub facts: Facts,
    /// How long it may take.
    pub time: Duration,
}

/// How a command ended; what went wrong is said in words that follow its name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub transfer: TransferId,
    pub hook: Hook,
    pub outcome: Result<(), String>,
}

/// All that run or wait. When it is dropped what runs is killed.
#[derive(Debug)]
pub(crate) struct Hooks {
    /// What is done comes before what is offered: nobody can hold it up with offers.
    done: VecDeque<Job>,
    offers: VecDeque<Job>,
    running: JoinSet<()>,
    /// How many run for each contact.
    under_way: HashMap<BareJid, usize>,
    sender: mpsc::Sender<(BareJid, Ended)>,
    ended: mpsc::Receiver<(BareJid, Ended)>,
}

impl Default for Hooks {
    fn default() -> Self {
        // Each of the few that run tells once.
        let (sender, ended) = mpsc::channel(AT_ONCE);
        let (done, offers, under_way) = Default::default();
        Self { done, offers, running: JoinSet::new(), under_way, sender, ended }
    }
}

impl Hooks {
    /// Runs a command as soon as it is its turn.
    ///
    /// # Errors
    /// Too many wait already: it will not run.
    pub(crate) fn add(&mut self, job: Job) -> Result<(), Ended> {
        let of_contact = || self.offers.iter().filter(|other| other.contact == job.contact).count();
        let full = match job.hook {
            Hook::Complete => self.done.len() >= WAITING,
            Hook::Offer => self.offers.len() >= WAITING || of_contact() >= OFFERS_WAITING,
        };
        if full {
            let outcome = Err("was not run: too many commands wait already".to_owned());
            return Err(Ended { transfer: job.transfer, hook: job.hook, outcome });
        }
        match job.hook {
            Hook::Complete => self.done.push_back(job),
            Hook::Offer => self.offers.push_back(job),
        }
        self.start();
        Ok(())
    }

    /// The next that has ended. May be dropped while it waits.
    pub(crate) async fn ended(&mut self) -> Option<Ended> {
        let (contact, ended) = self.ended.recv().await?;
        if let Some(running) = self.under_way.get_mut(&contact) {
            *running -= 1;
            if *running == 0 {
                self.under_way.remove(&contact);
            }
        }
        while self.running.try_join_next().is_some() {}
        self.start();
        Some(ended)
    }

    /// How many run or wait for a contact.
    pub(crate) fn of(&self, contact: &BareJid) -> usize {
        let waiting = self.done.iter().chain(&self.offers).filter(|job| job.contact == *contact).count();
        waiting + self.under_way.get(contact).copied().unwrap_or(0)
    }

    /// The first that may run beside those that do.
    fn next(&mut self) -> Option<Job> {
        let Self { done, offers, under_way, .. } = self;
        let may_run = |job: &Job| under_way.get(&job.contact).is_none_or(|running| *running < AT_ONCE_FOR_ONE);
        [done, offers].into_iter().find_map(|jobs| {
            let at = jobs.iter().position(may_run)?;
            jobs.remove(at)
        })
    }

    fn start(&mut self) {
        while self.under_way.values().sum::<usize>() < AT_ONCE {
            let Some(job) = self.next() else { return };
            *self.under_way.entry(job.contact.clone()).or_default() += 1;
            let sender = self.sender.clone();
            self.running.spawn(async move {
                let (transfer, hook, contact) = (job.transfer, job.hook, job.contact.clone());
                let outcome = run(job).await;
                // An error means that the driver has ended.
                let _ = sender.send((contact, Ended { transfer, hook, outcome })).await;
            });
        }
    }
}

async fn run(job: Job) -> Result<(), String> {
    let Some((program, arguments)) = job.command.split_first() else { return Err("names no program".to_owned()) };
    let name = job.hook.name();
    // A bare name is looked up in PATH, whose folders are the system's or the person's own business.
    if program.contains('/') && tokio::fs::metadata(program).await.is_ok_and(|meta| others_may_write(&meta)) {
        return Err(format!("was not run: others may write to {program} (chmod go-w helps)"));
    }
    tracing::debug!(transfer = %job.transfer, program, "{name} runs");
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(inherited()).envs(job.facts);
    if let Some(home) = env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_dir()) {
        command.current_dir(home);
    }
    let output = process::run(&mut command, job.time).await.map_err(|error| error.to_string())?;
    for (stream, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        if !bytes.is_empty() {
            tracing::debug!(transfer = %job.transfer, stream, "{name} printed: {}", printed(bytes));
        }
    }
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("failed ({}){}", output.status, last_line(&output.stderr))),
    }
}

fn inherited() -> impl Iterator<Item = (OsString, OsString)> {
    env::vars_os().filter(|(name, _)| {
        name.to_str()
            .is_some_and(|name| INHERITED.contains(&name) || name.starts_with("LC_") || name.starts_with("XDG_"))
    })
}

/// The beginning of what a command printed, in one line.
fn printed(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..LOGGED).unwrap_or(bytes));
    text.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
