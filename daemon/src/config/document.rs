//! A TOML document that knows the line of everything in it, for errors that a person can act on.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use xbt_api::size;
use xbt_core::folder::{BadPattern, FolderPattern, WORDS};
use xbt_core::schedule::DAY;

use super::error::ConfigError;
use super::keys;

/// Most values in one list.
const MAX_LIST: usize = 1000;

/// A parsed file, whose sections and keys are all known ones.
pub(super) struct Document<'a> {
    source: Source<'a>,
    table: DeTable<'a>,
}

/// The text that spans point into, and where it came from.
#[derive(Clone, Copy)]
struct Source<'a> {
    file: &'a Path,
    text: &'a str,
}

/// One section of a document, with its place.
pub(super) struct Row<'d> {
    source: Source<'d>,
    section: &'static str,
    at: usize,
    table: &'d DeTable<'d>,
}

/// One value of a document, with its place.
pub(super) struct Entry<'d> {
    source: Source<'d>,
    section: &'static str,
    key: &'static str,
    value: &'d Spanned<DeValue<'d>>,
}

impl Source<'_> {
    /// `file:line` of a byte position; lines count from 1.
    fn at(&self, position: usize) -> String {
        let before = self.text.as_bytes().get(..position).unwrap_or(self.text.as_bytes());
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        format!("{}:{line}", self.file.display())
    }
}

impl<'a> Document<'a> {
    /// Parses the text and refuses sections and keys that there are not.
    pub fn parse(text: &'a str, file: &'a Path) -> Result<Self, ConfigError> {
        let source = Source { file, text };
        let table = DeTable::parse(text).map_err(|error| source.syntax(&error))?.into_inner();
        let document = Self { source, table };
        document.check_names()?;
        Ok(document)
    }

    /// Where errors about the whole file are told to be.
    pub fn file(&self) -> &Path {
        self.source.file
    }

    /// The value of a key, if it is there.
    pub fn get<'d>(&'d self, section: &'static str, key: &'static str) -> Option<Entry<'d>> {
        let value = self.table.get(section)?.get_ref().as_table()?.get(key)?;
        Some(Entry { source: self.source, section, key, value })
    }

    /// The sections of a name that may stand several times, in the order of the file.
    ///
    /// # Errors
    /// There are more than `most`.
    pub fn rows<'d>(&'d self, section: &'static str, most: usize) -> Result<Vec<Row<'d>>, ConfigError> {
        let all = self.table.get(section).and_then(|all| all.get_ref().as_array());
        let rows = all.into_iter().flatten().filter_map(|row| {
            let table = row.get_ref().as_table()?;
            Some(Row { source: self.source, section, at: row.span().start, table })
        });
        let rows: Vec<_> = rows.collect();
        match rows.get(most) {
            Some(row) => Err(row.bad("is one too many", format!("at most {most} are allowed"))),
            None => Ok(rows),
        }
    }

    fn check_names(&self) -> Result<(), ConfigError> {
        // The table is in alphabetic order; people read errors from the top.
        let mut faults: Vec<(usize, ConfigError)> = Vec::new();
        for (name, value) in &self.table {
            let at = name.span().start;
            match (keys::section(name.get_ref()), value.get_ref()) {
                (Some(section), DeValue::Table(table)) if !section.repeated => {
                    self.check_keys(section, table, &mut faults);
                }
                (Some(section), DeValue::Array(rows)) if section.repeated => {
                    for row in rows {
                        match row.get_ref() {
                            DeValue::Table(table) => self.check_keys(section, table, &mut faults),
                            other => faults.push((at, self.source.not_a_section(section, at, other))),
                        }
                    }
                }
                (Some(section), other) => faults.push((at, self.source.not_a_section(section, at, other))),
                (None, other) => faults.push((at, self.source.unknown(name.get_ref(), at, other))),
            }
        }
        match faults.into_iter().min_by_key(|(at, _)| *at) {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }

    fn check_keys(&self, section: &keys::Section, table: &DeTable<'_>, faults: &mut Vec<(usize, ConfigError)>) {
        for (name, _) in table {
            let key = name.get_ref();
            if !section.keys.iter().any(|known| known.name == key) {
                let at = name.span().start;
                let what = format!("{}: unknown key `{}` in {}", self.source.at(at), shown(key), section.heading());
                faults.push((at, ConfigError::new("config-unknown-key", what, keys::hint_for_key(Some(section), key))));
            }
        }
    }
}

