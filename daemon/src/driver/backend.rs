//! The driver as the RPC room sees it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use xbt_api::{
    ApiError, Contact, Events, LimitChange, Limits, ListPage, ListQuery, Login, Priority, Removed, Rules, SendRequest,
    Status, Survey, Transfer, TransferDetails, Verification, codes,
};
use xbt_core::effect::Reply;
use xbt_core::ids::{BareJid, TransferId};
use xbt_core::input::{Command, NewSend};
use xbt_core::settings::Settings;

use super::folders::Look;
use super::{Driver, Message, paths, show, views};
use crate::rpc::{Backend, EventRing};
use xbt_xmpp::SessionHandle;

/// How long a change of the roster may take to come back from the server.
const ROSTER_CHANGE: Duration = Duration::from_secs(10);

type Result<T> = std::result::Result<T, ApiError>;

/// Speaks to the driver. Cheap to clone.
#[derive(Clone)]
pub struct DriverHandle {
    driver: mpsc::Sender<Message>,
    ring: Arc<EventRing>,
    folders: Arc<Look>,
    listings: Arc<Semaphore>,
}

impl DriverHandle {
    pub(super) fn new(driver: mpsc::Sender<Message>, ring: Arc<EventRing>) -> Self {
        Self { driver, ring, folders: Arc::default(), listings: Arc::new(Semaphore::new(1)) }
    }

    /// Ends the driver once it has done what came before.
    pub async fn stop(&self) {
        // An error means that it has ended already.
        let _ = self.driver.send(Message::Stop).await;
    }

    /// The configuration was reloaded.
    pub async fn settings(&self, settings: Settings) {
        let _ = self.driver.send(Message::Settings(settings)).await;
    }

    /// The configuration was to be reloaded and is wrong: people are told until a right one comes.
    pub async fn wrong_config(&self, error: ApiError) {
        let _ = self.driver.send(Message::WrongConfig(error)).await;
    }

    /// Another session takes the place of the old one.
    pub async fn session(&self, session: SessionHandle) {
        let _ = self.driver.send(Message::Session(session)).await;
    }

    /// The strongest login of the account so far.
    pub async fn known_login(&self) -> Option<xbt_core::login::Login> {
        self.look(|driver| driver.domain.login().cloned()).await.ok().flatten()
    }

    /// Runs a look at the driver's state and brings back what it saw.
    async fn look<T: Send + 'static>(&self, look: impl FnOnce(&Driver) -> T + Send + 'static) -> Result<T> {
        let (sender, answer) = oneshot::channel();
        let look = move |driver: &Driver| {
            // Whoever asked may have gone.
            let _ = sender.send(look(driver));
        };
        self.driver.send(Message::Look(Box::new(look))).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())
    }

    /// Keeps the driver from its work, of which `begun` hears, until `go` has come (or will not any more).
    #[cfg(test)]
    pub(crate) async fn hang(
        &self,
        begun: std::sync::mpsc::Sender<()>,
        go: std::sync::mpsc::Receiver<()>,
    ) -> Result<()> {
        let hang = move |_: &Driver| {
            begun.send(()).unwrap_or_default();
            go.recv().unwrap_or_default();
        };
        self.look(hang).await
    }

    /// Has the domain do something, and waits until it is kept.
    async fn command(&self, command: Command) -> Result<Reply> {
        let (sender, answer) = oneshot::channel();
        self.driver.send(Message::Command(command, sender)).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?.map_err(|fault| views::error(&fault))
    }

    async fn change(&self, command: Command) -> Result<Vec<Transfer>> {
        match self.command(command).await? {
            Reply::Transfers(ids) => self.look(move |driver| driver.views(&ids)).await,
            Reply::Done | Reply::Removed(_) => Ok(Vec::new()),
        }
    }

    async fn resolve(&self, text: String) -> Result<BareJid> {
        let name = text.clone();
        let jid = self.look(move |driver| driver.resolve(&text)).await??;
        self.uses_name(name, &jid).await?;
        Ok(jid)
    }

    /// Where somebody was named and not addressed, it must be whom the person meant by that name before.
    async fn uses_name(&self, text: String, jid: &BareJid) -> Result<()> {
        if !text.contains('@') {
            self.command(Command::UseName { name: text, jid: jid.clone(), confirmed: false }).await?;
        }
        Ok(())
    }

    /// Waits until the roster says what we asked for.
    async fn until<T: Send + 'static>(
        &self,
        jid: &BareJid,
        look: impl Fn(&Driver, &BareJid) -> Option<T> + Clone + Send + 'static,
    ) -> Result<T> {
        let deadline = Instant::now() + ROSTER_CHANGE;
        let mut seq = None;
        loop {
            let who = jid.clone();
            let looking = look.clone();
            if let Some(found) = self.look(move |driver| looking(driver, &who)).await? {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let message = format!("the server has not confirmed the change for {jid} yet");
                return Err(ApiError::new(
                    codes::SERVER_REFUSED,
                    message,
                    "'xbtctl contacts' shows whether it came through",
                ));
            }
            // The first time only the place in the ring is told, so that nothing is missed between two looks.
            seq = Some(self.ring.after(seq, left).await.seq);
        }
    }

    async fn set_allowed(&self, jid: String, allowed: bool) -> Result<Contact> {
        let jid = self.resolve(jid).await?;
        let who = jid.clone();
        self.command(if allowed { Command::ContactAllow(jid) } else { Command::ContactDeny(jid) }).await?;
        self.contact(who).await
    }

    async fn remove_all(&self, numbers: Vec<u64>, delete_data: bool) -> Result<Vec<Removed>> {
        match self.command(Command::Remove { ids: ids(numbers), delete_data }).await? {
            Reply::Removed(all) => Ok(all.into_iter().map(|(id, deleted)| views::removed(id, deleted)).collect()),
            Reply::Done | Reply::Transfers(_) => Ok(Vec::new()),
        }
    }

    async fn contact(&self, jid: BareJid) -> Result<Contact> {
        let known =
            self.look(move |driver| driver.domain.contact_of(&jid).map(|c| views::contact(&driver.domain, &c))).await?;
        known.ok_or_else(|| {
            ApiError::new(codes::UNKNOWN_CONTACT, "the contact was removed", "'xbtctl contacts' lists them")
        })
    }
}

