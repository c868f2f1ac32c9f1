//! What is printed, where and how. Never panics on a closed pipe.

use std::cell::RefCell;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use serde::Serialize;
use xbt_api::ApiError;

use crate::failure::Failure;
use crate::json;
use crate::text::clean;

/// Whether the terminal can print lines and nothing else.
pub fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// When to use colours.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always, except with --json
    Always,
    /// Never
    Never,
}

/// Colours with a meaning.
#[derive(Clone, Copy, Debug)]
pub enum Tone {
    /// It went well.
    Good,
    /// It went wrong.
    Bad,
    /// It moves.
    Busy,
    /// It asks for attention.
    Attention,
    /// Headings.
    Strong,
    /// It matters less than the rest.
    Faint,
    /// Nothing special.
    Plain,
}

impl Tone {
    /// SGR parameters (ECMA-48).
    fn sgr(self) -> Option<&'static str> {
        match self {
            Self::Good => Some("32"),
            Self::Bad => Some("31"),
            Self::Busy => Some("36"),
            Self::Attention => Some("33"),
            Self::Strong => Some("1"),
            Self::Faint => Some("2"),
            Self::Plain => None,
        }
    }
}

/// Bytes that are written to standard output at once.
const BUFFER: usize = 64 << 10;

/// Standard output and standard error, as the global options want them.
#[derive(Debug)]
pub struct Out {
    stdout: RefCell<BufWriter<Stdout>>,
    /// Machines read it.
    pub json: bool,
    quiet: bool,
    color: bool,
    color_stderr: bool,
}

impl Out {
    /// With the global options.
    pub fn new(json: bool, quiet: bool, color: Color) -> Self {
        let allowed = |terminal: bool| match color {
            Color::Always => !json,
            Color::Never => false,
            // https://no-color.org
            Color::Auto => {
                let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                !json && terminal && !unwanted && !is_dumb()
            }
        };
        Self {
            color: allowed(io::stdout().is_terminal()),
            color_stderr: allowed(io::stderr().is_terminal()),
            stdout: RefCell::new(BufWriter::with_capacity(BUFFER, io::stdout())),
            json,
            quiet,
        }
    }

    /// A line of what was asked for.
    pub fn line(&self, line: &str) -> io::Result<()> {
        let mut stdout = self.stdout.borrow_mut();
        stdout.write_all(line.trim_end().as_bytes())?;
        stdout.write_all(b"\n")
    }

    /// A line of `key: value`.
    pub fn field(&self, key: &str, value: &str) -> io::Result<()> {
        self.line(&format!("{:<15} {value}", format!("{key}:")))
    }

    /// A JSON value on a line of its own.
    pub fn json_line(&self, value: &impl Serialize) -> io::Result<()> {
        let mut stdout = self.stdout.borrow_mut();
        json::write(&mut *stdout, value)?;
        stdout.write_all(b"\n")
    }

    /// A JSON array with one element per line.
    pub fn json_array(&self, values: &[impl Serialize]) -> io::Result<()> {
        let mut stdout = self.stdout.borrow_mut();
        stdout.write_all(b"[")?;
        for (index, value) in values.iter().enumerate() {
            stdout.write_all(if index == 0 { b"\n" } else { b",\n" })?;
            json::write(&mut *stdout, value)?;
        }
        stdout.write_all(if values.is_empty() { b"]\n" } else { b"\n]\n" })
    }

    /// An informational line on standard output: not with `--quiet` or `--json`.
    pub fn remark(&self, line: &str) -> io::Result<()> {
        if self.quiet || self.json { Ok(()) } else { self.line(line) }
    }

    /// A side remark on standard error: not with `--quiet` or `--json`.
    pub fn note(&self, line: &str) {
        if !self.quiet && !self.json {
            // A closed standard error leaves no place to report it.
            let _ = writeln!(io::stderr(), "{}", clean(line));
        }
    }

    /// Brings everything out that was written so far.
    pub fn flush(&self) -> io::Result<()> {
        self.stdout.borrow_mut().flush()
    }

    /// Whether a person reads standard output as it comes, with the remarks.
    pub fn is_conversation(&self) -> bool {
        !self.quiet && !self.json && io::stdout().is_terminal()
    }

    /// How many columns the terminal has that shows standard output; none where a program reads it.
    pub fn width(&self) -> Option<usize> {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
        Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
    }

    /// Whether a person reads standard output as it comes.
    pub fn is_terminal(&self) -> bool {
        !self.json && io::stdout().is_terminal()
    }

    /// Whether colours are wanted on standard output.
    pub fn is_coloured(&self) -> bool {
        self.color
    }

    /// Whether progress bars can be shown.
    pub fn shows_progress(&self) -> bool {
        !self.quiet && !self.json && io::stderr().is_terminal() && !is_dumb()
    }

    /// Text in a colour, if colours are wanted.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        paint(self.color, tone, text)
    }

    /// Appends text to a line, in a colour if colours are wanted.
    pub fn paint_into(&self, line: &mut String, tone: Tone, text: &str) {
        paint_into(line, self.color, tone, text);
    }

    /// Tells what went wrong; the exit code of the program.
    pub fn fail(&self, failure: &Failure) -> ExitCode {
        // First what belongs before it. If that fails, standard error still works.
        let _ = self.flush();
        for error in &failure.errors {
            write_error(self.json, self.color_stderr, error, "");
        }
        ExitCode::from(failure.exit)
    }
}

fn paint(wanted: bool, tone: Tone, text: &str) -> String {
    let mut line = String::new();
    paint_into(&mut line, wanted, tone, text);
    line
}

fn paint_into(line: &mut String, wanted: bool, tone: Tone, text: &str) {
    match tone.sgr().filter(|_| wanted) {
        Some(sgr) => line.extend(["\u{1b}[", sgr, "m", text, "\u{1b}[0m"]),
        None => line.push_str(text),
    }
}

/// Writes an error to standard error, for people or as JSON. `more` stands between error and hint, for people only.
pub fn write_error(json: bool, color: bool, error: &ApiError, more: &str) {
    let mut text = String::new();
    if json {
        text += &format!("{{\"error\":{}}}\n", json::text(error));
    } else {
        text += &format!("{} {}\n", paint(color, Tone::Bad, "error:"), clean(&error.message));
        text += more;
        if !error.hint.is_empty() {
            text += &format!("{} {}\n", paint(color, Tone::Strong, "hint:"), clean(&error.hint));
        }
    }
    // A closed standard error leaves no place to report it.
    let _ = io::stderr().write_all(text.as_bytes());
}
