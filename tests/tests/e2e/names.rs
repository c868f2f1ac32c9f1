//! Names that others, or the server, chose: of contacts, and of what is sent.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use xbt_tests::daemon::jid;
use xbt_tests::device::Device;
use xbt_tests::prosody::RosterLine;
use xbt_tests::terminal::Terminal;
use xbt_tests::{Stage, wait};

fn names(stage: &Stage, bob: &str, dave: &str) {
    let line = |contact, name| RosterLine { contact, name, subscription: "both" };
    stage.prosody.roster("alice", &[line("bob", bob), line("dave", dave)]);
}

#[test]
fn a_name_that_the_server_has_given_to_somebody_else_asks_and_in_scripts_fails_with_both_addresses() {
    let mut stage = Stage::new();
    stage.prosody.stop();
    names(&stage, "Robert", "Dave");
    stage.prosody.start();
    let alice = stage.online("alice");
    let source = stage.file("for-robert.bin", 100);
    let source = xbt_tests::ctl::text(&source);
    assert_eq!(alice.ctl.json(&["send", "robert", source])["contact"], jid("bob"));
    stage.prosody.stop();
    names(&stage, "Dave", "Robert");
    stage.prosody.start();
    let swapped = || {
        let contacts: serde_json::Value = serde_json::from_str(&alice.ctl.ok(&["--json", "contacts"])).unwrap();
        let contacts = contacts.as_array().unwrap();
        contacts.iter().any(|contact| contact["jid"] == jid("dave") && contact["name"] == "Robert").then_some(())
    };
    wait::until("the swapped names have come", wait::SOON, swapped);
    let refusal = alice.ctl.refused(&["send", "robert", source], "name-moved");
    assert!(refusal.message.contains(&jid("bob")) && refusal.message.contains(&jid("dave")), "{refusal:?}");
    alice.ctl.refused(&["contacts", "allow", "Robert"], "name-moved");
    // Who answers no has sent nothing, who answers yes is not asked again.
    for (answer, code) in [("n\n", 1), ("y\n", 0)] {
        let mut seat = Terminal::run(&alice.ctl.command(&["send", "robert", source]));
        seat.sees("now; it was");
        seat.types(answer);
        let (ended, screen) = seat.ends();
        assert_eq!(ended, code, "{screen}");
    }
    assert_eq!(alice.ctl.json(&["send", "robert", source])["contact"], jid("dave"));
}

#[test]
fn a_contact_named_like_an_address_does_not_get_what_is_for_that_address() {
    let mut stage = Stage::new();
    stage.prosody.stop();
    names(&stage, "Robert", &jid("bob"));
    stage.prosody.start();
    let alice = stage.online("alice");
    let source = stage.file("for-bob.bin", 100);
    assert_eq!(alice.ctl.json(&["send", &jid("bob"), xbt_tests::ctl::text(&source)])["contact"], jid("bob"));
}

#[test]
fn a_file_whose_own_name_xml_cannot_carry_is_offered_accepted_and_arrives() {
    let stage = Stage::new();
    let (alice, bob) = (stage.online("alice"), stage.online("bob"));
    let folder = stage.folder().join("odd");
    fs::create_dir(&folder).unwrap();
    for (name, arrives_as) in
        [("Icon\r", "Icon_"), ("e\u{1b}[2J", "e_[2J"), ("d\u{7f}", "d_"), ("n\u{fffe}", "n_"), ("l\n", "l_")]
    {
        let source = folder.join(OsStr::from_bytes(name.as_bytes()));
        fs::write(&source, name).unwrap();
        let out = alice.ctl.send(&jid("bob"), &source);
        let inn = bob.ctl.offer(arrives_as);
        bob.ctl.accept(inn);
        alice.ctl.reaches(out, "done");
        assert_eq!(fs::read_to_string(bob.downloads().join(arrives_as)).unwrap(), name);
    }
}

#[test]
fn an_offer_whose_name_is_a_path_is_refused_and_one_that_hides_lands_in_sight() {
    let stage = Stage::new();
    let bob = stage.online("bob");
    let device = bob.ctl.status()["device"].as_str().unwrap().to_owned();
    let mut alice = Device::login(&stage, "alice");
    for name in ["../../../evil", "/etc/passwd", "a/b", ".", ".."] {
        let offer = format!(
            "<offer xmlns='urn:x-xbt:1' kind='btih' id='0b5e1c2a-7d3f-4a6b-8c9d-0e1f2a3b4c5d' \
             info-hash='0123456789abcdef0123456789abcdef01234567' size='5' files='1' metadata-size='90'>\
             <name>{name}</name><fingerprint>{}</fingerprint></offer>",
            alice.fingerprint
        );
        let answer = alice.ask(&device, &offer);
        assert!(answer.contains("<error"), "{answer}");
    }
    assert!(bob.ctl.list().is_empty(), "{:?}", bob.ctl.list());
}

#[test]
fn what_others_wrote_makes_no_lines_in_log_or_json() {
    let stage = Stage::new();
    let (alice, bob) = (stage.online("alice"), stage.online("bob"));
    let source = stage.file("said.bin", 100);
    let hostile = "hi\nERROR all is lost\u{9b}2J\u{202e}";
    let out = alice.ctl.json(&["send", "-m", hostile, &jid("bob"), xbt_tests::ctl::text(&source)]);
    let inn = bob.ctl.offer("said.bin");
    let json = bob.ctl.ok(&["--json", "show", &inn.to_string()]);
    assert!(!json.contains(['\u{9b}', '\u{202e}']) && json.contains("\\u202e"), "{json}");
    // XML cannot carry one of them.
    let said = hostile.replace('\u{9b}', "\u{fffd}");
    assert_eq!(bob.ctl.show(inn)["message"], said, "and a program reads what was said");
    bob.ctl.ok(&["decline", &inn.to_string(), "-m", hostile]);
    alice.ctl.reaches(xbt_tests::ctl::id(&out), "declined");
    for log in [alice.log(), bob.log()] {
        assert!(!log.lines().any(|line| line.starts_with("ERROR all")) && !log.contains('\u{9b}'), "{log}");
    }
}
