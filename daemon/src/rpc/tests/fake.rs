//! A backend without a daemon, and a server around it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use xbt_api::{
    Address, AddressKind, ApiError, Client, Connection, Contact, Counts, DeviceVerification, Direction, EventKind,
    Events, Folder, Folders, Kept, LedgerEntry, LimitChange, ListPage, ListQuery, Login, LoginProtection, Mapping,
    Network, Priority, Removed, Rule, Rules, RulesFor, Ruling, SendRequest, State, Status, Strangers, Stun,
    Subscription, Survey, Transfer, TransferDetails, Trust, Verification, Way, Why, codes,
};

use crate::rpc::{Backend, EventRing, Limits, RpcError, bind, serve_with};

/// Keeps transfers in a list; nothing ever moves.
#[derive(Clone)]
pub(super) struct Fake {
    pub transfers: Arc<Mutex<Vec<Transfer>>>,
    pub ring: Arc<EventRing>,
    /// Calls of `events` under way.
    pub watching: Arc<AtomicUsize>,
}

struct Watching(Arc<AtomicUsize>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(super) fn transfer(id: u64, contact: &str, name: &str) -> Transfer {
    Transfer {
        id,
        direction: Direction::Out,
        contact: contact.into(),
        name: name.into(),
        files: 1,
        size: 1_024,
        state: State::Queued,
        paused: false,
        done_bytes: 0,
        rate: 0,
        eta_s: None,
        info_hash: None,
        way: None,
        message: None,
        why: Some(Why { code: codes::CONTACT_OFFLINE.into(), text: format!("{contact} is offline") }),
        error: None,
        path: Some(format!("/home/a/{name}")),
        created: "2026-01-31T12:00:00Z".into(),
        updated: "2026-01-31T12:00:00Z".into(),
    }
}

/// Behind a router that maps a port.
fn network() -> Network {
    let told = |kind, address: &str| Address { kind, address: address.into() };
    Network {
        port: Some(51413),
        addresses: vec![
            told(AddressKind::Host, "192.168.1.2:51413"),
            told(AddressKind::Mapped, "203.0.113.7:51413"),
            told(AddressKind::Reflexive, "203.0.113.7:40112"),
        ],
        advertise: vec![],
        mapping: Mapping {
            wanted: true,
            protocol: Some("upnp".into()),
            external: Some("203.0.113.7:51413".into()),
            ..Mapping::default()
        },
        stun: Stun { addresses: vec!["203.0.113.7:40112".into()], symmetric: Some(false), ..Stun::default() },
        server: Some(xbt_api::Server {
            proxies: vec!["proxy.example.org".into()],
            stun: vec!["stun.example.org:3478".into()],
            external: Some("203.0.113.7".into()),
        }),
        strangers: Strangers { datagrams: 12, handshakes: 0 },
        ways: Way::ALL.to_vec(),
        in_band_max_size: 4 << 20,
    }
}

fn folders() -> Folders {
    let folder = |path: &str| Folder { path: path.into(), exists: true, writable: true, free: Some(53_687_091_200) };
    Folders { download: folder("/home/a/Downloads"), state: folder("/home/a/.local/state/xbt") }
}

fn contact(jid: &str) -> Contact {
    Contact {
        jid: jid.into(),
        name: Some("Bob".into()),
        subscription: Subscription::Both,
        asked: false,
        groups: vec![],
        online: false,
        xbt: false,
        devices: vec![],
        trust: Trust::Unverified,
        allowed: false,
        ruling: None,
        limits: Default::default(),
    }
}

fn limited(change: LimitChange) -> xbt_api::Limits {
    xbt_api::Limits { upload: change.upload.unwrap_or(0), download: change.download.unwrap_or(0) }
}

impl Fake {
    pub fn new() -> Self {
        Self { transfers: Arc::default(), ring: Arc::new(EventRing::new(1_000)), watching: Arc::default() }
    }

    fn change(&self, ids: &[u64], state: Option<State>, paused: bool) -> Result<Vec<Transfer>, ApiError> {
        let mut transfers = self.transfers.lock().unwrap();
        let mut changed = Vec::new();
        for id in ids {
            let found = transfers.iter_mut().find(|transfer| transfer.id == *id);
            let found = found.ok_or_else(|| {
                ApiError::new(
                    codes::NO_SUCH_TRANSFER,
                    format!("there is no transfer {id}"),
                    "'xbtctl list --all' shows the ones there are",
                )
            })?;
            found.state = state.unwrap_or(found.state);
            found.paused = paused;
            changed.push(found.clone());
        }
        Ok(changed)
    }
}

impl Backend for Fake {
    async fn status(&self) -> Result<Status, ApiError> {
        Ok(Status {
            connection: Connection::Online,
            connection_error: None,
            retry_in_s: None,
            jid: "alice@example.org".into(),
            device: Some("alice@example.org/xbt-1f2e".into()),
            fingerprint: Some("ab".repeat(32)),
            listen: vec!["0.0.0.0:51413".into()],
            mapped: vec!["203.0.113.7:51413".into()],
            version: "0.1.0".into(),
            uptime_s: 61,
            upload_rate: 0,
            download_rate: 0,
            limits: Default::default(),
            pace: Some(xbt_api::Pace { by: xbt_api::LimitsBy::Configuration, schedule: None, until: None }),
            new_keys: Vec::new(),
            requests: Vec::new(),
            links: 0,
            open: xbt_api::Open::default(),
            counts: Counts { total: self.transfers.lock().unwrap().len() as u64, ..Counts::default() },
            refused: Default::default(),
            state_error: None,
            config_error: None,
            discarded: Vec::new(),
            ledger: vec![LedgerEntry {
                contact: "bob@example.org".to_owned(),
                offers: 1,
                transfers: 1,
                links: 1,
                requests: 0,
                reserved: 1_048_576,
                files: 1,
                automatic: 1_052_672,
                pieces: 262_144,
                metadata: 180,
                hooks: 0,
                notices: 0,
            }],
            unproved: Vec::new(),
            network: Some(network()),
            folders: Some(folders()),
        })
    }

    async fn send(&self, request: SendRequest) -> Result<Vec<Transfer>, ApiError> {
        let name = request.paths[0].rsplit('/').next().unwrap().to_owned();
        let mut sent = Vec::new();
        for contact in &request.contacts {
            let mut transfers = self.transfers.lock().unwrap();
            let mut new = transfer(transfers.len() as u64 + 1, contact, &name);
            new.message = request.message.clone();
            transfers.push(new.clone());
            self.ring.push(new.created.clone(), EventKind::Transfer, Some(new.clone()), "queued".into());
            sent.push(new);
        }
        Ok(sent)
    }

    async fn list(&self, query: ListQuery) -> Result<ListPage, ApiError> {
        let limit = query.limit.unwrap() as usize;
        let transfers = self.transfers.lock().unwrap();
        let after = query.after_id.unwrap_or(0);
        let matching: Vec<_> = transfers.iter().filter(|transfer| transfer.id > after).cloned().collect();
        let more = matching.len() > limit;
        Ok(ListPage {
            more,
            transfers: matching.into_iter().take(limit).collect(),
            new_keys: Vec::new(),
            requests: Vec::new(),
        })
    }

    async fn show(&self, id: u64) -> Result<TransferDetails, ApiError> {
        let transfer = self.change(&[id], None, false)?.remove(0);
        Ok(TransferDetails {
            transfer,
            file_list: vec![],
            more_files: false,
            omitted: 0,
            history: vec![],
            relay: None,
            attempts: vec![],
            device: None,
            fingerprint: None,
            verified: false,
            expires: None,
            uploaded: 0,
            downloaded: 0,
            introduced: 0,
            limits: Default::default(),
            priority: Default::default(),
            magnet: None,
        })
    }

    async fn accept(&self, ids: Vec<u64>, _dir: Option<String>) -> Result<Vec<Transfer>, ApiError> {
        self.change(&ids, Some(State::Connecting), false)
    }

    async fn decline(&self, ids: Vec<u64>, _message: Option<String>) -> Result<Vec<Transfer>, ApiError> {
        self.change(&ids, Some(State::Declined), false)
    }

    async fn cancel(&self, ids: Vec<u64>) -> Result<Vec<Transfer>, ApiError> {
        self.change(&ids, Some(State::Cancelled), false)
    }

    async fn pause(&self, ids: Vec<u64>) -> Result<Vec<Transfer>, ApiError> {
        self.change(&ids, None, true)
    }

    async fn resume(&self, ids: Vec<u64>) -> Result<Vec<Transfer>, ApiError> {
        self.change(&ids, None, false)
    }

    async fn limit(
        &self,
        ids: Vec<u64>,
        _limits: LimitChange,
        _priority: Option<Priority>,
    ) -> Result<Vec<Transfer>, ApiError> {
        self.change(&ids, None, false)
    }

    async fn limit_all(&self, limits: LimitChange) -> Result<xbt_api::Limits, ApiError> {
        Ok(limited(limits))
    }

    async fn remove(&self, ids: Vec<u64>, _delete_data: bool) -> Result<Vec<u64>, ApiError> {
        self.transfers.lock().unwrap().retain(|transfer| !ids.contains(&transfer.id));
        Ok(ids)
    }

    async fn delete(&self, ids: Vec<u64>) -> Result<Vec<Removed>, ApiError> {
        self.transfers.lock().unwrap().retain(|transfer| !ids.contains(&transfer.id));
        let stays = || vec![Kept { path: "photos/mine.jpg".into(), why: "was not received".into() }];
        Ok(ids.into_iter().map(|id| Removed { id, deleted: 12, kept: 1, stays: stays() }).collect())
    }

    async fn survey(
        &self,
        paths: Vec<String>,
        name: Option<String>,
        skip_special: bool,
        exclude: Vec<String>,
    ) -> Result<Survey, ApiError> {
        let own = paths[0].rsplit('/').next().unwrap().to_owned();
        let (omitted, excluded) = (u64::from(skip_special), exclude.len() as u64);
        Ok(Survey { name: name.unwrap_or(own), files: 12, size: 1024, omitted, excluded, unfinished: 0 })
    }

    async fn contacts(&self) -> Result<Vec<Contact>, ApiError> {
        Ok(vec![contact("bob@example.org")])
    }

    async fn contact_add(&self, jid: String, _name: Option<String>) -> Result<Contact, ApiError> {
        assert_ne!(jid, "panic@example.org", "a fault of the backend");
        Ok(contact(&jid))
    }

    async fn contact_remove(&self, _jid: String) -> Result<(), ApiError> {
        Ok(())
    }

    async fn contact_allow(&self, jid: String) -> Result<Contact, ApiError> {
        Ok(contact(&jid))
    }

    async fn contact_deny(&self, jid: String) -> Result<Contact, ApiError> {
        Ok(contact(&jid))
    }

    async fn contact_call(&self, jid: String, _name: String) -> Result<Contact, ApiError> {
        Ok(contact(&jid))
    }

    async fn contact_limit(&self, jid: String, limits: LimitChange) -> Result<Contact, ApiError> {
        Ok(Contact { limits: limited(limits), ..contact(&jid) })
    }

    async fn contact_verify(&self, jid: String) -> Result<Verification, ApiError> {
        Ok(Verification {
            jid,
            own_fingerprint: "ab".repeat(32),
            devices: vec![DeviceVerification {
                resource: "xbt-1".into(),
                fingerprint: "cd".repeat(32),
                safety_number: "12345 67890".into(),
                verified: false,
                blocked: false,
                unseen: false,
            }],
            trust: Trust::Unverified,
        })
    }

    async fn contact_confirm(&self, jid: String, _safety_number: String) -> Result<Contact, ApiError> {
        Ok(contact(&jid))
    }

    async fn rules(&self, contact: Option<String>) -> Result<Rules, ApiError> {
        let (accept, max_size) = (xbt_api::Accept::Always, 2_097_152);
        let folder = "/home/a/Pictures/{contact}".to_owned();
        let rule = Rule {
            number: 1,
            who: vec!["Family".into()],
            accept: Some(accept),
            max_size: Some(max_size),
            folder: Some(folder.clone()),
        };
        let contact = contact.map(|jid| RulesFor {
            folder: format!("/home/a/Pictures/{jid}"),
            jid,
            heard: true,
            ruling: Ruling { accept, max_size, folder, rule: Some(1) },
        });
        let (from, folder) = (vec!["dave@example.org".to_owned()], "/home/a/Downloads".to_owned());
        Ok(Rules { rules: vec![rule], from, max_size: 1_073_741_824, folder, contact })
    }

    async fn login(&self) -> Result<Login, ApiError> {
        let login = |mechanism: &str, authority: &str| LoginProtection {
            mechanism: mechanism.into(),
            channel_binding: mechanism.ends_with("-PLUS"),
            authority: Some(authority.into()),
            authority_id: Some("ab".repeat(32)),
        };
        let (known, refused) = (login("SCRAM-SHA-256-PLUS", "ISRG Root X1"), login("SCRAM-SHA-1", "ISRG Root X1"));
        Ok(Login { jid: "alice@example.org".into(), known: Some(known), refused: Some(refused) })
    }

    async fn login_allow_weaker(&self) -> Result<Login, ApiError> {
        let login = self.login().await?;
        Ok(Login { known: login.refused, refused: None, ..login })
    }

    async fn events(&self, after_seq: Option<u64>, max_wait: Duration) -> Result<Events, ApiError> {
        self.watching.fetch_add(1, Ordering::SeqCst);
        let _watching = Watching(self.watching.clone());
        Ok(self.ring.after(after_seq, max_wait).await)
    }
}

/// A server that runs until it is stopped.
pub(super) struct Server {
    pub fake: Fake,
    pub path: PathBuf,
    pub dir: TempDir,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), RpcError>>,
}

impl Server {
    pub fn start(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("xbt/xbtd.sock");
        let listener = bind(&path).unwrap();
        let (stop, stopped) = oneshot::channel();
        let fake = Fake::new();
        let task = tokio::spawn(serve_with(listener, fake.clone(), limits, async {
            let _ = stopped.await;
        }));
        Self { fake, path, dir, stop, task }
    }

    pub async fn client(&self) -> Client {
        Client::connect(&self.path).await.unwrap()
    }

    pub async fn stop(self) -> TempDir {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
        self.dir
    }
}
