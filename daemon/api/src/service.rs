//! The service: every method that a daemon knows.

use crate::{
    ApiError, Contact, Events, Hello, LimitChange, Limits, ListPage, ListQuery, Login, Priority, Removed, Rules,
    SendRequest, Status, Survey, Transfer, TransferDetails, Verification,
};

/// The methods as they stand in a frame, in the order of [`Xbt`].
pub const METHODS: &[&str] = &[
    "Hello",
    "Status",
    "Send",
    "Survey",
    "List",
    "Show",
    "Accept",
    "Decline",
    "Cancel",
    "Pause",
    "Resume",
    "Limit",
    "LimitAll",
    "Remove",
    "Delete",
    "Contacts",
    "ContactAdd",
    "ContactRemove",
    "ContactAllow",
    "ContactDeny",
    "ContactCall",
    "ContactLimit",
    "ContactVerify",
    "ContactConfirm",
    "Rules",
    "Login",
    "LoginAllowWeaker",
    "Events",
];

/// What `xbtd` does for programs of its own user.
///
/// Methods that take several ids do all or nothing: when one id is unknown or its state does not fit, nothing has
/// changed. In a frame a method has its name in camel case (`contact_add` is `ContactAdd`).
#[tarpc::service]
pub trait Xbt {
    /// Who is there; to be called first, before anything that an older daemon may not know.
    async fn hello() -> Result<Hello, ApiError>;
    /// How the daemon stands.
    async fn status() -> Result<Status, ApiError>;
    /// Queues a send, one transfer per recipient, in the order of the recipients. Returns before the content is hashed.
    async fn send(request: SendRequest) -> Result<Vec<Transfer>, ApiError>;
    /// Looks through paths as [`Self::send`] does, and sends nothing.
    async fn survey(
        paths: Vec<String>,
        name: Option<String>,
        skip_special: bool,
        exclude: Vec<String>,
    ) -> Result<Survey, ApiError>;
    /// One page of transfers.
    async fn list(query: ListQuery) -> Result<ListPage, ApiError>;
    /// Everything about one transfer.
    async fn show(id: u64) -> Result<TransferDetails, ApiError>;
    /// Accepts offers; into `dir` (an absolute path) instead of the configured folder.
    async fn accept(ids: Vec<u64>, dir: Option<String>) -> Result<Vec<Transfer>, ApiError>;
    /// Declines offers, with a word to the senders.
    async fn decline(ids: Vec<u64>, message: Option<String>) -> Result<Vec<Transfer>, ApiError>;
    /// Ends transfers that have not ended.
    async fn cancel(ids: Vec<u64>) -> Result<Vec<Transfer>, ApiError>;
    /// Pauses; the other side is told to wait.
    async fn pause(ids: Vec<u64>) -> Result<Vec<Transfer>, ApiError>;
    /// Goes on with what was paused by this side.
    async fn resume(ids: Vec<u64>) -> Result<Vec<Transfer>, ApiError>;
    /// Changes limits, and the priority if one is given, of transfers that have not ended. Open sends of one content
    /// share them, so the answer may have more transfers than were named.
    async fn limit(ids: Vec<u64>, limits: LimitChange, priority: Option<Priority>) -> Result<Vec<Transfer>, ApiError>;
    /// Changes the limits for everything together, until the configuration is reloaded.
    async fn limit_all(limits: LimitChange) -> Result<Limits, ApiError>;
    /// Takes transfers that have ended off the list; `delete_data` also deletes what was received, see [`Self::delete`].
    /// Returns the ids.
    async fn remove(ids: Vec<u64>, delete_data: bool) -> Result<Vec<u64>, ApiError>;
    /// Takes incoming transfers that have ended off the list, and deletes what was received, as far as it still is that.
    /// What was edited, replaced or added since stays and is named. Answers when it is done; a crash in between does not
    /// end it.
    async fn delete(ids: Vec<u64>) -> Result<Vec<Removed>, ApiError>;
    /// The roster with devices and trust.
    async fn contacts() -> Result<Vec<Contact>, ApiError>;
    /// Puts somebody on the roster and asks to see each other's presence; says yes to somebody who asks.
    async fn contact_add(jid: String, name: Option<String>) -> Result<Contact, ApiError>;
    /// Takes a contact off the roster, or says no to somebody who asks to be one.
    async fn contact_remove(jid: String) -> Result<(), ApiError>;
    /// Accepts what this contact offers without asking.
    async fn contact_allow(jid: String) -> Result<Contact, ApiError>;
    /// Asks again before anything of this contact is accepted.
    async fn contact_deny(jid: String) -> Result<Contact, ApiError>;
    /// From now on a name means this contact, whom the contact list calls so: after `name-moved`, when the person has seen
    /// both addresses.
    async fn contact_call(jid: String, name: String) -> Result<Contact, ApiError>;
    /// Changes the limits for all transfers with this contact together.
    async fn contact_limit(jid: String, limits: LimitChange) -> Result<Contact, ApiError>;
    /// The safety number to compare.
    async fn contact_verify(jid: String) -> Result<Verification, ApiError>;
    /// The person has compared; only accepted with the safety number as it is now.
    async fn contact_confirm(jid: String, safety_number: String) -> Result<Contact, ApiError>;
    /// The standing rules about offers, and what they make of an offer of one contact.
    async fn rules(contact: Option<String>) -> Result<Rules, ApiError>;
    /// How the account is logged in, and what was refused as weaker than that.
    async fn login() -> Result<Login, ApiError>;
    /// Allows a login as weak as the one that was last refused for that, and tries it at once.
    async fn login_allow_weaker() -> Result<Login, ApiError>;
    /// What has happened after `after_seq`, waiting up to `max_wait_ms` for something. Without `after_seq`: no events,
    /// but the number to begin with.
    async fn events(after_seq: Option<u64>, max_wait_ms: u64) -> Result<Events, ApiError>;
}
