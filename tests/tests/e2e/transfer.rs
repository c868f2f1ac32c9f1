//! The main job: content arrives, whole, where it should, and nowhere else.

use std::fs;
use std::io::Write;
use std::path::Path;

use xbt_tests::content::{self, MIB};
use xbt_tests::ctl::text;
use xbt_tests::daemon::{Daemon, jid};
use xbt_tests::{Stage, wait};

/// Sends from alice to bob, accepts, and waits until both say done. Returns where it lies.
#[track_caller]
fn move_over(alice: &Daemon, bob: &Daemon, path: &Path) -> String {
    let out = alice.ctl.send(&jid("bob"), path);
    let inn = bob.ctl.offer(text(Path::new(path.file_name().unwrap())));
    bob.ctl.accept(inn);
    let received = bob.ctl.reaches(inn, "done");
    let sent = alice.ctl.reaches(out, "done");
    assert_eq!(
        (&sent["size"], &sent["files"], &sent["info_hash"]),
        (&received["size"], &received["files"], &received["info_hash"])
    );
    assert_eq!(sent["done_bytes"], sent["size"], "{sent}");
    assert_eq!(received["done_bytes"], received["size"], "{received}");
    received["path"].as_str().unwrap().to_owned()
}

fn pair(stage: &Stage) -> (Daemon, Daemon) {
    (stage.online("alice"), stage.online("bob"))
}

#[test]
fn a_64_mib_file_arrives_and_verifies() {
    let stage = Stage::new();
    let (alice, bob) = pair(&stage);
    let source = stage.file("film.mkv", 64 * MIB);
    let before = fs::metadata(&source).unwrap();
    let arrived = move_over(&alice, &bob, &source);
    assert_eq!(arrived, text(&bob.downloads().join("film.mkv")));
    assert_eq!(content::hash(Path::new(&arrived)), content::hash(&source));
    assert_eq!(content::names(&bob.downloads()), ["film.mkv"], "nothing is left over beside it");
    let after = fs::metadata(&source).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap(), "the source is untouched");
}

#[test]
fn a_folder_of_2000_files_arrives_whole() {
    let stage = Stage::new();
    let (alice, bob) = pair(&stage);
    let source = stage.tree("holiday", 2000, 24 * MIB);
    let arrived = move_over(&alice, &bob, &source);
    assert_eq!(content::tree(Path::new(&arrived)), content::tree(&source));
    assert_eq!(content::hash(Path::new(&arrived)), content::hash(&source));
    assert_eq!(content::names(&bob.downloads()), ["holiday"]);
}

#[test]
fn an_empty_file_arrives() {
    let stage = Stage::new();
    let (alice, bob) = pair(&stage);
    let arrived = move_over(&alice, &bob, &stage.file("nothing.txt", 0));
    assert_eq!(fs::metadata(&arrived).unwrap().len(), 0);
    assert_eq!(content::names(&bob.downloads()), ["nothing.txt"]);
}

#[test]
fn files_of_one_byte_and_around_a_block_arrive() {
    let stage = Stage::new();
    let (alice, bob) = pair(&stage);
    for size in [1, 16_383, 16_384, 16_385] {
        let source = stage.file(&format!("{size}.bin"), size);
        let arrived = move_over(&alice, &bob, &source);
        assert_eq!(content::hash(Path::new(&arrived)), content::hash(&source), "{size}");
    }
}

#[test]
fn a_file_of_the_same_name_is_not_overwritten() {
    let stage = Stage::new();
    let (alice, bob) = pair(&stage);
    let mine = bob.downloads().join("photo.jpg");
    fs::write(&mine, "mine").unwrap();
    let source = stage.file("photo.jpg", MIB);
    let arrived = move_over(&alice, &bob, &source);
    assert_eq!(fs::read_to_string(&mine).unwrap(), "mine");
    assert_eq!(arrived, text(&bob.downloads().join("photo (2).jpg")));
    assert_eq!(content::hash(Path::new(&arrived)), content::hash(&source));
}

#[test]
fn a_folder_of_the_same_name_is_neither_overwritten_nor_mixed_with() {
    let stage = Stage::new();
    let (alice, bob) = pair(&stage);
    let mine = bob.downloads().join("album");
    fs::create_dir(&mine).unwrap();
    fs::write(mine.join("mine.txt"), "mine").unwrap();
    let source = stage.tree("album", 5, MIB);
    let arrived = move_over(&alice, &bob, &source);
    assert_eq!(content::names(&mine), ["mine.txt"]);
    assert_eq!(arrived, text(&bob.downloads().join("album (2)")));
    assert_eq!(content::hash(Path::new(&arrived)), content::hash(&source));
}

