//! What a command is told. Much of it was chosen by a contact, so it is data: bounded, one line, nothing that moves a
//! cursor or turns text around.

use std::ffi::OsString;
use std::path::Path;

use xbt_core::Domain;
use xbt_core::contact::Trust;
use xbt_core::hook::Hook;
use xbt_core::transfer::{Direction, Side, Transfer};

/// Most bytes of one value. Paths are as they are, at most `PATH_MAX`.
const VALUE: usize = 4_096;

/// Names and values for the environment of a command. All names are always there, so that a script may use `set -u`.
pub(crate) type Facts = Vec<(&'static str, OsString)>;

/// What is known of a transfer at this moment.
pub(crate) fn facts(domain: &Domain, transfer: &Transfer, hook: Hook, socket: &Path) -> Facts {
    let known = domain.contact_of(&transfer.contact);
    let name = known.as_ref().and_then(|known| known.contact.name.as_deref()).unwrap_or_default();
    let peer = transfer.peer().map(|peer| peer.fingerprint);
    let verified = known
        .iter()
        .flat_map(|known| &known.devices)
        .any(|known| Some(known.device.fingerprint) == peer && known.device.trust == Trust::Verified);
    let (size, files) = transfer.facts.as_ref().map_or((0, 0), |facts| (facts.size, facts.files));
    let accept = match hook {
        Hook::Offer => domain.ruled(&transfer.contact, transfer.facts.as_ref()).as_str(),
        Hook::Complete => "",
    };
    let text = |value: &str| OsString::from(clean(value));
    vec![
        ("XBT_EVENT", text(event(hook))),
        ("XBT_ID", text(&transfer.id.to_string())),
        ("XBT_DIRECTION", text(direction(transfer))),
        ("XBT_CONTACT", text(transfer.contact.as_str())),
        ("XBT_CONTACT_NAME", text(name)),
        ("XBT_VERIFIED", text(if verified { "yes" } else { "no" })),
        ("XBT_NAME", text(&transfer.name)),
        ("XBT_SIZE", text(&size.to_string())),
        ("XBT_FILES", text(&files.to_string())),
        ("XBT_MESSAGE", text(transfer.message.as_deref().unwrap_or_default())),
        ("XBT_STATE", text(transfer.state_name())),
        ("XBT_ACCEPT", text(accept)),
        ("XBT_PATH", path(domain, transfer)),
        ("XBT_SOCKET", socket.as_os_str().to_owned()),
    ]
}

fn event(hook: Hook) -> &'static str {
    match hook {
        Hook::Offer => "offer",
        Hook::Complete => "complete",
    }
}

fn direction(transfer: &Transfer) -> &'static str {
    match transfer.direction() {
        Direction::Out => "out",
        Direction::In => "in",
    }
}

/// Where it lies. What was received has a name that was made harmless when it was put there; what is sent is the
/// person's own.
fn path(domain: &Domain, transfer: &Transfer) -> OsString {
    let path = match &transfer.side {
        Side::In { path, .. } => path.clone(),
        Side::Out { .. } => domain.content(transfer).and_then(|content| content.paths.first().cloned()),
    };
    path.unwrap_or_default().into()
}

/// One line without control or bidirectional characters, cut to its bound (a replaced character only gets shorter).
pub(super) fn clean(value: &str) -> String {
    let end = (0..=VALUE.min(value.len())).rev().find(|at| value.is_char_boundary(*at)).unwrap_or(0);
    xbt_api::text::clean(value.get(..end).unwrap_or_default()).replace('\u{fffd}', "_")
}
