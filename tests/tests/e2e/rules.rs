//! What happens without anybody asking: rules for offers, commands of the person's, limits at certain times, and the word
//! about a new key.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use toml::Value;
use xbt_tests::content::{self, MIB};
use xbt_tests::ctl::text;
use xbt_tests::daemon::jid;
use xbt_tests::terminal::Terminal;
use xbt_tests::{Daemon, Stage, wait};

/// A script of the person's; returns its path.
fn script(daemon: &Daemon, name: &str, body: &str) -> PathBuf {
    let path = daemon.home().join(name);
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
    path
}

fn command(path: &Path) -> Vec<Value> {
    vec![text(path).into()]
}

/// What a script wrote, once it is whole.
fn written(path: &Path) -> String {
    wait::until("the command has written", wait::SOON, || {
        fs::read_to_string(path).ok().filter(|text| text.ends_with("END\n"))
    })
}

fn history(daemon: &Daemon, transfer: u64) -> Vec<String> {
    let shown = daemon.ctl.show(transfer);
    let steps = shown["history"].as_array().cloned().unwrap_or_default();
    steps.iter().filter_map(|step| step["reason"].as_str().map(str::to_owned)).collect()
}

#[test]
fn a_rule_takes_what_fits_into_a_folder_for_contact_and_day_and_asks_about_the_rest() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let mut bob = stage.person("bob").with("files.download_dir", "~/Downloads/{contact}/{date}");
    bob.add("rule", &[("contact", vec![jid("dave")].into()), ("accept", "never".into())]);
    bob.add(
        "rule",
        &[("contact", vec![jid("alice")].into()), ("accept", "always".into()), ("max_size", "2 MiB".into())],
    );
    let mut bob = bob.online();
    alice.ctl.sees(&jid("bob"));
    let small = alice.ctl.send(&jid("bob"), &stage.file("small.bin", MIB));
    let large = alice.ctl.send(&jid("bob"), &stage.file("large.bin", 3 * MIB));
    alice.ctl.reaches(small, "done");
    let person = bob.downloads().join(jid("alice"));
    let days = content::names(&person);
    let [day] = days.as_slice() else { panic!("{days:?}") };
    assert!(day.len() == 10 && day.chars().filter(|c| *c == '-').count() == 2, "{day}");
    assert_eq!(content::names(&person.join(day)), ["small.bin"]);
    let contacts = bob.ctl.json(&["contacts"]);
    let ruling = |who: &str| {
        let mut all = contacts.as_array().into_iter().flatten();
        all.find(|contact| contact["jid"] == jid(who)).map(|contact| contact["ruling"].clone())
    };
    let said = ruling("alice").unwrap();
    assert_eq!((&said["accept"], &said["rule"], &said["max_size"]), (&"always".into(), &2.into(), &(2 * MIB).into()));
    assert_eq!(ruling("dave").unwrap()["accept"], "never");
    assert!(bob.ctl.ok(&["contacts"]).contains("up to 2.0 MiB (rule 2)"));
    let rules = bob.ctl.json(&["rules", "Alice"]);
    assert_eq!(rules["rules"].as_array().map(Vec::len), Some(2), "{rules}");
    assert_eq!((&rules["rules"][0]["who"][0], &rules["rules"][0]["accept"]), (&jid("dave").into(), &"never".into()));
    assert_eq!(rules["contact"]["folder"], text(&person.join(day)), "{rules}");
    let told = bob.ctl.ok(&["rules", &jid("alice")]);
    assert!(told.contains("accepted automatically up to 2.0 MiB") && told.contains("(rule 2)"), "{told}");
    assert!(bob.ctl.ok(&["rules", &jid("dave")]).contains("declined automatically (rule 1)"));
    assert!(bob.ctl.ok(&["rules", &jid("mallory")]).contains("ignored"));
    assert_eq!(
        bob.ctl.refused(&["rules", "Alicf"], "unknown-contact").hint.split('?').next(),
        Some("did you mean Alice")
    );
    let asked = bob.ctl.offer("large.bin");
    assert_eq!(bob.ctl.show(asked)["state"], "offered");
    // Accepted by hand it goes to the same place.
    bob.ctl.accept(asked);
    alice.ctl.reaches(large, "done");
    assert_eq!(content::names(&person.join(day)), ["large.bin", "small.bin"]);
    let dave = stage.online("dave");
    let unwanted = dave.ctl.send(&jid("bob"), &stage.file("unwanted.bin", 10));
    dave.ctl.reaches(unwanted, "declined");
    // Another folder from the next offer on, without a restart.
    bob.set("files.download_dir", "~/Downloads/{name}");
    bob.reload();
    wait::until("configuration reloaded", wait::SOON, || bob.log().contains("configuration reloaded").then_some(()));
    let next = alice.ctl.send(&jid("bob"), &stage.file("next.bin", 10));
    alice.ctl.reaches(next, "done");
    assert_eq!(content::names(&bob.downloads().join("Alice")), ["next.bin"]);
}

