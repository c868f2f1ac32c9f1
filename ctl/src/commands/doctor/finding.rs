//! What one check has found.

use serde::Serialize;

use crate::out::{Out, Tone};
use crate::text::clean;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, and could be better.
    Note,
    /// Something does not work.
    Problem,
}

impl Level {
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Problem => "problem",
        }
    }

    pub fn tone(self) -> Tone {
        match self {
            Self::Ok => Tone::Good,
            Self::Note => Tone::Attention,
            Self::Problem => Tone::Bad,
        }
    }
}

/// What one check has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable, for programs; `docs/commands.md` lists them.
    pub check: &'static str,
    pub level: Level,
    pub text: String,
    /// What to do.
    pub remedy: Option<String>,
}

impl Finding {
    pub fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, text: text.into(), remedy: None }
    }

    pub fn note(check: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, level: Level::Note, text: text.into(), remedy: Some(remedy.into()) }
    }

    pub fn problem(check: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Problem, ..Self::note(check, text, remedy) }
    }

    /// One line; the word of the level has a colour of its own.
    pub fn line(&self, out: &Out) -> String {
        let level = out.paint(self.level.tone(), &format!("{:<7}", self.level.word()));
        let remedy = self.remedy.as_deref().filter(|remedy| !remedy.is_empty());
        let remedy = remedy.map(|remedy| format!(" → {}", clean(remedy))).unwrap_or_default();
        format!("{level}  {:<10}  {}{remedy}", self.check, clean(&self.text))
    }
}
