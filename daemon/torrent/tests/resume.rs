//! A fetch goes on where it was, whatever ended it.
#![allow(clippy::unwrap_used, clippy::panic)]
mod common;
use common::*;

use xbt_torrent::{Data, Event};

const SIZE: usize = 24 << 20;

/// A seeding node that is slow enough to be interrupted.
async fn slow_seed() -> (Node, xbt_torrent::Prepared) {
    let mut a = Node::limited(12 << 20, 0);
    let source = write(&a.path("f"), &noise(SIZE, 9));
    let prepared = a.seed(&source).await;
    (a, prepared)
}

/// A receiver that dies in the middle, as by `kill -9`: its tasks just stop. Returns its folder.
fn killed_after(a: &Node, prepared: &xbt_torrent::Prepared, bytes: u64) -> (tempfile::TempDir, u64) {
    std::thread::scope(|scope| {
        let run = || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let (node, verified) = runtime.block_on(async {
                let mut b = Node::new();
                b.fetch(prepared);
                join(a, &b);
                let verified = b.verified(bytes).await;
                (b, verified)
            });
            runtime.shutdown_background();
            (node.folder, verified)
        };
        scope.spawn(run).join().unwrap()
    })
}

fn reborn(folder: tempfile::TempDir) -> Node {
    let mut node = Node::new();
    node.folder = folder;
    node.restart();
    node
}

