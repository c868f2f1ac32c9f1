//! A daemon that is only a list, and the real `xbtctl` against it.
#![allow(dead_code)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tarpc::context::Context;
use tokio::sync::watch;
use xbt_api::{
    ApiError, Connection, Contact, DeviceVerification, Event, EventKind, Events, Hello, Kept, LimitChange, Limits,
    ListPage, ListQuery, Login, METHODS, PROTOCOL, Priority, Removed, Rules, SendRequest, State, Status, Survey,
    Transfer, TransferDetails, Trust, Verification, Why, Xbt,
};

#[path = "../../src/sample.rs"]
mod sample;

mod bench;

pub use bench::{Bench, finish};
pub use sample::transfer;

/// State of the fake daemon and the calls it received.
#[derive(Default)]
pub struct World {
    pub transfers: Vec<Transfer>,
    pub events: Vec<Event>,
    pub sent: Vec<SendRequest>,
    pub new_keys: Vec<String>,
    pub requests: Vec<String>,
    pub accepted_into: Option<String>,
    pub limited: Option<(LimitChange, Option<Priority>)>,
    /// How each send ends, at once; `None`: it stays queued.
    pub ending: Option<State>,
    /// Every call but `hello` is refused with this.
    pub refusal: Option<ApiError>,
    pub protocol: Option<u32>,
    /// Events are lost, all of them.
    pub lagged: bool,
    /// Most transfers in a page.
    pub page: Option<usize>,
}

#[derive(Clone)]
pub struct FakeDaemon {
    pub world: Arc<Mutex<World>>,
    happened: watch::Sender<u64>,
}

/// Somebody who may send without asking.
fn bob(jid: &str) -> Contact {
    Contact { groups: vec!["friends".into()], allowed: true, ..sample::contact(jid, "Bob") }
}

fn limited(change: LimitChange) -> Limits {
    Limits { upload: change.upload.unwrap_or(0), download: change.download.unwrap_or(0) }
}

impl FakeDaemon {
    /// Changes a transfer and tells everybody.
    pub fn become_state(&self, id: u64, state: State, done_bytes: u64) {
        let mut world = self.world.lock().unwrap();
        let found = world.transfers.iter_mut().find(|transfer| transfer.id == id).unwrap();
        found.state = state;
        found.done_bytes = done_bytes;
        let changed = found.clone();
        let seq = world.events.len() as u64 + 1;
        let at = "2026-01-31T12:00:01Z".into();
        world.events.push(Event { seq, at, kind: EventKind::Transfer, transfer: Some(changed), text: String::new() });
        self.happened.send_replace(seq);
    }

    fn allowed(&self) -> Result<(), ApiError> {
        self.world.lock().unwrap().refusal.clone().map_or(Ok(()), Err)
    }

    fn change(&self, ids: &[u64], change: impl Fn(&mut Transfer)) -> Result<Vec<Transfer>, ApiError> {
        self.allowed()?;
        let mut world = self.world.lock().unwrap();
        let mut changed = Vec::new();
        for id in ids {
            let found = world.transfers.iter_mut().find(|transfer| transfer.id == *id);
            let found = found.ok_or_else(|| {
                ApiError::new("no-such-transfer", format!("there is no transfer {id}"), "see 'xbtctl list --all'")
            })?;
            change(found);
            changed.push(found.clone());
        }
        Ok(changed)
    }

    /// Lets a transfer run to the end that the world has for it.
    fn play(&self, id: u64) {
        let ending = self.world.lock().unwrap().ending;
        let daemon = self.clone();
        if let Some(ending) = ending {
            tokio::spawn(async move {
                daemon.become_state(id, State::Sending, 1);
                daemon.become_state(id, ending, 2);
            });
        }
    }
}

impl Xbt for FakeDaemon {
    async fn hello(self, _: Context) -> Result<Hello, ApiError> {
        let protocol = self.world.lock().unwrap().protocol.unwrap_or(PROTOCOL);
        let methods = METHODS.iter().map(ToString::to_string).collect();
        Ok(Hello { protocol, version: "0.1.0".into(), methods })
    }

    async fn status(self, _: Context) -> Result<Status, ApiError> {
        self.allowed()?;
        let (new_keys, requests) = {
            let world = self.world.lock().unwrap();
            (world.new_keys.clone(), world.requests.clone())
        };
        Ok(Status {
            connection: Connection::Refused,
            connection_error: Some(ApiError::new("wrong-password", "the server refused the password", "change it")),
            new_keys,
            requests,
            open: xbt_api::Open { contents: 1, links: 2, uploaded: 3 << 20 },
            ..sample::status()
        })
    }