impl Source<'_> {
    fn syntax(&self, error: &toml::de::Error) -> ConfigError {
        if let Some(error) = self.stands_twice(error) {
            return error;
        }
        let at = self.at(error.span().map_or(0, |span| span.start));
        let hint = "the file is TOML (https://toml.io); texts stand in \"quotes\"";
        ConfigError::new("config-syntax", format!("{at}: {}", shown(error.message())), hint)
    }

    /// The parser says that a key stands twice, but not which; where it stands the second time it does say.
    fn stands_twice(&self, error: &toml::de::Error) -> Option<ConfigError> {
        let Range { start, end } = error.span().filter(|_| error.message() == "duplicate key")?;
        let (at, name) = (self.at(start), shown(self.text.get(start..end)?));
        let line = self.text.get(..start)?.rsplit('\n').next()?;
        let (what, hint) = if line.trim_start().starts_with('[') {
            (format!("{at}: duplicate section [{name}]"), "put all its keys below one of them")
        } else {
            (format!("{at}: duplicate key `{name}`"), "keep one of the two")
        };
        Some(ConfigError::new("config-syntax", what, hint))
    }

    fn not_a_section(&self, section: &keys::Section, at: usize, value: &DeValue<'_>) -> ConfigError {
        let (at, heading) = (self.at(at), section.heading());
        let kind = if section.repeated { "a list of sections" } else { "a section" };
        let what = format!("{at}: {heading} must be {kind}, not {}", article(value));
        let hint = match (section.repeated, value) {
            (true, DeValue::Table(_)) => format!("write {heading}, with double brackets: it can be repeated"),
            // Foreign enum: whatever else stands there is no section.
            (true | false, _) => format!("write {heading} on a line of its own, and the keys below it"),
        };
        ConfigError::new("config-wrong-type", what, hint)
    }

    fn unknown(&self, name: &str, at: usize, value: &DeValue<'_>) -> ConfigError {
        let (at, shown) = (self.at(at), shown(name));
        if value.is_table() {
            let what = format!("{at}: unknown section [{shown}]");
            ConfigError::new("config-unknown-section", what, keys::hint_for_section(name))
        } else {
            let what = format!("{at}: unknown key `{shown}` outside of every section");
            ConfigError::new("config-unknown-key", what, keys::hint_for_key(None, name))
        }
    }
}

impl<'d> Row<'d> {
    /// The value of a key, if it is there.
    pub fn get(&self, key: &'static str) -> Option<Entry<'d>> {
        let Self { source, section, table, .. } = self;
        table.get(key).map(|value| Entry { source: *source, section, key, value })
    }

    /// The error "this section `predicate`".
    pub fn bad(&self, predicate: &str, hint: impl Into<String>) -> ConfigError {
        let what = format!("{}: this [[{}]] {predicate}", self.source.at(self.at), self.section);
        ConfigError::new("config-bad-value", what, hint)
    }
}

impl<'d> Entry<'d> {
    /// A text.
    pub fn string(&self) -> Result<&'d str, ConfigError> {
        self.value.get_ref().as_str().ok_or_else(|| self.wrong_type("a text in \"quotes\""))
    }

    /// `true` or `false`.
    pub fn bool(&self) -> Result<bool, ConfigError> {
        self.value.get_ref().as_bool().ok_or_else(|| self.wrong_type("true or false"))
    }

