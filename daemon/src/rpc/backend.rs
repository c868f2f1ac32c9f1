//! What the server needs from the rest of the daemon.

use std::future::Future;
use std::time::Duration;

use xbt_api::{
    ApiError, Contact, Events, LimitChange, Limits, ListPage, ListQuery, Login, Priority, Removed, Rules, SendRequest,
    Status, Survey, Transfer, TransferDetails, Verification,
};

/// The methods of [`xbt_api::Xbt`] (which says what they mean) without `hello`, which the server answers itself.
///
/// Arguments are already within the bounds of `xbt-api` (counts, lengths, absolute paths, page sizes) when they arrive.
/// A call's future is dropped when its client has gone or its deadline has passed: what must not be left half done
/// belongs behind a channel.
pub trait Backend: Clone + Send + Sync + 'static {
    /// How the daemon stands.
    fn status(&self) -> impl Future<Output = Result<Status, ApiError>> + Send;
    /// Queues a send.
    fn send(&self, request: SendRequest) -> impl Future<Output = Result<Vec<Transfer>, ApiError>> + Send;
    /// Looks through what could be sent.
    fn survey(
        &self,
        paths: Vec<String>,
        name: Option<String>,
        skip_special: bool,
        exclude: Vec<String>,
    ) -> impl Future<Output = Result<Survey, ApiError>> + Send;
    /// One page of transfers; `query.limit` is always set.
    fn list(&self, query: ListQuery) -> impl Future<Output = Result<ListPage, ApiError>> + Send;
    /// Everything about one transfer.
    fn show(&self, id: u64) -> impl Future<Output = Result<TransferDetails, ApiError>> + Send;
    /// Accepts offers.
    fn accept(
        &self,
        ids: Vec<u64>,
        dir: Option<String>,
    ) -> impl Future<Output = Result<Vec<Transfer>, ApiError>> + Send;
    /// Declines offers.
    fn decline(
        &self,
        ids: Vec<u64>,
        message: Option<String>,
    ) -> impl Future<Output = Result<Vec<Transfer>, ApiError>> + Send;
    /// Ends transfers.
    fn cancel(&self, ids: Vec<u64>) -> impl Future<Output = Result<Vec<Transfer>, ApiError>> + Send;
    /// Pauses transfers.
    fn pause(&self, ids: Vec<u64>) -> impl Future<Output = Result<Vec<Transfer>, ApiError>> + Send;
    /// Goes on with paused transfers.
    fn resume(&self, ids: Vec<u64>) -> impl Future<Output = Result<Vec<Transfer>, ApiError>> + Send;
    /// Changes limits and priority of transfers; at least one of them is given.
    fn limit(
        &self,
        ids: Vec<u64>,
        limits: LimitChange,
        priority: Option<Priority>,
    ) -> impl Future<Output = Result<Vec<Transfer>, ApiError>> + Send;
    /// Changes the limits for everything together; at least one is given.
    fn limit_all(&self, limits: LimitChange) -> impl Future<Output = Result<Limits, ApiError>> + Send;
    /// Takes ended transfers off the list.
    fn remove(&self, ids: Vec<u64>, delete_data: bool) -> impl Future<Output = Result<Vec<u64>, ApiError>> + Send;
    /// The same, with what was received, as far as it still is that.
    fn delete(&self, ids: Vec<u64>) -> impl Future<Output = Result<Vec<Removed>, ApiError>> + Send;
    /// The roster.
    fn contacts(&self) -> impl Future<Output = Result<Vec<Contact>, ApiError>> + Send;
    /// Puts somebody on the roster.
    fn contact_add(&self, jid: String, name: Option<String>) -> impl Future<Output = Result<Contact, ApiError>> + Send;
    /// Takes a contact off the roster.
    fn contact_remove(&self, jid: String) -> impl Future<Output = Result<(), ApiError>> + Send;
    /// Accepts what this contact offers without asking.
    fn contact_allow(&self, jid: String) -> impl Future<Output = Result<Contact, ApiError>> + Send;
    /// Asks again.
    fn contact_deny(&self, jid: String) -> impl Future<Output = Result<Contact, ApiError>> + Send;
    /// From now on this name means this contact.
    fn contact_call(&self, jid: String, name: String) -> impl Future<Output = Result<Contact, ApiError>> + Send;
    /// Changes the limits for all transfers with this contact together; at least one is given.
    fn contact_limit(&self, jid: String, limits: LimitChange)
    -> impl Future<Output = Result<Contact, ApiError>> + Send;
    /// The safety number to compare.
    fn contact_verify(&self, jid: String) -> impl Future<Output = Result<Verification, ApiError>> + Send;
    /// The person has compared the safety number.
    fn contact_confirm(
        &self,
        jid: String,
        safety_number: String,
    ) -> impl Future<Output = Result<Contact, ApiError>> + Send;
    /// The standing rules about offers.
    fn rules(&self, contact: Option<String>) -> impl Future<Output = Result<Rules, ApiError>> + Send;
    /// How the account is logged in.
    fn login(&self) -> impl Future<Output = Result<Login, ApiError>> + Send;
    /// Allows a login as weak as the one that was refused.
    fn login_allow_weaker(&self) -> impl Future<Output = Result<Login, ApiError>> + Send;
    /// What has happened; [`super::EventRing::after`] does all of it.
    fn events(
        &self,
        after_seq: Option<u64>,
        max_wait: Duration,
    ) -> impl Future<Output = Result<Events, ApiError>> + Send;
}
