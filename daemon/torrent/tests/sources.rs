//! What happens to and because of the files that are sent.
#![allow(clippy::unwrap_used, clippy::panic)]
mod common;
use common::*;

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use xbt_torrent::{CloseReason, Event, Sources, codes};

/// Prepares a file, changes it, attaches a receiver: the send must fail and say what happened.
async fn changed_before(change: impl FnOnce(&Path), word: &str) {
    let (mut a, b) = (Node::new(), Node::new());
    let source = write(&a.path("f.bin"), &noise(1 << 20, 1));
    let prepared = a.prepare(std::slice::from_ref(&source)).await.unwrap();
    change(&source);
    b.fetch(&prepared);
    a.engine.seed(KEY, prepared);
    let error = a.failed().await;
    assert_eq!(error.code, codes::SOURCE_CHANGED);
    assert!(error.message.contains("f.bin") && error.message.contains(word), "{}", error.message);
    let (at_a, _) = join(&a, &b);
    assert!(matches!(a.closed(at_a).await, CloseReason::Stopped(_)));
    b.engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_a_source_is_noticed_and_named() {
    changed_before(|path| drop(std::fs::write(path, noise(1 << 20, 2))), "edited").await;
    changed_before(|path| drop(std::fs::write(path, noise(2 << 20, 1))), "grew").await;
    changed_before(|path| drop(std::fs::write(path, b"")), "shrank").await;
    changed_before(|path| std::fs::remove_file(path).unwrap(), "vanished").await;
    let replace = |path: &Path| {
        let twin = path.with_extension("twin");
        std::fs::copy(path, &twin).unwrap();
        std::fs::rename(&twin, path).unwrap();
    };
    changed_before(replace, "replaced").await;
    let link = |path: &Path| {
        let moved = path.with_extension("moved");
        std::fs::rename(path, &moved).unwrap();
        std::os::unix::fs::symlink(&moved, path).unwrap();
    };
    changed_before(link, "no longer a regular file").await;
}

/// Changes a file while it is being sent.
async fn changed_during(change: impl FnOnce(&Path)) {
    let (mut a, mut b) = (Node::limited(4 << 20, 0), Node::new());
    let bytes = noise(16 << 20, 1);
    let source = write(&a.path("f.bin"), &bytes);
    let prepared = a.seed(&source).await;
    b.fetch(&prepared);
    let (at_a, _) = join(&a, &b);
    b.verified(1).await;
    change(&source);
    assert_eq!(a.failed().await.code, codes::SOURCE_CHANGED);
    assert!(matches!(a.closed(at_a).await, CloseReason::Stopped(_)));
    b.engine.pause(KEY);
    b.engine.shutdown().await;
    let completed = b.past.iter().any(|event| matches!(event, Event::Completed { .. }));
    assert!(!completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_during_the_sending_stops_it() {
    changed_during(|path| drop(std::fs::write(path, noise(16 << 20, 2)))).await;
    changed_during(|path| drop(std::fs::write(path, b"short"))).await;
    changed_during(|path| std::fs::remove_file(path).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_during_the_preparation_fails_it() {
    let mut a = Node::new();
    let source = write(&a.path("f.bin"), b"");
    std::fs::File::options().write(true).open(&source).unwrap().set_len(256 << 20).unwrap();
    let over = std::sync::atomic::AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = std::fs::File::options().append(true).open(&source).unwrap();
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                file.write_all(b"more").unwrap();
            }
        });
        let result = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(a.prepare(std::slice::from_ref(&source)))
        });
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        result
    });
    let error = result.unwrap_err();
    assert_eq!(error.code, codes::SOURCE_CHANGED);
    // Looked at in the middle of a write, its time has changed and its size not yet.
    assert!(["grew", "edited"].iter().any(|what| error.message.contains(what)), "{}", error.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_preparation_says_so() {
    let mut a = Node::new();
    let folder = a.path("many");
    (0..3000u32).for_each(|index| drop(write(&folder.join(index.to_string()), &noise(20_000, index.into()))));
    a.engine.prepare(KEY, Sources { paths: vec![folder], ..Sources::default() });
    a.engine.cancel_prepare(KEY);
    let error = a
        .wait("the end", |event| match event {
            Event::PrepareFailed { error, .. } => Some(error.clone()),
            _ => None,
        })
        .await;
    assert_eq!(error.code, codes::CANCELLED);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_is_refused_with_its_code() {
    let mut a = Node::new();
    let code = |result: Result<xbt_torrent::Prepared, xbt_torrent::EngineError>| result.unwrap_err();
    assert_eq!(code(a.prepare(&[]).await).code, codes::SOURCE_EMPTY);
    assert_eq!(code(a.prepare(&[a.path("absent")]).await).code, codes::SOURCE_MISSING);
    std::fs::create_dir_all(a.path("hollow/inner")).unwrap();
    assert_eq!(code(a.prepare(&[a.path("hollow")]).await).code, codes::SOURCE_EMPTY);
    write(&a.path("linked/f"), b"x");
    std::os::unix::fs::symlink(a.path("linked/f"), a.path("linked/to-f")).unwrap();
    let error = code(a.prepare(&[a.path("linked")]).await);
    assert_eq!(error.code, codes::SPECIAL_FILE);
    assert!(error.message.contains("to-f"), "{}", error.message);
    let socket = std::os::unix::net::UnixListener::bind(a.path("socket")).unwrap();
    assert_eq!(code(a.prepare(&[a.path("socket")]).await).code, codes::SPECIAL_FILE);
    drop(socket);
    let odd = a.path("odd").join(std::ffi::OsStr::from_bytes(b"n\xff"));
    write(&odd, b"x");
    let error = code(a.prepare(&[a.path("odd")]).await);
    assert_eq!(error.code, codes::BAD_NAME);
    assert!(error.message.contains("n\u{fffd}"), "{}", error.message);
    write(&a.path("twins/\u{e9}"), b"x");
    write(&a.path("twins/e\u{301}"), b"x");
    assert_eq!(code(a.prepare(&[a.path("twins")]).await).code, codes::BAD_NAME);
}

/// Replaces a file by another one with the same size and time.
fn twin(path: &Path, bytes: &[u8]) {
    let (twin, time) = (path.with_extension("twin"), std::fs::metadata(path).unwrap().modified().unwrap());
    std::fs::write(&twin, bytes).unwrap();
    std::fs::File::options().write(true).open(&twin).unwrap().set_modified(time).unwrap();
    std::fs::rename(&twin, path).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_only_seems_to_be_another_one_is_sent_on() {
    let (mut a, mut b) = (Node::new(), Node::new());
    let (one, two) = (noise(700_000, 1), noise(300_000, 2));
    write(&a.path("d/one"), &one);
    write(&a.path("d/two"), &two);
    std::os::unix::fs::symlink("one", a.path("d/link")).unwrap();
    let prepared = a.prepare(&[a.path("d")]).await.unwrap();
    // As after a disk was mounted again, or on FAT: other inode numbers.
    twin(&a.path("d/one"), &one);
    a.engine.seed(KEY, prepared.clone());
    b.fetch(&prepared);
    join(&a, &b);
    let path = b.completed().await;
    assert!(std::fs::read(path.join("one")).unwrap() == one && std::fs::read(path.join("two")).unwrap() == two);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_file_with_the_same_size_and_time_is_not_sent() {
    changed_before(|path| twin(path, &noise(1 << 20, 2)), "replaced").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_with_the_time_put_back_is_found_when_the_receiver_refuses_a_piece() {
    let (mut a, b) = (Node::new(), Node::new());
    let source = write(&a.path("f.bin"), &noise(4 << 20, 1));
    let prepared = a.prepare(std::slice::from_ref(&source)).await.unwrap();
    let time = std::fs::metadata(&source).unwrap().modified().unwrap();
    let file = std::fs::File::options().write(true).open(&source).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"another word", 3 << 20).unwrap();
    file.set_modified(time).unwrap();
    a.engine.seed(KEY, prepared.clone());
    b.fetch(&prepared);
    join(&a, &b);
    let error = a.failed().await;
    assert_eq!(error.code, codes::SOURCE_CHANGED);
    assert!(error.message.contains("f.bin") && error.message.contains("time set back"), "{}", error.message);
    b.engine.shutdown().await;
}