    async fn send(self, _: Context, request: SendRequest) -> Result<Vec<Transfer>, ApiError> {
        self.allowed()?;
        let mut sent = Vec::new();
        {
            let mut world = self.world.lock().unwrap();
            for contact in &request.contacts {
                let mut new = transfer(world.transfers.len() as u64 + 1, State::Queued);
                new.contact = contact.clone();
                new.why = Some(Why { code: "contact-offline".into(), text: "bob is offline".into() });
                world.transfers.push(new.clone());
                sent.push(new);
            }
            world.sent.push(request);
        }
        sent.iter().for_each(|transfer| self.play(transfer.id));
        Ok(sent)
    }

    async fn list(self, _: Context, query: ListQuery) -> Result<ListPage, ApiError> {
        self.allowed()?;
        let world = self.world.lock().unwrap();
        let matching = world.transfers.iter().filter(|transfer| {
            transfer.id > query.after_id.unwrap_or(0)
                && query.direction.is_none_or(|direction| direction == transfer.direction)
                && (query.states.is_empty() || query.states.contains(&transfer.state))
        });
        let mut transfers: Vec<_> = matching.cloned().collect();
        let page = world.page.unwrap_or(1_000);
        let more = transfers.len() > page;
        transfers.truncate(page);
        Ok(ListPage { transfers, more, new_keys: world.new_keys.clone(), requests: world.requests.clone() })
    }

    async fn show(self, _: Context, id: u64) -> Result<TransferDetails, ApiError> {
        let transfer = self.change(&[id], |_| {})?.remove(0);
        Ok(TransferDetails {
            transfer,
            file_list: vec![xbt_api::FileInfo { path: "a/b.jpg".into(), size: 2_048 }],
            more_files: true,
            omitted: 2,
            history: vec![xbt_api::HistoryItem {
                at: "2026-01-31T12:00:00Z".into(),
                state: "queued".into(),
                reason: Some("bob is offline".into()),
            }],
            relay: Some("proxy.example.org".into()),
            attempts: vec![xbt_api::Attempt {
                way: xbt_api::Way::MappedTcp4,
                reason: "bob's router refused the port mapping".into(),
            }],
            device: Some("bob@example.org/xbt-2".into()),
            fingerprint: Some("cd".repeat(32)),
            verified: true,
            expires: None,
            uploaded: 0,
            downloaded: 0,
            introduced: 0,
            limits: Limits { upload: 1 << 20, download: 0 },
            priority: Priority::High,
            magnet: Some("magnet:?xt=urn:btih:00&x.pe=192.0.2.1:51413".into()),
        })
    }

    async fn accept(self, _: Context, ids: Vec<u64>, dir: Option<String>) -> Result<Vec<Transfer>, ApiError> {
        let accepted = self.change(&ids, |transfer| transfer.state = State::Connecting)?;
        self.world.lock().unwrap().accepted_into = dir;
        ids.iter().for_each(|id| self.play(*id));
        Ok(accepted)
    }

    async fn decline(self, _: Context, ids: Vec<u64>, message: Option<String>) -> Result<Vec<Transfer>, ApiError> {
        self.change(&ids, |transfer| {
            transfer.state = State::Declined;
            transfer.message = message.clone();
        })
    }

    async fn cancel(self, _: Context, ids: Vec<u64>) -> Result<Vec<Transfer>, ApiError> {
        self.change(&ids, |transfer| transfer.state = State::Cancelled)
    }

    async fn pause(self, _: Context, ids: Vec<u64>) -> Result<Vec<Transfer>, ApiError> {
        self.change(&ids, |transfer| transfer.paused = true)
    }

    async fn resume(self, _: Context, ids: Vec<u64>) -> Result<Vec<Transfer>, ApiError> {
        self.change(&ids, |transfer| transfer.paused = false)
    }

    async fn limit(
        self,
        _: Context,
        ids: Vec<u64>,
        limits: LimitChange,
        priority: Option<Priority>,
    ) -> Result<Vec<Transfer>, ApiError> {
        self.world.lock().unwrap().limited = Some((limits, priority));
        self.change(&ids, |_| {})
    }

    async fn limit_all(self, _: Context, limits: LimitChange) -> Result<Limits, ApiError> {
        self.allowed()?;
        Ok(limited(limits))
    }

    async fn remove(self, _: Context, ids: Vec<u64>, _delete_data: bool) -> Result<Vec<u64>, ApiError> {
        self.change(&ids, |_| {})?;
        self.world.lock().unwrap().transfers.retain(|transfer| !ids.contains(&transfer.id));
        Ok(ids)
    }

