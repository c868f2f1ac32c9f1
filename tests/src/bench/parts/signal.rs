//! How long small things take: what people wait for.

use std::time::Instant;

use serde_json::{Value, json};

use super::Effort;
use crate::bench::median;
use crate::bench::programs::Watch;
use crate::bench::programs::xbt::server_reads_again;
use crate::bench::report::{seconds, table};
use crate::ctl::{id, text};
use crate::daemon::jid;
use crate::stage::Stage;

pub(super) fn run(effort: Effort) -> Value {
    let times = effort.rounds * 4;
    let stage = Stage::new();
    let bob = stage.online("bob");
    let alice = stage.online("alice");
    alice.ctl.sees(&jid("bob"));
    let (mut at_bob, mut at_alice) = (Watch::of(&bob.ctl), Watch::of(&alice.ctl));
    let (mut offered, mut first, mut done) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..times {
        let name = format!("note-{round}");
        let source = stage.file(&name, 64 << 10);
        server_reads_again();
        let begun = Instant::now();
        let sent = alice.ctl.send(&jid("bob"), &source);
        let mut offer = 0;
        let shown = at_bob.until_event(|event| {
            offer = event["transfer"]["id"].as_u64().unwrap_or_default();
            event["transfer"]["name"] == name.as_str() && event["transfer"]["state"] == "offered"
        });
        offered.push((shown - begun).as_secs_f64());
        server_reads_again();
        let begun = Instant::now();
        bob.ctl.accept(offer);
        first.push((at_bob.until(offer, |state| state == "receiving" || state == "done") - begun).as_secs_f64());
        at_bob.until(offer, |state| state == "done");
        at_alice.until(sent, |state| state == "done");
    }
    drop((at_bob, at_alice, bob));
    let bob = stage.person("bob").with("accept.from", vec![jid("alice")]).online();
    alice.ctl.sees(&jid("bob"));
    let mut at_bob = Watch::of(&bob.ctl);
    for round in 0..times {
        let source = stage.file(&format!("short-{round}"), 1024);
        server_reads_again();
        let begun = Instant::now();
        let ran =
            alice.ctl.spawn(&["send", &jid("bob"), text(&source), "--wait", "--json"]).ends_within(crate::wait::LONG);
        let ran_until = Instant::now();
        let there = at_bob.until_event(|event| event["transfer"]["state"] == "done");
        done.push(there.max(ran_until).duration_since(begun).as_secs_f64());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let sent: Value = serde_json::from_str(&ran.stdout).expect("it says JSON");
        assert_eq!(alice.ctl.show(id(&sent))["state"], "done");
    }
    drop((at_bob, bob));
    let told = [
        ("send to offer shown", &offered),
        ("accept to first byte", &first),
        ("1 KiB, accepted by rule, send to done on both sides", &done),
    ];
    let rows: Vec<_> = told.iter().map(|(what, took)| vec![(*what).to_owned(), seconds(median(took))]).collect();
    table(&format!("Signalling, median of {times}, xbtctl included"), &["", ""], &rows);
    json!({ "send_to_offered_s": median(&offered), "accept_to_first_byte_s": median(&first), "send_to_done_s": median(&done), "rounds": times })
}
