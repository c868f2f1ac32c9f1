//! What the rules decide. Effects are data; the driver's executors carry them out.
//!
//! The driver commits all `Persist` of a batch in one transaction before it lets any other effect of
//! that batch out. Executors are idempotent: after a crash the same effects are issued again.

use std::fmt;

use crate::contact::{Contact, Device};
use crate::fault::Fault;
use crate::hook::Hook;
use crate::ids::{BareJid, ContentId, Fingerprint, FullJid, InfoHash, TransferId};
use crate::login::Login;
use crate::rate::{Priority, RateLimits};
use crate::session::SessionCommand;
use crate::signal::Reach;
use crate::transfer::{Content, Deleted, Deletion, Tombstone, Transfer};
use crate::way::Way;

/// Marks a command whose caller waits for a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId(pub u64);

/// Marks one link while the daemon runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkTag(pub u64);

/// A change to the store. All of them are upserts or removals, so applying one twice does no harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Persist {
    /// Insert or replace.
    Transfer(Box<Transfer>),
    /// Take the row away; a tombstone comes with it.
    RemoveTransfer(TransferId),
    /// Insert or replace.
    Tombstone(Tombstone),
    /// Keep this many tombstones, the newest ones.
    PruneTombstones(usize),
    /// Insert or replace.
    Content(Content),
    /// Take the row, its blob and the record of what was received away.
    RemoveContent(ContentId),
    /// Received data will be deleted: remember it, with the record of what was received. Precedes the removal of the
    /// content.
    Delete(Deletion),
    /// It has been carried out.
    Deleted(ContentId),
    /// Insert or replace.
    Contact(Contact),
    /// Insert or replace.
    Device(Device),
    /// Insert or replace: what later logins of the account must not fall below.
    Login(Login),
    /// The numbers that come next; they are never used twice.
    Counters(Counters),
}

/// The numbers that come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// For transfers.
    pub transfer: u64,
    /// For contents.
    pub content: u64,
}

impl Default for Counters {
    fn default() -> Self {
        Self { transfer: 1, content: 1 }
    }
}

/// What happens to received data when the engine forgets a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// It stays where it is.
    Keep,
    /// It is deleted, even if it was complete already. Never a source file.
    Delete,
}

/// Commands for the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TorrentCommand {
    /// Hash the paths of a content.
    Prepare(Content),
    /// Stop hashing.
    CancelPrepare(ContentId),
    /// Be ready to send a content that has been prepared.
    Seed(ContentId),
    /// Receive a content.
    Fetch {
        /// Its number.
        content: ContentId,
        /// From whom it comes; its memory is charged to them.
        contact: BareJid,
        /// Unique and safe as a part of the hidden partial name.
        partial_id: String,
        /// What the offer says; the metadata must match it.
        facts: crate::transfer::Facts,
        /// The name in the offer.
        name: String,
        /// Where to.
        folder: String,
    },
    /// Pause a fetch; its pieces are kept.
    Pause(ContentId),
    /// Set the limits of a content; the engine forgets them with the content.
    LimitContent {
        /// Its number.
        content: ContentId,
        /// How fast.
        limits: RateLimits,
        /// Its part in the limits that it shares with other contents.
        priority: Priority,
    },
    /// Set the limits of all links with a contact together.
    LimitContact {
        /// Who.
        contact: BareJid,
        /// How fast.
        limits: RateLimits,
    },
    /// Set the limits of everything together.
    LimitAll(RateLimits),
    /// Close a link.
    Detach(LinkTag),
    /// Stop with a content.
    Forget(ContentId, Data),
    /// Delete what a done transfer has put in place, unless it has changed since. [`crate::input::TorrentEvent::Deleted`]
    /// follows.
    DeleteReceived(Deletion),
}

/// Identifies a link before there is one. A transfer has one link of its own, and one more for each device that was introduced to us
/// for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId {
    /// Which transfer.
    pub transfer: TransferId,
    /// The key of the introduced device; none for the transfer's own link.
    pub introduced: Option<Fingerprint>,
}

impl From<TransferId> for LinkId {
    /// The transfer's own link.
    fn from(transfer: TransferId) -> Self {
        Self { transfer, introduced: None }
    }
}

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.introduced {
            Some(peer) => write!(f, "{} with {peer}", self.transfer),
            None => self.transfer.fmt(f),
        }
    }
}

