//! Follows the events of the daemon, across its restarts.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::sleep;
use xbt_api::text::clean;
use xbt_api::{ApiError, Client, ClientError, Connection, Event, EventKind, ListQuery, MAX_WAIT_MS, Transfer};

use crate::new_key::NewKey;

/// Between two attempts to reach the daemon.
const RETRY: Duration = Duration::from_secs(2);

/// Between two looks at the contacts, whose presence changes far more often than their names.
const NAMES: Duration = Duration::from_secs(10);

/// Pages of transfers that are read at most, of a thousand each.
const MAX_PAGES: usize = 10;

/// What happened.
#[derive(Debug)]
pub enum News {
    /// The daemon is there; calls go here.
    Connected(Client),
    /// It has gone.
    Gone,
    /// All open transfers, and the last that have ended.
    Look(Vec<Transfer>),
    /// Names of contacts by their addresses.
    Names(HashMap<String, String>),
    /// A device has a new key.
    Device(NewKey),
    /// Why the server refuses the login; none if it does not.
    Login(Option<ApiError>),
    /// Something else happened.
    Event(Box<Event>),
}

/// The receiver is gone.
struct Over;

/// Follows the daemon until the receiver is gone.
pub async fn follow(socket: PathBuf, sender: mpsc::Sender<News>) {
    let mut complaint = String::new();
    while !sender.is_closed() {
        let trouble = match connected(&socket, &sender).await {
            Ok(Over) => return,
            Err(error) => error.to_string(),
        };
        if sender.send(News::Gone).await.is_err() {
            return;
        }
        // Once for each reason, and not every two seconds.
        if trouble != complaint {
            eprintln!("xbt-notify: {}", clean(&trouble));
            complaint = trouble;
        }
        sleep(RETRY).await;
    }
}

async fn connected(socket: &Path, sender: &mpsc::Sender<News>) -> Result<Over, ClientError> {
    let client = Client::connect(socket).await?;
    // Before the first look, so that no event is missed in between.
    let mut seq = client.events(None, Duration::ZERO).await?.seq;
    if sender.send(News::Connected(client.clone())).await.is_err() {
        return Ok(Over);
    }
    let mut names_changed = true;
    let mut named: Option<Instant> = None;
    let mut look = true;
    let mut connection_changed = true;
    loop {
        if names_changed && named.is_none_or(|at| at.elapsed() >= NAMES) {
            names_changed = false;
            named = Some(Instant::now());
            let contacts = client.contacts().await?;
            let names = contacts.into_iter().filter_map(|contact| Some((contact.jid, contact.name?)));
            let names = names.filter(|(_, name)| !name.trim().is_empty()).collect();
            if sender.send(News::Names(names)).await.is_err() {
                return Ok(Over);
            }
        }
        if std::mem::take(&mut connection_changed) && sender.send(News::Login(refused(&client).await?)).await.is_err() {
            return Ok(Over);
        }
        if std::mem::take(&mut look) && sender.send(News::Look(open(&client).await?)).await.is_err() {
            return Ok(Over);
        }
        let news = client.events(Some(seq), Duration::from_millis(MAX_WAIT_MS)).await?;
        seq = news.seq;
        look = news.lagged;
        connection_changed = news.lagged;
        for event in news.events {
            names_changed |= event.kind == EventKind::Contact;
            connection_changed |= event.kind == EventKind::Connection;
            let news = match event.kind {
                EventKind::Device => News::Device(new_key(&client, event.text).await?),
                EventKind::Transfer
                | EventKind::Removed
                | EventKind::Connection
                | EventKind::Contact
                | EventKind::Notice => News::Event(Box::new(event)),
            };
            if sender.send(news).await.is_err() {
                return Ok(Over);
            }
        }
    }
}

/// Why the server refuses the login, if it does.
async fn refused(client: &Client) -> Result<Option<ApiError>, ClientError> {
    let status = client.status().await?;
    Ok(status.connection_error.filter(|_| status.connection == Connection::Refused))
}

/// The contact of the key in an event: the sentence names the key, the list of contacts the rest.
async fn new_key(client: &Client, text: String) -> Result<NewKey, ClientError> {
    for contact in client.contacts().await? {
        let known: Vec<_> = contact.devices.iter().filter(|device| device.fingerprint.is_some()).collect();
        let new =
            known.iter().find(|device| device.fingerprint.as_ref().is_some_and(|key| text.contains(key.as_str())));
        if let Some(new) = new {
            let first = new.trusted && known.len() == 1;
            return Ok(NewKey { contact: Some(contact.jid), first, blocked: !new.trusted, text });
        }
    }
    // A contact that is not on the list, or no longer.
    Ok(NewKey { contact: None, first: false, blocked: false, text })
}

async fn open(client: &Client) -> Result<Vec<Transfer>, ClientError> {
    let mut all = Vec::new();
    let mut query = ListQuery::default();
    for _ in 0..MAX_PAGES {
        let page = client.list(query.clone()).await?;
        query.after_id = page.transfers.last().map(|transfer| transfer.id);
        all.extend(page.transfers);
        if !page.more {
            break;
        }
    }
    Ok(all)
}
