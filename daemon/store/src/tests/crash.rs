//! The end of a process, at any moment.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use super::*;
use crate::rows::Tables;

const FOLDER: &str = "XBT_TEST_STORE_FOLDER";

/// This test program again, as a daemon that commits transfer 1 and is in the middle of a batch when it says so.
fn start(folder: &Path) -> Child {
    // Without the crate, as test programs know it: a name that is spelled out would run no test once it moves.
    let (_, module) = module_path!().split_once("::").unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{module}::in_the_middle_of_a_batch"), "--nocapture"])
        .env(FOLDER, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    lines.find(|line| line.as_ref().unwrap().contains("in the middle")).unwrap().unwrap();
    child
}

/// The process that the other tests of this file start; without them there is nothing to do.
#[test]
fn in_the_middle_of_a_batch() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let mut store = Store::open(Path::new(&folder)).unwrap();
    store.commit(&[put(1)]).unwrap();
    // So small a cache that SQLite must write pages of the open transaction to the log.
    store.connection.pragma_update(None, "cache_size", 5).unwrap();
    let transaction = store.connection.transaction().unwrap();
    let tables = Tables { connection: &transaction, path: &store.path };
    (1..500)
        .for_each(|id| tables.apply(&Persist::Transfer(Box::new(Transfer { message: None, ..transfer(id) }))).unwrap());
    println!("\nin the middle");
    // Until it is killed, or its parent has ended.
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn killed_in_the_middle_of_a_batch_the_state_is_the_one_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = start(folder.path());
    child.kill().unwrap();
    child.wait().unwrap();
    let log = fs::metadata(folder.path().join("xbt.db-wal")).unwrap().len();
    assert!(log > 100 << 10, "pages of the open batch were in the log: {log}");
    let rows = load(folder.path());
    assert_eq!(rows, Rows { transfers: vec![transfer(1)], ..Rows::default() });
}

#[test]
fn a_second_daemon_is_refused_by_name_until_the_first_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = start(folder.path());
    let error = Store::open(folder.path()).unwrap_err();
    assert_eq!(error.code(), "already-running");
    assert!(error.message().contains(&format!("(process {})", child.id())), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    Store::open(folder.path()).unwrap();
}

#[test]
fn in_one_process_too_only_one_store_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    for _ in 0..2 {
        let error = Store::open(folder.path()).unwrap_err();
        assert_eq!(error.code(), "already-running");
        assert!(error.message().contains(&std::process::id().to_string()), "{error}");
    }
    drop(store);
    Store::open(folder.path()).unwrap();
}

#[test]
fn a_batch_that_is_dropped_before_its_end_leaves_nothing() {
    let folder = filled(2);
    let mut store = Store::open(folder.path()).unwrap();
    let transaction = store.connection.transaction().unwrap();
    Tables { connection: &transaction, path: &store.path }.apply(&put(3)).unwrap();
    drop(transaction);
    drop(store);
    assert_eq!(load(folder.path()).transfers, [transfer(1), transfer(2)]);
}

#[test]
fn a_first_start_that_was_cut_short_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("xbt.db.new"), b"half a data").unwrap();
    fs::write(folder.path().join("xbt.db.new-journal"), b"half a journal").unwrap();
    assert_eq!(load(folder.path()), Rows::default());
    assert_eq!(bytes(folder.path()).keys().collect::<Vec<_>>(), ["xbt.db"]);
}
