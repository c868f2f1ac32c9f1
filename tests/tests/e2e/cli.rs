//! The command line as a person or a script types it.

use std::fs;
use std::process::Command;

use serde_json::Value;
use xbt_tests::content::MIB;
use xbt_tests::ctl::{id, text};
use xbt_tests::daemon::jid;
use xbt_tests::{Stage, programs, wait};

/// The fields of a transfer that scripts rely on.
const FIELDS: &[&str] = &[
    "id",
    "direction",
    "contact",
    "name",
    "files",
    "size",
    "state",
    "paused",
    "done_bytes",
    "rate",
    "eta_s",
    "info_hash",
    "way",
    "message",
    "why",
    "error",
    "path",
    "created",
    "updated",
];

#[test]
fn a_transfer_in_json_has_the_promised_fields() {
    let stage = Stage::new();
    let (alice, bob) = (stage.online("alice"), stage.online("bob"));
    let source = stage.file("fields.bin", 123_456);
    let out = alice.ctl.send(&jid("bob"), &source);
    let inn = bob.ctl.offer("fields.bin");
    bob.ctl.accept(inn);
    bob.ctl.reaches(inn, "done");
    alice.ctl.reaches(out, "done");
    for (daemon, id, direction, contact) in [(&alice, out, "out", "bob"), (&bob, inn, "in", "alice")] {
        for one in [&daemon.ctl.list()[0], &daemon.ctl.show(id)] {
            for field in FIELDS {
                assert!(one.get(field).is_some(), "{field} is missing: {one}");
            }
            assert_eq!(
                (one["direction"].as_str(), one["contact"].as_str()),
                (Some(direction), Some(jid(contact).as_str()))
            );
            assert_eq!((one["size"].as_u64(), one["files"].as_u64()), (Some(123_456), Some(1)));
            assert_eq!(one["info_hash"].as_str().map(str::len), Some(40));
            for time in ["created", "updated"] {
                let time = one[time].as_str().unwrap();
                assert!(time.len() >= 20 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "{time}");
            }
        }
    }
    assert_eq!(alice.ctl.show(out)["path"], text(&source));
}

#[test]
fn status_has_the_promised_fields() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let status = alice.ctl.status();
    assert_eq!((&status["connection"], &status["jid"]), (&"online".into(), &"alice@localhost".into()));
    assert!(status["listen"].as_array().is_some_and(|listen| !listen.is_empty()), "{status}");
    assert!(status["version"].is_string(), "{status}");
}

#[test]
fn a_list_shows_what_was_asked_for_newest_last() {
    let stage = Stage::new();
    let (alice, bob) = (stage.online("alice"), stage.online("bob"));
    for name in ["one.bin", "two.bin"] {
        alice.ctl.send(&jid("bob"), &stage.file(name, 10));
        bob.ctl.offer(name);
    }
    bob.ctl.send(&jid("alice"), &stage.file("three.bin", 10));
    alice.ctl.offer("three.bin");
    let names = |args: &[&str]| -> Vec<_> {
        alice.ctl.json(args).as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&["list"]), ["one.bin", "two.bin", "three.bin"]);
    assert_eq!(names(&["list", "--out"]), ["one.bin", "two.bin"]);
    assert_eq!(names(&["list", "--in"]), ["three.bin"]);
    assert_eq!(names(&["list", "--state", "done", "--state", "failed"]), [""; 0]);
    let table = alice.ctl.ok(&["list"]);
    assert!(["one.bin", "two.bin", "three.bin"].iter().all(|name| table.contains(name)), "{table}");
}

#[test]
fn contacts_show_who_is_there() {
    let stage = Stage::new();
    let (alice, _bob) = (stage.online("alice"), stage.online("bob"));
    alice.ctl.sees(&jid("bob"));
    let contacts = alice.ctl.json(&["contacts"]);
    let one =
        |jid: &str| contacts.as_array().unwrap().iter().find(|one| one["jid"] == jid).cloned().unwrap_or(Value::Null);
    assert_eq!(
        (&one("bob@localhost")["name"], &one("bob@localhost")["online"]),
        (&"Bob".into(), &true.into()),
        "{contacts}"
    );
    assert_eq!(
        (&one("dave@localhost")["online"], &one("dave@localhost")["xbt"]),
        (&false.into(), &false.into()),
        "{contacts}"
    );
    assert_eq!(one("erin@localhost")["subscription"], "none", "{contacts}");
}