impl Backend for DriverHandle {
    async fn status(&self) -> Result<Status> {
        let (status, (download, state)) = self.look(|driver| (driver.status(), driver.paths())).await?;
        Ok(Status { folders: self.folders.look(download, state).await, ..status })
    }

    async fn send(&self, request: SendRequest) -> Result<Vec<Transfer>> {
        let named = request.contacts.clone();
        let recipients =
            move |driver: &Driver| named.iter().map(|one| driver.recipient(one)).collect::<Result<Vec<_>>>();
        // Before the files are looked at: a slip in an address is reported at once.
        let contacts = self.look(recipients).await??;
        for (text, jid) in request.contacts.into_iter().zip(&contacts) {
            self.uses_name(text, jid).await?;
        }
        let (paths, name) = (request.paths.clone(), request.name.clone());
        let (skip_special, exclude) = (request.skip_special, request.exclude);
        let provisional_name = self.survey(paths, name, skip_special, exclude.clone()).await?.name;
        self.change(Command::Send(NewSend {
            contacts,
            paths: request.paths,
            name: request.name,
            provisional_name,
            message: request.message,
            expire_ms: request.expire_s.map(|s| s.saturating_mul(1000)),
            open: request.open,
            skip_special,
            exclude,
        }))
        .await
    }

    async fn survey(
        &self,
        paths: Vec<String>,
        name: Option<String>,
        skip_special: bool,
        exclude: Vec<String>,
    ) -> Result<Survey> {
        let looked = spawn_blocking(move || paths::sources(&paths, name.as_deref(), skip_special, exclude)).await;
        looked.map_err(|_| stopping())?.map_err(|fault| views::error(&fault))
    }

    async fn list(&self, query: ListQuery) -> Result<ListPage> {
        self.look(move |driver| driver.list(&query)).await
    }

    async fn show(&self, id: u64) -> Result<TransferDetails> {
        // Large descriptions are read one at a time, and by a thread of their own.
        let turn = self.listings.clone().acquire_owned().await.map_err(|_| stopping())?;
        let (details, listing) = self.look(move |driver| driver.show(TransferId(id))).await??;
        let files = move || {
            let _turn = turn;
            listing.files()
        };
        let (file_list, more_files, omitted) = spawn_blocking(files).await.map_err(|_| stopping())?;
        Ok(TransferDetails { file_list, more_files, omitted, ..details })
    }

    async fn accept(&self, numbers: Vec<u64>, dir: Option<String>) -> Result<Vec<Transfer>> {
        let ids = ids(numbers);
        let destinations = match dir {
            Some(dir) => {
                let look = move || paths::destination(Path::new(&dir), true);
                let one = spawn_blocking(look).await.map_err(|_| stopping())?;
                vec![one; ids.len()]
            }
            None => {
                let which = ids.clone();
                let folders = self.look(move |driver| driver.folders(&which)).await?;
                spawn_blocking(move || paths::destinations(folders)).await.map_err(|_| stopping())?
            }
        };
        self.change(Command::Accept { ids, destinations }).await
    }

    async fn decline(&self, numbers: Vec<u64>, message: Option<String>) -> Result<Vec<Transfer>> {
        self.change(Command::Decline { ids: ids(numbers), message }).await
    }

    async fn cancel(&self, numbers: Vec<u64>) -> Result<Vec<Transfer>> {
        self.change(Command::Cancel(ids(numbers))).await
    }

    async fn pause(&self, numbers: Vec<u64>) -> Result<Vec<Transfer>> {
        self.change(Command::Pause(ids(numbers))).await
    }

