//! With other people's BitTorrent programs, in both directions: plain TCP, as for contents open to everybody.
#![allow(clippy::unwrap_used, clippy::panic)]
mod common;
use common::plain::{self, Program, dial, free_port, listen, tracker};
use common::*;

use std::path::PathBuf;

use xbt_torrent::{Prepared, Sources};

const PYTHON: &str = "/usr/bin/python3";
const LIBTORRENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/libtorrent_peer.py");
const ARIA: [&str; 8] = [
    "--enable-dht=false",
    "--enable-dht6=false",
    "--bt-enable-lpd=false",
    "--enable-peer-exchange=false",
    "--interface=127.0.0.1",
    "--summary-interval=0",
    "--no-conf=true",
    "--file-allocation=none",
];

/// A folder with everything that could go wrong: no bytes, one byte, a block, a block and one, names, depth.
fn folder(node: &Node) -> PathBuf {
    let root = node.path("out/A folder, öpen");
    let sizes = [("empty", 0), ("deep/er/empty", 0), ("one", 1), ("a block", 16384), ("deep/block+1", 16385)];
    for (name, size) in sizes.into_iter().chain([("large.bin", 3_000_001), ("z/zz", 400_000)]) {
        write(&root.join(name), &noise(size, size as u64 + 3));
    }
    root
}

async fn open(node: &mut Node, path: PathBuf) -> Prepared {
    node.engine.prepare(KEY, Sources { paths: vec![path], private: false, ..Sources::default() });
    let prepared = node
        .wait("prepared", |event| match event {
            xbt_torrent::Event::Prepared { prepared, .. } => Some(prepared.clone()),
            _ => None,
        })
        .await;
    node.engine.seed(KEY, prepared.clone());
    prepared
}

/// A sender with the folder and a file, and where it listens.
async fn sender(single: bool) -> (Node, Prepared, PathBuf) {
    let mut a = Node::new();
    let root = if single { write(&a.path("out/film.mkv"), &noise(5_000_003, 9)) } else { folder(&a) };
    let prepared = open(&mut a, root.clone()).await;
    (a, prepared, root)
}

#[tokio::test(flavor = "multi_thread")]
async fn libtorrent_fetches_from_us_by_a_magnet_link() {
    for single in [false, true] {
        let (a, prepared, root) = sender(single).await;
        let port = listen(&a.engine, prepared.info_hash).await.port().to_string();
        let to = a.path("theirs");
        let magnet = plain::magnet(&prepared);
        let mut program = Program::start(PYTHON, &[LIBTORRENT, "get", &magnet, to.to_str().unwrap(), &port]);
        program.line().await;
        assert_eq!(program.line().await, "done");
        let got = to.join(root.file_name().unwrap());
        if single {
            assert!(std::fs::read(got).unwrap() == std::fs::read(root).unwrap());
        } else {
            plain::until_equal(&got, tree(&root)).await;
        }
    }
}

/// Lets libtorrent make a torrent, and reads it as we would have been offered it.
async fn made_by_libtorrent(node: &Node, root: &std::path::Path, piece_length: u32) -> (PathBuf, Prepared) {
    let torrent = node.path("made.torrent");
    let arguments = [LIBTORRENT, "make", root.to_str().unwrap(), &piece_length.to_string(), torrent.to_str().unwrap()];
    Program::start(PYTHON, &arguments).drain().ended().await;
    let bytes = std::fs::read(&torrent).unwrap();
    let start = bytes.windows(6).position(|window| window == b"4:info").unwrap() + 6;
    // Nothing comes after the info dictionary in it but the end.
    let info = bytes::Bytes::copy_from_slice(&bytes[start..bytes.len() - 1]);
    let files = xbt_torrent::list_files(info.clone()).unwrap();
    let info_hash: [u8; 20] = sha1::Digest::finalize(<sha1::Sha1 as sha1::Digest>::new_with_prefix(&info)).into();
    let name = root.file_name().unwrap().to_str().unwrap().to_owned();
    let size = files.iter().map(|(_, size)| size).sum();
    let offered = Offered { info, info_hash, name, size, files: files.len() as u64 };
    (torrent, offered.prepared())
}

