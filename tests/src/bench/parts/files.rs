//! The same contents by everybody, one after the other in each round, so that a slow moment of the machine hits all alike.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::Effort;
use crate::bench::report::{seconds, table};
use crate::bench::{Content, Contestant, Took, machine, median, programs};
use crate::content::{self, MIB};

pub(super) fn run(effort: Effort) -> Value {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut everybody = programs::everybody();
    let mut said = Vec::new();
    // ext4 (without a journal) steps around each inode that was freed in the last minutes: whoever comes after files that were
    // deleted is slowed down. So what consists of many stays until all is measured.
    let mut kept = Vec::new();
    for content in contents(&folder, effort) {
        let load = machine::load();
        let mut took: Vec<Vec<Took>> = vec![Vec::new(); everybody.len()];
        for _ in 0..effort.rounds {
            for (contestant, took) in everybody.iter_mut().zip(&mut took) {
                if content.takes(contestant.name()) {
                    let into = tempfile::tempdir().expect("a temporary folder can be made");
                    // Some wait until what came is on the disk, and some do not: nobody pays for what others have left.
                    rustix::fs::sync();
                    took.push(contestant.hand_over(&content, into.path()));
                    kept.extend(content.path.is_dir().then_some(into));
                }
            }
        }
        said.push(tell(&content, &load, &everybody, &took));
        if content.path.is_file() {
            fs::remove_file(&content.path).expect("a file can be removed");
        }
    }
    json!({ "contents": said })
}

fn contents(folder: &TempDir, effort: Effort) -> Vec<Content> {
    let at = |name: &str| folder.path().join(name);
    let mut contents = Vec::new();
    for (label, name, size) in
        [("1 KiB", "a", 1024), ("1 MiB", "b", MIB), ("64 MiB", "c", 64 * MIB), ("1 GiB", "d", 1024 * MIB)]
    {
        if size <= 64 * MIB || !effort.quick {
            content::file(&at(name), size, size);
            contents.push(Content { label, path: at(name), size, only: &[] });
        }
    }
    if !effort.quick {
        content::folder(&at("f"), 2_000, 76 * MIB, 7);
        let only = &["xbt", "libtorrent", "librqbit", "cp"];
        contents.push(Content { label: "2,000 files, 76 MiB", path: at("f"), size: 76 * MIB, only });
    }
    let (many, label) = if effort.quick { (1_000, "1,000 × 4 KiB") } else { (10_000, "10,000 × 4 KiB") };
    even(&at("e"), many, 4096);
    // Not aria2: its seeding end gives up with so many files open, and the other waits for it for ever.
    let only = &["xbt", "libtorrent", "librqbit", "scp", "magic-wormhole", "cp", "TCP"];
    contents.push(Content { label, path: at("e"), size: many * 4096, only });
    contents
}

/// Files of one size, a hundred in each folder.
fn even(path: &Path, files: u64, size: u64) {
    for number in 0..files {
        let place = path.join(format!("part {:03}", number / 100));
        fs::create_dir_all(&place).expect("the folder can be made");
        content::file(&place.join(format!("file {number:05}")), size, number);
    }
}

fn tell(content: &Content, load: &str, everybody: &[Box<dyn Contestant>], took: &[Vec<Took>]) -> Value {
    let mib = content.size as f64 / MIB as f64;
    let (mut rows, mut json) = (Vec::new(), Vec::new());
    for (contestant, took) in everybody.iter().zip(took).filter(|(_, took)| !took.is_empty()) {
        let of = |number: fn(&Took) -> f64| median(&took.iter().map(number).collect::<Vec<_>>());
        let prepared: Vec<f64> = took.iter().filter_map(|one| one.prepare).collect();
        let prepare = (!prepared.is_empty()).then(|| median(&prepared));
        let (moved, cpu) = (of(|one| one.moved), of(|one| one.cost.cpu));
        let memory = of(|one| one.cost.memory as f64) / MIB as f64;
        let total = of(|one| one.moved + one.prepare.unwrap_or_default());
        let known = memory > 0.0;
        rows.push(vec![
            contestant.name().to_owned(),
            prepare.map_or_else(|| "–".into(), seconds),
            seconds(moved),
            seconds(total),
            format!("{:.0}", mib / moved),
            if known && mib >= 32.0 { format!("{:.1}", cpu * 1024.0 / mib) } else { "–".into() },
            if known { format!("{memory:.0}") } else { "–".into() },
        ]);
        json.push(json!({
            "program": contestant.name(), "prepare_s": prepare, "moved_s": moved, "total_s": total, "mib_per_s": mib / moved,
            "cpu_s": cpu, "cpu_s_per_gib": cpu * 1024.0 / mib, "peak_mib": memory,
            "rounds_moved_s": took.iter().map(|one| one.moved).collect::<Vec<_>>(),
        }));
    }
    let heading = ["", "prepare", "move", "both", "MiB/s moved", "CPU s/GiB", "peak MiB"];
    table(&format!("{}, median of {}", content.label, took[0].len()), &heading, &rows);
    json!({ "content": content.label, "bytes": content.size, "load_before": load, "programs": json })
}
