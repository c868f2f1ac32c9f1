//! The session bus: the notification server (Desktop Notifications Specification 1.3) and the file manager.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use zbus::fdo::RequestNameFlags;
use zbus::message::Type;
use zbus::{Connection, MatchRule, Message, MessageStream, Variant, connection};

use crate::note::{Abilities, Note};

const NAME: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";

/// Owned by the one that runs in a session: a second one would show everything twice.
const OWN_NAME: &str = "im.xbt.Notify";

/// The name of our `.desktop` entry, by which desktops recognise our notifications.
const ENTRY: &str = "xbt";

/// How long the notification server may take for a call.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Signals that may wait for us; beyond that the bus holds the sender back.
const QUEUE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(63);

/// A signal of the notification server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The person has pressed a button of a notification.
    Pressed(u32, String),
    /// A notification was closed.
    Closed(u32),
    /// Another server, none, or a restarted one: nothing is shown now.
    Changed,
}

/// Why notifications cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The session has no bus, or it refuses us.
    #[error("the session bus cannot be reached: {0}")]
    Session(#[source] zbus::Error),
    /// Another instance runs in this session.
    #[error("xbt-notify is already running in this session")]
    Second,
}

/// A connection to the session bus.
#[derive(Debug)]
pub struct Bus {
    connection: Connection,
    signals: MessageStream,
    owners: MessageStream,
    /// The notification server; signals of others are ignored.
    owner: Option<String>,
}

impl Bus {
    /// Connects, and makes sure that we are the only one in this session.
    ///
    /// # Errors
    /// [`BusError`]
    pub async fn open() -> Result<Self, BusError> {
        let built = connection::Builder::session().method_timeout(TIMEOUT).build().await;
        let connection = built.map_err(BusError::Session)?;
        match connection.request_name_with_flags(OWN_NAME, RequestNameFlags::DO_NOT_QUEUE).await {
            Ok(_) => {}
            Err(zbus::Error::NameTaken) => return Err(BusError::Second),
            Err(error) => return Err(BusError::Session(error)),
        }
        Self::listen(connection).await.map_err(BusError::Session)
    }

    async fn listen(connection: Connection) -> zbus::Result<Self> {
        let rule = MatchRule::builder().msg_type(Type::Signal).interface(NAME).path(PATH).build()?;
        let signals = MessageStream::for_match_rule(rule, &connection, Some(QUEUE)).await?;
        let rule = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender("org.freedesktop.DBus")
            .interface("org.freedesktop.DBus")
            .member("NameOwnerChanged")
            .arg(0, NAME)
            .build()?;
        let owners = MessageStream::for_match_rule(rule, &connection, Some(QUEUE)).await?;
        let mut bus = Self { connection, signals, owners, owner: None };
        bus.owner = bus.ask_owner().await;
        Ok(bus)
    }

    /// The notification server now; one that the bus starts on demand has no owner before.
    async fn ask_owner(&self) -> Option<String> {
        let bus = "org.freedesktop.DBus";
        let answer =
            self.connection.call_method(Some(bus), "/org/freedesktop/DBus", Some(bus), "GetNameOwner", &NAME).await;
        answer.ok().and_then(|answer| answer.body().deserialize::<String>().ok())
    }

    /// The next signal. `None`: the session has ended.
    pub async fn next(&mut self) -> Option<Signal> {
        loop {
            tokio::select! {
                biased;
                changed = self.owners.next() => {
                    let changed = changed?.ok()?;
                    if let Ok((_, _, new)) = changed.body().deserialize::<(String, String, String)>() {
                        self.owner = (!new.is_empty()).then_some(new);
                    }
                    return Some(Signal::Changed);
                }
                signal = self.signals.next() => {
                    let signal = signal?.ok()?;
                    let sender = signal.header().sender().map(|sender| sender.as_str().to_owned());
                    if sender.is_some() && sender == self.owner && let Some(signal) = read(&signal) {
                        return Some(signal);
                    }
                }
            }
        }
    }

    /// The capabilities of the server.
    ///
    /// # Errors
    /// There is none, or it does not answer.
    pub async fn abilities(&self) -> zbus::Result<Abilities> {
        let answer = self.call("GetCapabilities", &()).await?;
        let words: Vec<String> = answer.body().deserialize()?;
        let answer = self.call("GetServerInformation", &()).await?;
        let (name, _vendor, _version, _specification): (String, String, String, String) =
            answer.body().deserialize()?;
        Ok(Abilities::from_words(&words, &name))
    }

    /// Shows a notification, in place of the one with the id `replaces` if that is not 0; its id.
    ///
    /// # Errors
    /// There is no server, or it does not answer.
    pub async fn show(&self, note: &Note, replaces: u32, abilities: Abilities) -> zbus::Result<u32> {
        let (title, body) = note.text(abilities);
        let keys = note.actions.iter().filter(|_| abilities.actions).flat_map(|action| action.keys());
        let keys = keys.filter(|(key, _)| abilities.click || *key != "default");
        let actions: Vec<&str> = keys.flat_map(|(key, label)| [*key, *label]).collect();
        let mut hints: HashMap<&str, Variant<'_>> = HashMap::new();
        hints.insert("urgency", note.urgency.number().into());
        hints.insert("category", note.category.into());
        hints.insert("desktop-entry", ENTRY.into());
        if let Some(value) = note.value.filter(|_| abilities.gauge) {
            hints.insert("value", i32::from(value).into());
        }
        // 0: until it is closed; -1: the default of the server.
        let timeout: i32 = if note.stays { 0 } else { -1 };
        let answer = self.call("Notify", &("xbt", replaces, note.icon, title, body, actions, hints, timeout)).await?;
        answer.body().deserialize()
    }

    /// Closes a notification. If the server does not know it, it is closed already.
    pub async fn close(&self, id: u32) {
        let _ = self.call("CloseNotification", &id).await;
    }

    async fn call<B>(&self, method: &str, body: &B) -> zbus::Result<Message>
    where
        B: serde::Serialize + zbus::DynamicType,
    {
        self.connection.call_method(Some(NAME), PATH, Some(NAME), method, body).await
    }

    /// Has the file manager show a file or folder in its parent folder (File Manager Interface 0.1).
    ///
    /// # Errors
    /// There is no file manager on the bus.
    pub async fn show_item(&self, path: &Path) -> zbus::Result<()> {
        let name = "org.freedesktop.FileManager1";
        let body = (vec![crate::uri::of(path)], "");
        self.connection
            .call_method(Some(name), "/org/freedesktop/FileManager1", Some(name), "ShowItems", &body)
            .await?;
        Ok(())
    }
}

fn read(signal: &Message) -> Option<Signal> {
    let header = signal.header();
    let body = signal.body();
    match header.member()?.as_str() {
        "ActionInvoked" => {
            let (id, key) = body.deserialize::<(u32, String)>().ok()?;
            Some(Signal::Pressed(id, key))
        }
        "NotificationClosed" => {
            let (id, _reason) = body.deserialize::<(u32, u32)>().ok()?;
            Some(Signal::Closed(id))
        }
        _ => None,
    }
}