/// Stands for an offer that a person was shown.
struct Offered {
    info: bytes::Bytes,
    info_hash: [u8; 20],
    name: String,
    size: u64,
    files: u64,
}

impl Offered {
    fn prepared(self) -> Prepared {
        let Self { info, info_hash, name, size, files } = self;
        let mut bytes = b"xbtprep1".to_vec();
        bytes.extend_from_slice(&(info.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&info);
        bytes.extend_from_slice(&info_hash);
        bytes.extend_from_slice(&(name.len() as u32).to_le_bytes());
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(&size.to_le_bytes());
        bytes.extend_from_slice(&files.to_le_bytes());
        bytes.extend_from_slice(&[0; 8]);
        Prepared::from_bytes(&bytes).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn we_fetch_from_libtorrent_with_its_metadata_and_odd_pieces() {
    for piece_length in [16 << 10, 3 * (16 << 10), 1 << 20] {
        let mut b = Node::new();
        let root = folder(&b);
        let (torrent, offered) = made_by_libtorrent(&b, &root, piece_length).await;
        let (torrent, parent) = (torrent.to_str().unwrap(), root.parent().unwrap().to_str().unwrap());
        let mut program = Program::start(PYTHON, &[LIBTORRENT, "seed", torrent, parent]);
        let port = program.line().await.parse().unwrap();
        b.fetch(&offered);
        dial(&b.engine, offered.info_hash, port).await;
        assert!(tree(&b.completed().await) == tree(&root));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn aria2_fetches_from_us_by_a_magnet_link() {
    let (a, prepared, root) = sender(false).await;
    let url = tracker(listen(&a.engine, prepared.info_hash).await).await;
    let to = a.path("theirs");
    let magnet = plain::magnet(&prepared);
    let (dir, port, tracker) = (to.to_str().unwrap(), free_port().to_string(), format!("--bt-tracker={url}"));
    let own = ["--seed-time=0", "--dir", dir, "--listen-port", &port, &tracker, &magnet];
    Program::start("aria2c", &[&ARIA[..], &own].concat()).drain().ended().await;
    plain::until_equal(&to.join(root.file_name().unwrap()), tree(&root)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn we_fetch_from_aria2() {
    let (mut a, prepared, root) = sender(false).await;
    a.engine.shutdown().await;
    a.events.close();
    let torrent = write(&a.path("f.torrent"), &plain::torrent(&prepared));
    let (dir, port) = (root.parent().unwrap().to_str().unwrap(), free_port());
    let own = ["--seed-ratio=0.0", "--check-integrity=true", "--dir", dir, "--listen-port"];
    let _program =
        Program::start("aria2c", &[&ARIA[..], &own, &[&port.to_string(), torrent.to_str().unwrap()]].concat()).drain();
    let mut b = Node::new();
    b.fetch(&prepared);
    dial(&b.engine, prepared.info_hash, port).await;
    assert!(tree(&b.completed().await) == tree(&root));
}

/// Transmission takes no peers on 127.0.0.1 from trackers, but lets them come.
fn transmission(node: &Node, torrent: &str, dir: &str, port: u16) -> plain::Running {
    let config = node.path("transmission");
    std::fs::create_dir_all(&config).unwrap();
    let settings = r#"{"dht-enabled": false, "lpd-enabled": false, "pex-enabled": false, "utp-enabled": false,
        "bind-address-ipv4": "127.0.0.1", "port-forwarding-enabled": false}"#;
    std::fs::write(config.join("settings.json"), settings).unwrap();
    std::fs::create_dir_all(dir).unwrap();
    let (config, port) = (config.to_str().unwrap().to_owned(), port.to_string());
    Program::start("transmission-cli", &["-g", &config, "-w", dir, "-p", &port, "-M", "-et", torrent]).drain()
}

#[tokio::test(flavor = "multi_thread")]
async fn transmission_fetches_from_us() {
    let (a, prepared, root) = sender(false).await;
    let torrent = write(&a.path("f.torrent"), &plain::torrent(&prepared));
    let (to, port) = (a.path("theirs"), free_port());
    let _program = transmission(&a, torrent.to_str().unwrap(), to.to_str().unwrap(), port);
    dial(&a.engine, prepared.info_hash, port).await;
    let mut ought = tree(&root);
    // It makes no files without a byte when it fetches.
    ought.retain(|_, bytes| !bytes.is_empty());
    plain::until_equal(&to.join(root.file_name().unwrap()), ought).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn we_fetch_from_transmission() {
    let (a, prepared, root) = sender(false).await;
    a.engine.shutdown().await;
    let torrent = write(&a.path("f.torrent"), &plain::torrent(&prepared));
    let (dir, port) = (root.parent().unwrap().to_str().unwrap(), free_port());
    let _program = transmission(&a, torrent.to_str().unwrap(), dir, port);
    let mut b = Node::new();
    b.fetch(&prepared);
    dial(&b.engine, prepared.info_hash, port).await;
    assert!(tree(&b.completed().await) == tree(&root));
}

const CRATETORRENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/cratetorrent");

/// Built in its own target folder, with a lock file of its own.
async fn cratetorrent() -> String {
    let manifest = format!("{CRATETORRENT}/Cargo.toml");
    let target = format!("{CRATETORRENT}/target");
    let build = ["build", "--locked", "--quiet", "--manifest-path", &manifest, "--target-dir", &target];
    let built = tokio::process::Command::new("cargo").args(build).status().await.unwrap();
    assert!(built.success());
    format!("{target}/debug/xbt-peer-cratetorrent")
}

/// What it can take: it wants files that hold something.
async fn one_file() -> (Node, Prepared, PathBuf) {
    let (a, prepared, root) = sender(true).await;
    write(&a.path("f.torrent"), &plain::torrent(&prepared));
    (a, prepared, root)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "builds an old tree of crates: asked for with `--ignored`"]
async fn cratetorrent_fetches_from_us() {
    let program = cratetorrent().await;
    let (a, prepared, root) = one_file().await;
    let address = listen(&a.engine, prepared.info_hash).await.to_string();
    let (torrent, to) = (a.path("f.torrent"), a.path("theirs"));
    std::fs::create_dir_all(&to).unwrap();
    let arguments = ["get", torrent.to_str().unwrap(), to.to_str().unwrap(), &address];
    Program::start(&program, &arguments).drain().ended().await;
    assert!(std::fs::read(to.join("film.mkv")).unwrap() == std::fs::read(root).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "builds an old tree of crates: asked for with `--ignored`"]
async fn we_fetch_from_cratetorrent() {
    let program = cratetorrent().await;
    let (a, prepared, root) = one_file().await;
    a.engine.shutdown().await;
    let (port, torrent, dir) = (free_port(), a.path("f.torrent"), root.parent().unwrap());
    let address = format!("127.0.0.1:{port}");
    let arguments = ["seed", torrent.to_str().unwrap(), dir.to_str().unwrap(), &address];
    let mut program = Program::start(&program, &arguments);
    assert_eq!(program.line().await, "ready");
    let _program = program.drain();
    let mut b = Node::new();
    let mut fetch = b.offered(&prepared);
    // It does not tell metadata.
    fetch.info = Some(prepared.info.clone());
    b.engine.fetch(KEY, fetch);
    dial(&b.engine, prepared.info_hash, port).await;
    assert!(std::fs::read(b.completed().await).unwrap() == std::fs::read(root).unwrap());
}
