//! `[[rule]]`, `[[schedule]]` and `[hooks]`: what happens by itself.

use xbt_core::hook::Hooks;
use xbt_core::rate::RateChange;
use xbt_core::rule::{Accept, Rule};
use xbt_core::schedule::{DAY, DAYS, Schedule};

use super::super::document::{Entry, Row};
use super::super::{AcceptFrom, ConfigError};
use super::Reader;

/// Most rules: all of them may be looked at for each offer.
const MAX_RULES: usize = 1_000;

/// Most schedules: each edge of each is looked at when one is over.
const MAX_SCHEDULES: usize = 50;

/// Most arguments of a command, itself included.
const MAX_ARGUMENTS: usize = 100;

/// Longest time for a command, in seconds.
const MAX_TIMEOUT: u64 = 3_600;

impl<'d> Reader<'d> {
    pub(super) fn rules(&self) -> Result<Vec<Rule>, ConfigError> {
        self.given.rows("rule", MAX_RULES)?.iter().map(|row| self.rule(row)).collect()
    }

    fn rule(&self, row: &Row<'d>) -> Result<Rule, ConfigError> {
        const WORDS: [(&str, Accept); 3] = [("always", Accept::Always), ("ask", Accept::Ask), ("never", Accept::Never)];
        let rule = Rule {
            who: row.get("contact").map_or(Ok(Vec::new()), |entry| who(&entry))?,
            accept: row.get("accept").map(|entry| entry.word(&WORDS)).transpose()?,
            max_size: row.get("max_size").map(|entry| entry.size()).transpose()?,
            folder: row.get("download_dir").map(|entry| entry.folder(self.home)).transpose()?,
        };
        match &rule {
            Rule { accept: None, max_size: None, folder: None, .. } => {
                Err(row.bad("says nothing", "write `accept`, `max_size` or `download_dir` into it"))
            }
            Rule { .. } => Ok(rule),
        }
    }

    pub(super) fn schedules(&self) -> Result<Vec<Schedule>, ConfigError> {
        self.given.rows("schedule", MAX_SCHEDULES)?.iter().map(schedule).collect()
    }

    pub(super) fn hooks(&self) -> Result<Hooks, ConfigError> {
        let command = |key| self.given.get("hooks", key).map(|entry| self.command(&entry)).transpose();
        let entry = self.get("hooks", "timeout")?;
        let timeout = entry.seconds()?;
        if !(1..=MAX_TIMEOUT).contains(&timeout) {
            return Err(entry.not("possible", "a command has between \"1 s\" and \"1 h\""));
        }
        let (on_offer, on_complete) = (command("on_offer")?, command("on_complete")?);
        Ok(Hooks { on_offer, on_complete, timeout_ms: timeout * 1_000 })
    }

    /// A program and its arguments. The program is found like in a shell, or is a path.
    fn command(&self, entry: &Entry<'d>) -> Result<Vec<String>, ConfigError> {
        let hint = "write the program and each argument as a text of its own: [\"notify-send\", \"a file has come\"]";
        let all = entry.list()?;
        let mut words = Vec::new();
        for word in &all {
            let text = word.string()?;
            if text.contains('\0') {
                return Err(word.bad("holds a zero byte", hint));
            }
            words.push(text.to_owned());
        }
        if words.first().is_none_or(|program| program.trim().is_empty()) {
            return Err(entry.bad("is empty", hint));
        }
        if words.len() > MAX_ARGUMENTS {
            return Err(entry.bad("is too long", format!("at most {MAX_ARGUMENTS} arguments are passed on")));
        }
        let Some(program) = words.first_mut() else { return Ok(words) };
        if program.contains('/') || program.starts_with('~') {
            let path = all.first().map_or(Ok(None), |first| first.path(self.home).map(Some))?;
            let path = path.and_then(|path| path.to_str().map(str::to_owned));
            *program = path.ok_or_else(|| entry.bad("has a path that is not UTF-8", hint))?;
        } else if program.contains(' ') {
            return Err(entry.bad("names a program with a space in it", hint));
        }
        Ok(words)
    }
}

/// Contacts and groups, as the rules compare them.
fn who(entry: &Entry<'_>) -> Result<Vec<String>, ConfigError> {
    let listed = entry.list()?;
    if listed.is_empty() {
        return Err(entry.bad("names nobody", "name a contact or group, or remove the key to match everybody"));
    }
    let named = |entry: &Entry<'_>| {
        entry.accept_from().map(|who| match who {
            AcceptFrom::Contact(jid) => jid.to_string(),
            AcceptFrom::Group(name) => name,
        })
    };
    listed.iter().map(named).collect()
}

fn schedule(row: &Row<'_>) -> Result<Schedule, ConfigError> {
    let time = |key, otherwise| row.get(key).map_or(Ok(otherwise), |entry| entry.time_of_day());
    let limit = |key| row.get(key).map(|entry| entry.rate()).transpose();
    let (from, to) = (time("from", 0)?, time("to", DAY)?);
    if let Some(entry) = row.get("from").filter(|_| from == DAY) {
        return Err(entry.not("when something begins", "the day begins at \"00:00\""));
    }
    if from == to {
        return Err(row.bad("ends when it begins", "leave `from` and `to` out for the whole day"));
    }
    let days = row.get("days").map_or(Ok(0x7f), |entry| days(&entry))?;
    let change = RateChange { up: limit("upload_limit")?, down: limit("download_limit")? };
    if change == RateChange::default() {
        return Err(row.bad("limits nothing", "write `upload_limit` or `download_limit` into it; \"0\" means none"));
    }
    Ok(Schedule { days, from, to, change })
}

fn days(entry: &Entry<'_>) -> Result<u8, ConfigError> {
    let words: Vec<(&str, u8)> = DAYS.into_iter().zip((0..7).map(|day| 1 << day)).collect();
    let days = entry.distinct(DAYS.len(), |day| day.word(&words))?;
    match days.is_empty() {
        true => Err(entry.bad("is empty", "name at least one day, or remove the key for every day")),
        false => Ok(days.into_iter().fold(0, |all, day: u8| all | day)),
    }
}
