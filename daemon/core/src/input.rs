//! Everything that the rules react to.

use crate::effect::{CallId, LinkTag};
use crate::fault::Fault;
use crate::hook::Hook;
use crate::ids::{BareJid, ContentId, Fingerprint, TransferId};
use crate::rate::{Priority, RateChange};
use crate::session::SessionEvent;
use crate::settings::Settings;
use crate::signal::Candidate;
use crate::transfer::{Deleted, Facts};
use crate::way::Way;

/// A folder that a person or a rule chose, and what the driver found there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The absolute path.
    pub folder: String,
    /// Free bytes for us, or why it cannot be used.
    pub free: Result<u64, Fault>,
    /// The same for all folders on one disk, where it is known.
    pub disk: Option<u64>,
    /// The largest file that its disk can hold, if that is a bound worth knowing.
    pub largest: Option<u64>,
    /// The person named it.
    pub chosen: bool,
}

/// What is to be sent to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewSend {
    /// One transfer for each.
    pub contacts: Vec<BareJid>,
    /// Absolute paths.
    pub paths: Vec<String>,
    /// The name for the content; otherwise the one of the paths.
    pub name: Option<String>,
    /// What to call it until it has been hashed.
    pub provisional_name: String,
    /// A message for the recipients.
    pub message: Option<String>,
    /// Milliseconds until the offer expires.
    pub expire_ms: Option<u64>,
    /// Any peer that knows the info-hash may read it, see [`crate::transfer::Content::open`].
    pub open: bool,
    /// See [`crate::transfer::Content::skip_special`].
    pub skip_special: bool,
    /// See [`crate::transfer::Content::exclude`].
    pub exclude: Vec<String>,
}

/// Commands of the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Queue a send.
    Send(NewSend),
    /// Accept offers.
    Accept {
        /// Which.
        ids: Vec<TransferId>,
        /// Where to, for each of them.
        destinations: Vec<Destination>,
    },
    /// Decline offers.
    Decline {
        /// Which.
        ids: Vec<TransferId>,
        /// A message for the sender.
        message: Option<String>,
    },
    /// End transfers of either direction.
    Cancel(Vec<TransferId>),
    /// Pause transfers.
    Pause(Vec<TransferId>),
    /// Resume transfers.
    Resume(Vec<TransferId>),
    /// Change how fast transfers may go.
    Limit {
        /// Which.
        ids: Vec<TransferId>,
        /// How fast.
        change: RateChange,
        /// Their part in the limits that they share with others, if that is to change.
        priority: Option<Priority>,
    },
    /// Change how fast everything together may go, until the configuration is reloaded.
    LimitAll(RateChange),
    /// Change how fast all transfers with a contact together may go.
    ContactLimit {
        /// Who.
        jid: BareJid,
        /// How fast.
        change: RateChange,
    },
    /// Remove ended transfers from the list.
    Remove {
        /// Which.
        ids: Vec<TransferId>,
        /// Delete what was received as well.
        delete_data: bool,
    },
    /// Put somebody on the roster.
    ContactAdd {
        /// Who.
        jid: BareJid,
        /// The name for the roster.
        name: Option<String>,
    },
    /// The person names a contact by its name on the roster.
    UseName {
        /// The name.
        name: String,
        /// Whom it means, as the roster is now.
        jid: BareJid,
        /// The person knows that it meant somebody else before.
        confirmed: bool,
    },
    /// Take somebody off the roster.
    ContactRemove(BareJid),
    /// Accept offers of this contact automatically, and let it see our presence if it asked to.
    ContactAllow(BareJid),
    /// Ask about offers again, and do not let it see our presence if it asked to.
    ContactDeny(BareJid),
    /// Let a login be as weak as the one that was last refused for that.
    AllowWeakerLogin,
    /// The person has looked at the keys of this contact.
    DevicesSeen(BareJid),
    /// The person compared this device's safety number and it was the same.
    DeviceVerified {
        /// Whose device.
        contact: BareJid,
        /// Its key.
        fingerprint: Fingerprint,
    },
}

