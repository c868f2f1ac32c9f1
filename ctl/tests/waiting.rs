//! Commands that go on until something has happened.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{Bench, finish, transfer};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Child;
use xbt_api::State;

async fn until(condition: impl Fn() -> bool) {
    tokio::time::timeout(Duration::from_secs(20), async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the condition never held");
}

fn interrupt(child: &Child) {
    let pid = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
}

#[tokio::test]
async fn send_wait_returns_when_every_recipient_has_it() {
    let bench = Bench::new().await;
    bench.world().ending = Some(State::Done);
    let ran = bench.run(&["send", "-w", "bob@example.org", "x", "--to", "eve@example.org"]).await;
    assert_eq!(ran.code(), 0, "{}", ran.err);
    assert_eq!(ran.out, "1 done: holiday → bob@example.org, 1.2 GiB\n2 done: holiday → eve@example.org, 1.2 GiB\n");
}

#[tokio::test]
async fn send_wait_json_prints_only_the_final_objects_one_per_line() {
    let bench = Bench::new().await;
    bench.world().ending = Some(State::Done);
    let ran = bench.run(&["--json", "send", "-w", "bob@example.org", "x", "--to", "eve@example.org"]).await;
    let states: Vec<_> =
        ran.out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["state"].clone()).collect();
    assert_eq!(states, ["done", "done"]);
}

#[tokio::test]
async fn a_transfer_that_does_not_end_as_done_is_exit_1() {
    for (ending, code) in [
        (State::Declined, "declined"),
        (State::Cancelled, "cancelled"),
        (State::Expired, "expired"),
        (State::Elsewhere, "elsewhere"),
        (State::Failed, "failed"),
    ] {
        let bench = Bench::new().await;
        bench.world().ending = Some(ending);
        let ran = bench.run(&["send", "--wait", "bob@example.org", "x", "--json"]).await;
        assert_eq!(ran.code(), 1);
        assert_eq!(ran.json()["state"], ending.as_str());
        assert_eq!(ran.json_error()["code"], code);
    }
}

#[tokio::test]
async fn waiting_survives_lost_events() {
    let bench = Bench::new().await;
    bench.world().lagged = true;
    bench.world().ending = Some(State::Done);
    let ran = bench.run(&["send", "-w", "bob@example.org", "x"]).await;
    assert_eq!((ran.code(), ran.out.as_str()), (0, "1 done: holiday → bob@example.org, 1.2 GiB\n"), "{}", ran.err);
}

#[tokio::test]
async fn a_daemon_that_goes_while_something_waits_is_exit_3() {
    let bench = Bench::new().await;
    let child = bench.command(&["send", "-w", "bob@example.org", "x"]).spawn().unwrap();
    until(|| !bench.world().sent.is_empty()).await;
    bench.kill_daemon();
    assert_eq!(finish(child).await.code(), 3);
}

#[tokio::test]
async fn a_terminal_gets_a_bar_per_recipient() {
    let bench = Bench::new().await;
    let command = format!("{} send -w bob@example.org x --to eve@example.org", env!("CARGO_BIN_EXE_xbtctl"));
    // script(1) gives the program a terminal.
    let mut script = tokio::process::Command::new("script");
    script.args(["-qefc", &command, "/dev/null"]).env("XBT_SOCKET", bench.socket()).env("TERM", "xterm");
    let mut child = script.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut terminal = child.stdout.take().unwrap();
    let mut seen = String::new();
    until(|| !bench.world().sent.is_empty()).await;
    for id in 1..=2 {
        bench.daemon.become_state(id, State::Sending, 644_245_094);
    }
    // Bars are not drawn more often than people can see, so the end waits until they were.
    while seen.matches(" 50% sending").count() < 2 {
        let mut bytes = vec![0; 4_096];
        let read = tokio::time::timeout(Duration::from_secs(20), terminal.read(&mut bytes)).await.unwrap().unwrap();
        assert_ne!(read, 0, "no bars in {seen}");
        seen += &String::from_utf8_lossy(&bytes[..read]);
    }
    for id in 1..=2 {
        bench.daemon.become_state(id, State::Done, 1_288_490_188);
    }
    let mut rest = Vec::new();
    terminal.read_to_end(&mut rest).await.unwrap();
    seen += &String::from_utf8_lossy(&rest);
    assert_eq!(finish(child).await.code(), 0, "{seen}");
    for part in ["1 holiday → bob@example.org [", "2 holiday → eve@example.org [", " 50% sending", "2 done: holiday"]
    {
        assert!(seen.contains(part), "{part} is missing in {seen}");
    }
}

#[tokio::test]
async fn accept_wait_returns_when_it_has_arrived() {
    let bench = Bench::new().await;
    bench.world().transfers = vec![transfer(1, State::Offered)];
    bench.world().ending = Some(State::Done);
    let ran = bench.run(&["accept", "1", "-w"]).await;
    assert_eq!((ran.code(), ran.out.as_str()), (0, "1 done: holiday → bob@example.org, 1.2 GiB\n"), "{}", ran.err);
}

#[tokio::test]
async fn an_interrupted_wait_is_exit_130_and_leaves_the_transfer_alone() {
    let bench = Bench::new().await;
    let child = bench.command(&["send", "-w", "bob@example.org", "x"]).spawn().unwrap();
    until(|| !bench.world().sent.is_empty()).await;
    bench.daemon.become_state(1, State::Sending, 5);
    interrupt(&child);
    let ran = finish(child).await;
    assert_eq!(ran.code(), 130);
    assert!(ran.err.contains("error: interrupted"), "{}", ran.err);
    assert_eq!(bench.world().transfers[0].state, State::Sending);
}

#[tokio::test]
async fn interrupting_while_standard_input_is_read_leaves_no_spool() {
    let bench = Bench::new().await;
    let mut command = bench.command(&["send", "bob@example.org", "-", "--name", "n"]);
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    let _open = child.stdin.take();
    let spool = bench.dir.path().join("state/xbt/spool");
    let count = || std::fs::read_dir(&spool).map_or(0, Iterator::count);
    until(|| count() == 1).await;
    interrupt(&child);
    assert_eq!(finish(child).await.code(), 130);
    assert_eq!(count(), 0);
}

#[tokio::test]
async fn watch_prints_a_line_per_event_and_exits_3_when_the_daemon_goes() {
    let bench = Bench::new().await;
    bench.world().transfers = vec![transfer(1, State::Queued)];
    let mut people = bench.command(&["watch"]).spawn().unwrap();
    let mut programs = bench.command(&["watch", "--json"]).spawn().unwrap();
    let mut lines = BufReader::new(people.stdout.take().unwrap()).lines();
    let mut json_lines = BufReader::new(programs.stdout.take().unwrap()).lines();
    // Whether they have begun to watch cannot be seen from outside, so something happens until they say so.
    let (line, json) = loop {
        bench.daemon.become_state(1, State::Sending, 644_245_094);
        let both = async { (lines.next_line().await, json_lines.next_line().await) };
        if let Ok((line, json)) = tokio::time::timeout(Duration::from_millis(500), both).await {
            break (line.unwrap().unwrap(), json.unwrap().unwrap());
        }
    };
    assert_eq!(line, "2026-01-31T12:00:01Z transfer 1 sending 50% holiday → bob@example.org");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["kind"], &json["transfer"]["id"]), (&"transfer".into(), &1.into()));
    bench.kill_daemon();
    let ran = finish(people).await;
    assert_eq!(ran.code(), 3);
    assert!(ran.err.contains("it closed the connection"), "{}", ran.err);
    assert_eq!(finish(programs).await.code(), 3);
}