#[test]
fn a_name_stands_for_a_contact_only_where_it_is_unambiguous() {
    let stage = Stage::new();
    let (alice, _bob) = (stage.online("alice"), stage.online("bob"));
    alice.ctl.sees(&jid("bob"));
    let source = text(&stage.file("a.bin", 10)).to_owned();
    assert_eq!(alice.ctl.json(&["send", "Bob", &source])["contact"], jid("bob"));
    assert_eq!(alice.ctl.json(&["send", "bOB", &source])["contact"], jid("bob"), "in any case");
    for more in [&[][..], &["--dry-run"]] {
        let slip = alice.ctl.fails(&[&["send", "Bbo", &source], more].concat(), 1);
        assert_eq!(slip.code, "unknown-contact");
        assert!(slip.hint.starts_with("did you mean Bob?"), "{slip:?}");
    }
    alice.ctl.ok(&["contacts", "add", &jid("mallory"), "--name", "Bob"]);
    wait::until("both are called Bob", wait::SOON, || {
        let contacts = alice.ctl.json(&["contacts"]);
        (contacts.as_array().unwrap().iter().filter(|one| one["name"] == "Bob").count() == 2).then_some(())
    });
    for more in [&[][..], &["--dry-run"]] {
        let refused = alice.ctl.fails(&[&["send", "Bob", &source], more].concat(), 1);
        assert_eq!(refused.code, "ambiguous-contact");
        assert!(refused.message.contains(&jid("bob")) && refused.message.contains(&jid("mallory")), "{refused:?}");
    }
    assert_eq!(alice.ctl.json(&["send", &jid("bob"), &source])["contact"], jid("bob"));
}

#[test]
fn watch_tells_what_happens_as_json_lines() {
    let stage = Stage::new();
    let (alice, bob) = (stage.online("alice"), stage.online("bob"));
    let heard = stage.folder().join("heard");
    let to_file = fs::File::create(&heard).unwrap();
    let mut watch = alice.ctl.command(&["watch", "--json"]).stdout(to_file).spawn().unwrap();
    let heard = || fs::read_to_string(&heard).unwrap();
    // The first events come only after the watch has begun, which nothing tells.
    let mut sent = 0;
    wait::until("the watch hears a send", wait::SOON, || {
        sent += 1;
        alice.ctl.send(&jid("dave"), &stage.file(&format!("{sent}.bin"), 10));
        heard().contains(".bin").then_some(())
    });
    let out = alice.ctl.send(&jid("bob"), &stage.file("seen.bin", 10_000));
    let inn = bob.ctl.offer("seen.bin");
    bob.ctl.accept(inn);
    alice.ctl.reaches(out, "done");
    wait::until("the watch hears the end", wait::SOON, || {
        heard().lines().any(|line| line.contains("seen.bin") && line.contains("\"done\"")).then_some(())
    });
    watch.kill().unwrap();
    watch.wait().unwrap();
    let heard = heard();
    let (whole, _cut_off) = heard.rsplit_once('\n').unwrap();
    for line in whole.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn several_clients_at_once_are_served() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let out = alice.ctl.send(&jid("bob"), &stage.file("many.bin", MIB)).to_string();
    let watches: Vec<_> = (0..5).map(|_| alice.ctl.spawn(&["watch", "--json"])).collect();
    let running: Vec<_> = (0..20).map(|_| alice.ctl.spawn(&["show", &out, "--json"])).collect();
    for one in running {
        let ran = one.ends_within(wait::SOON);
        assert_eq!(ran.code, Some(0), "{ran:#?}");
    }
    drop(watches);
    assert_eq!(alice.ctl.status()["connection"], "online");
}

#[test]
fn an_interrupted_wait_ends_with_130_and_leaves_the_send_queued() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let source = stage.file("patient.bin", 1000);
    let waiting = alice.ctl.spawn(&["send", &jid("bob"), text(&source), "--wait"]);
    let out = wait::until("it is queued", wait::SOON, || alice.ctl.named("out", "patient.bin").first().map(id));
    alice.ctl.reaches(out, "queued");
    waiting.interrupt();
    assert_eq!(waiting.ends_within(wait::SOON).code, Some(130));
    assert_eq!(alice.ctl.show(out)["state"], "queued");
}

#[test]
fn global_options_stand_before_or_after_the_command() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let socket = text(alice.ctl.socket()).to_owned();
    for args in [["--json", "status"], ["status", "--json"]] {
        let status: Value = serde_json::from_str(&alice.ctl.ok(&args)).unwrap();
        assert_eq!(status["connection"], "online");
    }
    let plain = |args: &[&str]| Command::new(programs::xbtctl()).args(args).env_remove("XBT_SOCKET").output().unwrap();
    assert!(plain(&["--socket", &socket, "status"]).status.success());
    assert!(plain(&["status", "--socket", &socket, "--color", "never", "--quiet"]).status.success());
}

#[test]
fn manual_and_completions_are_made_from_the_commands_themselves() {
    let stage = Stage::new();
    let alice = stage.person("alice"); // no daemon runs, and none is needed
    for shell in ["bash", "zsh", "fish"] {
        assert!(alice.ctl.ok(&["completions", shell]).contains("xbtctl"), "{shell}");
    }
    let folder = alice.home().join("man");
    fs::create_dir(&folder).unwrap();
    alice.ctl.ok(&["man", "--dir", text(&folder)]);
    assert!(fs::read_to_string(folder.join("xbtctl.1")).unwrap().contains(".TH"));
}
