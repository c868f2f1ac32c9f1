//! What an older program wrote is read by this one, and what was released is not edited.

use rusqlite::Connection;
use sha2::{Digest, Sha256};

use super::*;
use crate::migrations::{STEPS, VERSION};
use crate::open::APPLICATION;

/// A database of version 1 as the last test here wrote it. Frozen like the migrations: a new version adds a file.
const VERSION_1: &str = include_str!("v1.sql");
/// The same of version 2.
const VERSION_2: &str = include_str!("v2.sql");
/// The same of version 3.
const VERSION_3: &str = include_str!("v3.sql");

fn hash(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn released_migrations_are_not_edited() {
    let hashes: Vec<_> = STEPS.iter().map(|step| hash(step)).collect();
    assert_eq!(
        hashes,
        [
            "02ef979ad23f050f0cd95d4a4ff38a66d1bc376f219a145cdf2f15d6717e0bec",
            "60d65bfcd6dda2df01bd13825e8fd60f5c5b549963a9ff90a71bc025c96543f1",
            "7e680a5afb59833dda1f5b2c737feef837cadce00d3fcb93cc6e3aca0033c0c5",
        ]
    );
    assert_eq!(hash(VERSION_1), "bc1639ab98124e62dcc45ae758771c99d529047e42c98dc403613c99768d94ae");
    assert_eq!(hash(VERSION_2), "e3e5cafd982aa42ba0605d9188316820f6980a87dc24e21c93501f179a9de5f1");
    assert_eq!(hash(VERSION_3), "7025cc98be1161ab65c2933ce4df24fb1136191308a8c8130dbacf5d50632b40");
}

#[test]
fn a_database_of_version_1_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let old = Connection::open(folder.path().join("xbt.db")).unwrap();
    old.execute_batch(VERSION_1).unwrap();
    drop(old);
    let store = Store::open(folder.path()).unwrap();
    // It knew of no deletions and no logins.
    assert_eq!(store.load().unwrap(), Rows { deletions: Vec::new(), logins: Vec::new(), ..their_rows() });
    assert_eq!(store.blob(ContentId(1)).unwrap().unwrap(), b"blob");
    assert_eq!(store.setting("port").unwrap().unwrap(), "51413");
    let version: i64 = store.connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, VERSION);
}

#[test]
fn a_database_of_version_2_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let old = Connection::open(folder.path().join("xbt.db")).unwrap();
    old.execute_batch(VERSION_2).unwrap();
    drop(old);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.load().unwrap(), Rows { logins: Vec::new(), ..their_rows() });
    assert_eq!(store.record(ContentId(2)).unwrap().unwrap(), b"record");
}

#[test]
fn metadata_of_what_is_received_leaves_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let old = Connection::open(folder.path().join("xbt.db")).unwrap();
    old.execute_batch(VERSION_2).unwrap();
    old.execute_batch("UPDATE transfers SET direction = 'in' WHERE content = 1").unwrap();
    drop(old);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.blob(ContentId(1)).unwrap(), None);
}

/// `XBT_TEST_DUMP=FILE` writes a database of today to a file, for a new version.
#[test]
fn the_tables_of_today_are_those_of_the_frozen_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    store.commit(&[Persist::Content(content(2))]).unwrap();
    store.commit_received(&[], Some((ContentId(2), b"record"))).unwrap();
    store.commit(&one_of_each()).unwrap();
    store.put_blob(ContentId(1), b"blob").unwrap();
    store.set_setting("port", "51413").unwrap();
    let strings = |sql: &str| -> Vec<String> {
        let mut statement = store.connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let mut lines = vec![format!("PRAGMA application_id = {APPLICATION}"), format!("PRAGMA user_version = {VERSION}")];
    lines.extend(strings("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid"));
    for table in strings("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid") {
        let columns = strings(&format!("SELECT 'quote(' || name || ')' FROM pragma_table_info('{table}')"));
        let values = columns.join(" || ', ' || ");
        lines.extend(strings(&format!("SELECT 'INSERT INTO {table} VALUES (' || {values} || ')' FROM {table}")));
    }
    let dump = lines.join(";\n") + ";\n";
    if let Some(file) = std::env::var_os("XBT_TEST_DUMP") {
        fs::write(file, &dump).unwrap();
    }
    assert_eq!(VERSION, 3, "a new version has a file of its own, which is compared here");
    // The rows may have gained fields, which the older file is read without.
    let tables = |text: &str| text.split("INSERT INTO").next().map(str::to_owned);
    assert_eq!(tables(&dump), tables(VERSION_3));
}
