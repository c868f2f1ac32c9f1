//! Over long lines in the network laboratory (`docs/laboratory.md`), which need root.

mod neighbour;
mod peers;

use std::env;
use std::fs;
use std::time::Instant;

use serde_json::{Value, json};

use super::Effort;
use crate::bench::median;
use crate::bench::programs::xbt::{Watch, forget_peak, memory};
use crate::bench::report::table;
use crate::content::MIB;
use crate::lab::{Family, Lab, Line, Nat, Place, Router, Scene, Side, possible};

/// A line from person to person.
struct Distance {
    /// Mbit/s, round trip in ms, loss in percent each way.
    numbers: [f64; 3],
    /// Bytes that go over it.
    size: u64,
}

const DISTANCES: [Distance; 6] = [
    Distance { numbers: [100.0, 100.0, 0.0], size: 100 * MIB },
    Distance { numbers: [100.0, 100.0, 0.1], size: 100 * MIB },
    Distance { numbers: [100.0, 100.0, 1.0], size: 100 * MIB },
    Distance { numbers: [50.0, 40.0, 2.0], size: 50 * MIB },
    Distance { numbers: [500.0, 100.0, 0.0], size: 1024 * MIB },
    Distance { numbers: [300.0, 300.0, 0.0], size: 500 * MIB },
];

impl Distance {
    fn name(&self) -> String {
        self.numbers.map(|number| number.to_string()).join(",")
    }

    /// Half of it lies at each person.
    fn line(&self) -> Line {
        let [rate, round_trip, loss] = self.numbers;
        Line::new(rate, round_trip / 4.0).losing(loss / 2.0)
    }

    /// What those whom loss stops move within a minute.
    fn patience(&self) -> u64 {
        if self.numbers[2] >= 1.0 {
            6 * MIB
        } else if self.numbers[2] > 0.0 {
            24 * MIB
        } else {
            u64::MAX
        }
    }

    /// The share of the line that a content took, in percent.
    fn share(&self, size: u64, seconds: f64) -> f64 {
        size as f64 * 8.0 / seconds / (self.numbers[0] * 1e6) * 100.0
    }
}

/// The ways that the two people may be left with.
fn scenes() -> [(&'static str, Scene); 3] {
    let behind = |nat| Place::Behind(Router::plain(nat));
    let public = Place::Public(Family::V4);
    let symmetric = behind(Nat::Symmetric);
    let punched = behind(Nat::PortRestricted);
    [
        ("direct", Scene { a: public, b: public, ..Scene::default() }),
        ("punched", Scene { a: punched, b: punched, stun: true, ..Scene::default() }),
        ("proxy65", Scene { a: symmetric, b: symmetric, stun: true, proxy: Some(Side::A), ..Scene::default() }),
    ]
}

/// `DISTANCES` and `WAYS` choose some, by their names with spaces between.
fn wanted(variable: &str, name: &str) -> bool {
    let some = env::var(variable).unwrap_or_default();
    some.is_empty() || some.split_whitespace().any(|one| one == name)
}

pub(super) fn run(effort: Effort) -> Value {
    if let Err(why) = possible() {
        println!("\nOver long lines: not measured: {why}");
        return json!({ "why_not": why });
    }
    let rounds = effort.rounds.min(3);
    let (mut rows, mut json) = (Vec::new(), Vec::new());
    for distance in DISTANCES.iter().filter(|distance| wanted("DISTANCES", &distance.name())) {
        let size = if effort.quick { distance.size / 4 } else { distance.size };
        let peers = peers::PEERS.into_iter().filter(|(name, _)| wanted("WAYS", name));
        for (name, peer) in peers {
            let scene = Scene { line: Some(distance.line()), ..scenes()[0].1 };
            let Some(lab) = Lab::open(scene) else { continue };
            let size = size.min(distance.patience());
            let shares: Vec<f64> = (0..rounds).map(|_| distance.share(size, peer(&lab, size))).collect();
            rows.push(vec![
                distance.name(),
                format!("{} MiB", size / MIB),
                name.to_owned(),
                format!("{:.1}", median(&shares)),
                shares.iter().map(|share| format!("{share:.1}")).collect::<Vec<_>>().join(" "),
                String::new(),
            ]);
            json.push(json!({ "line": distance.name(), "bytes": size, "program": name,
                "share": median(&shares), "shares": shares }));
        }
        for (name, scene) in scenes().into_iter().filter(|(name, _)| wanted("WAYS", name)) {
            let scene = Scene { line: Some(distance.line()), ..scene };
            let Some(moved) = Moved::over(scene, size, rounds) else { continue };
            let shares: Vec<f64> = moved.seconds.iter().map(|seconds| distance.share(size, *seconds)).collect();
            rows.push(vec![
                distance.name(),
                format!("{} MiB", size / MIB),
                format!("xbt {name} ({})", moved.ways.join(" ")),
                format!("{:.1}", median(&shares)),
                shares.iter().map(|share| format!("{share:.0}")).collect::<Vec<_>>().join(" "),
                format!("{}", moved.memory / MIB),
            ]);
            json.push(
                json!({ "line": distance.name(), "bytes": size, "program": format!("xbt {name}"), "ways": moved.ways,
                "share": median(&shares), "shares": shares, "memory": moved.memory }),
            );
        }
    }
    let heading = ["Mbit/s, ms, % lost", "size", "", "% of the line", "rounds", "MiB of memory"];
    table("Over long lines, accept to done", &heading, &rows);
    let neighbour = wanted("WAYS", "neighbour").then(neighbour::run).flatten();
    json!({ "lines": json, "neighbour": neighbour })
}

/// How xbt did.
struct Moved {
    seconds: Vec<f64>,
    ways: Vec<String>,
    memory: u64,
}

impl Moved {
    /// Alice sends, bob accepts; again in each round.
    fn over(scene: Scene, size: u64, rounds: usize) -> Option<Self> {
        let lab = Lab::open(scene)?;
        let (alice, bob) = lab.both();
        let mut events = Watch::of(&bob.ctl);
        let mut moved = Self { seconds: Vec::new(), ways: Vec::new(), memory: 0 };
        for round in 0..rounds {
            let name = format!("{round}.bin");
            let source = lab.file(&name, size);
            alice.ctl.send(&lab.jid(Side::B), &source);
            let id = bob.ctl.offer(&name);
            [&alice, &bob].into_iter().for_each(forget_peak);
            let accepted = Instant::now();
            bob.ctl.accept(id);
            let mut ways = Vec::new();
            let done = events.until_event(|event| {
                let transfer = &event["transfer"];
                if transfer["id"] == id
                    && let Some(way) = transfer["way"].as_str()
                {
                    ways.push(way.to_owned());
                }
                transfer["id"] == id && transfer["state"] == "done"
            });
            moved.seconds.push((done - accepted).as_secs_f64());
            moved.memory = [&alice, &bob].map(|daemon| memory(daemon, "VmHWM")).into_iter().max()?.max(moved.memory);
            ways.dedup();
            moved.ways = ways;
            let _ = fs::remove_file(source);
            let _ = fs::remove_file(bob.downloads().join(&name));
        }
        Some(moved)
    }
}
