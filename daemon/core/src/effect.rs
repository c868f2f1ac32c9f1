//! What the rules want done. Effects are data; the driver's executors carry them out.
//!
//! The driver commits all `Persist` of a batch in one transaction before it lets any other effect of
//! that batch out. Executors are idempotent: after a crash the same effects are issued again.

use std::fmt;

use crate::contact::{Contact, Device};
use crate::fault::Fault;
use crate::hook::Hook;
use crate::ids::{BareJid, ContentId, Fingerprint, FullJid, InfoHash, TransferId};
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

/// A change of what the store keeps. All of them are upserts or removals, so doing one twice does no harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Persist {
    /// Insert or replace.
    Transfer(Box<Transfer>),
    /// Take the row away; a tombstone comes with it.
    RemoveTransfer(TransferId),
    /// Insert or replace.
    Tombstone(Tombstone),
    /// Forget the tombstones older than the newest so many.
    PruneTombstones(usize),
    /// Insert or replace.
    Content(Content),
    /// Take the row, its blob and the record of what was received away.
    RemoveContent(ContentId),
    /// Received data is to go: remember it, with the record of what was received. Before the content is removed.
    Delete(Deletion),
    /// It has been carried out.
    Deleted(ContentId),
    /// Insert or replace.
    Contact(Contact),
    /// Insert or replace.
    Device(Device),
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

/// What happens to received data when a content is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// It stays where it is.
    Keep,
    /// It goes, also what was complete before anybody heard of it. Never a source file.
    Delete,
}

/// What the engine is asked to do.
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
        /// Unique and safe as a part of the hidden partial name.
        partial_id: String,
        /// What the offer says; the metadata must match it.
        facts: crate::transfer::Facts,
        /// The name in the offer.
        name: String,
        /// Where to.
        folder: String,
    },
    /// Hold a fetch up; its pieces are kept.
    Pause(ContentId),
    /// Change what holds for a content; the engine forgets it with the content.
    LimitContent {
        /// Its number.
        content: ContentId,
        /// How fast.
        limits: RateLimits,
        /// Its part in the limits that it shares with other contents.
        priority: Priority,
    },
    /// Change what holds for all links with a contact together.
    LimitContact {
        /// Who.
        contact: BareJid,
        /// How fast.
        limits: RateLimits,
    },
    /// Change what holds for everything together.
    LimitAll(RateLimits),
    /// Close a link.
    Detach(LinkTag),
    /// Stop with a content.
    Forget(ContentId, Data),
    /// Delete what a done transfer has put in place, as far as it still is that. [`crate::input::TorrentEvent::Deleted`]
    /// tells what became of it.
    DeleteReceived(Deletion),
}

/// What a want is known by. A transfer has one link of its own, and one more for each device that was introduced to us
/// for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkFor {
    /// Which transfer.
    pub transfer: TransferId,
    /// The key of the introduced device; none for the transfer's own link.
    pub introduced: Option<Fingerprint>,
}

impl From<TransferId> for LinkFor {
    /// The transfer's own link.
    fn from(transfer: TransferId) -> Self {
        Self { transfer, introduced: None }
    }
}

impl fmt::Display for LinkFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.introduced {
            Some(peer) => write!(f, "{} with {peer}", self.transfer),
            None => self.transfer.fmt(f),
        }
    }
}

/// A link that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// For which transfer.
    pub transfer: TransferId,
    /// Which device.
    pub peer: Fingerprint,
    /// The device was introduced to us: it is none of the transfer's contact.
    pub introduced: bool,
    /// Which content.
    pub info_hash: InfoHash,
    /// Our own address at our server, for relays.
    pub own: FullJid,
    /// The same of the other device; where that one was introduced, of the device that introduced it.
    pub device: FullJid,
    /// Where it may be reached.
    pub theirs: Reach,
    /// What it was told about us.
    pub ours: Reach,
    /// Milliseconds until hole punching begins.
    pub delay: u32,
    /// Only a way better than this one is wanted.
    pub better_than: Option<Way>,
}

impl Want {
    /// What it is known by.
    pub fn purpose(&self) -> LinkFor {
        LinkFor { transfer: self.transfer, introduced: self.introduced.then_some(self.peer) }
    }
}

/// What the link room is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkCommand {
    /// Grant the device a link for the content, and look for one.
    Want(Box<Want>),
    /// Withdraw the grant.
    Unwant(LinkFor),
    /// From now on this content is open: plain BitTorrent is answered for it.
    Open(InfoHash),
    /// It is open no more; who reads it is cut off.
    Shut(InfoHash),
}

/// A transfer that is on the list no more, as it last was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// What was kept of it.
    pub transfer: Transfer,
    /// Of a send: the first path of its content, which may be gone as well.
    pub source: Option<String>,
    /// What the receiver had.
    pub done_bytes: u64,
}

/// What is told to everybody who watches.
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
    /// A contact's device was seen for the first time; told loudly until the contact is verified.
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
    /// For the first time, a stanza of this sender could not be read.
    Discarded(Option<BareJid>),
    /// The limits for everything together have changed.
    Limits,
    /// Received data was deleted, as far as it still was that.
    Deleted {
        /// Of which transfer, which is gone.
        transfer: TransferId,
        /// Where it lay.
        path: String,
        /// What became of it.
        deleted: Deleted,
    },
    /// The rules accept an offer, and it cannot be accepted: it waits for the person.
    NotAccepted {
        /// Which.
        transfer: TransferId,
        /// Why, one sentence.
        reason: String,
    },
    /// A command of the person's failed.
    HookFailed {
        /// For which transfer it ran.
        transfer: TransferId,
        /// Which, and what happened.
        reason: String,
    },
}

/// What a caller gets back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Done.
    Done,
    /// These transfers were made or changed, in the order asked.
    Transfers(Vec<TransferId>),
    /// These transfers were removed, with what became of the data of those that had some.
    Removed(Vec<(TransferId, Option<Deleted>)>),
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write it down; before everything else in the batch.
    Persist(Persist),
    /// For the XMPP session.
    Session(SessionCommand),
    /// For the engine.
    Torrent(TorrentCommand),
    /// For the link room.
    Link(LinkCommand),
    /// For those who watch.
    Emit(Event),
    /// For a caller.
    Reply(CallId, Result<Reply, Fault>),
    /// Look at the folder that the rules choose for this offer, and make it where it is missing;
    /// [`crate::input::Input::Destination`] brings what was found.
    Destination(TransferId),
    /// Run the person's command; [`crate::input::Input::Hook`] tells how it ended.
    Hook(TransferId, Hook),
}
