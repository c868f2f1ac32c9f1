//! Ten thousand transfers, ten thousand contacts, and a minute in which nothing happens.

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use xbt_api::{Client, SendRequest};

use super::Effort;
use crate::bench::median;
use crate::bench::programs::xbt::{memory, ticks};
use crate::bench::report::{seconds, table};
use crate::content::MIB;
use crate::ctl::text;
use crate::daemon::{Daemon, jid};
use crate::prosody::RosterLine;
use crate::stage::Stage;
use crate::wait;

/// Longer than hashing ten thousand small files takes.
const LONG: Duration = Duration::from_secs(600);

pub(super) fn run(effort: Effort) -> Value {
    let many = if effort.quick { 500 } else { 10_000 };
    let mut stage = Stage::new();
    roster(&mut stage, many);
    let source = stage.file("often", 1024);
    let mut alice = stage.online("alice");
    knows(&alice, many);
    queue(&alice, text(&source), many);
    let full = resident(&alice);
    alice.stop();
    let begun = Instant::now();
    alice.start();
    let ready = begun.elapsed().as_secs_f64();
    alice.ctl.connection_becomes("online", wait::SOON);
    knows(&alice, many);
    let restarted = resident(&alice);
    let mut rows = vec![
        vec!["start to socket ready".to_owned(), seconds(ready)],
        vec!["memory, just queued / after a restart".into(), format!("{full:.0} / {restarted:.0} MiB")],
    ];
    let mut json = json!({ "transfers": many, "contacts": many, "ready_s": ready, "queued_mib": full, "restarted_mib": restarted });
    for (key, args) in [
        ("list_s", &["list"][..]),
        ("list_json_s", &["list", "--json"]),
        ("list_done_s", &["list", "--state", "done"]),
        ("contacts_s", &["contacts"]),
    ] {
        let took = median(&(0..effort.rounds * 4).map(|_| answered(&alice, args)).collect::<Vec<_>>());
        rows.push(vec![format!("xbtctl {}", args.join(" ")), seconds(took)]);
        json[key] = took.into();
    }
    let listed = resident(&alice);
    let idle = Duration::from_secs(if effort.quick { 5 } else { 60 });
    let before = quiet(&alice);
    thread::sleep(idle);
    let used = ticks(&alice) - before;
    rows.push(vec!["memory after the lists".into(), format!("{listed:.0} MiB")]);
    rows.push(vec![format!("processor time in {} idle s", idle.as_secs()), format!("{} ms", used * 10)]);
    json["listed_mib"] = listed.into();
    json["idle_ticks"] = used.into();
    table(&format!("{many} open transfers, {many} contacts"), &["", ""], &rows);
    json
}

/// Puts so many on Alice's contact list.
fn roster(stage: &mut Stage, many: usize) {
    let names: Vec<String> = (0..many).map(|number| format!("person{number:05}")).collect();
    let mut lines: Vec<_> = names.iter().map(|name| RosterLine { contact: name, name, subscription: "both" }).collect();
    lines.push(RosterLine { contact: "dave", name: "Dave", subscription: "both" });
    stage.prosody.stop();
    stage.prosody.roster("alice", &lines);
    stage.prosody.start();
}

/// The contact list comes a moment after the login.
fn knows(alice: &Daemon, many: usize) {
    wait::until("the contacts are there", LONG, || {
        (alice.ctl.json(&["contacts"]).as_array().map_or(0, Vec::len) >= many).then_some(())
    });
}

fn queue(alice: &Daemon, source: &str, many: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let done = runtime.block_on(async {
        let client = Client::connect(alice.ctl.socket()).await?;
        for _ in 0..many {
            let request =
                SendRequest { contacts: vec![jid("dave")], paths: vec![source.to_owned()], ..SendRequest::default() };
            client.send(request).await?;
        }
        Ok::<_, Box<dyn std::error::Error>>(())
    });
    done.unwrap_or_else(|error| panic!("they are not queued: {error}"));
    wait::until("all are hashed", LONG, || (alice.ctl.status()["counts"]["waiting"] == many).then_some(()));
}

fn answered(daemon: &Daemon, args: &[&str]) -> f64 {
    let begun = Instant::now();
    let done = daemon.ctl.command(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(done.is_ok_and(|status| status.success()), "xbtctl {args:?} answers");
    begun.elapsed().as_secs_f64()
}

/// The server goes on with what a login brings (it asks each contact's server): until nothing has come of that for 5 s.
fn quiet(daemon: &Daemon) -> u64 {
    let begun = Instant::now();
    let mut used = ticks(daemon);
    loop {
        thread::sleep(Duration::from_secs(5));
        let now = ticks(daemon);
        if now == used || begun.elapsed() > LONG {
            return now;
        }
        used = now;
    }
}

fn resident(daemon: &Daemon) -> f64 {
    memory(daemon, "VmRSS") as f64 / MIB as f64
}
