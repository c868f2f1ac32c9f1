//! Engines over loopback TCP in one process: how fast is a content prepared, and how fast does it arrive?
//!
//! `cargo run --release -p xbt-torrent --example loopback -- PATH FOLDER [RECEIVERS [KIB_PER_SECOND]]` sends PATH into
//! FOLDER, which also holds the engines' state; the sender may be limited. Prints MiB/s, and how near a limit it was.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::Receiver;
use xbt_torrent::handshake::Handshake;
use xbt_torrent::{ContentKey, Engine, EngineConfig, Event, Fetch, LinkTag, Prepared, Sources};

const KEY: ContentKey = ContentKey(1);
static TAGS: AtomicU64 = AtomicU64::new(1);

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, folder, rest @ ..] = arguments.as_slice() else {
        panic!("usage: loopback PATH FOLDER [RECEIVERS [KIB_PER_SECOND]]");
    };
    let number = |at: usize| rest.get(at).map(|text| text.parse::<u64>().unwrap());
    let (receivers, limit) = (number(0).unwrap_or(1), number(1).unwrap_or(0) << 10);
    let folder = PathBuf::from(folder);
    let start = |name: String, upload_limit: u64| {
        let state_dir = folder.join(name);
        Engine::start(EngineConfig { state_dir, upload_limit, download_limit: 0 }).unwrap()
    };
    let (a, mut from_a) = start("state-a".into(), limit);
    let begun = Instant::now();
    a.prepare(KEY, Sources { paths: vec![path.into()], ..Sources::default() });
    let prepared = loop {
        match from_a.recv().await.unwrap() {
            Event::Prepared { prepared, .. } => break prepared,
            Event::PrepareFailed { error, .. } => panic!("{error}"),
            _ => {}
        }
    };
    report("prepared", prepared.size, begun);
    tokio::spawn(async move { while from_a.recv().await.is_some() {} });
    a.seed(KEY, prepared.clone());
    let begun = Instant::now();
    let mut others: Vec<Engine> = Vec::new();
    let mut waiting = tokio::task::JoinSet::new();
    for number in 0..receivers {
        let (b, from_b) = start(format!("state-{number}"), 0);
        b.fetch(KEY, offer(&prepared, folder.join(format!("in-{number}"))));
        connect(&a, &b, prepared.info_hash).await;
        for other in &others {
            connect(other, &b, prepared.info_hash).await;
        }
        others.push(b);
        waiting.spawn(receive(from_b, prepared.size, begun));
    }
    waiting.join_all().await;
    report("all completed", prepared.size, begun);
    if limit > 0 {
        let sent = prepared.size as f64 / begun.elapsed().as_secs_f64();
        println!("{:.1} % of the limit, were it sent once", sent * 100.0 / limit as f64);
    }
}

async fn receive(mut events: Receiver<Event>, size: u64, begun: Instant) {
    loop {
        match events.recv().await.unwrap() {
            Event::Completed { .. } => break,
            Event::Failed { error, .. } => panic!("{error}"),
            Event::LinkClosed { reason, .. } => panic!("{reason}"),
            _ => {}
        }
    }
    report("completed", size, begun);
    tokio::spawn(async move { while events.recv().await.is_some() {} });
}

fn offer(prepared: &Prepared, destination: PathBuf) -> Fetch {
    Fetch {
        info_hash: prepared.info_hash,
        name: prepared.name.clone(),
        size: prepared.size,
        files: prepared.files,
        metadata_size: prepared.info.len() as u32,
        destination,
        partial_id: "loopback".into(),
        info: None,
    }
}

async fn connect(a: &Engine, b: &Engine, info_hash: [u8; 20]) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    for (engine, mut stream) in [(a, near.unwrap()), (b, far.unwrap().0)] {
        stream.set_nodelay(true).unwrap();
        Handshake::ours(info_hash, engine.peer_id()).write(&mut stream).await.unwrap();
        let engine = engine.clone();
        tokio::spawn(async move {
            let theirs = Handshake::read(&mut stream).await.unwrap();
            engine.attach(KEY, LinkTag(TAGS.fetch_add(1, Ordering::Relaxed)), stream, theirs.reserved);
        });
    }
}

fn report(what: &str, bytes: u64, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    println!("{what}: {:.0} MiB/s ({seconds:.2} s)", bytes as f64 / seconds / 1048576.0);
}
