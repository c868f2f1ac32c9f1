//! `cratetorrent` as a peer to test against: somebody else's reading of the BitTorrent protocol (BEP 3), over plain TCP.
//!
//! `get TORRENT FOLDER ADDRESS [INFO-HASH]` downloads from the one peer at ADDRESS into FOLDER and ends with 0 when all
//! pieces are there. INFO-HASH (hexadecimal) is needed where the info dictionary has keys that cratetorrent does not know: it
//! computes the hash of those that it does.
//! `seed TORRENT FOLDER ADDRESS` serves what lies in FOLDER at ADDRESS until stdin ends; it prints `ready` when it runs.
//!
//! Its limits (one seeder serves one connection only, no resume, no metadata exchange) are known; see `docs/decisions/`.

use std::error::Error;
use std::io::Read;
use std::net::SocketAddr;

use cratetorrent::prelude::*;

const USAGE: &str = "usage: xbt-peer-cratetorrent get|seed TORRENT FOLDER ADDRESS [INFO-HASH]";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (mode, torrent, folder, address, hash) = match args.as_slice() {
        [mode, torrent, folder, address, hash @ ..] if hash.len() <= 1 => {
            (mode.as_str(), torrent, folder, address.parse::<SocketAddr>()?, hash.first())
        }
        _ => return Err(USAGE.into()),
    };
    let mut metainfo = Metainfo::from_bytes(&std::fs::read(torrent)?)?;
    if let Some(hash) = hash {
        for (index, byte) in metainfo.info_hash.iter_mut().enumerate() {
            let digits = hash.get(index * 2..index * 2 + 2).ok_or(USAGE)?;
            *byte = u8::from_str_radix(digits, 16)?;
        }
    }
    let (engine, alerts) = engine::spawn(Conf::new(folder))?;
    match mode {
        "get" => get(engine, alerts, metainfo, address).await,
        "seed" => seed(engine, alerts, metainfo, address).await,
        _ => Err(USAGE.into()),
    }
}

async fn get(
    engine: EngineHandle,
    mut alerts: AlertReceiver,
    metainfo: Metainfo,
    from: SocketAddr,
) -> Result<(), Box<dyn Error>> {
    let mode = Mode::Download { seeds: vec![from] };
    engine.create_torrent(TorrentParams { metainfo, conf: None, mode, listen_addr: None })?;
    while let Some(alert) = alerts.next().await {
        match alert {
            Alert::TorrentComplete(_) => return Ok(engine.shutdown().await?),
            Alert::Error(error) => return Err(error.into()),
            _ => (), // not exhaustive in the library
        }
    }
    Err("the engine ended before the download was complete".into())
}

async fn seed(
    engine: EngineHandle,
    mut alerts: AlertReceiver,
    metainfo: Metainfo,
    at: SocketAddr,
) -> Result<(), Box<dyn Error>> {
    engine.create_torrent(TorrentParams { metainfo, conf: None, mode: Mode::Seed, listen_addr: Some(at) })?;
    let end_of_input = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    let mut ready = false;
    let watch = async {
        while let Some(alert) = alerts.next().await {
            match alert {
                Alert::Error(error) => return Err(error),
                // The first statistics come when the torrent's own task, which listens, runs.
                Alert::TorrentStats { .. } if !ready => {
                    ready = true;
                    println!("ready");
                }
                _ => (),
            }
        }
        Ok(())
    };
    tokio::select! {
        result = watch => result?,
        _ = end_of_input => (),
    }
    Ok(engine.shutdown().await?)
}
