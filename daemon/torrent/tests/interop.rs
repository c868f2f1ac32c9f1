//! With other people's BitTorrent programs, in both directions: plain TCP, as for contents open to everybody. Which program
//! is tried with what stands in `docs/interoperability.md`.
#![allow(clippy::unwrap_used, clippy::panic)]
mod common;
use common::plain::{self, Program, dial, free_port, listen, tracker};
use common::*;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

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

/// What is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// One file.
    File,
    /// A folder, see [`folder`].
    Folder,
    /// A folder with two files.
    Two,
}

fn make(node: &Node, shape: Shape) -> PathBuf {
    match shape {
        Shape::File => write(&node.path("out/film.mkv"), &noise(5_000_003, 9)),
        Shape::Folder => folder(node),
        Shape::Two => {
            let root = node.path("out/Two files");
            write(&root.join("large.bin"), &noise(3_000_001, 4));
            write(&root.join("zz"), &noise(400_000, 5));
            root
        }
    }
}

/// A sender with what it sends.
async fn sender(shape: Shape) -> (Node, Prepared, PathBuf) {
    let mut a = Node::new();
    let root = make(&a, shape);
    let prepared = open(&mut a, root.clone()).await;
    (a, prepared, root)
}

/// What lies at a path, a file or a folder: its files by their names below it.
fn held(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    if path.is_dir() { tree(path) } else { BTreeMap::from([(PathBuf::new(), std::fs::read(path).unwrap())]) }
}

