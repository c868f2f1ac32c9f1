//! Bad input: every refusal is one sentence with a hint, and a stable code.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use xbt_tests::Stage;
use xbt_tests::ctl::text;
use xbt_tests::daemon::{Daemon, jid};

fn alice() -> (Stage, Daemon) {
    let stage = Stage::new();
    let alice = stage.online("alice");
    (stage, alice)
}

#[test]
fn a_path_that_is_not_there_is_refused() {
    let (stage, alice) = alice();
    let refusal = alice.ctl.refused(&["send", &jid("bob"), text(&stage.source("missing.txt"))], "path-not-found");
    assert!(refusal.message.contains("missing.txt"), "{refusal:?}");
    assert!(alice.ctl.list().is_empty());
}

#[test]
fn a_path_that_cannot_be_read_is_refused() {
    let (stage, alice) = alice();
    let source = stage.file("locked.txt", 10);
    fs::set_permissions(&source, Permissions::from_mode(0o000)).unwrap();
    let refusal = alice.ctl.refused(&["send", &jid("bob"), text(&source)], "path-not-readable");
    assert!(refusal.message.contains("locked.txt"), "{refusal:?}");
}

#[test]
fn an_empty_folder_is_refused() {
    let (stage, alice) = alice();
    let folder = stage.source("hollow");
    fs::create_dir_all(folder.join("and hollow inside")).unwrap();
    let refusal = alice.ctl.fails(&["send", &jid("bob"), text(&folder)], 1);
    assert!(refusal.message.contains("hollow"), "{refusal:?}");
}

#[test]
fn a_special_file_is_refused() {
    let (stage, alice) = alice();
    let socket = stage.source("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    alice.ctl.refused(&["send", &jid("bob"), text(&socket)], "path-not-sendable");
    alice.ctl.refused(&["send", &jid("bob"), "/dev/null"], "path-not-sendable");
}

#[test]
fn a_contact_who_is_not_on_the_list_is_refused() {
    let (stage, alice) = alice();
    let source = stage.file("a.bin", 10);
    let refusal = alice.ctl.refused(&["send", &jid("mallory"), text(&source)], "unknown-contact");
    assert!(refusal.message.contains("mallory@localhost"), "{refusal:?}");
    alice.ctl.refused(&["send", "Nobody", text(&source)], "unknown-contact");
}

#[test]
fn an_address_with_a_slip_is_refused_with_the_one_that_was_meant() {
    let (stage, alice) = alice();
    let source = stage.file("a.bin", 10);
    for slip in ["bbo@localhost", "bob@locahlost"] {
        let refusal = alice.ctl.refused(&["send", slip, text(&source)], "unknown-contact");
        assert!(refusal.hint.starts_with(&format!("did you mean {}?", jid("bob"))), "{refusal:?}");
    }
}

#[test]
fn a_contact_who_does_not_show_when_she_is_online_is_waited_for_until_she_does() {
    let (stage, alice) = alice();
    let out = alice.ctl.send(&jid("erin"), &stage.file("a.bin", 10));
    let queued = alice.ctl.becomes(out, "says why", |one| one["why"]["code"] == "not-subscribed");
    assert_eq!(queued["state"], "queued");
    assert!(
        queued["why"]["text"].as_str().is_some_and(|text| text.contains("contacts add erin@localhost")),
        "{queued}"
    );
    let erin = stage.online("erin");
    erin.ctl.ok(&["contacts", "add", &jid("alice")]);
    alice.ctl.ok(&["contacts", "add", &jid("erin")]);
    erin.ctl.offer("a.bin");
}

#[test]
fn what_is_no_jid_is_refused() {
    let (stage, alice) = alice();
    let source = stage.file("a.bin", 10);
    for wrong in ["bob@@localhost", "@localhost", "bob@"] {
        let refusal = alice.ctl.refused(&["send", wrong, text(&source)], "invalid-jid");
        assert!(refusal.message.contains(wrong), "{refusal:?}");
    }
}

#[test]
fn an_id_that_does_not_exist_is_refused() {
    let (_stage, alice) = alice();
    for command in ["show", "accept", "decline", "cancel", "pause", "resume", "remove"] {
        let refusal = alice.ctl.refused(&[command, "4711"], "no-such-transfer");
        assert!(refusal.message.contains("4711"), "{refusal:?}");
    }
}

#[test]
fn a_command_that_does_not_fit_the_state_is_refused() {
    let (stage, alice) = alice();
    let bob = stage.online("bob");
    let out = alice.ctl.send(&jid("bob"), &stage.file("a.bin", 1000)).to_string();
    let inn = bob.ctl.offer("a.bin").to_string();
    alice.ctl.refused(&["accept", &out], "wrong-direction");
    alice.ctl.refused(&["decline", &out], "wrong-direction");
    bob.ctl.ok(&["accept", &inn, "--wait"]);
    alice.ctl.reaches(out.parse().unwrap(), "done");
    for (daemon, id) in [(&alice, &out), (&bob, &inn)] {
        for command in ["pause", "resume", "cancel"] {
            let refusal = daemon.ctl.refused(&[command, id], "wrong-state");
            assert!(refusal.message.contains(id.as_str()) || refusal.message.contains("a.bin"), "{refusal:?}");
        }
    }
    bob.ctl.refused(&["accept", &inn], "wrong-state");
    bob.ctl.refused(&["decline", &inn], "wrong-state");
}

#[test]
fn of_several_ids_the_good_ones_are_done_and_the_bad_one_is_told() {
    let (stage, alice) = alice();
    let one = alice.ctl.send(&jid("bob"), &stage.file("one.bin", 10));
    let ran = alice.ctl.run(&["cancel", &one.to_string(), "4711"]);
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert!(ran.stderr.contains("4711"), "{ran:#?}");
}

#[test]
fn waiting_for_a_send_that_is_declined_ends_with_1() {
    let (stage, alice) = alice();
    let bob = stage.online("bob");
    let source = stage.file("no.bin", 10);
    let waiting = alice.ctl.spawn(&["send", &jid("bob"), text(&source), "--wait"]);
    bob.ctl.tell("decline", bob.ctl.offer("no.bin"));
    let ran = waiting.ends_within(xbt_tests::wait::SOON);
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert!(ran.stderr.contains("error: ") && ran.stderr.contains("declined"), "{ran:#?}");
}

#[test]
fn a_daemon_that_does_not_run_is_told_with_3() {
    let stage = Stage::new();
    let alice = stage.person("alice");
    for args in [&["status"][..], &["list"], &["accept", "1"], &["send", "bob@localhost", "/etc/hostname"], &["watch"]]
    {
        let refusal = alice.ctl.fails(args, 3);
        assert_eq!(refusal.code, "daemon-unreachable", "{refusal:?}");
    }
}

#[test]
fn a_wrong_command_line_is_told_with_2() {
    let (_stage, alice) = alice();
    for args in
        [&["sned"][..], &["accept"], &["accept", "seven"], &["list", "--state", "lost"], &["send", "bob@localhost"]]
    {
        let ran = alice.ctl.run(args);
        assert_eq!(ran.code, Some(2), "{args:?}: {ran:#?}");
        assert!(ran.stderr.starts_with("error: "), "{args:?}: {ran:#?}");
    }
}
