//! Where received files go, as the person writes it: a path with words in braces that stand for facts of the transfer.

use std::fmt;

/// A word in braces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    /// The contact's address.
    Contact,
    /// The contact's name on the roster, or else the address.
    Name,
    /// The day of acceptance by the local clock: `2026-11-23`.
    Date,
    /// Its year: `2026`.
    Year,
    /// Its month: `11`.
    Month,
    /// Its day in the month: `23`.
    Day,
}

/// All words, as they are written.
pub const WORDS: [(&str, Word); 6] = [
    ("contact", Word::Contact),
    ("name", Word::Name),
    ("date", Word::Date),
    ("year", Word::Year),
    ("month", Word::Month),
    ("day", Word::Day),
];

/// A path with words in it. Text between braces is a word; a brace itself is written twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderPattern(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Word(Word),
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// What stands between the braces is none of [`WORDS`].
    #[error("there is no word {{{0}}}")]
    UnknownWord(String),
    /// A brace is not closed, or was never opened.
    #[error("unmatched brace")]
    LoneBrace,
}

impl FolderPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// A word that there is not, or a brace that stands alone.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '{' | '}' if rest.next_if_eq(&c).is_some() => plain.push(c),
                '}' => return Err(BadPattern::LoneBrace),
                '{' => {
                    let mut word = String::new();
                    loop {
                        match rest.next() {
                            Some('}') => break,
                            Some(c) if c != '{' => word.push(c),
                            Some(_) | None => return Err(BadPattern::LoneBrace),
                        }
                    }
                    let known = WORDS.iter().find(|(name, _)| *name == word);
                    let (_, known) = known.ok_or(BadPattern::UnknownWord(word))?;
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    }
                    pieces.push(Piece::Word(*known));
                }
                c => plain.push(c),
            }
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self(pieces))
    }

    /// A path without words.
    pub fn plain(path: impl Into<String>) -> Self {
        Self(vec![Piece::Text(path.into())])
    }

    /// The path for one transfer. Values are data from outside: `value` makes each of them one safe part of a name, and
    /// a separator in what it gives is replaced, so that no value leads to another folder.
    pub fn fill(&self, value: impl Fn(Word) -> String) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Word(word) => value(*word).replace(['/', '\0'], "_"),
        };
        self.0.iter().map(piece).collect()
    }

    /// The folder above the first word, which is the same for all transfers.
    pub fn above(&self) -> &str {
        match self.0.as_slice() {
            [Piece::Text(only)] => only,
            [Piece::Text(first), ..] => match first.rfind('/') {
                Some(0) => "/",
                Some(end) => first.get(..end).unwrap_or(first),
                None => "",
            },
            [Piece::Word(_), ..] | [] => "",
        }
    }
}

impl fmt::Display for FolderPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Piece::Word(word) => {
                    let name = WORDS.iter().find(|(_, known)| known == word).map_or("", |(name, _)| name);
                    write!(f, "{{{name}}}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn filled(pattern: &str, value: &str) -> String {
        FolderPattern::parse(pattern).unwrap().fill(|_| value.to_owned())
    }

    #[test]
    fn words_are_filled_in_and_braces_written_twice_are_braces() {
        assert_eq!(filled("/d/{contact}/{date}/x", "v"), "/d/v/v/x");
        assert_eq!(filled("/d/{{x}}{name}", "v"), "/d/{x}v");
        assert_eq!(filled("/d", "v"), "/d");
        for text in ["/d/{{x}}/{name}-{year}", "/d", "/{day}{month}"] {
            assert_eq!(FolderPattern::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        assert_eq!(FolderPattern::parse("/{conact}"), Err(BadPattern::UnknownWord("conact".into())));
        assert_eq!(FolderPattern::parse("/{}"), Err(BadPattern::UnknownWord(String::new())));
        for text in ["/{date", "/date}", "/{da{te}}", "/{{{", "/}"] {
            assert_eq!(FolderPattern::parse(text), Err(BadPattern::LoneBrace), "{text}");
        }
    }

    #[test]
    fn no_value_leads_to_another_folder() {
        assert_eq!(filled("/d/{name}/x", "../../etc"), "/d/.._.._etc/x");
        assert_eq!(filled("/d/{name}", "a\0b"), "/d/a_b");
    }

    #[test]
    fn the_folder_above_the_first_word_is_the_same_for_all() {
        let above = |text: &str| FolderPattern::parse(text).unwrap().above().to_owned();
        assert_eq!(above("/d/e/{contact}/{date}"), "/d/e");
        assert_eq!(above("/d/from {contact}"), "/d");
        assert_eq!(above("/{contact}"), "/");
        assert_eq!(above("/d/e"), "/d/e");
    }
}
