//! The XMPP server comes and goes; other clients of the account are not disturbed.

use xbt_tests::content::{self, MIB};
use xbt_tests::daemon::jid;
use xbt_tests::{Stage, wait};

#[test]
fn after_each_of_ten_kills_of_the_server_there_is_one_login() {
    let mut stage = Stage::new();
    let mut alice = stage.online("alice");
    assert_eq!(stage.prosody.logins("alice"), 1);
    for start in 2..=11 {
        stage.prosody.kill9();
        alice.ctl.misses_server();
        stage.prosody.start();
        alice.ctl.connection_becomes("online", wait::LONG);
        assert_eq!(stage.prosody.logins("alice"), start);
    }
    alice.stop();
    assert_eq!(stage.prosody.logins("alice"), 11, "one login per start");
}

#[test]
fn a_send_works_after_the_server_was_killed() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.online("alice"), stage.online("bob"));
    stage.prosody.kill9();
    stage.prosody.start();
    let out = alice.ctl.send(&jid("bob"), &stage.file("after.bin", 100_000));
    let inn = bob.ctl.offer("after.bin");
    bob.ctl.accept(inn);
    alice.ctl.reaches(out, "done");
}

#[test]
fn an_established_transfer_goes_on_while_the_server_is_away() {
    let mut stage = Stage::new();
    let alice = stage.person("alice").with("network.upload_limit", "2 MiB/s").online();
    let bob = stage.online("bob");
    let source = stage.file("on.bin", 12 * MIB);
    let out = alice.ctl.send(&jid("bob"), &source);
    let inn = bob.ctl.offer("on.bin");
    bob.ctl.accept(inn);
    bob.ctl.has_moved(inn, MIB);
    stage.prosody.kill9();
    for daemon in [&alice, &bob] {
        daemon.ctl.misses_server();
    }
    let arrived = bob.downloads().join("on.bin");
    wait::until("it has arrived without a server", wait::LONG, || arrived.exists().then_some(()));
    assert_eq!(content::hash(&arrived), content::hash(&source));
    stage.prosody.start();
    bob.ctl.reaches(inn, "done");
    alice.ctl.reaches(out, "done");
}

#[test]
fn the_daemon_serves_its_socket_and_keeps_sends_while_the_server_cannot_be_reached() {
    let mut stage = Stage::new();
    stage.prosody.stop();
    let mut alice = stage.person("alice");
    alice.start();
    alice.ctl.misses_server();
    stage.prosody.start();
    alice.ctl.connection_becomes("online", wait::LONG);
    let (source, bob) = (stage.file("kept.bin", 5000), stage.online("bob"));
    alice.ctl.sees(&jid("bob"));
    stage.prosody.stop();
    alice.ctl.misses_server();
    let out = alice.ctl.send(&jid("bob"), &source);
    alice.ctl.reaches(out, "queued");
    stage.prosody.start();
    let inn = bob.ctl.offer("kept.bin");
    bob.ctl.accept(inn);
    alice.ctl.reaches(out, "done");
}

#[test]
fn a_chat_client_on_the_same_account_keeps_its_chat_and_offline_messages() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let mut bob = stage.chat("bob");
    // Alice's person is away: only xbtd is online, and the message has to wait on the server for a chat client.
    bob.say(&jid("alice"), "kept for you");
    bob.say(&jid("bob"), "echo");
    bob.wait_for("echo");
    let mut chat = stage.chat("alice");
    chat.wait_for("<body>kept for you</body>");
    bob.say(&jid("alice"), "and this at once");
    chat.wait_for("<body>and this at once</body>");
    assert_eq!(chat.received().matches("kept for you").count(), 1);
    assert_eq!(alice.ctl.status()["connection"], "online");
}