#[test]
fn a_wrong_configuration_that_is_read_again_is_told_until_it_is_right_and_the_old_one_holds() {
    let stage = Stage::new();
    let mut bob = stage.online("bob");
    let error = |bob: &Daemon| bob.ctl.status()["config_error"].clone();
    assert!(error(&bob).is_null());
    bob.set("files.download_dri", "~/Elsewhere");
    bob.reload();
    let told = wait::until("status tells", wait::SOON, || Some(error(&bob)).filter(serde_json::Value::is_object));
    assert_eq!(told["code"], "config-unknown-key", "{told}");
    assert!(told["hint"].as_str().unwrap().contains("download_dir"), "{told}");
    let status = bob.ctl.ok(&["status"]);
    assert!(status.contains("configuration") && status.contains("download_dri"), "{status}");
    let doctor = bob.ctl.run(&["doctor"]);
    assert!(doctor.stdout.contains("not in use"), "{doctor:?}");
    bob.unset("files.download_dri");
    bob.reload();
    wait::until("status is clean again", wait::SOON, || error(&bob).is_null().then_some(()));
    // What needs a restart is named, and all else holds.
    bob.set("network.map_port", true);
    bob.set("network.upload_limit", "3 MiB/s");
    bob.reload();
    let told = wait::until("status tells", wait::SOON, || Some(error(&bob)).filter(serde_json::Value::is_object));
    assert_eq!(told["code"], "config-needs-restart", "{told}");
    assert!(told["message"].as_str().unwrap().ends_with(": network.map_port"), "{told}");
    assert_eq!(bob.ctl.status()["limits"]["upload"], 3 * MIB);
}

#[test]
fn commands_get_the_facts_and_no_secret_and_names_are_never_run() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let mut bob = stage.person("bob").with("accept.from", vec![jid("alice")]);
    let dump = |file: &str| format!("env > '{file}.tmp'; echo END >> '{file}.tmp'; mv '{file}.tmp' '{file}'");
    let (offered, done) = (bob.home().join("offered"), bob.home().join("done"));
    let on_offer = script(&bob, "on-offer", &dump(text(&offered)));
    let on_complete = script(&bob, "on-complete", &dump(text(&done)));
    bob.set("hooks.on_offer", command(&on_offer));
    bob.set("hooks.on_complete", command(&on_complete));
    let bob = bob.online();
    let name = "$(touch pwned); `touch pwned` & \"quoted\" 'x' -rf.bin";
    let sent = alice.ctl.json(&["send", &jid("bob"), text(&stage.file(name, MIB)), "-m", "look\nhere"])["id"].as_u64();
    alice.ctl.reaches(sent.unwrap(), "done");
    let facts = written(&offered);
    let has = |facts: &str, line: &str| assert!(facts.lines().any(|l| l == line), "{line} is missing:\n{facts}");
    has(&facts, "XBT_EVENT=offer");
    has(&facts, &format!("XBT_NAME={name}"));
    has(&facts, &format!("XBT_CONTACT={}", jid("alice")));
    has(&facts, "XBT_CONTACT_NAME=Alice");
    has(&facts, &format!("XBT_SIZE={MIB}"));
    has(&facts, "XBT_FILES=1");
    has(&facts, "XBT_MESSAGE=look_here");
    has(&facts, "XBT_ACCEPT=always");
    has(&facts, "XBT_STATE=offered");
    let facts = written(&done);
    has(&facts, "XBT_EVENT=complete");
    has(&facts, "XBT_STATE=done");
    has(&facts, "XBT_DIRECTION=in");
    has(&facts, &format!("XBT_SOCKET={}", text(bob.ctl.socket())));
    let path = facts.lines().find_map(|line| line.strip_prefix("XBT_PATH=")).unwrap();
    assert_eq!(Path::new(path), bob.downloads().join(name));
    assert!(!facts.contains("XBT_LOG") && !facts.contains("CREDENTIALS"), "{facts}");
    assert!(!bob.home().join("pwned").exists() && !bob.downloads().join("pwned").exists());
}

