//! What others on the same line notice of a send at full rate.

use std::process::Command;

use serde_json::{Value, json};

use super::{Lab, Line, Scene, Side, scenes};
use crate::bench::report::table;
use crate::content::MIB;
use crate::wait;

/// Mbit/s, with a round trip of 40 ms and a queue of half a second at each person.
const RATE: f64 = 20.0;

/// What is sent meanwhile; longer than what is measured.
const SIZE: u64 = 120 * MIB;

pub(super) fn run() -> Option<Value> {
    let (mut rows, mut json) = (Vec::new(), Vec::new());
    for (name, scene) in scenes().into_iter().take(2) {
        let lab = Lab::open(Scene { line: Some(Line::new(RATE, 10.0)), ..scene })?;
        let (alice, bob) = lab.both();
        let alone = ping(&lab);
        let source = lab.file("beside.bin", SIZE);
        alice.ctl.send(&lab.jid(Side::B), &source);
        let id = bob.ctl.offer("beside.bin");
        bob.ctl.accept(id);
        bob.ctl.becomes(id, "has received 8 MiB", |one| one["done_bytes"].as_u64() > Some(8 * MIB));
        let beside = ping(&lab);
        let cubic = cubic(&lab);
        let state = bob.ctl.show(id)["state"].clone();
        assert_eq!(state, "receiving", "it must go on while others are measured");
        let way = bob.ctl.show(id)["way"].clone();
        rows.push(vec![
            format!("xbt {name} ({})", way.as_str().unwrap_or_default()),
            format!("{alone:.1} ms"),
            format!("{beside:.1} ms"),
            format!("{cubic:.0} %"),
        ]);
        json.push(json!({ "way": way, "ping_alone_ms": alone, "ping_beside_ms": beside, "cubic_share": cubic }));
    }
    let title = "Beside a send at full rate over 20 Mbit/s, round trip 40 ms, queue 500 ms";
    table(title, &["", "ping alone, p95", "beside", "one cubic flow keeps"], &rows);
    Some(json!(json))
}

fn target(lab: &Lab) -> String {
    // The other person's router answers where the person cannot be reached.
    let behind = lab.scene().b.router().is_some();
    if behind { Side::B.router_v4() } else { Side::B.public_v4() }.to_string()
}

/// The 95th of a hundred.
fn ping(lab: &Lab) -> f64 {
    let said = lab.host(Side::A).sh(&format!("ping -c 200 -i 0.02 {} || true", target(lab)));
    let times = said.lines().filter_map(|line| line.split("time=").nth(1)?.split(' ').next()?.parse::<f64>().ok());
    let mut times: Vec<f64> = times.collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() * 95 / 100).copied().unwrap_or(f64::NAN)
}

/// The share of the line that one TCP flow from alice's host to the public network takes in ten seconds, in percent.
fn cubic(lab: &Lab) -> f64 {
    let _server = lab.public().start("iperf3", "iperf3", &["-s"], Vec::new());
    let client = lab.host(Side::A).through();
    let to = Side::A.server().0.to_string();
    let said = wait::until("iperf3 listens", wait::SOON, || {
        let args = ["iperf3", "-c", &to, "-t", "10", "-O", "3", "-C", "cubic", "-J"];
        let output = Command::new(&client[0]).args(&client[1..]).args(args).output().ok()?;
        output.status.success().then_some(output.stdout)
    });
    let said: Value = serde_json::from_slice(&said).expect("it says JSON");
    let rate = said["end"]["sum_received"]["bits_per_second"].as_f64().expect("it says how fast it was");
    rate / (RATE * 1e6) * 100.0
}