#[test]
fn a_wrong_password_is_told_in_status_and_tried_once() {
    let stage = Stage::new();
    let mut alice = stage.person("alice");
    alice.password("not it");
    alice.start();
    let status = alice.ctl.connection_becomes("refused", wait::SOON);
    assert_eq!(status["connection_error"]["code"], "wrong-password", "{status}");
    assert!(status["connection_error"]["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{status}");
    let shown = alice.ctl.ok(&["status"]);
    assert!(shown.contains("password"), "{shown}");
    assert!(alice.ctl.status()["retry_in_s"].is_null(), "it is not tried again");
    assert_eq!((stage.prosody.connections(), stage.prosody.logins("alice")), (1, 0));
    // The right one counts as soon as the daemon is told to look again.
    alice.password(&xbt_tests::stage::password("alice"));
    alice.reload();
    alice.ctl.connection_becomes("online", wait::SOON);
    assert!(!alice.log().contains("not it") && !alice.log().contains("secret-of-alice"), "passwords are never logged");
}

#[test]
fn a_login_weaker_than_before_is_refused_after_a_restart_too_until_it_is_allowed() {
    let mut stage = Stage::new();
    let mut alice = stage.person("alice").with("account.least_mechanism", "PLAIN").online();
    let login: serde_json::Value = serde_json::from_str(&alice.ctl.ok(&["--json", "login"])).unwrap();
    assert_eq!((&login["known"]["mechanism"], &login["refused"]), (&"SCRAM-SHA-1".into(), &serde_json::Value::Null));
    alice.stop();
    stage.prosody.stop();
    stage.prosody.offer_only_plain();
    stage.prosody.start();
    alice.start();
    let status = alice.ctl.connection_becomes("refused", wait::SOON);
    assert_eq!(status["connection_error"]["code"], "weaker-login", "{status}");
    assert!(status["retry_in_s"].is_u64(), "it is tried again: {status}");
    assert_eq!(stage.prosody.logins("alice"), 1);
    let told = alice.ctl.ok(&["login"]);
    assert!(told.contains("SCRAM-SHA-1 (not bound") && told.contains("refused:        PLAIN"), "{told}");
    alice.ctl.ok(&["login", "--allow-weaker"]);
    alice.ctl.connection_becomes("online", wait::SOON);
}

#[test]
fn a_server_that_wants_the_password_itself_does_not_get_it_unless_that_is_configured() {
    let mut stage = Stage::new();
    stage.prosody.stop();
    stage.prosody.offer_only_plain();
    stage.prosody.start();
    let mut alice = stage.person("alice");
    alice.start();
    let status = alice.ctl.connection_becomes("refused", wait::SOON);
    assert_eq!(status["connection_error"]["code"], "no-mechanism", "{status}");
    assert!(
        status["connection_error"]["hint"].as_str().is_some_and(|hint| hint.contains("least_mechanism")),
        "{status}"
    );
    alice.set("account.least_mechanism", "PLAIN");
    alice.reload();
    alice.ctl.connection_becomes("online", wait::SOON);
}

#[test]
fn an_unknown_host_is_told_in_status() {
    let stage = Stage::new();
    let mut alice = stage.person("alice").with("account.server", "no-such-host.invalid:5222");
    alice.start();
    let status = wait::until("status tells of it", wait::SOON, || {
        Some(alice.ctl.status()).filter(|status| status["connection_error"].is_object())
    });
    let error = &status["connection_error"];
    assert!(error["message"].as_str().unwrap().contains("no-such-host.invalid"), "{status}");
    assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{status}");
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused_and_told() {
    let stage = Stage::new();
    let mut alice = stage.person("alice");
    alice.unset("account.ca_file");
    alice.start();
    let status = alice.ctl.connection_becomes("refused", wait::SOON);
    assert_eq!(status["connection_error"]["code"], "bad-certificate", "{status}");
    assert_eq!(stage.prosody.logins("alice"), 0);
}

#[test]
fn a_wrong_certificate_that_is_put_right_lets_the_daemon_in_without_a_reload() {
    let mut stage = Stage::new();
    let mut alice = stage.person("alice");
    stage.prosody.stop();
    stage.prosody.show_another_certificate();
    stage.prosody.start();
    alice.start();
    let status = alice.ctl.connection_becomes("refused", wait::SOON);
    assert_eq!(status["connection_error"]["code"], "bad-certificate", "{status}");
    wait::until("status says when the next try is", wait::SOON, || {
        let status = alice.ctl.status();
        (status["connection"] == "refused" && status["retry_in_s"].as_u64() >= Some(1)).then_some(())
    });
    stage.prosody.stop();
    stage.prosody.show_its_certificate();
    stage.prosody.start();
    alice.ctl.connection_becomes("online", wait::LONG);
    assert_eq!(stage.prosody.logins("alice"), 1);
}

#[test]
fn a_password_that_cannot_be_had_at_first_is_asked_for_again() {
    let stage = Stage::new();
    let alice = stage.person("alice");
    let locked = alice.home().join("locked");
    std::fs::write(&locked, "").unwrap();
    let command = format!("test ! -e {} && echo {}", locked.display(), xbt_tests::stage::password("alice"));
    let mut alice = alice.with("account.password_command", command);
    alice.unset("account.password_file");
    alice.start();
    let status = alice.ctl.connection_becomes("refused", wait::SOON);
    assert_eq!(status["connection_error"]["code"], "password-command", "{status}");
    std::fs::remove_file(&locked).unwrap();
    alice.ctl.connection_becomes("online", wait::LONG);
}

#[test]
fn tls_from_the_first_byte_works_too() {
    let stage = Stage::new();
    let alice = stage
        .person("alice")
        .with("account.server", stage.prosody.direct_address())
        .with("account.tls", "direct")
        .online();
    assert_eq!(alice.ctl.status()["jid"], "alice@localhost");
}

#[test]
fn the_resource_is_kept_over_restarts() {
    let stage = Stage::new();
    let mut alice = stage.online("alice");
    let device = alice.ctl.status()["device"].clone();
    assert!(device.as_str().is_some_and(|device| device.starts_with("alice@localhost/")), "{device}");
    alice.restart();
    assert_eq!(alice.ctl.status()["device"], device);
}
