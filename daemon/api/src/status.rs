//! The state of the daemon itself, on the wire.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::network::{Folders, Network};
use crate::transfer::wire_words;
use crate::{ApiError, Limits, Pace};

/// The answer to the first call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`crate::PROTOCOL`] of the daemon.
    pub protocol: u32,
    /// The daemon's version.
    pub version: String,
    /// The methods that it knows, as they stand in a frame.
    pub methods: Vec<String>,
}

wire_words! {
    /// The connection to the XMPP server.
    Connection {
        /// Logged in.
        Online = "online",
        /// A login is being tried.
        Connecting = "connecting",
        /// Not connected; tried again by itself.
        Offline = "offline",
        /// Not tried again until the configuration is changed.
        Refused = "refused",
    }
}

/// How many transfers there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// All that are known.
    pub total: u64,
    /// Moving, or making a link.
    pub active: u64,
    /// Outgoing that are prepared, queued or offered.
    pub waiting: u64,
    /// Incoming offers that the person has to answer.
    pub asking: u64,
    /// Paused by either side.
    pub paused: u64,
    /// Ended, in whatever way.
    pub ended: u64,
}

/// What other BitTorrent programs may read, and do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Open {
    /// Contents that are open now.
    pub contents: u64,
    /// Connections of other programs that read them.
    pub links: u64,
    /// Payload bytes sent to such programs since the daemon started.
    pub uploaded: u64,
}

/// Stanzas of one sender that had no effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discarded {
    /// The bare JID in their `from`; none: it could not be read either, or there were too many senders.
    pub from: Option<String>,
    /// How many.
    pub stanzas: u64,
}

/// What one contact uses of what everybody shares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// Its bare JID.
    pub contact: String,
    /// Offers that wait for an answer.
    pub offers: u64,
    /// Transfers from it that were accepted and have not ended.
    pub transfers: u64,
    /// Links.
    pub links: u64,
    /// Requests to its devices that wait or are under way.
    pub requests: u64,
    /// Bytes of the disk that are reserved for what is missing.
    pub reserved: u64,
    /// Files of what is being received.
    pub files: u64,
    /// Bytes accepted automatically that count against `quota`.
    pub automatic: u64,
    /// Bytes of memory of pieces being received.
    pub pieces: u64,
    /// Bytes of metadata in memory.
    pub metadata: u64,
    /// Commands (`[hooks]`) that run or wait.
    pub hooks: u64,
    /// Notices that are held back and will be shown together.
    pub notices: u64,
}

/// How the daemon stands. Rates are bytes per second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The connection to the XMPP server.
    pub connection: Connection,
    /// Why it is offline or refused.
    #[serde(default)]
    pub connection_error: Option<ApiError>,
    /// While offline or refused: seconds until the next attempt; none if the configuration has to be changed first.
    #[serde(default)]
    pub retry_in_s: Option<u64>,
    /// The bare JID of the account.
    pub jid: String,
    /// The full JID of this device, once it has been online.
    #[serde(default)]
    pub device: Option<String>,
    /// The key of this device, 64 hex digits.
    #[serde(default)]
    pub fingerprint: Option<String>,
    /// Addresses at which links are taken.
    pub listen: Vec<String>,
    /// Addresses mapped by the router.
    #[serde(default)]
    pub mapped: Vec<String>,
    /// The daemon's version.
    pub version: String,
    /// Seconds since the daemon started.
    pub uptime_s: u64,
    /// Sent at the moment.
    pub upload_rate: u64,
    /// Received at the moment.
    pub download_rate: u64,
    /// For everything together, as they hold now.
    #[serde(default)]
    pub limits: Limits,
    /// Why the limits are as they are; none from older daemons.
    #[serde(default)]
    pub pace: Option<Pace>,
    /// Contacts of whom a key has come beside those known before, until somebody looks at it (`contact_verify`).
    #[serde(default)]
    pub new_keys: Vec<String>,
    /// Who asks to be a contact and has no answer yet: `contact_add` says yes, `contact_remove` no.
    #[serde(default)]
    pub requests: Vec<String>,
    /// Open links.
    #[serde(default)]
    pub links: u64,
    /// What other BitTorrent programs may read.
    #[serde(default)]
    pub open: Open,
    /// How many transfers.
    #[serde(default)]
    pub counts: Counts,
    /// How many links were refused since the daemon started, by reason.
    #[serde(default)]
    pub refused: BTreeMap<String, u64>,
    /// Why the daemon cannot write its state (the disk is full, say); until it can, nothing is begun or ended.
    #[serde(default)]
    pub state_error: Option<ApiError>,
    /// Why the configuration, read again, was not taken over; what held before holds on.
    #[serde(default)]
    pub config_error: Option<ApiError>,
    /// Stanzas that could not be read and were skipped since the daemon started, by sender.
    #[serde(default)]
    pub discarded: Vec<Discarded>,
    /// What contacts use, at most [`crate::MAX_LEDGER`] of them.
    #[serde(default)]
    pub ledger: Vec<LedgerEntry>,
    /// Requests and answers that were not signed by the device they say they come from, or had come before; none of them
    /// had an effect. Since the daemon started, by sender.
    #[serde(default)]
    pub unproved: Vec<Discarded>,
    /// What is known of the network around the daemon; none from older daemons.
    #[serde(default)]
    pub network: Option<Network>,
    /// Where the daemon writes; none from older daemons, or if the disk does not respond.
    #[serde(default)]
    pub folders: Option<Folders>,
}
