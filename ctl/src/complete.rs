//! Dynamic completion: contacts and transfers of the running daemon.
//!
//! The scripts of `xbtctl completions` call this program again with [`VARIABLE`] set. A daemon that does not run or
//! is slow only means that nothing is proposed.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use xbt_api::{Client, ClientError, Contact, Direction, ListQuery, State, Transfer};

use crate::describe::{presence, state_text};
use crate::text::{clean, title};

/// Set by the scripts, to the name of the shell.
pub const VARIABLE: &str = "XBT_COMPLETE";

/// Longest wait for a proposal.
const PATIENCE: Duration = Duration::from_millis(700);

/// Bare JIDs and names of the roster.
pub fn contacts() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let contacts = ask(async |client: Client| client.contacts().await).unwrap_or_default();
        contact_candidates(&contacts, &current.to_string_lossy())
    })
}

/// Offers to this side.
pub fn offers() -> ArgValueCompleter {
    transfers(|transfer| transfer.direction == Direction::In && transfer.state == State::Offered)
}

/// Whatever has not ended.
pub fn open() -> ArgValueCompleter {
    transfers(|transfer| !transfer.state.has_ended())
}

/// What can be paused.
pub fn running() -> ArgValueCompleter {
    transfers(|transfer| !transfer.state.has_ended() && !transfer.paused)
}

/// What can be resumed.
pub fn paused() -> ArgValueCompleter {
    transfers(|transfer| !transfer.state.has_ended() && transfer.paused)
}

/// What has ended.
pub fn ended() -> ArgValueCompleter {
    transfers(|transfer| transfer.state.has_ended())
}

/// Every transfer of the list.
pub fn any() -> ArgValueCompleter {
    transfers(|_| true)
}

fn transfers(wanted: fn(&Transfer) -> bool) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &OsStr| {
        let page = ask(async |client: Client| client.list(ListQuery::default()).await).unwrap_or_default();
        let current = current.to_string_lossy();
        let fitting = page.transfers.iter().filter(|transfer| wanted(transfer));
        // Newest first: the likeliest choice.
        let candidates = fitting.rev().enumerate().filter_map(|(place, transfer)| {
            let help = format!("{}, {}", title(transfer), state_text(transfer));
            candidate(&transfer.id.to_string(), help, &current, place)
        });
        candidates.collect()
    })
}

fn contact_candidates(contacts: &[Contact], current: &str) -> Vec<CompletionCandidate> {
    let mut sorted: Vec<_> = contacts.iter().collect();
    sorted.sort_by_key(|contact| (!contact.xbt, !contact.online));
    let mut candidates = Vec::new();
    for (place, contact) in sorted.into_iter().enumerate() {
        let (there, _) = presence(contact);
        let name = contact.name.as_deref().unwrap_or_default();
        let help = if name.is_empty() { there.to_owned() } else { format!("{}, {there}", clean(name)) };
        candidates.extend(candidate(&contact.jid, help, current, place));
        // Only an unambiguous name can replace the address, and what has an @ is no name.
        if !name.contains('@') && contacts.iter().filter(|other| other.name.as_deref() == Some(name)).count() == 1 {
            candidates.extend(candidate(name, format!("{}, {there}", clean(&contact.jid)), current, place));
        }
    }
    candidates
}

/// Shells put a proposal into the command line as it is, so what a shell would read otherwise is never proposed.
fn candidate(value: &str, help: String, current: &str, place: usize) -> Option<CompletionCandidate> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '@' | '.' | '_' | '-' | '+' | ' ');
    let fits = !value.starts_with([' ', '-']) && !value.is_empty() && value.chars().all(plain);
    // All shells but bash quote what they put in.
    let in_bash = std::env::var_os(VARIABLE).is_some_and(|shell| shell == "bash");
    let typed = if in_bash { current.replace("\\ ", " ") } else { current.to_owned() };
    let written = if in_bash { value.replace(' ', "\\ ") } else { value.to_owned() };
    (fits && value.starts_with(&typed))
        .then(|| CompletionCandidate::new(written).help(Some(help.into())).display_order(Some(place)))
}

/// Asks the daemon, on a runtime of its own: the shell's question comes before anything else has begun.
fn ask<T>(question: impl AsyncFnOnce(Client) -> Result<T, ClientError>) -> Option<T> {
    let socket = std::env::var_os("XBT_SOCKET").filter(|path| !path.is_empty()).map(PathBuf::from);
    let socket = socket.or_else(xbt_api::find_socket)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async {
        let answer = async { question(Client::connect(&socket).await.ok()?).await.ok() };
        tokio::time::timeout(PATIENCE, answer).await.ok().flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn jids_and_unambiguous_names_are_proposed_but_nothing_that_a_shell_would_read_otherwise() {
        let mut contacts: Vec<_> =
            [("bob@example.org", "Bob"), ("carol@example.org", "Eve"), ("eve@example.org", "Eve")]
                .map(|(jid, name)| sample::contact(jid, name))
                .into();
        contacts.push(sample::contact("$(reboot)@example.org", "a;b"));
        contacts.push(sample::contact("-x@example.org", "Aunt May"));
        let proposed = |current: &str| -> Vec<String> {
            let candidates = contact_candidates(&contacts, current);
            candidates.iter().map(|candidate| candidate.get_value().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(proposed(""), ["bob@example.org", "Bob", "carol@example.org", "eve@example.org", "Aunt May"]);
        assert_eq!(proposed("B"), ["Bob"]);
        assert_eq!(proposed("Aunt M"), ["Aunt May"]);
        assert_eq!(proposed("x"), [""; 0]);
    }
}