#[test]
fn several_paths_arrive_as_one_content() {
    let stage = Stage::new();
    let (alice, bob) = pair(&stage);
    let (one, two) = (stage.file("one.bin", 5000), stage.tree("two", 3, 70_000));
    let sent = alice.ctl.json(&["send", "Bob", text(&one), text(&two), "--name", "both", "-m", "as promised"]);
    assert_eq!((&sent["contact"], &sent["name"]), (&jid("bob").into(), &"both".into()), "{sent}");
    let inn = bob.ctl.offer("both");
    assert_eq!(bob.ctl.show(inn)["message"], "as promised");
    bob.ctl.accept(inn);
    bob.ctl.reaches(inn, "done");
    let arrived = bob.downloads().join("both");
    assert_eq!(content::names(&arrived), ["one.bin", "two"]);
    assert_eq!(content::hash(&arrived.join("one.bin")), content::hash(&one));
    assert_eq!(content::hash(&arrived.join("two")), content::hash(&two));
}

#[test]
fn what_comes_on_stdin_arrives_under_the_name_given() {
    let stage = Stage::new();
    let (alice, bob) = pair(&stage);
    let mut child = alice
        .ctl
        .command(&["send", "bob@localhost", "-", "--name", "notes.txt", "--json"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"from a pipe").unwrap();
    assert!(child.wait().unwrap().success());
    let inn = bob.ctl.offer("notes.txt");
    bob.ctl.accept(inn);
    bob.ctl.reaches(inn, "done");
    assert_eq!(fs::read_to_string(bob.downloads().join("notes.txt")).unwrap(), "from a pipe");
}

#[test]
fn a_person_chooses_the_folder_when_accepting() {
    let stage = Stage::new();
    let (alice, bob) = pair(&stage);
    let source = stage.file("a.bin", 100_000);
    alice.ctl.send(&jid("bob"), &source);
    let inn = bob.ctl.offer("a.bin");
    let other = bob.home().join("Elsewhere");
    fs::create_dir(&other).unwrap();
    bob.ctl.ok(&["accept", &inn.to_string(), "-o", text(&other)]);
    bob.ctl.reaches(inn, "done");
    assert_eq!(content::hash(&other.join("a.bin")), content::hash(&source));
    assert!(content::names(&bob.downloads()).is_empty());
}

#[test]
fn nothing_unfinished_is_seen_in_the_folder() {
    let stage = Stage::new();
    let alice = stage.person("alice").with("network.upload_limit", "2 MiB/s").online();
    let bob = stage.online("bob");
    alice.ctl.send(&jid("bob"), &stage.file("slow.bin", 6 * MIB));
    let inn = bob.ctl.offer("slow.bin");
    bob.ctl.accept(inn);
    bob.ctl.has_moved(inn, MIB);
    bob.ctl.becomes(inn, "is done, and seen only then", |one| {
        let seen = content::visible(&bob.downloads());
        assert!(
            seen.is_empty() || fs::metadata(bob.downloads().join("slow.bin")).unwrap().len() == 6 * MIB,
            "{seen:?}"
        );
        one["state"] == "done"
    });
    assert_eq!(content::names(&bob.downloads()), ["slow.bin"]);
}

#[test]
fn the_upload_limit_holds() {
    let stage = Stage::new();
    let alice = stage.person("alice").with("network.upload_limit", "1 MiB/s").online();
    let bob = stage.online("bob");
    alice.ctl.send(&jid("bob"), &stage.file("limited.bin", 6 * MIB));
    let inn = bob.ctl.offer("limited.bin");
    let start = std::time::Instant::now();
    bob.ctl.accept(inn);
    bob.ctl.reaches(inn, "done");
    // A burst of up to two seconds' worth is fair.
    assert!(start.elapsed().as_secs_f64() > 3.5, "6 MiB at 1 MiB/s took only {:?}", start.elapsed());
}

#[test]
fn hostile_names_are_data() {
    let stage = Stage::new();
    let (alice, bob) = pair(&stage);
    let source = stage.source("inner\u{202e}gpj.exe\n");
    content::file(&source, 3000, 1);
    let out = alice.ctl.send(&jid("bob"), &source);
    let inn = wait::until("bob has the offer", wait::SOON, || {
        bob.ctl.list().first().filter(|one| one["state"] == "offered").map(xbt_tests::ctl::id)
    });
    let listed = bob.ctl.ok(&["list"]);
    assert!(!listed.contains('\u{202e}'), "{listed:?}");
    bob.ctl.accept(inn);
    bob.ctl.reaches(inn, "done");
    alice.ctl.reaches(out, "done");
    let names = content::names(&bob.downloads());
    assert_eq!(names.len(), 1, "{names:?}");
    assert!(names[0].chars().all(|char| !char.is_control() && char != '\u{202e}'), "{names:?}");
    assert_eq!(content::hash(&bob.downloads().join(&names[0])), content::hash(&source));
}

#[test]
fn waiting_commands_return_when_it_is_done() {
    let stage = Stage::new();
    let (alice, bob) = pair(&stage);
    let source = stage.file("waited.bin", 300_000);
    let sending = alice.ctl.spawn(&["send", "bob@localhost", text(&source), "--wait", "--json"]);
    let inn = bob.ctl.offer("waited.bin");
    let accepted = bob.ctl.json(&["accept", &inn.to_string(), "--wait"]);
    assert_eq!(accepted["state"], "done", "{accepted}");
    let sent = sending.ends_within(wait::SOON);
    assert_eq!(sent.code, Some(0), "{sent:#?}");
    assert!(sent.stdout.contains("\"done\""), "{sent:#?}");
}

#[test]
fn what_is_allowed_by_configuration_is_accepted_without_asking() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let bob = stage.person("bob").with("accept.from", vec![jid("alice")]).with("accept.max_size", "1 MiB").online();
    let (small, large) = (stage.file("small.bin", 10_000), stage.file("large.bin", 2 * MIB));
    let out = alice.ctl.send(&jid("bob"), &small);
    alice.ctl.reaches(out, "done");
    assert_eq!(content::hash(&bob.downloads().join("small.bin")), content::hash(&small));
    alice.ctl.send(&jid("bob"), &large);
    let asked = bob.ctl.offer("large.bin");
    // One that comes after it is accepted and done meanwhile.
    let next = alice.ctl.send(&jid("bob"), &stage.file("next.bin", 10_000));
    alice.ctl.reaches(next, "done");
    assert_eq!(bob.ctl.show(asked)["state"], "offered", "a larger one is asked about");
}