    async fn resume(&self, numbers: Vec<u64>) -> Result<Vec<Transfer>> {
        self.change(Command::Resume(ids(numbers))).await
    }

    async fn limit(&self, numbers: Vec<u64>, limits: LimitChange, priority: Option<Priority>) -> Result<Vec<Transfer>> {
        let (ids, change) = (ids(numbers), views::change(limits));
        self.change(Command::Limit { ids, change, priority: priority.map(views::asked_priority) }).await
    }

    async fn limit_all(&self, limits: LimitChange) -> Result<Limits> {
        self.command(Command::LimitAll(views::change(limits))).await?;
        self.look(|driver| views::limits(driver.domain.pace().limits)).await
    }

    async fn remove(&self, numbers: Vec<u64>, delete_data: bool) -> Result<Vec<u64>> {
        Ok(self.remove_all(numbers, delete_data).await?.into_iter().map(|removed| removed.id).collect())
    }

    async fn delete(&self, numbers: Vec<u64>) -> Result<Vec<Removed>> {
        self.remove_all(numbers, true).await
    }

    async fn contacts(&self) -> Result<Vec<Contact>> {
        self.look(Driver::contacts).await
    }

    async fn contact_add(&self, jid: String, name: Option<String>) -> Result<Contact> {
        // Not by name: somebody new has none here.
        let jid = show::address(&jid)?;
        name.as_deref().map_or(Ok(()), show::is_name)?;
        let who = jid.clone();
        self.command(Command::ContactAdd { jid, name }).await?;
        self.until(&who, Driver::added).await
    }

    async fn contact_remove(&self, jid: String) -> Result<()> {
        let jid = self.resolve(jid).await?;
        self.command(Command::ContactRemove(jid.clone())).await?;
        self.until(&jid, |driver, jid| driver.listed(jid).is_none().then_some(())).await
    }

    async fn contact_allow(&self, jid: String) -> Result<Contact> {
        self.set_allowed(jid, true).await
    }

    async fn contact_deny(&self, jid: String) -> Result<Contact> {
        self.set_allowed(jid, false).await
    }

    async fn contact_call(&self, jid: String, name: String) -> Result<Contact> {
        let jid = show::address(&jid)?;
        show::is_name(&name)?;
        let (who, called) = (jid.clone(), name.clone());
        let means = self.look(move |driver| driver.resolve(&called)).await??;
        if means != who {
            let message = format!("{name} is {means} on your contact list, and not {who}");
            return Err(ApiError::new(codes::UNKNOWN_CONTACT, message, "'xbtctl contacts' lists them"));
        }
        self.command(Command::UseName { name, jid, confirmed: true }).await?;
        self.contact(who).await
    }

    async fn contact_limit(&self, jid: String, limits: LimitChange) -> Result<Contact> {
        let jid = self.resolve(jid).await?;
        self.command(Command::ContactLimit { jid: jid.clone(), change: views::change(limits) }).await?;
        self.contact(jid).await
    }

    async fn contact_verify(&self, jid: String) -> Result<Verification> {
        let jid = self.resolve(jid).await?;
        let who = jid.clone();
        let keys = self.look(move |driver| driver.keys(&who)).await??;
        let verification = spawn_blocking(move || keys.verification()).await.map_err(|_| stopping())?;
        // Whoever asked for the numbers has them before their eyes.
        self.command(Command::DevicesSeen(jid)).await?;
        Ok(verification)
    }

    async fn contact_confirm(&self, jid: String, safety_number: String) -> Result<Contact> {
        let contact = self.resolve(jid).await?;
        let who = contact.clone();
        let keys = self.look(move |driver| driver.keys(&who)).await??;
        let find = move || keys.device_with(&safety_number);
        let fingerprint = spawn_blocking(find).await.map_err(|_| stopping())??;
        self.command(Command::DeviceVerified { contact: contact.clone(), fingerprint }).await?;
        self.contact(contact).await
    }

    async fn rules(&self, contact: Option<String>) -> Result<Rules> {
        self.look(move |driver| driver.rules(contact.as_deref())).await?
    }

    async fn login(&self) -> Result<Login> {
        self.look(|driver| views::login(&driver.domain)).await
    }

    async fn login_allow_weaker(&self) -> Result<Login> {
        self.command(Command::AllowWeakerLogin).await?;
        self.look(|driver| views::login(&driver.domain)).await
    }

    async fn events(&self, after_seq: Option<u64>, max_wait: Duration) -> Result<Events> {
        Ok(self.ring.after(after_seq, max_wait).await)
    }
}

fn ids(numbers: Vec<u64>) -> Vec<TransferId> {
    numbers.into_iter().map(TransferId).collect()
}

fn stopping() -> ApiError {
    ApiError::new(codes::SHUTTING_DOWN, "the daemon is stopping", "start it again with 'systemctl --user start xbtd'")
}
