//! What is committed comes back.

use std::time::Instant;

use xbt_core::contact::Trust;
use xbt_core::effect::Counters;
use xbt_core::ids::ContentId;
use xbt_core::transfer::{Outgoing, Side};

use super::*;
use crate::MAX_BLOB;

#[test]
fn a_new_store_holds_nothing_and_counts_from_one() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(load(folder.path()), Rows { counters: Counters { transfer: 1, content: 1 }, ..Rows::default() });
}

#[test]
fn every_kind_of_change_comes_back_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    Store::open(folder.path()).unwrap().commit(&one_of_each()).unwrap();
    assert_eq!(load(folder.path()), their_rows());
}

#[test]
fn a_batch_done_twice_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    store.commit(&one_of_each()).unwrap();
    store.commit(&one_of_each()).unwrap();
    store.commit(&[]).unwrap();
    assert_eq!(store.load().unwrap(), their_rows());
}

#[test]
fn a_changed_row_replaces_the_old_one_and_its_columns() {
    let folder = filled(1);
    let mut store = Store::open(folder.path()).unwrap();
    let mut changed = transfer(1);
    changed.limits = RateLimits { up: 1, down: u64::MAX };
    changed.priority = Priority::High;
    changed.side = Side::Out { state: Outgoing::Queued, acknowledged: [].into(), taken_by: None, courtesy: false };
    let verified = Device { trust: Trust::Verified, ..device(1) };
    let batch =
        [Persist::Transfer(Box::new(changed.clone())), Persist::Device(device(1)), Persist::Device(verified.clone())];
    store.commit(&batch).unwrap();
    let rows = store.load().unwrap();
    assert_eq!((rows.transfers, rows.devices), (vec![changed], vec![verified]));
    let columns = "SELECT state || ' ' || direction || ' ' || contact || ' ' || updated || ' ' || trust
                   FROM transfers JOIN devices USING (account, contact)";
    let columns: String = store.connection.query_row(columns, [], |row| row.get(0)).unwrap();
    assert_eq!(columns, "queued out bob@example.org -1 verified");
}

#[test]
fn counters_never_go_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    store.commit(&[Persist::Counters(Counters { transfer: 9, content: 2 })]).unwrap();
    store.commit(&[Persist::Counters(Counters { transfer: 3, content: 4 })]).unwrap();
    assert_eq!(store.load().unwrap().counters, Counters { transfer: 9, content: 4 });
}

#[test]
fn a_blob_stays_while_its_content_is_replaced_and_goes_when_it_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    let id = ContentId(1);
    store.commit(&[Persist::Content(content(1))]).unwrap();
    assert_eq!(store.blob(id).unwrap(), None);
    store.put_blob(id, b"old").unwrap();
    store.put_blob(id, b"d4:infod\0\xff").unwrap();
    store.commit(&[Persist::Content(Content { name: None, ..content(1) })]).unwrap();
    drop(store);
    let mut store = Store::open(folder.path()).unwrap();
    assert_eq!(store.blob(id).unwrap().unwrap(), b"d4:infod\0\xff");
    store.commit(&[Persist::RemoveContent(id)]).unwrap();
    assert_eq!(store.blob(id).unwrap(), None);
    store.commit(&[Persist::Content(content(1))]).unwrap();
    assert_eq!(store.blob(id).unwrap(), None);
}

#[test]
fn a_blob_without_its_content_or_beyond_the_bound_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    assert_eq!(store.put_blob(ContentId(1), b"").unwrap_err().code(), "no-such-content");
    assert_eq!(store.put_blob(ContentId(1), &vec![0; MAX_BLOB + 1]).unwrap_err().code(), "blob-too-large");
    store.commit(&[Persist::Content(content(1))]).unwrap();
    store.put_blob(ContentId(1), b"").unwrap();
    assert_eq!(store.blob(ContentId(1)).unwrap(), Some(Vec::new()));
}

#[test]
fn settings_come_back_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    assert_eq!(store.setting("port").unwrap(), None);
    store.set_setting("port", "1").unwrap();
    store.set_setting("port", "51413").unwrap();
    drop(store);
    assert_eq!(Store::open(folder.path()).unwrap().setting("port").unwrap().unwrap(), "51413");
}

#[test]
fn a_number_beyond_what_is_kept_is_refused_and_takes_its_batch_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    let error = store.commit(&[put(1), put(u64::MAX)]).unwrap_err();
    assert_eq!(error.code(), "number-too-large");
    assert_eq!(store.load().unwrap(), Rows::default());
    assert_eq!(store.blob(ContentId(u64::MAX)).unwrap(), None);
    store.commit(&[put(1)]).unwrap();
}

#[test]
fn the_store_may_be_moved_to_another_thread() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    std::thread::spawn(move || store.commit(&[put(1)]).unwrap()).join().unwrap();
    assert_eq!(load(folder.path()).transfers.len(), 1);
}

/// Also a measurement: `cargo test -p xbtd ten_thousand -- --nocapture`.
#[test]
fn ten_thousand_transfers_are_kept_and_read_again() {
    let folder = filled(10_000);
    let size = fs::metadata(folder.path().join("xbt.db")).unwrap().len();
    let start = Instant::now();
    let mut store = Store::open(folder.path()).unwrap();
    let opened = start.elapsed();
    let rows = store.load().unwrap();
    let loaded = start.elapsed() - opened;
    let start = Instant::now();
    (0..100).for_each(|id| store.commit(&[put(id)]).unwrap());
    eprintln!(
        "{} transfers, {} KiB: open {opened:?}, load {loaded:?}, one commit {:?}",
        rows.transfers.len(),
        size >> 10,
        start.elapsed() / 100
    );
    // One of them was overwritten with its like, and number 0 is new.
    assert_eq!(rows.transfers.len(), 10_000);
    drop(store);
    assert_eq!(load(folder.path()).transfers.len(), 10_001);
}

#[test]
fn the_record_of_what_was_received_goes_with_its_content_or_stays_until_it_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    for id in 1..=3 {
        store.commit_received(&[Persist::Content(content(id))], Some((ContentId(id), b"early"))).unwrap();
        store.commit_received(&[], Some((ContentId(id), b"record"))).unwrap();
    }
    // Of a content that is gone.
    store.commit_received(&[], Some((ContentId(9), b"late"))).unwrap();
    let remove = [Persist::Delete(deletion(1)), Persist::RemoveContent(ContentId(1))];
    store.commit(&remove).unwrap();
    store.commit(&remove).unwrap();
    store.commit(&[Persist::RemoveContent(ContentId(2)), Persist::Delete(deletion(2))]).unwrap();
    drop(store);
    let mut store = Store::open(folder.path()).unwrap();
    assert_eq!(store.load().unwrap().deletions, [deletion(1), deletion(2)]);
    assert_eq!(store.record(ContentId(1)).unwrap().unwrap(), b"record");
    assert_eq!((store.record(ContentId(2)).unwrap(), store.record(ContentId(3)).unwrap()), (None, None));
    store.commit(&[Persist::Deleted(ContentId(1)), Persist::Deleted(ContentId(2))]).unwrap();
    let left: i64 = store
        .connection
        .query_row("SELECT (SELECT count(*) FROM received) * 10 + (SELECT count(*) FROM deletions)", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(left, 10, "that of the content that is still there");
}
