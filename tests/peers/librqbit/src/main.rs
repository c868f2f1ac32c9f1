//! `librqbit` as a program that the benchmark runs beside xbt, over plain TCP.
//!
//! `seed PATH FOLDER PIECE LIMIT` hashes PATH, writes `FOLDER/content.torrent` and serves it; LIMIT is the most bytes per second that it
//! sends, 0: no limit. `get TORRENT FOLDER` waits for a line with the addresses of its peers, and fetches from them. Both print JSON, one
//! object a line, and end when stdin does:
//!
//! `{"prepared": SECONDS}` (seed), `{"port": NUMBER}`, `{"done": SECONDS}` (get, from the line until all is there).

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use librqbit::{AddTorrent, AddTorrentOptions, CreateTorrentOptions, ListenerOptions, Session, SessionOptions};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};

const USAGE: &str = "usage: xbt-peer-librqbit seed PATH FOLDER PIECE LIMIT | get TORRENT FOLDER";

type Fault = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["seed", path, folder, piece, limit] => seed(path, folder, piece.parse()?, limit.parse()?).await?,
        ["get", torrent, folder] => get(torrent, folder, &mut lines).await?,
        _ => return Err(USAGE.into()),
    }
    while lines.next_line().await?.is_some() {}
    // Not stopped politely: who measures has what it wants, and waits.
    std::process::exit(0)
}

/// Only TCP on loopback, and nobody is looked for.
async fn session(folder: &str, limit: u32) -> Result<Arc<Session>, Fault> {
    let mut options = SessionOptions {
        dht: None,
        disable_trackers: true,
        disable_local_service_discovery: true,
        ipv4_only: true,
        listen: Some(ListenerOptions {
            listen_addr: (Ipv4Addr::LOCALHOST, 0).into(),
            ipv4_only: true,
            ..Default::default()
        }),
        ..Default::default()
    };
    options.ratelimits.upload_bps = NonZeroU32::new(limit);
    Ok(Session::new_with_opts(folder.into(), options).await?)
}

async fn seed(path: &str, folder: &str, piece: u32, limit: u32) -> Result<(), Fault> {
    let session = session(folder, limit).await?;
    let begun = Instant::now();
    let options = CreateTorrentOptions { piece_length: Some(piece), ..Default::default() };
    let (torrent, handle) =
        session.create_and_serve_torrent(Path::new(path), options).await.map_err(|error| format!("{error:#}"))?;
    handle.wait_until_initialized().await?;
    say(json!({ "prepared": begun.elapsed().as_secs_f64() }));
    std::fs::write(Path::new(folder).join("content.torrent"), torrent.as_bytes()?)?;
    port(&session)?;
    // It serves as long as the program lives.
    std::mem::forget(session);
    Ok(())
}

async fn get(torrent: &str, folder: &str, lines: &mut Lines<BufReader<Stdin>>) -> Result<(), Fault> {
    let session = session(folder, 0).await?;
    let bytes = std::fs::read(torrent)?;
    port(&session)?;
    let line = lines.next_line().await?.ok_or("no peers were named")?;
    let peers = line.split_whitespace().map(str::parse).collect::<Result<Vec<SocketAddr>, _>>()?;
    let begun = Instant::now();
    let options = AddTorrentOptions { initial_peers: Some(peers), overwrite: true, ..Default::default() };
    let added = session.add_torrent(AddTorrent::from_bytes(bytes), Some(options)).await?;
    added.into_handle().ok_or("it was not added")?.wait_until_completed().await?;
    say(json!({ "done": begun.elapsed().as_secs_f64() }));
    Ok(())
}

fn port(session: &Session) -> Result<(), Fault> {
    say(json!({ "port": session.listen_addr().ok_or("it does not listen")?.port() }));
    Ok(())
}

fn say(what: serde_json::Value) {
    println!("{what}");
}
