//! Somebody who may write in a folder that is sent cannot have other files read.
#![allow(clippy::unwrap_used, clippy::panic)]
mod common;
use common::*;

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use xbt_torrent::{Sources, codes, survey};

#[test]
fn a_folder_swapped_for_a_link_while_it_is_listed_leads_nowhere() {
    let home = tempfile::tempdir().unwrap();
    let (sent, secret) = (home.path().join("sent"), home.path().join("secret"));
    write(&sent.join("f"), b"f");
    write(&sent.join("in/photo"), b"photo");
    write(&secret.join("key"), b"key");
    symlink(&secret, sent.join("trap")).unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                renameat_with(CWD, sent.join("in"), CWD, sent.join("trap"), RenameFlags::EXCHANGE).unwrap();
            }
        });
        let sources = Sources { paths: vec![sent.clone()], skip_special: true, ..Sources::default() };
        let sizes: Vec<u64> = (0..10_000).filter_map(|_| survey(&sources).ok()).map(|found| found.size).collect();
        over.store(true, Ordering::Relaxed);
        // Listed under the one name, under the other, under both or neither: 1 + 5 + 5 bytes; the secret has 3.
        assert!(!sizes.is_empty());
        assert!(sizes.iter().all(|size| [1, 6, 11].contains(size)), "a file outside was listed");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_swapped_for_a_link_after_the_preparation_is_not_read_through() {
    let (mut a, b) = (Node::new(), Node::new());
    write(&a.path("sent/in/photo"), &noise(1 << 20, 1));
    let prepared = a.prepare(&[a.path("sent")]).await.unwrap();
    fs::rename(a.path("sent/in"), a.path("elsewhere")).unwrap();
    symlink(a.path("elsewhere"), a.path("sent/in")).unwrap();
    b.fetch(&prepared);
    a.engine.seed(KEY, prepared);
    let error = a.failed().await;
    assert_eq!(error.code, codes::SOURCE_CHANGED);
    assert!(error.message.contains("symbolic link"), "{error:?}");
    b.engine.shutdown().await;
}
