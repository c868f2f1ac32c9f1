//! Limits of rate and of the disk.
#![allow(clippy::unwrap_used, clippy::panic)]
mod common;
use common::*;

use std::process::Command;
use std::time::{Duration, Instant};

use xbt_torrent::{Event, codes};

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_in_both_directions() {
    for (up, down) in [(4 << 20, 0), (0, 4 << 20)] {
        let (mut a, mut b) = (Node::limited(up, 0), Node::limited(0, down));
        let prepared = a.seed(&write(&a.path("f"), &noise(6 << 20, 1))).await;
        b.fetch(&prepared);
        let start = Instant::now();
        join(&a, &b);
        b.completed().await;
        // 6 MiB at 4 MiB/s; slower only because of the machine.
        assert!(start.elapsed() > Duration::from_millis(1300), "{:?} with {up}/{down}", start.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_smallest_limit_makes_progress_and_lifting_it_counts_at_once() {
    for (up, down) in [(1, 0), (0, 1)] {
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
        assert!(std::fs::read(b.completed().await).unwrap() == bytes);
    }
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
    assert!(error.message.contains("6.0 MiB"), "{}", error.message);
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
    b.engine.detach(at_b);
    b.closed(at_b).await;
    assert!(b.downloaded() < prepared.size + (5 << 20), "{}", b.downloaded());
}
