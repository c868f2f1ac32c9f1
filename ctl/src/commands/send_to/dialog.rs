//! Questions in a window, by the programs that desktops have for it: kdialog (KDE) and zenity (all others).

use std::env;
use std::io;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use xbt_api::codes;

use crate::failure::Failure;
use crate::text::clean;

/// The program that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialog {
    /// Of KDE.
    Kdialog,
    /// Of GNOME, and at home everywhere.
    Zenity,
}

/// A line to choose.
#[derive(Debug)]
pub struct Choice {
    /// How the person calls the contact.
    pub name: String,
    /// Whether the contact is there.
    pub presence: &'static str,
    /// What is chosen.
    pub jid: String,
}

impl Choice {
    /// All of it, for a window without columns. The address stands beside the name: the server can change names.
    fn line(&self) -> String {
        let Self { name, presence, jid } = self;
        if name == jid { format!("{jid} ({presence})") } else { format!("{name} <{}> ({presence})", clean(jid)) }
    }
}

impl Dialog {
    /// The one that fits the desktop best.
    pub fn find() -> Result<Self, Failure> {
        let set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
        if !set("DISPLAY") && !set("WAYLAND_DISPLAY") {
            return Err(Failure::usage("send-to needs a desktop to ask on", "use 'xbtctl send CONTACT PATH' here"));
        }
        let desktop = env::var("XDG_CURRENT_DESKTOP").unwrap_or_default();
        let order = if desktop.split(':').any(|name| name.eq_ignore_ascii_case("kde")) {
            [Self::Kdialog, Self::Zenity]
        } else {
            [Self::Zenity, Self::Kdialog]
        };
        order.into_iter().find(|dialog| dialog.is_installed()).ok_or_else(|| {
            let hint = "install zenity or kdialog, or use 'xbtctl send CONTACT PATH'";
            Failure::refused(codes::LOCAL_IO, "no dialog program is installed", hint)
        })
    }

    fn program(self) -> &'static str {
        match self {
            Self::Kdialog => "kdialog",
            Self::Zenity => "zenity",
        }
    }

    fn is_installed(self) -> bool {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path).any(|folder| folder.join(self.program()).is_file())
    }

    /// Asks for one of the choices; `None`: the person does not want any.
    pub async fn choose(self, title: &str, choices: &[Choice]) -> Result<Option<String>, Failure> {
        let mut command = Command::new(self.program());
        let mut input = String::new();
        match self {
            Self::Zenity => {
                command.args(["--list", "--text=To whom?", "--ok-label=Send", "--width=480", "--height=360"]);
                command.args(["--column=Contact", "--column=Presence", "--column=Address", "--print-column=3"]);
                command.arg(format!("--title={title}"));
                // Rows come by standard input: names of others can never be taken for options.
                for choice in choices {
                    input += &format!("{}\n{}\n{}\n", choice.name, choice.presence, choice.jid);
                }
            }
            Self::Kdialog => {
                // Rows begin with their number, and nothing behind the two dashes is an option.
                command.args(["--title", title, "--geometry", "480x360", "--menu", "To whom?", "--"]);
                for (number, choice) in choices.iter().enumerate() {
                    command.arg(number.to_string()).arg(choice.line());
                }
            }
        }
        let answer = self.ask(command, &input).await?;
        let answer = answer.trim_end_matches('\n');
        Ok(match self {
            Self::Zenity => choices.iter().find(|choice| choice.jid == answer),
            Self::Kdialog => answer.parse::<usize>().ok().and_then(|number| choices.get(number)),
        }
        .map(|choice| choice.jid.clone()))
    }

    /// Tells what went wrong, until the person has read it.
    pub async fn error(self, text: &str) {
        let mut command = Command::new(self.program());
        match self {
            Self::Zenity => {
                command.args(["--error", "--no-markup", "--title=xbt", "--width=400"]).arg(format!("--text={text}"))
            }
            Self::Kdialog => command.args(["--title", "xbt", "--error"]).arg(text),
        };
        // The error goes to standard error as well.
        let _ = self.ask(command, "").await;
    }

    async fn ask(self, mut command: Command, input: &str) -> Result<String, Failure> {
        let failed = |error: io::Error| Failure::local(format!("{} cannot be used: {error}", self.program()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A window closed before it has read everything means no choice.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        let output = child.wait_with_output().await.map_err(failed)?;
        Ok(if output.status.success() { String::from_utf8_lossy(&output.stdout).into_owned() } else { String::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_window_has_the_address_beside_the_name() {
        let choice =
            |name: &str| Choice { name: name.into(), presence: "online, xbt", jid: "carol@example.org".into() };
        assert_eq!(choice("Bob").line(), "Bob <carol@example.org> (online, xbt)");
        assert_eq!(choice("carol@example.org").line(), "carol@example.org (online, xbt)");
    }
}
