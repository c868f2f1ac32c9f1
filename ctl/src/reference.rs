//! `docs/commands.md`: usage and options of every command come from the definitions, so that help, manual and page agree.
//!
//! `XBT_WRITE_EXAMPLE=1 cargo test -p xbtctl reference` updates the page.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fmt::Write;

use clap::builder::StyledStr;
use clap::{Arg, Command, CommandFactory};

use crate::cli::Cli;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/commands.md");

/// Markers around generated parts.
const BEGIN: &str = "<!-- generated: ";
const END: &str = "<!-- end -->\n";

#[test]
fn the_page_of_commands_is_what_the_definitions_say() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let mut cli = Cli::command();
    cli.build();
    let (fresh, described) = filled(&page, &mut cli);
    for command in cli.get_subcommands().map(Command::get_name).filter(|name| *name != "help") {
        assert!(described.iter().any(|name| name == command), "docs/commands.md lacks {BEGIN}{command} -->");
    }
    if std::env::var_os("XBT_WRITE_EXAMPLE").is_some() {
        std::fs::write(PAGE, fresh).unwrap();
    } else {
        assert!(page == fresh, "docs/commands.md is stale: XBT_WRITE_EXAMPLE=1 cargo test -p xbtctl reference");
    }
}

/// The page with every generated part updated, and the commands that it describes.
fn filled(page: &str, cli: &mut Command) -> (String, Vec<String>) {
    let mut parts = page.split(BEGIN);
    let (mut fresh, mut described) = (parts.next().unwrap().to_owned(), Vec::new());
    for part in parts {
        let (name, rest) = part.split_once(" -->\n").unwrap();
        let (_, prose) = rest.split_once(END).unwrap();
        let command = match name {
            "global" => &mut *cli,
            name => cli.find_subcommand_mut(name).unwrap_or_else(|| panic!("there is no command {name}")),
        };
        let text = if name == "global" { table(command, true) } else { section(command) };
        write!(fresh, "{BEGIN}{name} -->\n{text}{END}{prose}").unwrap();
        described.push(name.to_owned());
    }
    (fresh, described)
}

/// A command and the commands below it.
fn section(command: &mut Command) -> String {
    let usage = command.render_usage().to_string().replace("Usage: ", "").replace(" [OPTIONS]", "");
    let about = command.get_long_about().or(command.get_about()).map(sentence).unwrap_or_default();
    let mut text = format!("`{}`: {about}\n", usage.trim());
    let options = table(command, false);
    if !options.is_empty() {
        write!(text, "\n{options}").unwrap();
    }
    for below in command.get_subcommands_mut().filter(|below| below.get_name() != "help") {
        write!(text, "\n{}", section(below)).unwrap();
    }
    text
}

fn table(command: &Command, global: bool) -> String {
    let arguments = command.get_arguments().filter(|argument| {
        argument.is_global_set() == global && !matches!(argument.get_id().as_str(), "help" | "version")
    });
    let rows: Vec<_> = arguments.map(row).collect();
    if rows.is_empty() { String::new() } else { format!("| | |\n|---|---|\n{}", rows.concat()) }
}

fn row(argument: &Arg) -> String {
    let values: Vec<_> = argument.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    let value = argument.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str());
    let mut names = Vec::new();
    names.extend(argument.get_short().map(|short| format!("-{short}")));
    names.extend(argument.get_long().map(|long| format!("--{long}")));
    let takes = argument.get_action().takes_values();
    let name = match (names.is_empty(), takes) {
        (true, _) => value.to_owned(),
        (false, true) => format!("{} {value}", names.join(", ")),
        (false, false) => names.join(", "),
    };
    let mut help = argument.get_help().map(sentence).unwrap_or_default();
    if takes && !values.is_empty() && !argument.is_hide_possible_values_set() {
        write!(help, ": `{}`", values.join("` `")).unwrap();
    }
    format!("| `{name}` | {} |\n", help.replace('|', "\\|"))
}

fn sentence(text: &StyledStr) -> String {
    text.to_string().replace('<', "\\<")
}
