//! What the daemon tells, over restarts of the daemon.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;
use xbt_api::{Client, ClientError, Event, EventKind, ListQuery, MAX_WAIT_MS, Transfer};

/// Between two attempts to reach the daemon.
const RETRY: Duration = Duration::from_secs(2);

/// Most pages of transfers that are looked at, of a thousand each.
const MOST_PAGES: usize = 10;

/// What the daemon tells.
#[derive(Debug)]
pub enum News {
    /// It is there; calls go here.
    Connected(Client),
    /// It has gone.
    Gone,
    /// All open transfers, and the last that have ended.
    Look(Vec<Transfer>),
    /// Names of contacts by their addresses.
    Names(HashMap<String, String>),
    /// Something happened.
    Event(Box<Event>),
}

/// The receiver does not listen any more.
struct Over;

/// Follows the daemon until nobody listens any more.
pub async fn follow(socket: PathBuf, sender: mpsc::Sender<News>) {
    let mut complaint = String::new();
    while !sender.is_closed() {
        let told = match connected(&socket, &sender).await {
            Ok(Over) => return,
            Err(error) => error.to_string(),
        };
        if sender.send(News::Gone).await.is_err() {
            return;
        }
        // Once for each reason, and not every two seconds.
        if told != complaint {
            eprintln!("xbt-notify: {told}");
            complaint = told;
        }
        sleep(RETRY).await;
    }
}

async fn connected(socket: &Path, sender: &mpsc::Sender<News>) -> Result<Over, ClientError> {
    let client = Client::connect(socket).await?;
    // Before anything is looked at, so that nothing falls in between.
    let mut seq = client.events(None, Duration::ZERO).await?.seq;
    if sender.send(News::Connected(client.clone())).await.is_err() {
        return Ok(Over);
    }
    let mut names_changed = true;
    let mut look = true;
    loop {
        if std::mem::take(&mut names_changed) {
            let contacts = client.contacts().await?;
            let named = contacts.into_iter().filter_map(|contact| Some((contact.jid, contact.name?)));
            let names = named.filter(|(_, name)| !name.trim().is_empty()).collect();
            if sender.send(News::Names(names)).await.is_err() {
                return Ok(Over);
            }
        }
        if std::mem::take(&mut look) && sender.send(News::Look(open(&client).await?)).await.is_err() {
            return Ok(Over);
        }
        let news = client.events(Some(seq), Duration::from_millis(MAX_WAIT_MS)).await?;
        seq = news.seq;
        look = news.lagged;
        for event in news.events {
            names_changed |= event.kind == EventKind::Contact;
            if sender.send(News::Event(Box::new(event))).await.is_err() {
                return Ok(Over);
            }
        }
    }
}

async fn open(client: &Client) -> Result<Vec<Transfer>, ClientError> {
    let mut all = Vec::new();
    let mut query = ListQuery::default();
    for _ in 0..MOST_PAGES {
        let page = client.list(query.clone()).await?;
        query.after_id = page.transfers.last().map(|transfer| transfer.id);
        all.extend(page.transfers);
        if !page.more {
            break;
        }
    }
    Ok(all)
}
