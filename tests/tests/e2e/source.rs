//! What is sent may change under the daemon's hands: never sent wrong, never touched.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use xbt_tests::content::{self, MIB};
use xbt_tests::daemon::jid;
use xbt_tests::{Stage, wait};

/// Starts a slow send, changes the source in mid-flight, and checks what both sides say and have.
#[track_caller]
fn changed_in_flight(code: &str, change: impl FnOnce(&Path)) {
    let stage = Stage::new();
    let alice = stage.person("alice").with("network.upload_limit", "1 MiB/s").online();
    let bob = stage.online("bob");
    let source = stage.file("draft.odt", 24 * MIB);
    let out = alice.ctl.send(&jid("bob"), &source);
    let inn = bob.ctl.offer("draft.odt");
    bob.ctl.accept(inn);
    bob.ctl.has_moved(inn, MIB);
    change(&source);
    let after = source.exists().then(|| content::hash(&source));
    let failed = alice.ctl.reaches(out, "failed");
    assert_eq!(failed["error"]["code"], code, "{failed}");
    let said = failed["error"]["message"].as_str().unwrap();
    assert!(said.contains("draft.odt"), "it names the file: {said}");
    assert!(failed["error"]["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{failed}");
    bob.ctl.reaches(inn, "failed");
    assert_eq!(source.exists().then(|| content::hash(&source)), after, "the source is untouched");
    assert_eq!(content::visible(&bob.downloads()), [""; 0], "no wrong data");
}

fn open(path: &Path) -> fs::File {
    OpenOptions::new().write(true).open(path).unwrap()
}

#[test]
fn a_source_that_grows_ends_the_send_with_a_clear_word() {
    changed_in_flight("source-changed", |path| {
        let mut file = open(path);
        file.seek(SeekFrom::End(0)).unwrap();
        file.write_all(b"one more line").unwrap();
    });
}

#[test]
fn a_source_that_shrinks_ends_the_send_with_a_clear_word() {
    changed_in_flight("source-changed", |path| open(path).set_len(5 * MIB).unwrap());
}

#[test]
fn a_source_that_is_edited_ends_the_send_with_a_clear_word() {
    changed_in_flight("source-changed", |path| {
        let mut file = open(path);
        file.seek(SeekFrom::Start(20 * MIB)).unwrap();
        file.write_all(b"another word").unwrap();
    });
}

#[test]
fn a_source_that_is_replaced_ends_the_send_with_a_clear_word() {
    changed_in_flight("source-changed", |path| {
        let new = path.with_extension("new");
        fs::File::create(&new).unwrap().set_len(24 * MIB).unwrap();
        fs::rename(new, path).unwrap();
    });
}

#[test]
fn a_source_that_vanishes_ends_the_send_with_a_clear_word() {
    changed_in_flight("source-changed", |path| fs::remove_file(path).unwrap());
}

#[test]
fn a_source_that_changed_before_the_answer_is_not_sent() {
    let stage = Stage::new();
    let mut alice = stage.online("alice");
    let bob = stage.online("bob");
    let source = stage.file("early.odt", 300_000);
    let out = alice.ctl.send(&jid("bob"), &source);
    let inn = bob.ctl.offer("early.odt");
    fs::write(&source, "all new").unwrap();
    alice.restart();
    // Noticed at the start or when it is asked for, as the daemon likes.
    let _ = bob.ctl.run(&["accept", &inn.to_string()]);
    let failed = alice.ctl.reaches(out, "failed");
    assert_eq!(failed["error"]["code"], "source-changed", "{failed}");
    bob.ctl.reaches(inn, "failed");
    assert_eq!(fs::read_to_string(&source).unwrap(), "all new");
    assert_eq!(content::visible(&bob.downloads()), [""; 0]);
}

#[test]
fn files_of_a_folder_that_changed_end_the_send() {
    let stage = Stage::new();
    let alice = stage.person("alice").with("network.upload_limit", "512 KiB/s").online();
    let bob = stage.online("bob");
    let source = stage.tree("papers", 30, 8 * MIB);
    let out = alice.ctl.send(&jid("bob"), &source);
    let inn = bob.ctl.offer("papers");
    bob.ctl.accept(inn);
    bob.ctl.has_moved(inn, MIB / 2);
    // All of them: which have gone out already is the engine's choice, and those may change again.
    let size = |path: &std::path::PathBuf| fs::metadata(source.join(path)).unwrap().len();
    for path in content::tree(&source).iter().filter(|path| size(path) > 0) {
        fs::write(source.join(path), "changed").unwrap();
    }
    let failed = alice.ctl.reaches(out, "failed");
    assert_eq!(failed["error"]["code"], "source-changed", "{failed}");
    bob.ctl.reaches(inn, "failed");
    wait::until("bob keeps nothing", wait::SOON, || content::visible(&bob.downloads()).is_empty().then_some(()));
}