    async fn delete(self, _: Context, ids: Vec<u64>) -> Result<Vec<Removed>, ApiError> {
        self.change(&ids, |_| {})?;
        self.world.lock().unwrap().transfers.retain(|transfer| !ids.contains(&transfer.id));
        // Of odd ones nothing stays.
        let stay = |id: u64| if id.is_multiple_of(2) { 3 } else { 0 };
        let named =
            |id| (stay(id) > 0).then(|| Kept { path: "holiday/mine\u{1b}".into(), why: "was not received".into() });
        let removed = |id| Removed { id, deleted: 12, kept: stay(id), stays: named(id).into_iter().collect() };
        Ok(ids.into_iter().map(removed).collect())
    }

    async fn survey(
        self,
        _: Context,
        paths: Vec<String>,
        name: Option<String>,
        skip_special: bool,
        exclude: Vec<String>,
    ) -> Result<Survey, ApiError> {
        self.allowed()?;
        if !std::path::Path::new(&paths[0]).exists() {
            return Err(ApiError::new("path-not-found", "there is nothing at that path", "check the path"));
        }
        let own = paths[0].rsplit('/').next().unwrap_or_default().to_owned();
        let (omitted, excluded) = (if skip_special { 4 } else { 0 }, exclude.len() as u64);
        Ok(Survey { name: name.unwrap_or(own), files: 1, size: 2048, omitted, excluded, unfinished: 0 })
    }

    async fn contacts(self, _: Context) -> Result<Vec<Contact>, ApiError> {
        self.allowed()?;
        Ok(vec![bob("bob@example.org")])
    }

    async fn rules(self, _: Context, _contact: Option<String>) -> Result<Rules, ApiError> {
        self.allowed()?;
        Ok(Rules { rules: vec![], from: vec![], max_size: 1 << 30, folder: "/home/a/Downloads".into(), contact: None })
    }

    async fn login(self, _: Context) -> Result<Login, ApiError> {
        self.allowed()?;
        Ok(Login { jid: "alice@example.org".into(), known: None, refused: None })
    }

    async fn login_allow_weaker(self, _: Context) -> Result<Login, ApiError> {
        self.allowed()?;
        Err(ApiError::new("no-weaker-login", "no login was refused", ""))
    }

    async fn contact_add(self, _: Context, jid: String, _name: Option<String>) -> Result<Contact, ApiError> {
        self.allowed()?;
        Ok(bob(&jid))
    }

    async fn contact_remove(self, _: Context, _jid: String) -> Result<(), ApiError> {
        self.allowed()
    }

    async fn contact_allow(self, _: Context, jid: String) -> Result<Contact, ApiError> {
        self.allowed()?;
        Ok(bob(&jid))
    }

    async fn contact_deny(self, _: Context, jid: String) -> Result<Contact, ApiError> {
        self.allowed()?;
        Ok(bob(&jid))
    }

    async fn contact_call(self, _: Context, jid: String, _name: String) -> Result<Contact, ApiError> {
        self.allowed()?;
        Ok(bob(&jid))
    }

    async fn contact_limit(self, _: Context, jid: String, limits: LimitChange) -> Result<Contact, ApiError> {
        self.allowed()?;
        Ok(Contact { limits: limited(limits), ..bob(&jid) })
    }

    async fn contact_verify(self, _: Context, jid: String) -> Result<Verification, ApiError> {
        self.allowed()?;
        let device = DeviceVerification {
            resource: "xbt-1f2e".into(),
            fingerprint: "cd".repeat(32),
            safety_number: "12345 67890".into(),
            verified: false,
            blocked: false,
            unseen: false,
        };
        Ok(Verification { jid, own_fingerprint: "ab".repeat(32), devices: vec![device], trust: Trust::Unverified })
    }

    async fn contact_confirm(self, _: Context, jid: String, safety_number: String) -> Result<Contact, ApiError> {
        if safety_number != "12345 67890" {
            return Err(ApiError::new("safety-number-mismatch", "the numbers differ", "do not trust this contact yet"));
        }
        Ok(bob(&jid))
    }

    async fn events(self, _: Context, after_seq: Option<u64>, max_wait_ms: u64) -> Result<Events, ApiError> {
        let mut happened = self.happened.subscribe();
        let Some(after) = after_seq else {
            return Ok(Events { seq: *happened.borrow(), ..Events::default() });
        };
        let wait = Duration::from_millis(max_wait_ms);
        let _ = tokio::time::timeout(wait, happened.wait_for(|seq| *seq > after)).await;
        let world = self.world.lock().unwrap();
        if world.lagged {
            return Ok(Events { seq: world.events.len() as u64, lagged: true, events: vec![] });
        }
        let events: Vec<_> = world.events.iter().filter(|event| event.seq > after).cloned().collect();
        Ok(Events { seq: world.events.len() as u64, lagged: false, events })
    }
}
