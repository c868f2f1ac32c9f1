//! The engine as a program of its own that the benchmark runs, over TCP in the clear on loopback.
//!
//! `peer seed PATH FOLDER PIECE LIMIT` hashes PATH, writes `FOLDER/content.torrent` (in a form of our own) and serves it; LIMIT is the
//! most bytes per second that it sends, 0: no limit; PIECE is there for programs that do not choose for themselves.
//! `peer get TORRENT FOLDER` waits for a line with the addresses of its peers, and fetches from them. Both keep serving, print JSON, one
//! object a line, and end when stdin does:
//!
//! `{"prepared": SECONDS}` (seed), `{"port": NUMBER}`, `{"done": SECONDS}` (get, from the line until all is there).
#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::Receiver;
use xbt_torrent::handshake::Handshake;
use xbt_torrent::{ContentKey, Engine, EngineConfig, Event, Fetch, LinkTag, Prepared, Sources};

const KEY: ContentKey = ContentKey(1);
static TAGS: AtomicU64 = AtomicU64::new(1);

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    match arguments.as_slice() {
        ["seed", path, folder, _, limit] => seed(path, folder, limit.parse().unwrap()).await,
        ["get", torrent, folder] => get(torrent, folder, &mut lines).await,
        _ => panic!("usage: peer seed PATH FOLDER PIECE LIMIT | peer get TORRENT FOLDER"),
    }
    while lines.next_line().await.unwrap().is_some() {}
}

fn engine(folder: &str, upload_limit: u64) -> (Engine, Receiver<Event>) {
    let state_dir = Path::new(folder).join(".state");
    Engine::start(EngineConfig { state_dir, upload_limit, download_limit: 0 }).unwrap()
}

async fn seed(path: &str, folder: &str, limit: u64) {
    let (engine, mut events) = engine(folder, limit);
    let begun = Instant::now();
    engine.prepare(KEY, Sources { paths: vec![path.into()], ..Sources::default() });
    let prepared = loop {
        match events.recv().await.unwrap() {
            Event::Prepared { prepared, .. } => break prepared,
            Event::PrepareFailed { error, .. } => panic!("{error}: {}", error.hint),
            _ => {}
        }
    };
    println!("{{\"prepared\": {}}}", begun.elapsed().as_secs_f64());
    std::fs::write(Path::new(folder).join("content.torrent"), prepared.to_bytes()).unwrap();
    engine.seed(KEY, prepared.clone());
    listen(&engine, prepared.info_hash).await;
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    // It lives as long as the program.
    std::mem::forget(engine);
}

async fn get(torrent: &str, folder: &str, lines: &mut Lines<BufReader<Stdin>>) {
    let (engine, mut events) = engine(folder, 0);
    let prepared = Prepared::from_bytes(&std::fs::read(torrent).unwrap()).unwrap();
    engine.fetch(KEY, fetch(&prepared, folder.into()));
    listen(&engine, prepared.info_hash).await;
    let line = lines.next_line().await.unwrap().expect("the peers are named");
    let begun = Instant::now();
    for address in line.split_whitespace() {
        let stream = TcpStream::connect(address.parse::<SocketAddr>().unwrap()).await.unwrap();
        tokio::spawn(greet(engine.clone(), stream, prepared.info_hash));
    }
    loop {
        match events.recv().await.unwrap() {
            Event::Completed { .. } => break,
            Event::Failed { error, .. } => panic!("{error}: {}", error.hint),
            _ => {}
        }
    }
    println!("{{\"done\": {}}}", begun.elapsed().as_secs_f64());
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    std::mem::forget(engine);
}

fn fetch(prepared: &Prepared, destination: PathBuf) -> Fetch {
    Fetch {
        owner: xbt_torrent::Group(1),
        info_hash: prepared.info_hash,
        name: prepared.name.clone(),
        size: prepared.size,
        files: prepared.files,
        metadata_size: prepared.info.len() as u32,
        destination,
        partial_id: "peer".into(),
        info: Some(prepared.info.clone()),
    }
}

async fn listen(engine: &Engine, info_hash: [u8; 20]) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{{\"port\": {}}}", listener.local_addr().unwrap().port());
    let engine = engine.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let engine = engine.clone();
            tokio::spawn(async move {
                let theirs = Handshake::read(&mut stream).await.unwrap();
                assert!(theirs.info_hash == info_hash, "it asks for what we have");
                Handshake::ours(info_hash, engine.peer_id()).write(&mut stream).await.unwrap();
                attach(&engine, stream, theirs);
            });
        }
    });
}

async fn greet(engine: Engine, mut stream: TcpStream, info_hash: [u8; 20]) {
    Handshake::ours(info_hash, engine.peer_id()).write(&mut stream).await.unwrap();
    let theirs = Handshake::read(&mut stream).await.unwrap();
    attach(&engine, stream, theirs);
}

fn attach(engine: &Engine, stream: TcpStream, theirs: Handshake) {
    stream.set_nodelay(true).unwrap();
    engine.attach(KEY, LinkTag(TAGS.fetch_add(1, Ordering::Relaxed)), stream, theirs.reserved);
}