/// Asks for a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialRequest {
    /// For which transfer.
    pub transfer: TransferId,
    /// Which device.
    pub peer: Fingerprint,
    /// The device was introduced to us: it does not belong to the transfer's contact.
    pub introduced: bool,
    /// Which content.
    pub info_hash: InfoHash,
    /// Our own address at our server, for relays.
    pub own: FullJid,
    /// The same of the other device; where that one was introduced, of the device that introduced it.
    pub device: FullJid,
    /// Where it may be reached.
    pub theirs: Reach,
    /// Our addresses, as it knows them.
    pub ours: Reach,
    /// Milliseconds until hole punching begins.
    pub delay: u32,
    /// Only a way better than this one is wanted.
    pub better_than: Option<Way>,
}

impl DialRequest {
    /// The link that comes of it.
    pub fn link_id(&self) -> LinkId {
        LinkId { transfer: self.transfer, introduced: self.introduced.then_some(self.peer) }
    }
}

/// Commands for xbt-link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkCommand {
    /// Grant the device a link for the content, and look for one.
    Dial(Box<DialRequest>),
    /// Withdraw the grant and stop dialing.
    Withdraw(LinkId),
    /// The content is open from now on: serve it over plain BitTorrent.
    Open(InfoHash),
    /// It is no longer open; connections that read it are closed.
    Shut(InfoHash),
}

/// A transfer that was removed from the list, as it last was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// What was kept of it.
    pub transfer: Transfer,
    /// Of a send: the first path of its content, which may be gone as well.
    pub source: Option<String>,
    /// What the receiver had.
    pub done_bytes: u64,
}

/// Events for those who watch the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A transfer is new or has changed.
    Transfer(TransferId),
    /// A transfer was removed from the list.
    Removed(Box<Gone>),
    /// The connection to the server has changed.
    Connection,
    /// A contact, its presence or its devices have changed.
    Contact(BareJid),
    /// A contact's device was seen for the first time.
    NewDevice {
        /// Whose.
        contact: BareJid,
        /// Which.
        fingerprint: Fingerprint,
        /// Another key of the contact was known already.
        another: bool,
        /// The contact is verified, so the device was blocked.
        blocked: bool,
    },
    /// Somebody asks to see our presence.
    SubscriptionRequested(BareJid),
    /// Somebody wrote a chat message to this device.
    Chat {
        /// Who.
        from: BareJid,
        /// What; empty if it was encrypted.
        text: String,
    },
    /// Somebody wrote further chat messages to this device soon after one that was told.
    MoreChat {
        /// Who.
        from: BareJid,
        /// How many.
        messages: u64,
    },
    /// For the first time, a stanza of this sender could not be read.
    Discarded(Option<BareJid>),
    /// For the first time, a request or an answer of this contact was not signed by the device that it says it comes from.
    Unproved(BareJid),
    /// A contact claims the key of somebody else's device, and was refused.
    KeyClaimed {
        /// Who claims it.
        contact: BareJid,
        /// Whose it is.
        owner: BareJid,
        /// Which.
        fingerprint: Fingerprint,
    },
    /// The limits for everything together have changed.
    Limits,
    /// Received data was deleted, except for what has changed since.
    Deleted {
        /// The transfer it came with, which is gone.
        transfer: TransferId,
        /// Where it lay.
        path: String,
        /// What became of it.
        deleted: Deleted,
    },
    /// The rules accept an offer, but it could not be accepted automatically: it waits for the person.
    NotAccepted {
        /// Which.
        transfer: TransferId,
        /// Why, one sentence.
        reason: String,
    },
    /// A hook failed.
    HookFailed {
        /// For which transfer it ran.
        transfer: TransferId,
        /// Which, and what happened.
        reason: String,
    },
}

/// The result of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Done.
    Done,
    /// These transfers were made or changed, in the order asked.
    Transfers(Vec<TransferId>),
    /// These transfers were removed, and this was deleted of their data, where they had some.
    Removed(Vec<(TransferId, Option<Deleted>)>),
}

/// One thing to carry out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Commit it before everything else in the batch.
    Persist(Persist),
    /// For the XMPP session.
    Session(SessionCommand),
    /// For the engine.
    Torrent(TorrentCommand),
    /// For xbt-link.
    Link(LinkCommand),
    /// For those who watch.
    Emit(Event),
    /// For a caller.
    Reply(CallId, Result<Reply, Fault>),
    /// Look at the folder that the rules choose for this offer, and create it if it is missing;
    /// [`crate::input::Input::Destination`] follows.
    Destination(TransferId),
    /// Run the person's command; [`crate::input::Input::Hook`] reports the outcome.
    Hook(TransferId, Hook),
}