#[test]
fn the_same_content_can_be_sent_again() {
    let stage = Stage::new();
    let (alice, bob) = pair(&stage);
    let source = stage.file("again.bin", 200_000);
    let first = move_over(&alice, &bob, &source);
    let second = move_over(&alice, &bob, &source);
    assert_ne!(first, second);
    assert_eq!(content::hash(Path::new(&second)), content::hash(&source));
}

#[test]
fn both_directions_work_at_once() {
    let stage = Stage::new();
    let (alice, bob) = pair(&stage);
    let (there, back) = (stage.file("there.bin", 8 * MIB), stage.file("back.bin", 7 * MIB));
    alice.ctl.send(&jid("bob"), &there);
    bob.ctl.send(&jid("alice"), &back);
    let (at_bob, at_alice) = (bob.ctl.offer("there.bin"), alice.ctl.offer("back.bin"));
    bob.ctl.accept(at_bob);
    alice.ctl.accept(at_alice);
    bob.ctl.reaches(at_bob, "done");
    alice.ctl.reaches(at_alice, "done");
    assert_eq!(content::hash(&bob.downloads().join("there.bin")), content::hash(&there));
    assert_eq!(content::hash(&alice.downloads().join("back.bin")), content::hash(&back));
}

#[test]
fn ten_at_once_all_arrive() {
    let stage = Stage::new();
    let (alice, bob) = pair(&stage);
    let sources: Vec<_> = (0..10).map(|index| stage.file(&format!("{index}.bin"), MIB + index)).collect();
    for source in &sources {
        alice.ctl.send(&jid("bob"), source);
    }
    let offers: Vec<_> = (0..10).map(|index| bob.ctl.offer(&format!("{index}.bin")).to_string()).collect();
    let mut args = vec!["accept"];
    args.extend(offers.iter().map(String::as_str));
    bob.ctl.ok(&args);
    for (offer, source) in offers.iter().zip(&sources) {
        bob.ctl.reaches(offer.parse().unwrap(), "done");
        assert_eq!(content::hash(&bob.downloads().join(source.file_name().unwrap())), content::hash(source));
    }
}
