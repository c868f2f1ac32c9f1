//! What each notification says.

use xbt_api::text::{clean, duration, files, percent, rate, size};
use xbt_api::{ApiError, Direction, Transfer};

use crate::new_key::NewKey;
use crate::note::{Action, Note, Urgency};

/// Longest name of a content or a contact in a notification, in characters.
const MAX_NAME: usize = 60;

/// Longest sentence of another person, in characters.
const MAX_SENTENCE: usize = 240;

/// A name that another person chose, on one line.
pub fn name(text: &str) -> String {
    cut(text, MAX_NAME)
}

/// A sentence of another person, on one line.
pub fn sentence(text: &str) -> String {
    cut(text, MAX_SENTENCE)
}

fn cut(text: &str, most: usize) -> String {
    let line: String = text.chars().take(most + 1).map(|c| if c == '\n' { ' ' } else { c }).collect();
    let line = clean(&line);
    if line.chars().count() <= most {
        return line;
    }
    let mut short: String = line.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

fn plain(title: String, body: Vec<String>) -> Note {
    Note {
        title,
        body: body.into_iter().filter(|line| !line.is_empty()).collect(),
        icon: "folder-download",
        category: "transfer",
        urgency: Urgency::Normal,
        value: None,
        actions: Vec::new(),
        instead: None,
        stays: false,
    }
}

fn said(transfer: &Transfer) -> String {
    let word = transfer.message.as_deref().filter(|word| !word.trim().is_empty());
    word.map(|word| format!("“{}”", sentence(word.trim()))).unwrap_or_default()
}

/// The address below a name that is not the address: the server can change names.
fn address(transfer: &Transfer, who: &str) -> String {
    if transfer.contact == who { String::new() } else { name(&transfer.contact) }
}

/// A name with the address beside it, where the name is not the address.
fn with_address(who: &str, contact: &str) -> String {
    if who == contact { name(who) } else { format!("{} ({})", name(who), name(contact)) }
}

/// The content: `holiday (12 files, 1.2 GiB)`. In the body, because many servers cut titles at some thirty characters.
fn content(transfer: &Transfer) -> String {
    format!("{} ({}, {})", name(&transfer.name), files(transfer.files), size(transfer.size))
}

/// An offer to answer.
pub fn offer(transfer: &Transfer, who: &str, trouble: Option<&ApiError>) -> Note {
    let mut note = match trouble {
        None => {
            let what = if transfer.files == 1 { "a file" } else { "files" };
            let body = vec![content(transfer), said(transfer), address(transfer, who)];
            plain(format!("{} wants to send you {what}", name(who)), body)
        }
        Some(error) => {
            let body = vec![
                format!("{} from {}", content(transfer), with_address(who, &transfer.contact)),
                sentence(&error.message),
                sentence(&error.hint),
            ];
            Note { icon: "dialog-warning", ..plain("The offer was not accepted".to_owned(), body) }
        }
    };
    note.actions = vec![Action::Accept, Action::Decline];
    note.instead = Some(format!("Answer with 'xbtctl accept {0}' or 'xbtctl decline {0}'", transfer.id));
    note.stays = true;
    note
}

/// Offers that have no notification of their own: how many, and some of them with the names of their senders.
pub fn offers(count: usize, some: &[(&Transfer, &str)]) -> Note {
    let title =
        if count == 1 { "1 more offer is waiting".to_owned() } else { format!("{count} more offers are waiting") };
    let mut body: Vec<_> = some
        .iter()
        .map(|(transfer, who)| {
            let who = with_address(who, &transfer.contact);
            format!("{who}: {} ({})", name(&transfer.name), size(transfer.size))
        })
        .collect();
    body.push("Answer them with 'xbtctl top' or 'xbtctl accept'".to_owned());
    Note { stays: true, ..plain(title, body) }
}

/// How far an incoming transfer is.
pub fn progress(transfer: &Transfer, who: &str) -> Note {
    let done = percent(transfer);
    let how = format!("{done}%, {} of {}", size(transfer.done_bytes), size(transfer.size));
    let mut speed = String::new();
    if transfer.rate > 0 {
        let left = transfer.eta_s.map(|seconds| format!(", {} left", duration(seconds))).unwrap_or_default();
        speed = format!("{}{left}", rate(transfer.rate));
    }
    Note {
        urgency: Urgency::Low,
        value: Some(u8::try_from(done).unwrap_or(100)),
        stays: true,
        ..plain(format!("Receiving from {}", name(who)), vec![name(&transfer.name), how, speed, address(transfer, who)])
    }
}

/// Completed.
pub fn done(transfer: &Transfer, who: &str) -> Note {
    let (title, actions) = match transfer.direction {
        Direction::In if transfer.path.is_some() => (format!("Received from {}", name(who)), vec![Action::Open]),
        Direction::In => (format!("Received from {}", name(who)), Vec::new()),
        Direction::Out => (format!("{} has received", name(who)), Vec::new()),
    };
    Note {
        actions,
        icon: "folder",
        category: "transfer.complete",
        ..plain(title, vec![content(transfer), address(transfer, who)])
    }
}

/// What this side does, and with whom.
fn doing(transfer: &Transfer, who: &str) -> String {
    match transfer.direction {
        Direction::In => format!("Receiving from {}", name(who)),
        Direction::Out => format!("Sending to {}", name(who)),
    }
}

/// It failed.
pub fn failed(transfer: &Transfer, who: &str) -> Note {
    let mut body = vec![content(transfer)];
    if let Some(error) = &transfer.error {
        body.extend([sentence(&error.message), sentence(&error.hint)]);
    }
    body.push(address(transfer, who));
    let title = format!("{} has failed", doing(transfer, who));
    Note { icon: "dialog-error", category: "transfer.error", ..plain(title, body) }
}

/// The receiver does not want it.
pub fn declined(transfer: &Transfer, who: &str) -> Note {
    let body = vec![content(transfer), said(transfer), address(transfer, who)];
    Note { icon: "dialog-information", ..plain(format!("{} has declined", name(who)), body) }
}

/// The receiver did not answer in time.
pub fn expired(transfer: &Transfer, who: &str) -> Note {
    let body = vec![content(transfer), "The offer has expired".to_owned(), address(transfer, who)];
    Note { icon: "dialog-information", ..plain(format!("{} did not answer in time", name(who)), body) }
}

/// One side cancelled a running transfer.
pub fn cancelled(transfer: &Transfer, who: &str) -> Note {
    let title = format!("{} was cancelled", doing(transfer, who));
    Note {
        urgency: Urgency::Low,
        icon: "dialog-information",
        ..plain(title, vec![content(transfer), address(transfer, who)])
    }
}

/// Many ended at once.
pub fn ended(well: u64, badly: u64) -> Note {
    let title = format!("{} more transfers have ended", well.saturating_add(badly));
    let how = match (well, badly) {
        (_, 0) => "All succeeded".to_owned(),
        (0, _) => "None succeeded".to_owned(),
        (well, badly) => format!("{well} succeeded, {badly} did not"),
    };
    let icon = if badly == 0 { "folder" } else { "dialog-warning" };
    Note { icon, ..plain(title, vec![how, "See 'xbtctl list'".to_owned()]) }
}

/// Further keys of contacts, or refused ones, with the names of the contacts, newest last, and how many more.
pub fn devices(keys: &[(&NewKey, Option<&str>)], more: u64) -> Note {
    let line = |key: &NewKey, who: Option<String>| match who {
        Some(who) if key.blocked => format!("A device of {who} was blocked"),
        Some(who) => format!("{who} uses another device"),
        None => sentence(&key.text),
    };
    let (title, mut body) = match keys {
        // The address is in the command below.
        [(key, who)] if more == 0 => (line(key, who.map(name)), Vec::new()),
        several => {
            let count = more.saturating_add(several.len() as u64);
            let full = |key: &NewKey, who: &str| with_address(who, key.contact.as_deref().unwrap_or(who));
            let lines = several.iter().map(|(key, who)| line(key, who.map(|who| full(key, who))));
            (format!("{count} devices have new keys"), lines.collect())
        }
    };
    let contact = match keys {
        [(one, _)] if more == 0 => one.contact.as_deref().map_or("CONTACT".to_owned(), name),
        [..] => "CONTACT".to_owned(),
    };
    body.push("Its key is new and may belong to someone else. Call your contact and compare:".to_owned());
    body.push(format!("xbtctl contacts verify {contact}"));
    Note { icon: "dialog-password", category: "device.added", urgency: Urgency::Critical, ..plain(title, body) }
}

/// The first key of a contact: nothing has changed, but from now on a change will be noticed.
pub fn first_device(contact: &str, who: &str) -> Note {
    let body = vec![
        "A change would be noticed. To be sure that this key is theirs, compare it once:".to_owned(),
        format!("xbtctl contacts verify {}", name(contact)),
    ];
    let title = format!("The key of {} is saved", name(who));
    Note { icon: "dialog-password", category: "device.added", urgency: Urgency::Low, ..plain(title, body) }
}

/// The daemon does not try again until the configuration changes.
pub fn login_refused(error: &ApiError) -> Note {
    let body = vec![sentence(&error.message), sentence(&error.hint)];
    Note { icon: "dialog-error", category: "network.error", stays: true, ..plain("xbt cannot log in".to_owned(), body) }
}

/// Something else that a person should know.
pub fn notice(text: &str) -> Note {
    Note { icon: "dialog-warning", ..plain("xbt".to_owned(), vec![sentence(text)]) }
}
