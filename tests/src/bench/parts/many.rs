//! One sender with a limit to several receivers: until all have everything.

use std::path::Path;

use serde_json::{Value, json};

use super::Effort;
use crate::bench::programs::Peer;
use crate::bench::report::table;
use crate::bench::{Content, median};
use crate::content::{self, MIB};
use crate::one_to_many::one_to_many;

/// The sender's limit in bytes per second.
const RATE: u64 = 20 * MIB;
const RECEIVERS: [usize; 4] = [1, 2, 4, 8];

pub(super) fn run(effort: Effort) -> Value {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let size = if effort.quick { 40 * MIB } else { 64 * MIB };
    let path = folder.path().join("shared");
    content::file(&path, size, 3);
    let content = Content { label: "shared", path, size, only: &[] };
    let rounds = effort.rounds.min(3);
    let (mut rows, mut json) = (Vec::new(), Vec::new());
    let whole = |receivers: usize| one_to_many(receivers, size, RATE).times();
    let peers = [Peer::engine(), Peer::libtorrent()];
    let mut tell = |name: &str, times: Vec<f64>| {
        rows.push([vec![name.to_owned()], times.iter().map(|times| format!("{times:.2}")).collect()].concat());
        json.push(json!({ "program": name, "receivers": RECEIVERS, "times": times }));
    };
    tell("xbt, all of it", RECEIVERS.map(|n| median(&(0..rounds).map(|_| whole(n)).collect::<Vec<_>>())).to_vec());
    for (peer, name) in peers.iter().zip(["xbt's engine", "libtorrent"]) {
        let took = |n| median(&(0..rounds).map(|_| shared(peer, &content, n)).collect::<Vec<_>>());
        tell(name, RECEIVERS.map(took).to_vec());
    }
    let title =
        format!("{} MiB at {} MiB/s to several, in times of size / rate, median of {rounds}", size / MIB, RATE / MIB);
    table(&title, &["receivers", "1", "2", "4", "8"], &rows);
    json!({ "bytes": size, "bytes_per_s": RATE, "times": json })
}

/// How many times of size / rate it took until all had it, everybody knowing everybody.
fn shared(peer: &Peer, content: &Content, receivers: usize) -> f64 {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (seed, _, port) = peer.seed(content, folder.path(), RATE);
    let torrent = folder.path().join("content.torrent");
    let place = |number: usize| {
        let into = folder.path().join(number.to_string());
        std::fs::create_dir(&into).expect("the folder can be written");
        into
    };
    let mut gets: Vec<_> = (0..receivers).map(|number| peer.get(&torrent, &place(number))).collect();
    let mut addresses = vec![format!("127.0.0.1:{port}")];
    for (get, port) in &mut gets {
        // Each dials those who came before it.
        get.tell(&addresses.join(" "));
        addresses.push(format!("127.0.0.1:{port}"));
    }
    let slowest = gets.iter_mut().map(|(get, _)| get.number("done")).fold(0.0, f64::max);
    for (get, _) in gets {
        get.stop();
    }
    seed.stop();
    check(folder.path());
    slowest * RATE as f64 / content.size as f64
}

/// Everybody has something of the content's name.
fn check(folder: &Path) {
    let got = std::fs::read_dir(folder).expect("our own folder").flatten().filter(|entry| entry.path().is_dir());
    got.filter(|entry| entry.file_name() != ".state").for_each(|entry| {
        assert!(entry.path().join("shared").exists(), "{} has it", entry.path().display());
    });
}