    /// The values of a list, each with its own place.
    pub fn list(&self) -> Result<Vec<Entry<'d>>, ConfigError> {
        let list = self.value.get_ref().as_array().ok_or_else(|| self.wrong_type("a list in [brackets]"))?;
        if list.len() > MAX_LIST {
            return Err(self.bad(&format!("holds {} values", list.len()), format!("at most {MAX_LIST} are allowed")));
        }
        let entry = |value| Entry { source: self.source, section: self.section, key: self.key, value };
        Ok(list.iter().map(entry).collect())
    }

    /// A size in bytes.
    pub fn size(&self) -> Result<u64, ConfigError> {
        self.bytes(size::parse_size, "\"1 GiB\"")
    }

    /// A rate in bytes per second.
    pub fn rate(&self) -> Result<u64, ConfigError> {
        self.bytes(size::parse_rate, "\"2 MiB/s\"")
    }

    fn bytes(&self, parse: fn(&str) -> Option<u64>, example: &str) -> Result<u64, ConfigError> {
        let hint = || format!("write {}, such as {example}", size::EXPECTED);
        let parsed = match self.value.get_ref() {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            DeValue::String(text) => parse(text),
            // Foreign enum: everything else is as wrong as a date.
            _ => return Err(self.wrong_type(&format!("a size such as {example}"))),
        };
        parsed.filter(|bytes| *bytes <= size::MAX).ok_or_else(|| self.not("a size", hint()))
    }

    /// One of the given words.
    pub fn word<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, ConfigError> {
        let text = self.string()?;
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Ok(*value),
            None => Err(self.not("known here", keys::hint_for_word(text, words.iter().map(|(word, _)| *word)))),
        }
    }

    /// A path; `~` at its start is the home directory.
    pub fn path(&self, home: &Path) -> Result<PathBuf, ConfigError> {
        let text = self.string()?;
        let path = match text.strip_prefix('~') {
            Some("") => home.to_owned(),
            Some(rest) if rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
            Some(_) | None => PathBuf::from(text),
        };
        if path.is_absolute() && !text.contains('\0') {
            Ok(path)
        } else {
            Err(self.not("an absolute path", "start it with / or ~/"))
        }
    }

    /// A folder in which words may stand in braces; `~` at its start is the home directory.
    pub fn folder(&self, home: &Path) -> Result<FolderPattern, ConfigError> {
        let text = self.string()?;
        let home = home.to_string_lossy().replace('{', "{{").replace('}', "}}");
        let path = match text.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{}{rest}", home.trim_end_matches('/')),
            Some(_) | None => text.to_owned(),
        };
        if !path.starts_with('/') || path.contains('\0') {
            return Err(self.not("an absolute path", "start it with / or ~/"));
        }
        FolderPattern::parse(&path).map_err(|wrong| {
            let hint = match &wrong {
                BadPattern::UnknownWord(word) => keys::hint_for_brace(word, WORDS.iter().map(|(word, _)| *word)),
                BadPattern::LoneBrace => {
                    "a placeholder goes between { and }; write {{ or }} for a plain brace".to_owned()
                }
            };
            self.not("a folder", format!("{}: {hint}", shown(&wrong.to_string())))
        })
    }

    /// A time in seconds: a number, or one with a unit.
    pub fn seconds(&self) -> Result<u64, ConfigError> {
        let wrong = || self.not("a time", "write a number of seconds, or one with a unit: \"30 s\", \"5 min\"");
        if let DeValue::Integer(number) = self.value.get_ref() {
            return u64::from_str_radix(number.as_str(), number.radix()).map_err(|_| wrong());
        }
        let text = self.string()?.trim();
        let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let unit = match unit.trim() {
            "s" => 1,
            "min" => 60,
            "h" => 3_600,
            _ => return Err(wrong()),
        };
        number.parse().ok().and_then(|number: u64| number.checked_mul(unit)).ok_or_else(wrong)
    }

    /// A time of day in minutes: `"08:00"`, at most `"24:00"`.
    pub fn time_of_day(&self) -> Result<u16, ConfigError> {
        let wrong = || self.not("a time of day", "write hours and minutes, such as \"08:00\"");
        let (hours, minutes) = self.string()?.split_once(':').ok_or_else(wrong)?;
        let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(hours) || !digits(minutes) {
            return Err(wrong());
        }
        let (hours, minutes): (u16, u16) = (hours.parse().map_err(|_| wrong())?, minutes.parse().map_err(|_| wrong())?);
        let time = hours * 60 + minutes;
        if minutes < 60 && time <= DAY { Ok(time) } else { Err(wrong()) }
    }

    /// The error "this is not `expected`", about the value as it stands in the file.
    pub fn not(&self, expected: &str, hint: impl Into<String>) -> ConfigError {
        self.bad(&format!("is {}, which is not {expected}", self.as_written()), hint)
    }

    /// The error "this `predicate`".
    pub fn bad(&self, predicate: &str, hint: impl Into<String>) -> ConfigError {
        ConfigError::new("config-bad-value", format!("{} {predicate}", self.named()), hint)
    }

    /// The error "this contradicts what stands elsewhere".
    pub fn conflict(&self, predicate: &str, hint: impl Into<String>) -> ConfigError {
        ConfigError::new("config-conflict", format!("{} {predicate}", self.named()), hint)
    }

    fn wrong_type(&self, expected: &str) -> ConfigError {
        let what = format!("{} must be {expected}, not {}", self.named(), article(self.value.get_ref()));
        let known = keys::section(self.section).and_then(|s| s.keys.iter().find(|key| key.name == self.key));
        let example = known.map_or("", |key| match key.given {
            keys::Given::Needed(value) | keys::Given::Optional(value) | keys::Given::Default(value) => value,
        });
        ConfigError::new("config-wrong-type", what, format!("write it like this: {} = {example}", self.key))
    }

    fn named(&self) -> String {
        let heading = keys::section(self.section).map_or_else(|| self.section.to_owned(), keys::Section::heading);
        format!("{}: `{}` in {heading}", self.source.at(self.value.span().start), self.key)
    }

    fn as_written(&self) -> String {
        // People do write the password itself there.
        if self.key.starts_with("password") {
            return "something".to_owned();
        }
        let Range { start, end } = self.value.span();
        shown(self.source.text.get(start..end).unwrap_or_default())
    }
}

/// What kind of value stands there, for the middle of a sentence.
fn article(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

/// Text of the file as it may stand in a message: one line, at most 60 characters, nothing that moves a cursor.
fn shown(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut shown: String = text.chars().take(60).map(clean).collect();
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    shown
}
