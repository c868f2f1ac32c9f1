//! What a service manager does for the daemon, and what it hears of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use xbt_tests::daemon::jid;
use xbt_tests::wait::{self, SOON};
use xbt_tests::{Manager, Stage};

#[test]
fn the_socket_of_the_manager_is_served_with_the_first_call_and_stays_when_the_daemon_goes() {
    let stage = Stage::new();
    let mut alice = stage.person("alice").with_handed_socket(0o600);
    alice.start();
    alice.ctl.connection_becomes("online", SOON);
    let socket = alice.ctl.socket().to_owned();
    let mode = fs::metadata(&socket).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    alice.stop();
    assert!(socket.exists(), "it is not ours to remove");
    // Without a manager the daemon takes what a dead one left behind.
    let mut alone = stage.person("alice");
    alone.start();
    alone.stop();
    assert!(!socket.exists());
}

#[test]
fn a_socket_that_others_may_use_is_not_taken_from_a_manager_either() {
    let stage = Stage::new();
    let mut alice = stage.person("alice").with_handed_socket(0o666);
    let socket = alice.ctl.socket().to_owned();
    let caller =
        std::thread::spawn(move || wait::until("somebody listens", SOON, || UnixStream::connect(&socket).ok()));
    let (status, told) = alice.start_fails();
    drop(caller.join());
    assert_eq!(status.code(), Some(1));
    assert!(told.contains("other users may connect to it") && told.contains("SocketMode=0600"), "{told}");
}

#[test]
fn the_manager_hears_when_the_daemon_is_ready_what_moves_and_that_it_lives() {
    let stage = Stage::unlimited();
    let manager = Manager::listen(stage.folder());
    let (name, value) = manager.env();
    let mut alice = stage.person("alice").with_env(name, value).with_env("WATCHDOG_USEC", "2000000");
    alice.set("network.upload_limit", "1 MiB/s");
    alice.start();
    manager.hears("that it is ready", SOON, |notice| notice == "READY=1");
    manager.hears("who is online", SOON, |notice| notice == format!("STATUS=online as {}", jid("alice")));
    manager.hears("that it lives", SOON, |notice| notice == "WATCHDOG=1");
    let file = stage.file("film", 24 << 20);
    let id = alice.ctl.send("bob", &file);
    let waiting = format!("STATUS=online as {}; 1 waiting for {}", jid("alice"), jid("bob"));
    manager.hears("who is waited for", SOON, |notice| notice == waiting);
    let bob = stage.person("bob").with("accept.from", vec![jid("alice")]).online();
    manager.hears("that it moves", SOON, |notice| notice.contains("; 1 sending at ") && notice.ends_with("iB/s"));
    alice.ctl.run(&["cancel", &id.to_string()]);
    manager.hears("that nothing moves", SOON, |notice| notice == format!("STATUS=online as {}", jid("alice")));
    // Nothing happens any more: only the signs of life go on, one per second, for longer than two status lines are apart.
    let mut heard = Vec::new();
    wait::until("six signs of life", SOON, || {
        heard.extend(manager.heard());
        (heard.len() >= 6).then_some(())
    });
    assert!(heard.iter().all(|notice| notice == "WATCHDOG=1"), "{heard:?}");
    drop(bob);
    alice.stop();
    assert!(manager.heard().contains(&"STOPPING=1".to_owned()));
}
