//! Questions to the person at the terminal. They go to standard error, answers come from standard input.

use std::io::{self, IsTerminal, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::failure::Failure;

/// Longest answer that is taken, in bytes.
const MAX_ANSWER: u64 = 8_192;

/// Whether standard input is a terminal.
pub fn is_possible() -> bool {
    io::stdin().is_terminal()
}

/// Asks for a line; without the white space around it.
pub async fn line(question: &str) -> Result<String, Failure> {
    prompt(question);
    Ok(read_line().await?.trim().to_owned())
}

/// Asks a question to which only `y` or `yes` means yes.
pub async fn yes(question: &str) -> Result<bool, Failure> {
    let answer = line(&format!("{question} [y/N] ")).await?;
    Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
}

/// Asks a question to which `n` and `no` mean no, and nothing at all means yes.
pub async fn yes_unless_no(question: &str) -> Result<bool, Failure> {
    let answer = line(&format!("{question} [Y/n] ")).await?;
    Ok(matches!(answer.to_lowercase().as_str(), "" | "y" | "yes"))
}

/// Asks for a line that does not appear on the terminal. It is taken as it is, without its line end only.
pub async fn hidden(question: &str) -> Result<String, Failure> {
    // Here and not in the thread that reads, so that Ctrl-C, which drops us, makes the terminal as it was.
    let silence = Silence::begin();
    prompt(question);
    let answer = read_line().await;
    drop(silence);
    // The person's own line end did not appear either.
    prompt("\n");
    Ok(answer?.trim_end_matches(['\n', '\r']).to_owned())
}

/// Reads one line of standard input, terminal or not; end of file is an error.
pub async fn read_line() -> Result<String, Failure> {
    // On a thread of its own, so that Ctrl-C is noticed meanwhile.
    let answer = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        let read = io::BufRead::read_line(&mut io::Read::take(io::stdin().lock(), MAX_ANSWER), &mut answer)?;
        if read == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
    });
    let answer = answer.await.map_err(io::Error::other).and_then(|result| result);
    answer.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Failure::interrupted("standard input ended before the answer", ""),
        _ => Failure::local(format!("the answer cannot be read: {error}")),
    })
}

fn prompt(text: &str) {
    // If this fails, reading the answer fails as well.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// While it lives the terminal does not show what is typed.
struct Silence {
    before: Option<Termios>,
}

impl Silence {
    fn begin() -> Self {
        let before = tcgetattr(io::stdin()).ok();
        if let Some(before) = &before {
            let mut silent = before.clone();
            silent.local_modes.remove(LocalModes::ECHO);
            // Where it fails there is no terminal, so nothing is shown.
            let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &silent);
        }
        Self { before }
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}
