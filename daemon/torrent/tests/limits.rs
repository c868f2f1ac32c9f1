//! Limits of rate and of the disk.
#![allow(clippy::unwrap_used, clippy::panic)]
mod common;
use common::*;

use std::process::Command;
use std::time::Duration;

use tokio::time::Instant;
use xbt_torrent::handshake::OUR_RESERVED;
use xbt_torrent::{ContentKey, Engine, Event, Group, Prepared, Priority, Sources, codes};

#[tokio::test(start_paused = true)]
async fn limits_hold_in_both_directions() {
    for (up, down) in [(4 << 20, 0), (0, 4 << 20)] {
        let (mut a, mut b) = (Node::limited(up, 0), Node::limited(0, down));
        let prepared = a.seed(&write(&a.path("f"), &noise(6 << 20, 1))).await;
        b.fetch(&prepared);
        let start = Instant::now();
        join(&a, &b);
        b.completed().await;
        // 6 MiB at 4 MiB/s, on a clock that stands still while anything is done.
        let taken = start.elapsed();
        let about = Duration::from_millis(1300)..Duration::from_millis(1700);
        assert!(about.contains(&taken), "{taken:?} with {up}/{down}");
    }
}

#[tokio::test(start_paused = true)]
async fn metadata_counts_against_the_upload_limit() {
    let (mut a, mut b) = (Node::limited(256 << 10, 0), Node::limited(0, 0));
    let folder = a.path("folder");
    std::fs::create_dir(&folder).unwrap();
    for number in 0..4_000 {
        std::fs::write(folder.join(format!("{number:0>200}")), "").unwrap();
    }
    let prepared = a.seed(&folder).await;
    assert!((768 << 10..1 << 20).contains(&prepared.info.len()), "{}", prepared.info.len());
    b.fetch(&prepared);
    let start = Instant::now();
    join(&a, &b);
    b.completed().await;
    // There is nothing but metadata, at 256 KiB/s.
    assert!(start.elapsed() >= Duration::from_millis(2_500), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_smallest_limit_makes_progress_and_lifting_it_counts_at_once() {
    // What is sent has metadata before it, which the limit counts.
    for (up, down) in [(64, 0), (0, 1)] {
        let (mut a, mut b) = (Node::limited(up, 0), Node::limited(0, down));
        let bytes = noise(1 << 20, 2);
        let prepared = a.seed(&write(&a.path("f"), &bytes)).await;
        b.fetch(&prepared);
        join(&a, &b);
        let moved = |event: &Event| match event {
            Event::PeerProgress { downloaded: 2.., .. } => Some(()),
            _ => None,
        };
        b.wait("two bytes", moved).await;
        a.engine.set_limits(0, 0);
        b.engine.set_limits(0, 0);
        b.arrives(&bytes).await;
    }
}

/// Prepares and seeds a further content.
async fn seed_as(node: &mut Node, key: ContentKey, bytes: &[u8]) -> Prepared {
    let path = write(&node.path(&format!("f{}", key.0)), bytes);
    node.engine.prepare(key, Sources { paths: vec![path], ..Sources::default() });
    let prepared = node
        .wait("prepared", |event| match event {
            Event::Prepared { key: of, prepared, .. } if *of == key => Some(prepared.clone()),
            _ => None,
        })
        .await;
    node.engine.seed(key, prepared.clone());
    prepared
}

/// Payload bytes that all links have received.
fn received(node: &mut Node) -> u64 {
    while let Ok(event) = node.events.try_recv() {
        node.past.push_back(event);
    }
    node.downloaded()
}

/// Bytes that each node receives in some seconds, after the first has some.
async fn within(nodes: &mut [&mut Node], time: Duration) -> Vec<u64> {
    for node in &mut *nodes {
        let begun = |event: &Event| matches!(event, Event::PeerProgress { downloaded: 1.., .. }).then_some(());
        node.wait("a begin", begun).await;
    }
    let before: Vec<u64> = nodes.iter_mut().map(|node| received(node)).collect();
    tokio::time::sleep(time).await;
    nodes.iter_mut().zip(before).map(|(node, before)| received(node) - before).collect()
}

fn assert_near(is: u64, ideal: u64, percent: u64) {
    assert!(is.abs_diff(ideal) <= ideal * percent / 100, "{is} instead of {ideal}");
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_exact_at_every_level_and_in_both_directions() {
    type Limit = fn(&Engine, &Engine, u64);
    let levels: [Limit; 6] = [
        |a, _, rate| a.set_limits(rate, 0),
        |_, b, rate| b.set_limits(0, rate),
        |a, _, rate| a.set_group_limits(Group(7), rate, 0),
        |_, b, rate| b.set_group_limits(Group(7), 0, rate),
        |a, _, rate| a.set_content_limits(KEY, rate, 0),
        |_, b, rate| b.set_content_limits(KEY, 0, rate),
    ];
    let each = levels.into_iter().zip([1 << 10, 1 << 10, 100 << 10, 3_000_000, 20 << 10, 4 << 20]).map(
        async |(limit, rate)| {
            let (mut a, mut b) = (Node::new(), Node::new());
            let prepared = a.seed(&write(&a.path("f"), &noise(40 << 20, 1))).await;
            limit(&a.engine, &b.engine, rate);
            b.fetch(&prepared);
            let (near, far) = tokio::io::duplex(256 << 10);
            a.engine.attach_in_group(Group(7), KEY, tag(), near, OUR_RESERVED);
            b.engine.attach_in_group(Group(7), KEY, tag(), far, OUR_RESERVED);
            let moved = within(&mut [&mut b], Duration::from_secs(4)).await[0];
            // Progress is told four times a second.
            assert_near(moved, rate * 4, 15);
            // A change counts at once.
            limit(&a.engine, &b.engine, rate * 3);
            let moved = within(&mut [&mut b], Duration::from_secs(2)).await[0];
            assert_near(moved, rate * 6, 30);
        },
    );
    let all: Vec<_> = each.collect();
    for one in all.into_iter().map(tokio::spawn).collect::<Vec<_>>() {
        one.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn contents_share_a_limit_evenly_however_many_links_each_has_or_by_priority() {
    let mut a = Node::limited(1 << 20, 0);
    let (one, two) = (ContentKey(1), ContentKey(2));
    let first = seed_as(&mut a, one, &noise(40 << 20, 1)).await;
    let second = seed_as(&mut a, two, &noise(40 << 20, 2)).await;
    let (mut b, mut c, mut d, mut e) = (Node::new(), Node::new(), Node::new(), Node::new());
    for node in [&b, &c, &d] {
        node.fetch(&first);
        join_keys(&a, one, node, KEY);
    }
    e.fetch(&second);
    join_keys(&a, two, &e, KEY);
    let moved = within(&mut [&mut b, &mut c, &mut d, &mut e], Duration::from_secs(5)).await;
    let shared: u64 = moved[..3].iter().sum();
    assert_near(shared + moved[3], 5 << 20, 15);
    assert_near(shared, moved[3], 25);
    a.engine.set_priority(two, Priority::High);
    let moved = within(&mut [&mut b, &mut c, &mut d, &mut e], Duration::from_secs(5)).await;
    let shared: u64 = moved[..3].iter().sum();
    assert_near(moved[3], shared * 4, 35);
}

/// A small file system of our own; `None` where mounting is not allowed.
struct Mount(std::path::PathBuf);

impl Mount {
    fn new(at: std::path::PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let status =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "xbt-test"]).arg(&at).status();
        let mounted = status.is_ok_and(|status| status.success());
        if !mounted {
            println!("SKIPPED: a tmpfs cannot be mounted here");
        }
        mounted.then_some(Self(at))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_little_room_is_told_with_numbers_before_anything_is_written() {
    let (mut a, mut b) = (Node::new(), Node::new());
    let prepared = a.seed(&write(&a.path("f"), &noise(6 << 20, 1))).await;
    let Some(_mount) = Mount::new(b.destination(), "4m") else { return };
    b.fetch(&prepared);
    join(&a, &b);
    let error = b.failed().await;
    assert_eq!(error.code, codes::DISK_FULL);
    assert!(error.message.contains("needs 6.0 MiB more") && error.message.ends_with("has 4.0 MiB"), "{error}");
    assert_eq!(std::fs::read_dir(b.destination()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_stops_the_fetch_and_room_lets_it_go_on() {
    let (mut a, mut b) = (Node::limited(6 << 20, 0), Node::new());
    let bytes = noise(10 << 20, 1);
    let prepared = a.seed(&write(&a.path("f"), &bytes)).await;
    let Some(_mount) = Mount::new(b.destination(), "12m") else { return };
    b.fetch(&prepared);
    join(&a, &b);
    b.verified(1).await;
    let ballast = write(&b.destination().join("ballast"), &noise(6 << 20, 5));
    let error = b.failed().await;
    assert_eq!(error.code, codes::DISK_FULL);
    std::fs::remove_file(ballast).unwrap();
    a.engine.set_limits(0, 0);
    b.engine.resume(KEY);
    let (_, at_b) = join(&a, &b);
    let path = b.completed().await;
    assert!(std::fs::read(path).unwrap() == bytes);
    b.detach(at_b).await;
    assert!(b.downloaded() < prepared.size + (5 << 20), "{}", b.downloaded());
}
