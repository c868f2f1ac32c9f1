//! What the start refuses it leaves as it is.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;
use rusqlite::Connection;

use super::*;
use crate::StoreError;

/// Opens and loads.
fn start(folder: &Path) -> Result<Rows, StoreError> {
    Store::open(folder)?.load()
}

/// Opening or loading is refused with this code and sentence, twice, and leaves every byte as it is.
#[track_caller]
fn refused(folder: &Path, code: &str, says: &str) {
    let before = bytes(folder);
    for _ in 0..2 {
        let error = start(folder).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.message().contains(says), "{error}");
        assert!(!error.hint().is_empty() && !error.hint().ends_with('.'), "{}", error.hint());
        let after = bytes(folder);
        assert!(after == before, "{:?} became {:?}", before.keys(), after.keys());
    }
}

/// A folder whose database was not closed: with the log of one more transfer beside it.
fn with_log() -> tempfile::TempDir {
    let (folder, copy) = (filled(20), tempfile::tempdir().unwrap());
    let mut store = Store::open(folder.path()).unwrap();
    store.commit(&[put(21)]).unwrap();
    for name in ["xbt.db", "xbt.db-wal"] {
        fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    copy
}

fn sqlite(folder: &Path, sql: &str) {
    Connection::open(folder.join("xbt.db")).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn the_folder_and_the_database_are_for_their_owner_only() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("state/xbt");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mut store = Store::open(&folder).unwrap();
    store.commit(&[put(1)]).unwrap();
    assert_eq!(mode(&folder), 0o700);
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 4, "database, log, its index and the lock: {files:?}");
    files.iter().for_each(|path| assert_eq!(mode(path), 0o600, "{path:?}"));
    drop(store);

    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(folder.join("xbt.db"), Permissions::from_mode(0o664)).unwrap();
    start(&folder).unwrap();
    assert_eq!((mode(&folder), mode(&folder.join("xbt.db"))), (0o700, 0o600));
}

#[test]
fn the_promised_pragmas_are_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let number = |name| store.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
    let mode: String = store.connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!((mode.as_str(), number("synchronous"), number("foreign_keys")), ("wal", 2, 1));
    assert_eq!((number("busy_timeout"), number("application_id")), (500, 0x7862_7464));
}

#[test]
fn a_log_that_was_not_closed_is_taken_up() {
    let folder = with_log();
    assert_eq!(load(folder.path()).transfers.len(), 21);
    assert_eq!(bytes(folder.path()).keys().collect::<Vec<_>>(), ["xbt.db"]);
}

#[test]
fn a_log_without_its_database_is_no_fresh_start() {
    let folder = with_log();
    fs::remove_file(folder.path().join("xbt.db")).unwrap();
    refused(folder.path(), "database-missing", "xbt.db-wal");
}

#[test]
fn an_empty_or_shortened_file_is_refused() {
    for keep in [0, 1, 99, 100, 4096, 20_000] {
        for folder in [filled(20), with_log()] {
            let path = folder.path().join("xbt.db");
            fs::File::options().write(true).open(&path).unwrap().set_len(keep).unwrap();
            let before = bytes(folder.path());
            let result = start(folder.path());
            if let Ok(rows) = result {
                // Everything that was cut off was still in the log.
                assert!(before.contains_key("xbt.db-wal"), "{keep} bytes were enough");
                assert_eq!(rows.transfers.len(), 21);
            } else {
                refused(folder.path(), "database-damaged", "xbt.db is damaged");
                assert!(bytes(folder.path()) == before);
            }
        }
    }
}

#[test]
fn a_file_of_another_kind_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("xbt.db"), "my diary\n".repeat(1000)).unwrap();
    refused(folder.path(), "not-a-database", "does not begin like one");

    let folder = tempfile::tempdir().unwrap();
    sqlite(folder.path(), "CREATE TABLE bookmarks (url TEXT)");
    refused(folder.path(), "not-a-database", "another program");

    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("xbt.db")).unwrap();
    refused(folder.path(), "not-a-database", "not a file");

    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", folder.path().join("xbt.db")).unwrap();
    refused(folder.path(), "database-unreadable", "cannot be read");
}

