//! What README and the quick start tell people to type works as written.

use std::fs;
use std::path::Path;

use xbt_tests::content::MIB;
use xbt_tests::ctl::text;
use xbt_tests::stage::password;
use xbt_tests::terminal::Terminal;
use xbt_tests::{Daemon, Stage};

/// What the test cannot run: it needs another machine, an installation or root.
const ELSEWHERE: &[&str] = &["make deb", "make install PREFIX=", "xbtctl setup", "make demo", "make test"];

#[test]
fn every_command_of_the_readme_works_as_written() {
    let stage = Stage::new();
    let (alice, bob) = (stage.online("alice"), stage.online("bob"));
    play("README.md", &stage, alice, bob);
}

#[test]
fn every_command_of_the_quick_start_works_as_written() {
    let stage = Stage::new();
    let alice = stage.person("alice");
    // She begins without anything.
    fs::remove_dir_all(alice.home().join(".config/xbt")).unwrap();
    let bob = stage.online("bob");
    play("docs/quickstart.md", &stage, alice, bob);
}

/// Plays a page with its names; what is sent must arrive.
fn play(page: &str, stage: &Stage, mut alice: Daemon, bob: Daemon) {
    fs::create_dir(alice.home().join("Pictures")).unwrap();
    xbt_tests::content::folder(&alice.home().join("Pictures/holiday"), 12, MIB, 5);
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page)).unwrap();
    let mut seen = 0;
    for line in page.split("```sh\n").skip(1).flat_map(|block| block.split("```").next().unwrap().lines()) {
        let command = line.split(" #").next().unwrap().trim();
        let Some((who, command)) = command.split_once(" $ ").map(|(who, command)| (who.trim(), command)) else {
            assert!(
                command.is_empty() || ELSEWHERE.iter().any(|start| command.starts_with(start)),
                "no test runs {command:?}"
            );
            continue;
        };
        seen += 1;
        if command.contains("accept 1") {
            assert_eq!(bob.ctl.offer("holiday"), 1);
        }
        let words: Vec<_> = command.replace("example.org", "localhost").split_whitespace().map(str::to_owned).collect();
        let words: Vec<_> = words.iter().map(|word| word.trim_matches('"')).collect();
        assert_eq!(words[0], "xbtctl", "{command}");
        match (who, words[1]) {
            ("alice", "setup") => set_up(stage, &mut alice),
            ("alice", "top") => look(&alice),
            ("alice", _) => drop(alice.ctl.ok(&words[1..])),
            ("bob", _) => drop(bob.ctl.ok(&words[1..])),
            _ => panic!("who is {who}?"),
        }
        if command.contains("contacts verify") {
            assert!(alice.ctl.ok(&words[1..]).contains("safety number"), "{command}");
        }
    }
    assert!(seen >= 5, "the page shows how xbtctl is used");
    // The page may end before what it has sent arrives.
    if !bob.downloads().join("holiday").exists() {
        let offer = bob.ctl.offer("holiday");
        bob.ctl.accept(offer);
        bob.ctl.reaches(offer, "done");
    }
    assert_eq!(
        xbt_tests::content::hash(&bob.downloads().join("holiday")),
        xbt_tests::content::hash(&alice.home().join("Pictures/holiday"))
    );
}

/// As a person answers; only where the server is must be said, as DNS does not know the test's.
fn set_up(stage: &Stage, alice: &mut Daemon) {
    let (ca, server) = (stage.prosody.ca_file(), stage.prosody.address());
    let words = ["setup", "--no-unit", "--ca-file", text(&ca), "--server", &server];
    let mut seat = Terminal::run(&alice.ctl.command(&words));
    seat.shows("Your XMPP address", 1);
    seat.types("alice@localhost\n");
    seat.shows("Password of alice@localhost", 1);
    seat.types(&format!("{}\n", password("alice")));
    assert_eq!(seat.ends().0, 0);
    // Loopback is offered to contacts only if it is listed.
    let config = fs::read_to_string(alice.config_file()).unwrap();
    let listen = "#listen = [\"[::]:0\", \"0.0.0.0:0\"]";
    assert!(config.contains(listen), "{config}");
    fs::write(alice.config_file(), config.replace(listen, "listen = [\"127.0.0.1:0\"]")).unwrap();
    alice.start();
    alice.ctl.connection_becomes("online", xbt_tests::wait::SOON);
}

fn look(alice: &Daemon) {
    let mut seat = Terminal::run(&alice.ctl.command(&["top"]));
    seat.sees("alice@localhost");
    seat.types("q");
    assert_eq!(seat.ends().0, 0);
}
