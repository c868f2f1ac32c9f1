//! What a fetch needs is in memory only while there are links.
#![allow(clippy::unwrap_used, clippy::panic)]
mod common;
use common::*;

use std::time::Duration;

use tokio::time::sleep;
use xbt_torrent::{ContentKey, Data, Engine, Event, Fetch, Group, Prepared, Usage};

const OWNER: Group = Group(1);

async fn memory_is_free(engine: &Engine, owner: Group) {
    while engine.usage(owner) != Usage::default() {
        sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn metadata_leaves_memory_with_the_last_link_and_comes_back_from_the_disk() {
    let (mut a, mut b) = (Node::limited(1 << 20, 0), Node::new());
    let bytes = noise(8 << 20, 3);
    let prepared = a.seed(&write(&a.path("f"), &bytes)).await;
    b.fetch(&prepared);
    let (_, at_b) = join(&a, &b);
    b.verified(2 << 20).await;
    assert_eq!(b.engine.usage(OWNER).metadata, prepared.info.len());
    b.detach(at_b).await;
    memory_is_free(&b.engine, OWNER).await;
    assert_eq!(b.engine.listing(KEY).unwrap().files, [("f".to_owned(), 8 << 20)]);
    a.engine.set_limits(0, 0);
    join(&a, &b);
    b.arrives(&bytes).await;
    assert!(b.downloaded() <= prepared.size + (2 << 20), "{} of {}", b.downloaded(), prepared.size);
    let metadata = b.past.iter().filter(|event| matches!(event, Event::Metadata { .. })).count();
    assert_eq!(metadata, 1, "it came once");
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_it_is_in_memory_for_a_moment_only() {
    let (mut a, mut b) = (Node::limited(1 << 20, 0), Node::new());
    let bytes = noise(8 << 20, 3);
    let prepared = a.seed(&write(&a.path("f"), &bytes)).await;
    b.fetch(&prepared);
    let (_, at_b) = join(&a, &b);
    b.verified(2 << 20).await;
    b.detach(at_b).await;
    b.engine.shutdown().await;
    b.restart();
    b.fetch(&prepared);
    b.verified(2 << 20).await;
    memory_is_free(&b.engine, OWNER).await;
    a.engine.set_limits(0, 0);
    join(&a, &b);
    b.arrives(&bytes).await;
}

/// Empty files with long paths, so that their metadata has some 5 MiB.
async fn large(node: &mut Node, key: u64) -> Prepared {
    let below: String = (0..4).map(|at| format!("{at}{}/", "f".repeat(240))).collect();
    let folder = node.path(&key.to_string());
    for number in 0..4_000 {
        write(&folder.join(&below).join(format!("{number:05}{}", "n".repeat(245))), b"");
    }
    write(&folder.join("one"), &[key as u8]);
    let prepared = node.prepare(&[folder]).await.unwrap();
    assert!(prepared.info.len() > 4 << 20, "{}", prepared.info.len());
    node.engine.seed(ContentKey(key), prepared.clone());
    prepared
}

#[tokio::test]
async fn metadata_of_one_owner_waits_for_room_and_that_of_others_does_not() {
    let (mut a, mut b) = (Node::new(), Node::new());
    for key in 11..16 {
        let prepared = large(&mut a, key).await;
        b.engine
            .fetch(ContentKey(key), Fetch { partial_id: key.to_string(), owner: Group(66), ..b.offered(&prepared) });
    }
    let small = a.seed(&write(&a.path("f"), b"of somebody else")).await;
    b.fetch(&small);
    join(&a, &b);
    for key in (11..16).map(ContentKey) {
        join_keys(&a, key, &b, key);
    }
    for _ in 0..6 {
        let completed = |event: &Event| match event {
            Event::Completed { key, .. } => Some(*key),
            _ => None,
        };
        let key = b.wait("completed", completed).await;
        let held = b.engine.usage(Group(66)).metadata;
        assert!(held <= 20 << 20, "{held}");
        b.engine.forget(key, Data::Keep);
        b.past.clear();
    }
}
