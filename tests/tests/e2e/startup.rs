//! Starting: what is wrong is said, and nothing is lost.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use xbt_tests::daemon::{Daemon, jid};
use xbt_tests::{Stage, programs};

fn check(daemon: &Daemon) -> Output {
    Command::new(programs::xbtd())
        .arg("--check-config")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .envs(daemon.env())
        .output()
        .unwrap()
}

/// `--check-config` and a start both fail, and say all of `words`.
#[track_caller]
fn refused(daemon: &mut Daemon, words: &[&str]) {
    let checked = check(daemon);
    assert!(!checked.status.success());
    let said = String::from_utf8(checked.stderr).unwrap();
    let (_, started) = daemon.start_fails();
    for text in [said, started] {
        assert!(text.contains("error: ") && text.contains("hint: "), "{text}");
        for word in words {
            assert!(text.contains(word), "{word:?} is missing in: {text}");
        }
    }
}

#[test]
fn a_good_configuration_is_told_to_be_good() {
    let stage = Stage::new();
    let checked = check(&stage.person("alice"));
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn an_unknown_key_is_an_error_that_names_the_nearest_known_one() {
    let stage = Stage::new();
    refused(
        &mut stage.person("alice").with("network.upload_limt", "1 MiB/s"),
        &["upload_limt", "upload_limit", "xbtd.toml"],
    );
}

#[test]
fn a_wrong_type_is_an_error_with_file_and_line() {
    let stage = Stage::new();
    let mut alice = stage.person("alice").with("network.map_port", "yes");
    let text = fs::read_to_string(alice.config_file()).unwrap();
    let line = text.lines().position(|line| line.starts_with("map_port")).unwrap() + 1;
    refused(&mut alice, &["map_port", &format!("xbtd.toml:{line}")]);
}

#[test]
fn what_is_no_toml_is_an_error_with_file_and_line() {
    let stage = Stage::new();
    let mut alice = stage.person("alice");
    fs::write(alice.config_file(), "[account]\njid = \n").unwrap();
    refused(&mut alice, &["xbtd.toml:2"]);
}

#[test]
fn a_missing_configuration_is_an_error_that_says_what_to_do() {
    let stage = Stage::new();
    let mut alice = stage.person("alice");
    fs::remove_file(alice.config_file()).unwrap();
    refused(&mut alice, &["xbtd.toml"]);
}

#[test]
fn a_password_file_that_others_can_read_is_refused() {
    let stage = Stage::new();
    let mut alice = stage.person("alice");
    fs::set_permissions(alice.home().join(".config/xbt/password"), Permissions::from_mode(0o644)).unwrap();
    let (_, said) = alice.start_fails();
    assert!(said.contains("chmod 600") || said.contains("0600"), "{said}");
}

#[test]
fn a_second_daemon_on_the_same_state_refuses_to_start() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let second =
        Command::new(programs::xbtd()).env_clear().env("PATH", "/usr/bin:/bin").envs(alice.env()).output().unwrap();
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("error: ") && said.contains("hint: "), "{said}");
    assert_eq!(alice.ctl.status()["connection"], "online", "the first one is not disturbed");
}

#[test]
fn a_database_that_cannot_be_read_stops_the_start_and_is_not_replaced() {
    let stage = Stage::new();
    let mut alice = stage.online("alice");
    alice.ctl.send(&jid("bob"), &stage.file("a.bin", 10));
    alice.stop();
    let databases: Vec<_> = fs::read_dir(alice.state_dir())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"SQLite format 3")))
        .collect();
    assert_eq!(databases.len(), 1, "{databases:?}");
    let spoilt = vec![0x55; 20_000];
    fs::write(&databases[0], &spoilt).unwrap();
    let (_, said) = alice.start_fails();
    assert!(said.contains("error: ") && said.contains("hint: "), "{said}");
    assert!(said.contains(databases[0].file_name().unwrap().to_str().unwrap()), "it names the file: {said}");
    assert_eq!(fs::read(&databases[0]).unwrap(), spoilt, "what could not be read stays as it is");
}

#[test]
fn the_socket_is_for_its_owner_only() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(alice.ctl.socket()), 0o600);
    assert_eq!(mode(alice.ctl.socket().parent().unwrap()), 0o700);
}

#[test]
fn a_stale_socket_of_a_killed_daemon_does_not_stop_the_next_start() {
    let stage = Stage::new();
    let mut alice = stage.online("alice");
    alice.kill9();
    assert!(alice.ctl.socket().exists());
    alice.start();
    assert_eq!(alice.ctl.status()["jid"], "alice@localhost");
}