/// Waits until a program has put what was sent into a folder.
async fn arrived(to: &Path, root: &Path, ought: BTreeMap<PathBuf, Vec<u8>>) {
    let at = to.join(root.file_name().unwrap());
    let equal = async {
        while !at.exists() || held(&at) != ought {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, equal).await.unwrap_or_else(|_| {
        let is = if at.exists() { held(&at) } else { BTreeMap::new() };
        let is: Vec<_> = is.iter().map(|(path, bytes)| (path, bytes.len())).collect();
        panic!("not what was sent: {is:?}")
    });
}

/// Everything that a program which seeds is tried with: shapes, and piece lengths as no program of ours makes them.
const SEEDED: [(Shape, u32); 4] =
    [(Shape::File, 48 << 10), (Shape::Folder, 16 << 10), (Shape::Folder, 48 << 10), (Shape::Folder, 1 << 20)];

/// Fetches from a program that seeds, as if it had been offered.
async fn fetched(node: &mut Node, offered: &Prepared, port: u16, root: &Path) {
    node.fetch(offered);
    dial(&node.engine, offered.info_hash, port).await;
    assert!(held(&node.completed().await) == held(root));
}

#[tokio::test(flavor = "multi_thread")]
async fn libtorrent_fetches_from_us_by_a_magnet_link() {
    for shape in [Shape::File, Shape::Folder] {
        let (a, prepared, root) = sender(shape).await;
        let port = listen(&a.engine, prepared.info_hash).await.port().to_string();
        let to = a.path("theirs");
        let magnet = plain::magnet(&prepared);
        let mut program = Program::start(PYTHON, &[LIBTORRENT, "get", &magnet, to.to_str().unwrap(), &port]);
        program.line().await;
        assert_eq!(program.line().await, "done");
        arrived(&to, &root, held(&root)).await;
    }
}

/// A folder with what BitTorrent has no place for: a link, an executable, an empty folder.
async fn sender_with_more(node: &mut Node) -> (Prepared, PathBuf) {
    let root = node.path("out/With more");
    write(&root.join("bin/run"), &noise(300_000, 6));
    std::fs::set_permissions(root.join("bin/run"), std::fs::Permissions::from_mode(0o755)).unwrap();
    write(&root.join("plain"), &noise(1000, 7));
    std::os::unix::fs::symlink("bin/./run", root.join("start")).unwrap();
    std::fs::create_dir(root.join("empty")).unwrap();
    (open(node, root.clone()).await, root)
}

#[tokio::test(flavor = "multi_thread")]
async fn libtorrent_fetches_a_folder_with_links_and_executables_as_such() {
    let mut a = Node::new();
    let (prepared, root) = sender_with_more(&mut a).await;
    let port = listen(&a.engine, prepared.info_hash).await.port().to_string();
    let to = a.path("theirs");
    let magnet = plain::magnet(&prepared);
    let mut program = Program::start(PYTHON, &[LIBTORRENT, "get", &magnet, to.to_str().unwrap(), &port]);
    program.line().await;
    assert_eq!(program.line().await, "done");
    arrived(&to, &root, held(&root)).await;
    let got = to.join("With more");
    assert_eq!(std::fs::read_link(got.join("start")).unwrap(), Path::new("bin/run"));
    assert_ne!(std::fs::metadata(got.join("bin/run")).unwrap().permissions().mode() & 0o100, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn aria2_fetches_the_bytes_of_a_folder_with_links_and_executables() {
    let mut a = Node::new();
    let (prepared, root) = sender_with_more(&mut a).await;
    let url = tracker(listen(&a.engine, prepared.info_hash).await).await;
    let to = a.path("theirs");
    let magnet = plain::magnet(&prepared);
    let (dir, port, tracker) = (to.to_str().unwrap(), free_port().to_string(), format!("--bt-tracker={url}"));
    let own = ["--seed-time=0", "--dir", dir, "--listen-port", &port, &tracker, &magnet];
    Program::start("aria2c", &[&ARIA[..], &own].concat()).drain().ended().await;
    let mut ought = held(&root);
    // It does not know links: an empty file.
    ought.insert("start".into(), Vec::new());
    arrived(&to, &root, ought).await;
}

/// Lets libtorrent make a torrent, and reads it as we would have been offered it.
async fn made_by_libtorrent(node: &Node, root: &Path, piece_length: u32) -> (PathBuf, Prepared) {
    let torrent = node.path("made.torrent");
    let arguments = [LIBTORRENT, "make", root.to_str().unwrap(), &piece_length.to_string(), torrent.to_str().unwrap()];
    Program::start(PYTHON, &arguments).drain().ended().await;
    let bytes = std::fs::read(&torrent).unwrap();
    let start = bytes.windows(6).position(|window| window == b"4:info").unwrap() + 6;
    // Nothing comes after the info dictionary in it but the end.
    let info = bytes::Bytes::copy_from_slice(&bytes[start..bytes.len() - 1]);
    let files = xbt_torrent::list(info.clone()).unwrap().files;
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
    for (shape, piece_length) in SEEDED {
        let mut b = Node::new();
        let root = make(&b, shape);
        let (torrent, offered) = made_by_libtorrent(&b, &root, piece_length).await;
        let (torrent, parent) = (torrent.to_str().unwrap(), root.parent().unwrap().to_str().unwrap());
        let mut program = Program::start(PYTHON, &[LIBTORRENT, "seed", torrent, parent]);
        let port = program.line().await.parse().unwrap();
        fetched(&mut b, &offered, port, &root).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn aria2_fetches_from_us_by_a_magnet_link() {
    for shape in [Shape::File, Shape::Folder] {
        let (a, prepared, root) = sender(shape).await;
        let url = tracker(listen(&a.engine, prepared.info_hash).await).await;
        let to = a.path("theirs");
        let magnet = plain::magnet(&prepared);
        let (dir, port, tracker) = (to.to_str().unwrap(), free_port().to_string(), format!("--bt-tracker={url}"));
        let own = ["--seed-time=0", "--dir", dir, "--listen-port", &port, &tracker, &magnet];
        Program::start("aria2c", &[&ARIA[..], &own].concat()).drain().ended().await;
        arrived(&to, &root, held(&root)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn we_fetch_from_aria2_with_its_metadata_and_odd_pieces() {
    for (shape, piece_length) in SEEDED {
        let mut b = Node::new();
        let root = make(&b, shape);
        let (torrent, offered) = made_by_libtorrent(&b, &root, piece_length).await;
        let (dir, port) = (root.parent().unwrap().to_str().unwrap(), free_port());
        let own = ["--seed-ratio=0.0", "--check-integrity=true", "--dir", dir, "--listen-port"];
        let port_text = port.to_string();
        let arguments = [&ARIA[..], &own, &[&port_text, torrent.to_str().unwrap()]].concat();
        let _program = Program::start("aria2c", &arguments).drain();
        fetched(&mut b, &offered, port, &root).await;
    }
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
    for shape in [Shape::File, Shape::Folder] {
        let (a, prepared, root) = sender(shape).await;
        let torrent = write(&a.path("f.torrent"), &plain::torrent(&prepared));
        let (to, port) = (a.path("theirs"), free_port());
        let _program = transmission(&a, torrent.to_str().unwrap(), to.to_str().unwrap(), port);
        dial(&a.engine, prepared.info_hash, port).await;
        let mut ought = held(&root);
        // It makes no files without a byte when it fetches.
        ought.retain(|_, bytes| !bytes.is_empty());
        arrived(&to, &root, ought).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn we_fetch_from_transmission_with_its_metadata_and_odd_pieces() {
    for (shape, piece_length) in SEEDED {
        let mut b = Node::new();
        let root = make(&b, shape);
        let (torrent, offered) = made_by_libtorrent(&b, &root, piece_length).await;
        let (dir, port) = (root.parent().unwrap().to_str().unwrap(), free_port());
        let _program = transmission(&b, torrent.to_str().unwrap(), dir, port);
        fetched(&mut b, &offered, port, &root).await;
    }
}

const CRATETORRENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/cratetorrent/Cargo.toml");

/// Built beside us, with a lock file of its own; `make test` has done it before.
async fn cratetorrent() -> String {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("peers");
    let target = target.to_str().unwrap();
    let build = ["build", "--locked", "--quiet", "--manifest-path", CRATETORRENT, "--target-dir", target];
    let built = tokio::process::Command::new(env!("CARGO")).args(build).status().await.unwrap();
    assert!(built.success());
    format!("{target}/debug/xbt-peer-cratetorrent")
}

#[tokio::test(flavor = "multi_thread")]
async fn cratetorrent_fetches_from_us() {
    let program = cratetorrent().await;
    for shape in [Shape::File, Shape::Two] {
        let (a, prepared, root) = sender(shape).await;
        let address = listen(&a.engine, prepared.info_hash).await.to_string();
        let torrent = write(&a.path("f.torrent"), &plain::torrent(&prepared));
        let to = a.path("theirs");
        std::fs::create_dir_all(&to).unwrap();
        let hash: String = prepared.info_hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let arguments = ["get", torrent.to_str().unwrap(), to.to_str().unwrap(), &address, &hash];
        Program::start(&program, &arguments).drain().ended().await;
        arrived(&to, &root, held(&root)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn we_fetch_from_cratetorrent_with_odd_pieces() {
    let program = cratetorrent().await;
    // Single files only: of a folder it seeds it answers no request.
    for (shape, piece_length) in [(Shape::File, 16 << 10), (Shape::File, 48 << 10)] {
        let mut b = Node::new();
        let root = make(&b, shape);
        let (torrent, offered) = made_by_libtorrent(&b, &root, piece_length).await;
        let port = free_port();
        let (torrent, dir) = (torrent.to_str().unwrap(), root.parent().unwrap().to_str().unwrap());
        let mut program = Program::start(&program, &["seed", torrent, dir, &format!("127.0.0.1:{port}")]);
        assert_eq!(program.line().await, "ready");
        let _program = program.drain();
        let mut fetch = b.offered(&offered);
        // It does not tell metadata.
        fetch.info = Some(offered.info.clone());
        b.engine.fetch(KEY, fetch);
        dial(&b.engine, offered.info_hash, port).await;
        assert!(held(&b.completed().await) == held(&root));
    }
}
