//! The tarpc service: checks what it is given and passes it on to the [`Backend`].

use std::time::Duration;

use tarpc::context::Context;
use xbt_api::{
    ApiError, Contact, Events, Hello, LimitChange, Limits, ListPage, ListQuery, Login, MAX_WAIT_MS, METHODS, PROTOCOL,
    Priority, Removed, Rules, SendRequest, Status, Survey, Transfer, TransferDetails, Verification, Xbt,
};

use super::{Backend, check};

/// One per connection.
#[derive(Clone, Debug)]
pub(super) struct Calls<B>(pub B);

impl<B: Backend> Xbt for Calls<B> {
    async fn hello(self, _: Context) -> Result<Hello, ApiError> {
        let methods = METHODS.iter().map(|method| (*method).to_owned()).collect();
        Ok(Hello { protocol: PROTOCOL, version: env!("CARGO_PKG_VERSION").to_owned(), methods })
    }

    async fn status(self, _: Context) -> Result<Status, ApiError> {
        self.0.status().await
    }

    async fn send(self, _: Context, request: SendRequest) -> Result<Vec<Transfer>, ApiError> {
        check::send(&request)?;
        self.0.send(request).await
    }

    async fn survey(
        self,
        _: Context,
        paths: Vec<String>,
        name: Option<String>,
        skip_special: bool,
        exclude: Vec<String>,
    ) -> Result<Survey, ApiError> {
        check::paths(&paths)?;
        check::patterns(&exclude)?;
        name.as_deref().map_or(Ok(()), |text| check::name("name", text))?;
        self.0.survey(paths, name, skip_special, exclude).await
    }

    async fn list(self, _: Context, query: ListQuery) -> Result<ListPage, ApiError> {
        self.0.list(check::list(query)?).await
    }

    async fn show(self, _: Context, id: u64) -> Result<TransferDetails, ApiError> {
        self.0.show(id).await
    }

    async fn accept(self, _: Context, ids: Vec<u64>, dir: Option<String>) -> Result<Vec<Transfer>, ApiError> {
        dir.as_deref().map_or(Ok(()), check::path)?;
        self.0.accept(check::ids(ids)?, dir).await
    }

    async fn decline(self, _: Context, ids: Vec<u64>, message: Option<String>) -> Result<Vec<Transfer>, ApiError> {
        check::message(message.as_deref())?;
        self.0.decline(check::ids(ids)?, message).await
    }

    async fn cancel(self, _: Context, ids: Vec<u64>) -> Result<Vec<Transfer>, ApiError> {
        self.0.cancel(check::ids(ids)?).await
    }

    async fn pause(self, _: Context, ids: Vec<u64>) -> Result<Vec<Transfer>, ApiError> {
        self.0.pause(check::ids(ids)?).await
    }

    async fn resume(self, _: Context, ids: Vec<u64>) -> Result<Vec<Transfer>, ApiError> {
        self.0.resume(check::ids(ids)?).await
    }

    async fn limit(
        self,
        _: Context,
        ids: Vec<u64>,
        limits: LimitChange,
        priority: Option<Priority>,
    ) -> Result<Vec<Transfer>, ApiError> {
        check::limits(limits, priority.is_some())?;
        self.0.limit(check::ids(ids)?, limits, priority).await
    }

    async fn limit_all(self, _: Context, limits: LimitChange) -> Result<Limits, ApiError> {
        check::limits(limits, false)?;
        self.0.limit_all(limits).await
    }

    async fn remove(self, _: Context, ids: Vec<u64>, delete_data: bool) -> Result<Vec<u64>, ApiError> {
        self.0.remove(check::ids(ids)?, delete_data).await
    }

    async fn delete(self, _: Context, ids: Vec<u64>) -> Result<Vec<Removed>, ApiError> {
        self.0.delete(check::ids(ids)?).await
    }

    async fn contacts(self, _: Context) -> Result<Vec<Contact>, ApiError> {
        self.0.contacts().await
    }

    async fn contact_add(self, _: Context, jid: String, name: Option<String>) -> Result<Contact, ApiError> {
        check::name("JID", &jid)?;
        name.as_deref().map_or(Ok(()), |text| check::name("name", text))?;
        self.0.contact_add(jid, name).await
    }

    async fn contact_remove(self, _: Context, jid: String) -> Result<(), ApiError> {
        check::name("JID", &jid)?;
        self.0.contact_remove(jid).await
    }

    async fn contact_allow(self, _: Context, jid: String) -> Result<Contact, ApiError> {
        check::name("JID", &jid)?;
        self.0.contact_allow(jid).await
    }

    async fn contact_deny(self, _: Context, jid: String) -> Result<Contact, ApiError> {
        check::name("JID", &jid)?;
        self.0.contact_deny(jid).await
    }

    async fn contact_call(self, _: Context, jid: String, name: String) -> Result<Contact, ApiError> {
        check::name("JID", &jid)?;
        check::name("name", &name)?;
        self.0.contact_call(jid, name).await
    }

    async fn contact_limit(self, _: Context, jid: String, limits: LimitChange) -> Result<Contact, ApiError> {
        check::name("JID", &jid)?;
        check::limits(limits, false)?;
        self.0.contact_limit(jid, limits).await
    }

    async fn contact_verify(self, _: Context, jid: String) -> Result<Verification, ApiError> {
        check::name("JID", &jid)?;
        self.0.contact_verify(jid).await
    }

    async fn contact_confirm(self, _: Context, jid: String, safety_number: String) -> Result<Contact, ApiError> {
        check::name("JID", &jid)?;
        check::name("safety number", &safety_number)?;
        self.0.contact_confirm(jid, safety_number).await
    }

    async fn rules(self, _: Context, contact: Option<String>) -> Result<Rules, ApiError> {
        contact.as_deref().map_or(Ok(()), |text| check::name("contact", text))?;
        self.0.rules(contact).await
    }

    async fn login(self, _: Context) -> Result<Login, ApiError> {
        self.0.login().await
    }

    async fn login_allow_weaker(self, _: Context) -> Result<Login, ApiError> {
        self.0.login_allow_weaker().await
    }

    async fn events(self, _: Context, after_seq: Option<u64>, max_wait_ms: u64) -> Result<Events, ApiError> {
        self.0.events(after_seq, Duration::from_millis(max_wait_ms.min(MAX_WAIT_MS))).await
    }
}
