//! The command line, from which help, completions and man pages are made as well.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};
use xbt_api::{ApiError, codes};

use crate::commands;
use crate::out::{Color, write_error};

const AFTER_HELP: &str = "\
Run 'xbtctl setup' once. Then 'xbtctl contacts' lists your contacts, and 'xbtctl send bob@example.org FILE' sends a file.

Exit codes:
  0    done
  1    the daemon refused, or the transfer failed, was declined, cancelled or expired; or doctor found a problem
  2    wrong usage
  3    the daemon cannot be reached
  4    not connected to the XMPP server (contacts add and remove only)
  130  interrupted";

/// These stand in the help of every command.
const GLOBAL: &str = "Global options";

/// Sends files to XMPP contacts and receives them, through the daemon xbtd
#[derive(Debug, Parser)]
#[command(name = "xbtctl", version, after_help = AFTER_HELP, arg_required_else_help = true)]
pub struct Cli {
    /// The daemon's socket [default: $XDG_RUNTIME_DIR/xbt/xbtd.sock, or ~/.local/state/xbt/xbtd.sock without a runtime directory]
    #[arg(long, global = true, help_heading = GLOBAL, env = "XBT_SOCKET", hide_env_values = true, value_name = "PATH", value_parser = path())]
    pub socket: Option<PathBuf>,

    /// Print JSON for programs, errors included
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub json: bool,

    /// Print only results and errors
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    pub quiet: bool,

    /// When to use colours: auto (on a terminal, unless NO_COLOR is set), always or never
    #[arg(long, global = true, help_heading = GLOBAL, value_enum, default_value_t = Color::Auto, hide_possible_values = true, value_name = "WHEN")]
    pub color: Color,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Any path, also an empty one: an empty XBT_SOCKET means the same as none.
fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// All commands, in the order of the help text.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set up an account: try the login, write the configuration, start the daemon
    Setup(commands::setup::Args),
    /// Show connection, addresses, rates and counts
    Status(commands::status::Args),
    /// Check daemon, account, network and folders, and say how to fix problems
    Doctor,
    /// Queue files for contacts, online or not
    Send(commands::send::Args),
    /// Choose a contact in a window and send, for the menus of file managers
    SendTo(commands::send_to::Args),
    /// List transfers, newest last
    List(commands::list::Args),
    /// Show everything about one transfer
    Show(commands::show::Args),
    /// Accept offers
    Accept(commands::accept::Args),
    /// Decline offers
    Decline(commands::decline::Args),
    /// Cancel transfers, sent or received
    Cancel(commands::cancel::Args),
    /// Pause transfers; the other side waits
    Pause(commands::pause::Args),
    /// Resume paused transfers
    Resume(commands::resume::Args),
    /// Limit how fast transfers go, or everything together
    ///
    /// Without an ID, limits everything together until the daemon reloads its configuration or restarts; put lasting limits into the
    /// configuration. Limits of transfers last as long as the transfer. Sends of one content to several contacts share one limit.
    /// Options that are not given leave the current value.
    Limit(commands::limit::Args),
    /// Remove ended transfers from the list
    Remove(commands::remove::Args),
    /// List contacts, who is online and runs xbt; change the contact list
    Contacts(commands::contacts::Args),
    /// Show the rules for offers, and what happens to an offer of a contact
    ///
    /// Lists the rules of the configuration in the order in which they are tried. The first that matches a contact decides; what it leaves
    /// open follows the defaults, which are listed below the rules.
    Rules(commands::rules::Args),
    /// Show how the account is logged in, and allow a login weaker than before
    ///
    /// xbtd remembers the strongest login of the account: how the password is proved, whether that is bound to the encrypted connection, and
    /// which authority vouches for the server. It refuses a weaker one, because whoever intercepts the connection would offer just that.
    Login(commands::login::Args),
    /// Print events as they happen
    Watch,
    /// Full-screen view of transfers, rates and contacts
    ///
    /// Keys: up and down select, a accepts, d declines, p pauses or resumes, c cancels (after a question), e shows or hides ended
    /// transfers, q quits.
    Top,
    /// Print completions for a shell
    Completions(commands::completions::Args),
    /// Print the manual page, or write all of them into a folder
    Man(commands::man::Args),
}

