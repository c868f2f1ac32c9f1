//! A folder arrives whole: empty folders, executable bits, times, symbolic links that stay inside.
#![allow(clippy::unwrap_used, clippy::panic)]
mod common;
use common::*;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use xbt_torrent::{Event, Sources, codes, delete_received, list, survey};

/// A folder with everything that is carried.
fn folder(node: &Node) -> PathBuf {
    let root = node.path("out/tree");
    write(&root.join("bin/run"), b"#!/bin/sh\n");
    write(&root.join("bin/data"), &noise(300_000, 1));
    fs::set_permissions(root.join("bin/run"), Permissions::from_mode(0o4755)).unwrap();
    fs::create_dir_all(root.join("refs/heads")).unwrap();
    fs::create_dir_all(root.join("refs/tags")).unwrap();
    symlink("../bin/run", root.join("refs/latest")).unwrap();
    symlink("bin/./data", root.join("data")).unwrap();
    symlink("bin", root.join("programs")).unwrap();
    symlink("not/there", root.join("dangling")).unwrap();
    let old = File::options().write(true).open(root.join("bin/data")).unwrap();
    old.set_modified(UNIX_EPOCH + Duration::from_millis(1_234_567_890_123)).unwrap();
    root
}

/// Sends a path and returns where it arrived, with the record of it.
async fn sent(a: &mut Node, b: &mut Node, path: &Path) -> (PathBuf, bytes::Bytes) {
    let prepared = a.seed(path).await;
    b.fetch(&prepared);
    join(a, b);
    let path = b.completed().await;
    let record = b.past.iter().find_map(|event| match event {
        Event::Completed { received, .. } => Some(received.clone()),
        _ => None,
    });
    (path, record.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_arrives_whole_and_goes_whole() {
    let (mut a, mut b) = (Node::new(), Node::new());
    let root = folder(&a);
    let (got, record) = sent(&mut a, &mut b, &root).await;
    let mode = |name: &str| fs::metadata(got.join(name)).unwrap().mode() & 0o7777;
    assert_eq!((mode("bin/run") & 0o7100, mode("bin/data") & 0o7111), (0o100, 0), "x alone is carried");
    assert!(got.join("refs/heads").is_dir() && got.join("refs/tags").is_dir());
    assert_eq!(fs::metadata(got.join("bin/data")).unwrap().mtime(), 1_234_567_890);
    for (link, text) in
        [("refs/latest", "../bin/run"), ("data", "bin/./data"), ("programs", "bin"), ("dangling", "not/there")]
    {
        assert_eq!(fs::read_link(got.join(link)).unwrap(), Path::new(text));
        assert_eq!(fs::read_link(root.join(link)).unwrap(), Path::new(text));
    }
    assert_eq!(tree(&got.join("bin")), tree(&root.join("bin")));
    let deleted = delete_received(&record, &got);
    assert_eq!((deleted.kept, got.exists()), (0, false), "{deleted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_file_keeps_its_bit_and_its_time() {
    let (mut a, mut b) = (Node::new(), Node::new());
    let path = write(&a.path("out/run.sh"), b"#!/bin/sh\n");
    fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
    File::open(&path).unwrap().set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
    let (got, record) = sent(&mut a, &mut b, &path).await;
    let meta = fs::metadata(&got).unwrap();
    assert_eq!((meta.mode() & 0o7100, meta.mtime()), (0o100, 1_000_000_000));
    assert_eq!(delete_received(&record, &got).gone, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_trees_have_equal_hashes_and_other_times_or_bits_another() {
    let mut node = Node::new();
    let one = folder(&node);
    let first = node.prepare(std::slice::from_ref(&one)).await.unwrap().info_hash;
    assert_eq!(node.prepare(std::slice::from_ref(&one)).await.unwrap().info_hash, first);
    fs::set_permissions(one.join("bin/data"), Permissions::from_mode(0o744)).unwrap();
    let second = node.prepare(std::slice::from_ref(&one)).await.unwrap().info_hash;
    assert_ne!(second, first);
    File::open(one.join("bin/data")).unwrap().set_modified(UNIX_EPOCH).unwrap();
    assert_ne!(node.prepare(&[one]).await.unwrap().info_hash, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_carried_is_counted_and_named_or_left_out() {
    let mut a = Node::new();
    let root = folder(&a);
    for number in 0..4 {
        symlink("/etc/passwd", root.join(format!("absolute{number}"))).unwrap();
    }
    symlink("../../tree/bin", root.join("refs/outside")).unwrap();
    symlink("programs/../..", root.join("around")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    let error = a.prepare(std::slice::from_ref(&root)).await.unwrap_err();
    assert_eq!(error.code, codes::SPECIAL_FILE);
    assert!(error.message.ends_with("; and 2 more") && error.hint.contains("--skip-special"), "{error:?}");
    assert_eq!(error.message.matches(root.to_str().unwrap()).count(), 5, "{}", error.message);
    let refused = Sources { paths: vec![root.clone()], ..Sources::default() };
    assert_eq!(survey(&refused).unwrap_err(), error);

    write(&root.join(".xbt-offer.part"), b"unfinished");
    let sources = Sources { skip_special: true, ..refused };
    let found = survey(&sources).unwrap();
    assert_eq!((found.omitted, found.files, found.size), (7, 6, 300_010));
    a.engine.prepare(KEY, sources);
    let prepared = a
        .wait("prepared", |event| match event {
            Event::Prepared { prepared, .. } => Some(prepared.clone()),
            _ => None,
        })
        .await;
    let listing = list(prepared.info.clone()).unwrap();
    assert_eq!((listing.omitted, listing.files.len()), (7, 6));
    assert_eq!(listing.folders, ["refs/heads", "refs/tags"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_between_several_paths_do_not_count_as_inside() {
    let mut a = Node::new();
    let (one, two) = (a.path("one"), a.path("two"));
    write(&one.join("f"), b"1");
    write(&two.join("f"), b"2");
    symlink("../two/f", one.join("across")).unwrap();
    let error = a.prepare(&[one.clone(), two.clone()]).await.unwrap_err();
    assert_eq!(error.code, codes::SPECIAL_FILE);
    fs::remove_file(one.join("across")).unwrap();
    symlink("f", one.join("beside")).unwrap();
    assert_eq!(a.prepare(&[one, two]).await.unwrap().files, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_changes_after_hashing_is_noticed() {
    let mut a = Node::new();
    let root = folder(&a);
    let prepared = a.prepare(std::slice::from_ref(&root)).await.unwrap();
    fs::remove_file(root.join("data")).unwrap();
    symlink("bin/run", root.join("data")).unwrap();
    a.engine.seed(KEY, prepared);
    assert_eq!(a.failed().await.code, codes::SOURCE_CHANGED);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_edited_right_after_it_got_its_place_survives_a_restart() {
    let (mut a, mut b) = (Node::new(), Node::new());
    let path = write(&a.path("out/f.bin"), &noise(100_000, 2));
    let prepared = a.seed(&path).await;
    b.fetch(&prepared);
    join(&a, &b);
    let got = b.completed().await;
    b.engine.shutdown().await;
    // The daemon had not taken note of the end when it was killed.
    fs::write(&got, "edited").unwrap();
    b.restart();
    b.fetch_known(&prepared);
    assert_eq!(b.completed().await, got);
    assert_eq!(fs::read_to_string(&got).unwrap(), "edited");
    let record = b.past.iter().find_map(|event| match event {
        Event::Completed { received, .. } => Some(received.clone()),
        _ => None,
    });
    let deleted = delete_received(&record.unwrap(), &got);
    assert_eq!((deleted.kept, deleted.gone), (1, 0), "the record is the one of before");
}
