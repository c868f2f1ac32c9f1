//! Idle links cost nothing. Alone in its process, whose threads it watches.
#![allow(clippy::unwrap_used, clippy::panic)]
mod common;
use common::*;

use std::time::{Duration, Instant};

/// How often threads of this process were woken.
fn wakes() -> u64 {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let status = threads.filter_map(|thread| std::fs::read_to_string(thread.unwrap().path().join("status")).ok());
    let count = |status: String| {
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    status.map(count).sum()
}

#[tokio::test]
async fn attached_links_on_which_nothing_moves_wake_nobody() {
    let (mut a, mut b, mut c) = (Node::new(), Node::new(), Node::new());
    let prepared = a.seed(&write(&a.path("f"), &noise(1 << 20, 1))).await;
    b.fetch(&prepared);
    join(&a, &b);
    b.completed().await;
    // Waits for a source that has something.
    c.fetch(&prepared);
    let d = Node::new();
    d.fetch(&prepared);
    join(&c, &d);
    // What is left to be told and saved.
    let settled = async {
        loop {
            let before = wakes();
            tokio::time::sleep(Duration::from_millis(700)).await;
            if wakes() - before < 4 {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, settled).await.expect("it becomes quiet");
    let (before, begun) = (wakes(), Instant::now());
    tokio::time::sleep(Duration::from_secs(4)).await;
    let (woken, seconds) = (wakes() - before, begun.elapsed().as_secs());
    assert!(woken < 2 * seconds, "{woken} times in {seconds} s");
    assert!(c.events.try_recv().is_err());
}
