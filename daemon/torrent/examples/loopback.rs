//! Two engines over loopback TCP in one process: how fast is a content prepared, and how fast does it arrive?
//!
//! `cargo run --release -p xbt-torrent --example loopback -- PATH FOLDER` sends PATH into FOLDER; FOLDER also holds
//! the engines' state. Prints MiB/s.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::PathBuf;
use std::time::Instant;

use tokio::net::{TcpListener, TcpStream};
use xbt_torrent::handshake::Handshake;
use xbt_torrent::{ContentKey, Engine, EngineConfig, Event, Fetch, LinkTag, Prepared, Sources};

const KEY: ContentKey = ContentKey(1);

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(path), Some(folder)) = (arguments.next(), arguments.next()) else {
        panic!("usage: loopback PATH FOLDER");
    };
    let start = |name: &str| {
        let state_dir = folder.join(name);
        Engine::start(EngineConfig { state_dir, upload_limit: 0, download_limit: 0 }).unwrap()
    };
    let ((a, mut from_a), (b, mut from_b)) = (start("state-a"), start("state-b"));
    let begun = Instant::now();
    a.prepare(KEY, Sources { paths: vec![path], ..Sources::default() });
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
    b.fetch(KEY, offer(&prepared, folder.join("in")));
    let begun = Instant::now();
    connect(&a, &b, prepared.info_hash).await;
    loop {
        match from_b.recv().await.unwrap() {
            Event::Progress { verified, .. } if verified == prepared.size => report("verified", prepared.size, begun),
            Event::Completed { .. } => break,
            Event::Failed { error, .. } => panic!("{error}"),
            Event::LinkClosed { reason, .. } => panic!("{reason}"),
            _ => {}
        }
    }
    report("completed", prepared.size, begun);
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
    for (engine, tag, mut stream) in [(a, LinkTag(1), near.unwrap()), (b, LinkTag(2), far.unwrap().0)] {
        stream.set_nodelay(true).unwrap();
        Handshake::ours(info_hash, engine.peer_id()).write(&mut stream).await.unwrap();
        let engine = engine.clone();
        tokio::spawn(async move {
            let theirs = Handshake::read(&mut stream).await.unwrap();
            engine.attach(KEY, tag, stream, theirs.reserved);
        });
    }
}

fn report(what: &str, bytes: u64, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    println!("{what}: {:.0} MiB/s ({seconds:.2} s)", bytes as f64 / seconds / 1048576.0);
}