/// Tells what is wrong with a command line, or prints the help or version that was asked for.
pub fn explain_usage(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return match error.print() {
            Err(failed) if failed.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
            Ok(()) | Err(_) => ExitCode::SUCCESS,
        };
    }
    // The options could not be read, so this one is looked for by hand.
    let json = std::env::args_os().skip(1).take_while(|argument| argument != "--").any(|argument| argument == "--json");
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand && !json {
        let _ = error.print();
        return ExitCode::from(2);
    }
    let text = error.to_string();
    let (message, usage) = match text.split_once("\nUsage: ") {
        Some((message, usage)) => (message, usage.lines().next()),
        None => (text.as_str(), None),
    };
    let message = in_our_words(error).unwrap_or_else(|| message.trim_start_matches("error: ").trim().to_owned());
    // clap puts lists and tips below its first line.
    let (first, more) = message.split_once('\n').unwrap_or((&message, ""));
    let mut below = String::new();
    for line in more.lines().filter(|line| !line.is_empty() && !line.starts_with("For more information")) {
        below += line;
        below.push('\n');
    }
    // clap counts an option that the environment sets among those that were used.
    let usage = usage.map(|usage| usage.replace(" --socket <PATH>", ""));
    if let Some(usage) = &usage {
        below += &format!("usage: {usage}\n");
    }
    let first = if json { message.replace("\n\n", "; ").replace('\n', " ") } else { first.to_owned() };
    let hint = format!("see '{} --help'", command_of(usage.as_deref().unwrap_or_default()));
    write_error(json, false, &ApiError::new(codes::USAGE, first, hint), &below);
    ExitCode::from(2)
}

/// What clap says in several lines or in words of programmers.
fn in_our_words(error: &clap::Error) -> Option<String> {
    let given = match error.get(ContextKind::InvalidArg).or_else(|| error.get(ContextKind::InvalidSubcommand)) {
        Some(ContextValue::String(one)) => one.clone(),
        Some(ContextValue::Strings(all)) => all.join(" and "),
        Some(_) | None => String::new(),
    };
    match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            Some("no command is given".to_owned())
        }
        ErrorKind::MissingRequiredArgument if !given.is_empty() => Some(format!("missing: {given}")),
        ErrorKind::InvalidSubcommand => Some(match error.get(ContextKind::SuggestedSubcommand) {
            // The most alike comes last.
            Some(ContextValue::Strings(near)) if !near.is_empty() => {
                let nearest = near.last().map_or("", String::as_str);
                format!("there is no command '{given}'; did you mean '{nearest}'?")
            }
            Some(ContextValue::String(near)) => format!("there is no command '{given}'; did you mean '{near}'?"),
            Some(_) | None => format!("there is no command '{given}'"),
        }),
        _ => None,
    }
}

/// The words of a usage line that name the command: `xbtctl contacts add`.
fn command_of(usage: &str) -> String {
    let words = usage.split(' ').take_while(|word| word.starts_with(|c: char| c.is_ascii_lowercase()));
    let command = words.collect::<Vec<_>>().join(" ");
    if command.is_empty() { "xbtctl".to_owned() } else { command }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::{Cli, command_of};

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_hint_names_the_help_of_the_command() {
        assert_eq!(command_of("xbtctl send <CONTACT> <PATH>..."), "xbtctl send");
        assert_eq!(command_of("xbtctl contacts [OPTIONS] [COMMAND]"), "xbtctl contacts");
        assert_eq!(command_of(""), "xbtctl");
    }
}
