//! What happens, as it happens.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Transfer;
use crate::transfer::wire_words;

wire_words! {
    /// What an event is about.
    EventKind {
        /// A transfer is new, has changed its state or has progressed.
        Transfer = "transfer",
        /// A transfer was removed from the list; the event shows it as it last was.
        Removed = "removed",
        /// The connection to the XMPP server has changed.
        Connection = "connection",
        /// A contact was added, removed, or came or went.
        Contact = "contact",
        /// A device of a contact was seen for the first time, or its key was refused.
        Device = "device",
        /// Anything else that a person should know.
        Notice = "notice",
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Counted up by one. A daemon that was started anew begins far above, which shows as [`Events::lagged`].
    pub seq: u64,
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// What it is about.
    pub kind: EventKind,
    /// The transfer as it is after the event.
    pub transfer: Option<Transfer>,
    /// One sentence for people.
    pub text: String,
}

/// An answer to `events`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    /// Give this as `after_seq` next time.
    pub seq: u64,
    /// Events were lost (the caller was too slow, or the daemon has started anew): look at everything again.
    pub lagged: bool,
    /// Oldest first.
    pub events: Vec<Event>,
}
