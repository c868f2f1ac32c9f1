//! A full disk, and another program that holds the database.

use std::time::Duration;

use rusqlite::Connection;

use super::*;

#[test]
fn on_a_full_disk_the_batch_is_undone_and_the_store_goes_on() {
    let folder = filled(3);
    let mut store = Store::open(folder.path()).unwrap();
    let before = store.load().unwrap();
    let pages: i64 = store.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    let limit = |store: &Store, pages: i64| {
        store.connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
    };
    limit(&store, pages + 2);
    let many: Vec<_> = (4..200).map(put).collect();
    for _ in 0..2 {
        let error = store.commit(&many).unwrap_err();
        assert_eq!(error.code(), "disk-full");
        assert!(error.hint().contains(folder.path().to_str().unwrap()), "{}", error.hint());
        assert_eq!(store.load().unwrap(), before);
    }
    store.commit(&[put(4)]).unwrap();
    limit(&store, 1 << 20);
    store.commit(&many).unwrap();
    drop(store);
    assert_eq!(load(folder.path()).transfers.len(), 199);
}

#[test]
fn while_another_program_writes_the_batch_is_refused_and_can_be_repeated() {
    let folder = filled(1);
    let mut store = Store::open(folder.path()).unwrap();
    store.connection.busy_timeout(Duration::ZERO).unwrap();
    let other = Connection::open(folder.path().join("xbt.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(store.commit(&[put(2)]).unwrap_err().code(), "database-busy");
    assert_eq!(store.load().unwrap().transfers.len(), 1);
    other.execute_batch("ROLLBACK").unwrap();
    store.commit(&[put(2)]).unwrap();
    assert_eq!(store.load().unwrap().transfers.len(), 2);
}
