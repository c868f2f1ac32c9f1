//! The engine as a plain BitTorrent program, for trying it with others. It knows no tracker: addresses are given.
//!
//! `plain seed PATH STATE [ADDRESS…]` serves a file or folder: it writes `STATE/content.torrent`, prints a magnet link and
//! the address that it listens on, and dials the addresses given.
//! `plain get TORRENT FOLDER [ADDRESS…]` fetches into FOLDER, which also holds its state, and ends when all is there.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use sha1::{Digest, Sha1};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::Receiver;
use xbt_torrent::handshake::Handshake;
use xbt_torrent::{ContentKey, Engine, EngineConfig, Event, Fetch, LinkTag, Sources};

const KEY: ContentKey = ContentKey(1);
static TAGS: AtomicU64 = AtomicU64::new(1);

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, what, folder, addresses @ ..] = arguments.as_slice() else {
        panic!("usage: plain seed PATH STATE [ADDRESS…] | plain get TORRENT FOLDER [ADDRESS…]");
    };
    let folder = PathBuf::from(folder);
    let config = EngineConfig { state_dir: folder.join("state"), upload_limit: 0, download_limit: 0 };
    let (engine, mut events) = Engine::start(config).unwrap();
    let info_hash = match mode.as_str() {
        "seed" => seed(&engine, &mut events, what, &folder).await,
        "get" => get(&engine, what, &folder),
        _ => panic!("seed or get, not {mode}"),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("listening on {}", listener.local_addr().unwrap());
    tokio::spawn(accept(engine.clone(), listener, info_hash));
    for address in addresses {
        let stream = TcpStream::connect(address.parse::<SocketAddr>().unwrap()).await.unwrap();
        greet_first(&engine, stream, info_hash).await.unwrap();
    }
    while let Some(event) = events.recv().await {
        match event {
            Event::Completed { path, .. } => {
                println!("{} is complete", path.display());
                return engine.shutdown().await;
            }
            Event::Failed { error, .. } => panic!("{error}: {}", error.hint),
            Event::LinkClosed { reason, .. } => println!("a link ended: {reason}"),
            _ => {}
        }
    }
}

async fn seed(engine: &Engine, events: &mut Receiver<Event>, path: &str, folder: &Path) -> [u8; 20] {
    engine.prepare(KEY, Sources { paths: vec![path.into()], private: false, ..Sources::default() });
    let prepared = loop {
        match events.recv().await.unwrap() {
            Event::Prepared { prepared, .. } => break prepared,
            Event::PrepareFailed { error, .. } => panic!("{error}: {}", error.hint),
            _ => {}
        }
    };
    std::fs::write(folder.join("content.torrent"), [b"d4:info", &prepared.info[..], b"e"].concat()).unwrap();
    println!("magnet:?xt=urn:btih:{}", prepared.info_hash.map(|byte| format!("{byte:02x}")).concat());
    let info_hash = prepared.info_hash;
    engine.seed(KEY, prepared);
    info_hash
}

fn get(engine: &Engine, torrent: &str, folder: &Path) -> [u8; 20] {
    let bytes = std::fs::read(torrent).unwrap();
    let start = bytes.windows(6).position(|window| window == b"4:info").expect("a torrent file") + 6;
    // Good for files in which the info dictionary comes last, as `seed` writes them.
    let info = Bytes::copy_from_slice(&bytes[start..bytes.len() - 1]);
    let files = xbt_torrent::list(info.clone()).unwrap().files;
    let info_hash = Sha1::digest(&info).into();
    let at = info.windows(6).position(|window| window == b"4:name").expect("a name") + 6;
    let colon = at + info[at..].iter().position(|byte| *byte == b':').expect("a length");
    let length: usize = std::str::from_utf8(&info[at..colon]).unwrap().parse().unwrap();
    let name = String::from_utf8(info[colon + 1..colon + 1 + length].to_vec()).unwrap();
    let fetch = Fetch {
        owner: xbt_torrent::Group(1),
        info_hash,
        name,
        size: files.iter().map(|(_, size)| size).sum(),
        files: files.len() as u64,
        metadata_size: info.len() as u32,
        destination: folder.to_owned(),
        partial_id: "plain".into(),
        info: Some(info),
    };
    engine.fetch(KEY, fetch);
    info_hash
}

async fn accept(engine: Engine, listener: TcpListener, info_hash: [u8; 20]) {
    while let Ok((mut stream, from)) = listener.accept().await {
        let engine = engine.clone();
        tokio::spawn(async move {
            let theirs = Handshake::read(&mut stream).await?;
            if theirs.info_hash == info_hash {
                println!("{from} came");
                Handshake::ours(info_hash, engine.peer_id()).write(&mut stream).await?;
                attach(&engine, stream, theirs);
            }
            std::io::Result::Ok(())
        });
    }
}

async fn greet_first(engine: &Engine, mut stream: TcpStream, info_hash: [u8; 20]) -> std::io::Result<()> {
    Handshake::ours(info_hash, engine.peer_id()).write(&mut stream).await?;
    let theirs = Handshake::read(&mut stream).await?;
    attach(engine, stream, theirs);
    Ok(())
}

fn attach(engine: &Engine, stream: TcpStream, theirs: Handshake) {
    let _ = stream.set_nodelay(true);
    engine.attach(KEY, LinkTag(TAGS.fetch_add(1, Ordering::Relaxed)), stream, theirs.reserved);
}