#[test]
fn a_folder_that_cannot_be_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    fs::write(&file, "text").unwrap();
    assert_eq!(Store::open(&file).unwrap_err().code(), "state-dir-unusable");
    assert_eq!(fs::read(&file).unwrap(), b"text");
}

#[test]
fn a_newer_version_is_refused() {
    let folder = filled(1);
    sqlite(folder.path(), "PRAGMA user_version = 1000");
    refused(folder.path(), "database-newer", "version 1000");
    sqlite(folder.path(), "PRAGMA user_version = 0");
    refused(folder.path(), "database-damaged", "version 0");
    sqlite(folder.path(), "PRAGMA user_version = -1");
    refused(folder.path(), "database-damaged", "version -1");
}

#[test]
fn a_newer_version_that_is_still_in_the_log_is_refused_and_not_moved_out_of_it() {
    let (folder, copy) = (filled(1), tempfile::tempdir().unwrap());
    let store = Store::open(folder.path()).unwrap();
    store.connection.pragma_update(None, "user_version", 1000).unwrap();
    for name in ["xbt.db", "xbt.db-wal"] {
        fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    refused(copy.path(), "database-newer", "version 1000");
}

#[test]
fn a_database_without_its_tables_is_refused() {
    for table in [
        "transfers",
        "tombstones",
        "contents",
        "blobs",
        "received",
        "deletions",
        "contacts",
        "devices",
        "counters",
        "settings",
    ] {
        let folder = filled(1);
        sqlite(folder.path(), &format!("PRAGMA foreign_keys = OFF; DROP TABLE {table}"));
        refused(folder.path(), "database-damaged", table);
    }
}

#[test]
fn a_row_that_cannot_be_read_is_named_with_its_table() {
    for (change, table, row) in [
        ("UPDATE transfers SET body = '{\"id\": 2}' WHERE id = 2", "transfers", "\"2\""),
        ("UPDATE transfers SET body = CAST(x'ff' AS TEXT) WHERE id = 2", "transfers", "\"2\""),
        ("UPDATE transfers SET body = '' WHERE id = 2", "transfers", "\"2\""),
        ("UPDATE transfers SET body = (SELECT body FROM transfers WHERE id = 1)", "transfers", "\"2\""),
        ("INSERT INTO contents VALUES (7, 'null')", "contents", "\"7\""),
        ("INSERT INTO contacts VALUES ('a', 'b', 'none', 0, 0, '[]')", "contacts", "\"a b\""),
        ("INSERT INTO devices VALUES ('a', 'b', 'c', 'd', 'e', 0, '[]')", "devices", "\"a b c\""),
        ("INSERT INTO settings VALUES ('login a', '[]')", "settings", "\"a\""),
        ("INSERT INTO tombstones VALUES (1, 'a', 'b', 'c', 'd', 'e', 0, '[]')", "tombstones", "\"a b c d\""),
        ("DELETE FROM counters WHERE name = 'content'", "counters", "\"content\""),
    ] {
        let folder = filled(3);
        sqlite(folder.path(), change);
        // The first open after another program may tidy the log up; nothing else is written.
        refused(folder.path(), "database-row-unreadable", &format!("row {row} of table {table}"));
    }
}

#[test]
fn a_page_that_was_overwritten_is_found() {
    let whole = filled(50);
    let path = whole.path().join("xbt.db");
    let sound = fs::read(&path).unwrap();
    for page in 1..sound.len() / 4096 {
        let mut damaged = sound.clone();
        damaged[page * 4096..][..512].fill(0xa5);
        fs::write(&path, damaged).unwrap();
        refused(whole.path(), "database-damaged", "is damaged");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_bytes_are_wrong_the_start_does_not_panic_and_a_refusal_changes_nothing(
        log in any::<bool>(),
        wrong in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let folder = if log { with_log() } else { filled(20) };
        let path = folder.path().join("xbt.db");
        let mut data = fs::read(&path).unwrap();
        for (at, byte) in wrong {
            let at = at.index(data.len());
            data[at] = byte;
        }
        fs::write(&path, data).unwrap();
        let before = bytes(folder.path());
        match Store::open(folder.path()) {
            // Wrong text inside a row: loading says so, or the text is another good one.
            Ok(store) => drop(store.load()),
            Err(_) => prop_assert!(bytes(folder.path()) == before),
        }
    }
}
