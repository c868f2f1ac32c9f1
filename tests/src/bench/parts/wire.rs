//! Bytes on the wire per byte of payload, and memory while much moves.

use std::fs::File;

use serde_json::{Value, json};

use super::Effort;
use crate::bench::programs::{Xbt, xbt};
use crate::bench::report::table;
use crate::bench::{Content, Contestant};
use crate::content::{self, MIB};
use crate::stage::Stage;

pub(super) fn run(effort: Effort) -> Value {
    let (mut rows, mut json) = (Vec::new(), Vec::new());
    let sizes: &[(&str, u64)] =
        if effort.quick { &[("64 MiB", 64 * MIB)] } else { &[("64 MiB", 64 * MIB), ("1 GiB", 1024 * MIB)] };
    for (label, size) in sizes {
        let stage = Stage::counted();
        let net = stage.net().clone();
        let path = stage.file("counted.bin", *size);
        let mut xbt = Xbt::on(stage);
        let before = net.bytes();
        xbt.hand_over(&Content { label, path, size: *size, only: &[] }, "/".as_ref());
        let times = (net.bytes() - before) as f64 / *size as f64;
        rows.push(vec![(*label).to_owned(), format!("{times:.4}")]);
        json.push(json!({ "bytes": size, "wire_per_byte": times }));
    }
    table(
        "Bytes on all of xbt's sockets, IP and TCP headers and signalling included, per byte of payload",
        &["", ""],
        &rows,
    );
    json!({ "wire": json, "memory": memory(effort) })
}

/// Both daemons idle, and while 10 GiB move (zeros: the size is what counts).
fn memory(effort: Effort) -> Value {
    let stage = Stage::new();
    let size = if effort.quick { 1024 * MIB } else { 10 * 1024 * MIB };
    let label = if effort.quick { "1 GiB" } else { "10 GiB" };
    let path = stage.source("huge.bin");
    content::file(&path, MIB, 1);
    File::options().write(true).open(&path).and_then(|file| file.set_len(size)).expect("the file can be made");
    let mut xbt = Xbt::on(stage);
    let resident = |field: &str, xbt: &Xbt| xbt.daemons().map(|daemon| xbt::memory(daemon, field) as f64 / MIB as f64);
    let idle = resident("VmRSS", &xbt);
    let took = xbt.hand_over(&Content { label, path, size, only: &[] }, "/".as_ref());
    let peak = resident("VmHWM", &xbt);
    let row = |what: String, values: [f64; 2]| vec![what, format!("{:.0}", values[0]), format!("{:.0}", values[1])];
    let rows = [row("idle".into(), idle), row(format!("most while {label} moved"), peak)];
    table("Memory in MiB", &["", "sender", "receiver"], &rows);
    json!({ "idle_mib": idle, "bytes": size, "peak_mib": peak, "prepare_s": took.prepare, "moved_s": took.moved })
}
