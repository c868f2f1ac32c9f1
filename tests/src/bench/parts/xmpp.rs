//! xbt beside the ways that XMPP itself has for files.

use std::process::Command;

use serde_json::{Value, json};

use super::Effort;
use crate::bench::programs::{Xbt, source, venv};
use crate::bench::report::{seconds, table};
use crate::bench::{Content, Contestant, median};
use crate::content::{self, MIB};

pub(super) fn run(effort: Effort) -> Value {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (mut rows, mut json) = (Vec::new(), Vec::new());
    let mut tell = |what: String, size: u64, seconds_taken: &[f64]| {
        let middle = median(seconds_taken);
        let rate = size as f64 / middle;
        rows.push(vec![what.clone(), seconds(middle), format!("{:.3}", rate / MIB as f64)]);
        json.push(json!({ "way": what, "bytes": size, "s": middle, "mib_per_s": rate / MIB as f64, "rounds_s": seconds_taken }));
    };
    let mut xbt = Xbt::new();
    for (label, size) in [("256 KiB", MIB / 4), ("16 MiB", 16 * MIB)] {
        let path = folder.path().join(format!("x{size}"));
        content::file(&path, size, size);
        let content = Content { label, path, size, only: &[] };
        let took = |xbt: &mut Xbt| {
            let took = xbt.hand_over(&content, folder.path());
            took.moved + took.prepare.unwrap_or_default()
        };
        let took: Vec<f64> = (0..effort.rounds).map(|_| took(&mut xbt)).collect();
        tell(format!("xbt, {label}, stock limits"), size, &took);
    }
    drop(xbt);
    let python = venv("python");
    let said = Command::new(&python)
        .arg(source("bench/xmpp_ways.py"))
        .arg("run")
        .arg(folder.path())
        .arg(effort.rounds.to_string())
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; run tests/bench/setup.sh", python.display()));
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    for line in String::from_utf8_lossy(&said.stdout).lines() {
        let one: Value = serde_json::from_str(line).expect("it says JSON");
        let (size, took) =
            (one["size"].as_u64().unwrap_or_default(), one["seconds"].as_array().cloned().unwrap_or_default());
        let took: Vec<f64> = took.iter().filter_map(Value::as_f64).collect();
        let (way, limits) = (one["way"].as_str().unwrap_or_default(), one["limits"].as_str().unwrap_or_default());
        let label = if size < MIB { "256 KiB" } else { "16 MiB" };
        tell(format!("{way}, {label}, {limits} limits"), size, &took);
    }
    table("Through XMPP, send to done", &["", "time", "MiB/s"], &rows);
    json!({ "ways": json })
}