#[test]
fn a_command_that_hangs_is_killed_with_all_it_started_and_that_is_shown() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let mut bob = stage.person("bob").with("accept.from", vec![jid("alice")]);
    let pids = bob.home().join("pids");
    let hangs = script(&bob, "hangs", &format!("sleep 600 & echo $$ $! > '{}'; wait", text(&pids)));
    bob.set("hooks.on_complete", command(&hangs));
    bob.set("hooks.on_offer", vec!["no-such-program-anywhere"]);
    // Long enough for the script to begin on a busy machine.
    bob.set("hooks.timeout", "5 s");
    let bob = bob.online();
    let watch = Terminal::run(&bob.ctl.command(&["watch"]));
    watch.sees("Watching");
    alice.ctl.send(&jid("bob"), &stage.file("a.bin", 1_000));
    let got = wait::until("it has come", wait::SOON, || bob.ctl.named("in", "a.bin").first()?["id"].as_u64());
    let told = wait::until("both failures are shown", wait::SOON, || {
        let told = history(&bob, got).join("\n");
        (told.contains("on_offer cannot be run") && told.contains("on_complete took longer than 5 s")).then_some(told)
    });
    println!("{told}");
    let pids = fs::read_to_string(pids).unwrap();
    let runs = |pid: &str| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    };
    wait::until("nothing of it is left", wait::SOON, || (!pids.split_whitespace().any(runs)).then_some(()));
    assert_eq!(bob.ctl.show(got)["state"], "done");
    assert!(bob.log().lines().any(|line| line.contains("WARN") && line.contains("on_complete took longer")));
    watch.shows("on_complete took longer than 5 s", 1);
}

#[test]
fn a_schedule_changes_the_limit_of_what_moves_when_its_time_comes() {
    let stage = Stage::new();
    let mut alice = stage.person("alice").with("network.upload_limit", "1 MiB/s").with_clock();
    // Tomorrow, and the day after it in case tests begin a moment before midnight.
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::system()).weekday().to_monday_zero_offset();
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let next: Vec<Value> = [1, 2].map(|ahead| days[(today as usize + ahead) % 7].into()).into();
    alice.add("schedule", &[("days", next.into()), ("upload_limit", "256 KiB/s".into())]);
    let alice = alice.online();
    let bob = stage.online("bob");
    alice.ctl.sees(&jid("bob"));
    let sent = alice.ctl.send(&jid("bob"), &stage.file("long.bin", 64 * MIB));
    let got = bob.ctl.offer("long.bin");
    bob.ctl.accept(got);
    bob.ctl.has_moved(got, MIB);
    let becomes = |limit: u64, by: &str| {
        wait::until(&format!("{limit} by {by}"), wait::SOON, || {
            let status = alice.ctl.status();
            (status["limits"]["upload"] == limit && status["pace"]["by"] == by).then_some(status)
        })
    };
    becomes(MIB, "configuration");
    alice.clock().set("+1d");
    let status = becomes(MIB / 4, "schedule");
    assert_eq!(status["pace"]["schedule"], 1);
    assert!(status["pace"]["until"].is_string(), "{status}");
    assert!(alice.ctl.ok(&["status"]).contains("schedule 1 of the configuration, until"));
    alice.clock().set("+0");
    becomes(MIB, "configuration");
    alice.ctl.tell("cancel", sent);
}

#[test]
fn a_second_key_of_a_contact_is_told_everywhere_until_somebody_looks() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let mut bob = stage.online("bob");
    bob.ctl.send(&jid("alice"), &stage.file("first.bin", 10));
    alice.ctl.offer("first.bin");
    assert_eq!(alice.ctl.status()["new_keys"], serde_json::json!([]), "the first one is no news");
    bob.stop();
    let watch = Terminal::run(&alice.ctl.command(&["watch"]));
    watch.sees("Watching");
    let other = stage.device("bob", "other").online();
    other.ctl.send(&jid("alice"), &stage.file("second.bin", 10));
    alice.ctl.offer("second.bin");
    let told = |args: &[&str]| {
        let ran = alice.ctl.run(args);
        format!("{}{}", ran.stdout, ran.stderr)
    };
    for args in [&["status"], &["list"], &["contacts"]] {
        let told = told(args);
        assert!(told.to_lowercase().contains("new key"), "{args:?}: {told}");
    }
    assert!(alice.log().lines().any(|line| line.contains("WARN") && line.contains("NEW KEY")));
    let verification = alice.ctl.json(&["contacts", "verify", &jid("bob")]);
    assert_eq!(verification["devices"].as_array().map(Vec::len), Some(2));
    assert_eq!(alice.ctl.status()["new_keys"], serde_json::json!([]), "somebody has looked");
    assert!(!told(&["list"]).contains("new key"));
    watch.shows("NEW KEY", 1);
}
