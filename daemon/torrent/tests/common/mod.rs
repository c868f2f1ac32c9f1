//! Engines with real files, joined by streams in memory or over loopback.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

pub mod peer;
pub mod plain;

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;
use xbt_torrent::handshake::OUR_RESERVED;
use xbt_torrent::{
    CloseReason, ContentKey, Engine, EngineConfig, EngineError, Event, Fetch, Group, LinkTag, Prepared, Sources,
};

/// Long enough for a loaded machine; nothing waits this long when things work.
pub const PATIENCE: Duration = Duration::from_secs(60);
pub const KEY: ContentKey = ContentKey(1);

static TAGS: AtomicU64 = AtomicU64::new(1);

pub fn tag() -> LinkTag {
    LinkTag(TAGS.fetch_add(1, Ordering::Relaxed))
}

/// An engine, its folders and its events.
pub struct Node {
    pub engine: Engine,
    pub events: Receiver<Event>,
    /// Events that were passed over while waiting for another.
    pub past: VecDeque<Event>,
    pub folder: tempfile::TempDir,
}

impl Node {
    pub fn new() -> Self {
        Self::limited(0, 0)
    }

    pub fn limited(upload_limit: u64, download_limit: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (engine, events) = start(folder.path(), upload_limit, download_limit);
        Self { engine, events, past: VecDeque::new(), folder }
    }

    /// The same folders, a new engine: what a restart is.
    pub fn restart(&mut self) {
        (self.engine, self.events) = start(self.folder.path(), 0, 0);
        self.past.clear();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn destination(&self) -> PathBuf {
        self.path("in")
    }

    /// Waits for the event that `pick` wants.
    pub async fn wait<T>(&mut self, what: &str, mut pick: impl FnMut(&Event) -> Option<T>) -> T {
        let found = timeout(PATIENCE, async {
            loop {
                let event = self.events.recv().await.expect("the engine is there");
                let found = pick(&event);
                self.past.push_back(event);
                if let Some(found) = found {
                    return found;
                }
            }
        });
        match found.await {
            Ok(found) => found,
            Err(_) => panic!("waited for {what} in vain; saw {:?}", self.past.iter().rev().take(8).collect::<Vec<_>>()),
        }
    }

    pub async fn prepare(&mut self, paths: &[PathBuf]) -> Result<Prepared, EngineError> {
        self.engine.prepare(KEY, Sources { paths: paths.to_vec(), ..Sources::default() });
        self.wait("prepared", |event| match event {
            Event::Prepared { prepared, .. } => Some(Ok(prepared.clone())),
            Event::PrepareFailed { error, .. } => Some(Err(error.clone())),
            _ => None,
        })
        .await
    }

    /// Prepares and seeds.
    pub async fn seed(&mut self, path: &Path) -> Prepared {
        let prepared = self.prepare(&[path.to_owned()]).await.unwrap();
        self.engine.seed(KEY, prepared.clone());
        prepared
    }

    pub fn offered(&self, prepared: &Prepared) -> Fetch {
        Fetch {
            owner: Group(1),
            info_hash: prepared.info_hash,
            name: prepared.name.clone(),
            size: prepared.size,
            files: prepared.files,
            metadata_size: prepared.info.len() as u32,
            destination: self.destination(),
            partial_id: "test".into(),
            info: None,
        }
    }

    pub fn fetch(&self, prepared: &Prepared) {
        self.engine.fetch(KEY, self.offered(prepared));
    }

    /// The same with the metadata in hand, so that data is asked for at once.
    pub fn fetch_known(&self, prepared: &Prepared) {
        self.engine.fetch(KEY, Fetch { info: Some(prepared.info.clone()), ..self.offered(prepared) });
    }

    /// Waits for the whole content, one file, and compares it.
    pub async fn arrives(&mut self, bytes: &[u8]) {
        assert!(std::fs::read(self.completed().await).unwrap() == bytes, "other bytes than were sent");
    }

    pub async fn completed(&mut self) -> PathBuf {
        self.wait("completed", |event| match event {
            Event::Completed { path, .. } => Some(path.clone()),
            Event::Failed { error, .. } => panic!("failed: {error:?}"),
            _ => None,
        })
        .await
    }

    pub async fn failed(&mut self) -> EngineError {
        self.wait("failed", |event| match event {
            Event::Failed { error, .. } => Some(error.clone()),
            Event::Completed { .. } => panic!("completed"),
            _ => None,
        })
        .await
    }

    pub async fn closed(&mut self, tag: LinkTag) -> CloseReason {
        let pick = |event: &Event| match event {
            Event::LinkClosed { tag: closed, reason, .. } if *closed == tag => Some(reason.clone()),
            _ => None,
        };
        match self.past.iter().find_map(pick) {
            Some(reason) => reason,
            None => self.wait("closed", pick).await,
        }
    }

    /// Takes a link away, and waits until all that it brought is told.
    pub async fn detach(&mut self, tag: LinkTag) -> CloseReason {
        self.engine.detach(tag);
        self.closed(tag).await
    }

    pub async fn verified(&mut self, at_least: u64) -> u64 {
        self.wait("progress", |event| match event {
            Event::Progress { verified, .. } if *verified >= at_least => Some(*verified),
            Event::Failed { error, .. } => panic!("failed: {error:?}"),
            _ => None,
        })
        .await
    }

    /// Payload bytes received on links, by the last word of each link.
    pub fn downloaded(&self) -> u64 {
        self.moved().values().map(|(_, downloaded)| downloaded).sum()
    }

    /// Payload bytes sent on links, likewise.
    pub fn uploaded(&self) -> u64 {
        self.moved().values().map(|(uploaded, _)| uploaded).sum()
    }

    fn moved(&self) -> HashMap<LinkTag, (u64, u64)> {
        let of_link = |event: &Event| match event {
            Event::PeerProgress { tag, uploaded, downloaded, .. } => Some((*tag, (*uploaded, *downloaded))),
            _ => None,
        };
        self.past.iter().filter_map(of_link).collect()
    }
}

fn start(folder: &Path, upload_limit: u64, download_limit: u64) -> (Engine, Receiver<Event>) {
    Engine::start(EngineConfig { state_dir: folder.join("state"), upload_limit, download_limit }).unwrap()
}

/// Joins two engines by a stream in memory.
pub fn join(a: &Node, b: &Node) -> (LinkTag, LinkTag) {
    join_keys(a, KEY, b, KEY)
}

pub fn join_keys(a: &Node, a_key: ContentKey, b: &Node, b_key: ContentKey) -> (LinkTag, LinkTag) {
    let (one, two) = tokio::io::duplex(256 << 10);
    let tags = (tag(), tag());
    a.engine.attach(a_key, tags.0, one, OUR_RESERVED);
    b.engine.attach(b_key, tags.1, two, OUR_RESERVED);
    tags
}

/// Both ends of a connection over loopback.
pub async fn tcp() -> (tokio::net::TcpStream, tokio::net::TcpStream) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (near, far) = tokio::join!(tokio::net::TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (near.unwrap(), far.unwrap().0)
}

/// Bytes that do not repeat.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

pub fn write(path: &Path, bytes: &[u8]) -> PathBuf {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
    path.to_owned()
}

/// Every file below a folder with its bytes.
pub fn tree(folder: &Path) -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
    let mut files = std::collections::BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                files.insert(path.strip_prefix(folder).unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    files
}