async fn finish(a: &mut Node, b: &mut Node, prepared: &xbt_torrent::Prepared) -> u64 {
    a.engine.set_limits(0, 0);
    b.fetch(prepared);
    let (_, at_b) = join(a, b);
    let path = b.completed().await;
    assert!(std::fs::read(&path).unwrap() == noise(SIZE, 9));
    b.detach(at_b).await;
    b.downloaded()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_fetch_loses_only_a_little() {
    let (mut a, prepared) = slow_seed().await;
    let (folder, verified) = tokio::task::block_in_place(|| killed_after(&a, &prepared, 14 << 20));
    let mut b = reborn(folder);
    let again = finish(&mut a, &mut b, &prepared).await;
    assert!(again <= SIZE as u64 - verified + (9 << 20), "fetched {again} more after {verified}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_shutdown_loses_nothing_that_was_verified() {
    let (mut a, prepared) = slow_seed().await;
    let mut b = Node::new();
    b.fetch(&prepared);
    join(&a, &b);
    let verified = b.verified(6 << 20).await;
    b.engine.shutdown().await;
    b.restart();
    let again = finish(&mut a, &mut b, &prepared).await;
    assert!(again <= SIZE as u64 - verified, "fetched {again} more after {verified}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_keeps_the_pieces_and_a_resume_goes_on() {
    let (mut a, prepared) = slow_seed().await;
    let mut b = Node::new();
    b.fetch(&prepared);
    let (_, at_b) = join(&a, &b);
    let verified = b.verified(6 << 20).await;
    b.engine.pause(KEY);
    b.closed(at_b).await;
    b.past.clear();
    b.engine.resume(KEY);
    let again = finish(&mut a, &mut b, &prepared).await;
    assert!(again <= SIZE as u64 - verified, "fetched {again} more after {verified}");
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_does_not_go_back_when_a_fetch_is_opened_again() {
    let (mut a, prepared) = slow_seed().await;
    let mut b = Node::new();
    for at_least in [4 << 20, 8 << 20, 12 << 20] {
        b.fetch(&prepared);
        let (_, at_b) = join(&a, &b);
        b.verified(at_least).await;
        b.engine.pause(KEY);
        b.closed(at_b).await;
    }
    finish(&mut a, &mut b, &prepared).await;
    let told: Vec<u64> = b
        .past
        .iter()
        .filter_map(|event| match event {
            Event::Progress { verified, .. } => Some(*verified),
            _ => None,
        })
        .collect();
    assert!(told.is_sorted(), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_partial_data_is_found_and_fetched_again() {
    let (mut a, prepared) = slow_seed().await;
    let mut b = Node::new();
    b.fetch(&prepared);
    join(&a, &b);
    b.verified(6 << 20).await;
    b.engine.shutdown().await;
    let partial = b.destination().join(".xbt-test.part");
    // As after a crash of the system: another boot, and the data of some claimed pieces never reached the disk.
    let state = b.path("state/1.resume");
    let text = std::fs::read_to_string(&state).unwrap();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    std::fs::write(&state, text.replace(boot.trim(), "another-boot")).unwrap();
    let mut bytes = std::fs::read(&partial).unwrap();
    bytes[..3 << 20].fill(0);
    let file = std::fs::OpenOptions::new().write(true).open(&partial).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).unwrap();
    b.restart();
    let again = finish(&mut a, &mut b, &prepared).await;
    assert!(again < SIZE as u64, "what is right is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_resume_file_is_kept_aside_and_the_data_checked() {
    let (mut a, prepared) = slow_seed().await;
    let mut b = Node::new();
    b.fetch(&prepared);
    join(&a, &b);
    let verified = b.verified(6 << 20).await;
    b.engine.shutdown().await;
    std::fs::write(b.path("state/1.resume"), b"\0garbage").unwrap();
    b.restart();
    let again = finish(&mut a, &mut b, &prepared).await;
    assert!(again <= SIZE as u64 - verified, "fetched {again} more after {verified}");
    assert_eq!(std::fs::read(b.path("state/1.resume.bad")).unwrap(), b"\0garbage");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_the_move_and_the_word_of_it_is_recognised() {
    let (mut a, mut b) = (Node::new(), Node::new());
    let source = write(&a.path("f.txt"), &noise(3 << 20, 4));
    let prepared = a.seed(&source).await;
    write(&b.destination().join("f.txt"), b"mine");
    b.fetch(&prepared);
    join(&a, &b);
    let path = b.completed().await;
    assert_eq!(path, b.destination().join("f (2).txt"));
    // Had the process died before anybody took the event, this is what it would find.
    b.restart();
    b.fetch(&prepared);
    assert_eq!(b.completed().await, path);
    b.engine.forget(KEY, Data::Keep);
    let (_, at_b) = join(&a, &b);
    b.closed(at_b).await;
    assert!(path.exists(), "a completed content is kept");
    assert!(!b.path("state/1.resume").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn forgetting_deletes_partial_data_only_if_told_to() {
    let (a, prepared) = slow_seed().await;
    let mut b = Node::new();
    let partial = b.destination().join(".xbt-test.part");
    for (data, stays) in [(Data::Keep, true), (Data::Delete, false)] {
        b.fetch(&prepared);
        join(&a, &b);
        b.verified(1 << 20).await;
        b.engine.forget(KEY, data);
        let (_, at_b) = join(&a, &b);
        b.closed(at_b).await;
        b.past.clear();
        assert_eq!(partial.exists(), stays);
        assert_eq!(b.path("state/1.resume").exists(), stays);
    }
    assert!(!b.past.iter().any(|event| matches!(event, Event::Failed { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_vanish_from_the_partial_data_are_fetched_again_and_never_made_of_zeros() {
    let (mut a, mut b) = (Node::limited(4 << 20, 0), Node::new());
    (0..200u64).for_each(|index| drop(write(&a.path(&format!("t/{index:03}")), &noise(40_000, index))));
    let prepared = a.seed(&a.path("t")).await;
    b.fetch(&prepared);
    let (_, at_b) = join(&a, &b);
    b.verified(4 << 20).await;
    b.engine.pause(KEY);
    b.closed(at_b).await;
    let partial = b.destination().join(".xbt-test.part");
    let there: Vec<_> = tree(&partial).into_keys().collect();
    std::fs::remove_file(partial.join(&there[there.len() / 2])).unwrap();
    std::fs::write(partial.join(&there[0]), b"short").unwrap();
    a.engine.set_limits(0, 0);
    b.engine.resume(KEY);
    join(&a, &b);
    assert!(tree(&b.completed().await) == tree(&a.path("t")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_vanishes_during_the_fetch_fails_it_instead_of_completing_it_wrongly() {
    let (mut a, mut b) = (Node::limited(4 << 20, 0), Node::new());
    (0..200u64).for_each(|index| drop(write(&a.path(&format!("t/{index:03}")), &noise(40_000, index))));
    let prepared = a.seed(&a.path("t")).await;
    b.fetch(&prepared);
    join(&a, &b);
    b.verified(4 << 20).await;
    let partial = b.destination().join(".xbt-test.part");
    let one = tree(&partial).into_keys().next().unwrap();
    std::fs::remove_file(partial.join(one)).unwrap();
    a.engine.set_limits(0, 0);
    assert_eq!(b.failed().await.code, xbt_torrent::codes::DESTINATION_UNWRITABLE);
    b.engine.resume(KEY);
    join(&a, &b);
    assert!(tree(&b.completed().await) == tree(&a.path("t")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_partial_file_is_checked_piece_by_piece() {
    let (mut a, prepared) = slow_seed().await;
    let mut b = Node::new();
    b.fetch(&prepared);
    join(&a, &b);
    b.verified(16 << 20).await;
    b.engine.shutdown().await;
    let partial = std::fs::File::options().write(true).open(b.destination().join(".xbt-test.part")).unwrap();
    partial.set_len(SIZE as u64 / 2).unwrap();
    b.restart();
    let again = finish(&mut a, &mut b, &prepared).await;
    assert!(again < SIZE as u64, "what is right is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_behind_is_named_and_can_be_cleared_away() {
    let (a, prepared) = slow_seed().await;
    let (folder, _) = tokio::task::block_in_place(|| killed_after(&a, &prepared, 14 << 20));
    let b = reborn(folder);
    let left = b.engine.leftovers();
    assert_eq!(left.len(), 1);
    assert!(!tree(&b.destination()).is_empty());
    b.fetch(&prepared);
    b.engine.forget(left[0], Data::Delete);
    let cleared = async {
        while !(b.engine.leftovers().is_empty() && tree(&b.destination()).is_empty()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, cleared).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_complete_content_that_was_held_up_and_forgotten_leaves_no_state() {
    let (mut a, prepared) = slow_seed().await;
    let mut b = Node::new();
    b.fetch(&prepared);
    finish(&mut a, &mut b, &prepared).await;
    let key = b.engine.leftovers()[0];
    b.engine.pause(key);
    b.engine.forget(key, Data::Keep);
    let cleared = async {
        while !b.engine.leftovers().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, cleared).await.unwrap();
    assert_eq!(tree(&b.destination()).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_while_it_gets_its_name_is_gone_all_the_same() {
    let (mut a, mut b) = (Node::new(), Node::new());
    let prepared = a.seed(&write(&a.path("f"), &noise(3 << 20, 1))).await;
    b.fetch(&prepared);
    join(&a, &b);
    let path = b.completed().await;
    // The caller has not taken the event yet when it gives the content up.
    b.engine.forget(KEY, Data::Delete);
    let (_, at_b) = join(&a, &b);
    b.closed(at_b).await;
    assert!(!path.exists());
    assert_eq!(std::fs::read_dir(b.destination()).unwrap().count(), 0);
    assert!(!b.path("state/1.resume").exists());
}

#[tokio::test(start_paused = true)]
async fn partial_data_is_known_to_the_next_start_from_its_first_moment() {
    let (a, prepared) = slow_seed().await;
    let b = Node::new();
    b.fetch(&prepared);
    join(&a, &b);
    let partial = b.destination().join(".xbt-test.part");
    let began = tokio::time::Instant::now();
    while !partial.exists() || b.engine.leftovers().is_empty() {
        // The first note of pieces takes a second or more. The clock stands still while the disk works.
        assert!(began.elapsed().as_millis() < 800 || !partial.exists(), "no note of what is there");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_fetch_keeps_no_file_open_and_goes_on_without_asking_for_the_description_again() {
    let (mut a, prepared) = slow_seed().await;
    let mut b = Node::new();
    b.fetch(&prepared);
    join(&a, &b);
    b.verified(4 << 20).await;
    b.engine.pause(KEY);
    let inside = b.destination();
    let open = || {
        let links =
            std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok());
        links.filter(|to| to.starts_with(&inside)).count()
    };
    let closed = async {
        while open() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, closed).await.expect("everything is closed");
    b.engine.resume(KEY);
    finish(&mut a, &mut b, &prepared).await;
}

/// Stops a fetch in the middle and goes on in another folder. Returns how much came again.
async fn moved_to(folder: &std::path::Path) {
    let (a, prepared) = slow_seed().await;
    let mut b = Node::new();
    b.fetch(&prepared);
    join(&a, &b);
    let verified = b.verified(8 << 20).await;
    b.engine.pause(KEY);
    a.engine.set_limits(0, 0);
    let old = b.destination();
    b.engine.fetch(KEY, xbt_torrent::Fetch { destination: folder.to_owned(), ..b.offered(&prepared) });
    let (_, at_b) = join(&a, &b);
    let path = b.completed().await;
    assert_eq!(path, folder.join("f"));
    assert!(std::fs::read(&path).unwrap() == noise(SIZE, 9));
    assert_eq!(std::fs::read_dir(old).unwrap().count(), 0, "nothing is left where it was");
    b.detach(at_b).await;
    let came = b.downloaded();
    assert!(came <= SIZE as u64 + (9 << 20) && verified >= 8 << 20, "{came} bytes came, {verified} before");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_fetched_is_taken_along_to_another_folder() {
    let home = tempfile::tempdir().unwrap();
    moved_to(home.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_fetched_is_taken_along_to_another_disk() {
    // A file system of its own on every Linux.
    let home = tempfile::tempdir_in("/dev/shm").unwrap();
    moved_to(home.path()).await;
}