/// Events of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TorrentEvent {
    /// Progress of hashing.
    PrepareProgress {
        /// Which content.
        content: ContentId,
        /// Bytes hashed.
        bytes: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A content has been hashed, and what is needed to seed it is in the store.
    Prepared {
        /// Which content.
        content: ContentId,
        /// Its name.
        name: String,
        /// What was found.
        facts: Facts,
    },
    /// It could not be hashed.
    PrepareFailed {
        /// Which content.
        content: ContentId,
        /// Why.
        fault: Fault,
    },
    /// The disk refuses some names of a fetch, so these paths have other ones there.
    Renamed {
        /// Which content.
        content: ContentId,
        /// Each path as it was sent, and as it is on the disk.
        renamed: Vec<(String, String)>,
    },
    /// Progress of a fetch.
    Progress {
        /// Which content.
        content: ContentId,
        /// Verified bytes.
        verified: u64,
    },
    /// How a link stands.
    PeerProgress {
        /// Which link.
        link: LinkTag,
        /// Verified bytes that the other side says it has.
        has: u64,
        /// Payload bytes sent over this link.
        uploaded: u64,
        /// Payload bytes received over this link.
        downloaded: u64,
    },
    /// All verified and moved into place.
    Completed {
        /// Which content.
        content: ContentId,
        /// Where it lies.
        path: String,
    },
    /// Received data was deleted, except for what has changed since.
    Deleted {
        /// Which content it was.
        content: ContentId,
        /// What became of it.
        deleted: Deleted,
    },
    /// The content cannot go on.
    Failed {
        /// Which content.
        content: ContentId,
        /// Why. The code `disk-full` means that it can go on once there is space.
        fault: Fault,
    },
    /// The other side of a link says that it has everything verified and in its place.
    PeerDone {
        /// Which link.
        link: LinkTag,
    },
    /// A link has delivered nothing for some seconds although we wait for data.
    LinkStalled {
        /// Which link.
        link: LinkTag,
    },
    /// A link has ended.
    LinkClosed {
        /// Which link.
        link: LinkTag,
        /// Why, for people.
        reason: String,
    },
}

/// A failed dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which way was tried.
    pub way: Way,
    /// What happened, one sentence.
    pub reason: String,
}

/// Events of xbt-link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// A link stands and the engine has it.
    Up {
        /// For which transfer.
        transfer: TransferId,
        /// Its mark.
        link: LinkTag,
        /// How it goes.
        way: Way,
        /// The JID of the proxy that relays it, where one does.
        relay: Option<String>,
        /// What failed before.
        attempts: Vec<Attempt>,
    },
    /// No link came about.
    Failed {
        /// For which transfer.
        transfer: TransferId,
        /// What was tried.
        attempts: Vec<Attempt>,
    },
    /// A link with a device that was introduced to us stands.
    IntroducedUp {
        /// For which transfer.
        transfer: TransferId,
        /// Which device.
        peer: Fingerprint,
        /// Its mark.
        link: LinkTag,
    },
    /// No link with an introduced device came about.
    IntroducedFailed {
        /// For which transfer.
        transfer: TransferId,
        /// Which device.
        peer: Fingerprint,
    },
    /// Our addresses have changed; these are all of them.
    Candidates(Vec<Candidate>),
}

/// Everything that can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The rows are loaded and the executors are ready: resume what is unfinished.
    Started,
    /// From the XMPP session.
    Session(SessionEvent),
    /// From a person.
    Command(CallId, Command),
    /// From the engine.
    Torrent(TorrentEvent),
    /// From xbt-link.
    Link(LinkEvent),
    /// The folder that the rules chose for an offer, as it was found.
    Destination {
        /// Which offer.
        transfer: TransferId,
        /// What was found.
        destination: Destination,
    },
    /// A hook has ended.
    Hook {
        /// For which transfer it ran.
        transfer: TransferId,
        /// What it was for.
        hook: Hook,
        /// The error, in words that follow the command's name: "took longer than 30 s".
        outcome: Result<(), String>,
    },
    /// The moment that [`crate::Domain::next_wake`] named has come.
    Tick,
    /// The configuration was reloaded.
    Settings(Settings),
}
