//! The socket: crowds, rubbish, slow readers, huge deadlines, other users, and callers that vanish.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use rustix::process::geteuid;
use serde_json::json;
use xbt_tests::rpc::Raw;
use xbt_tests::{Daemon, Stage, programs, wait};

use super::leaks::descriptors;

/// As many as the daemon has to bear at once.
const CROWD: usize = 1_000;

/// Threads that play the crowd.
const PLAYERS: usize = 20;

fn connect(daemon: &Daemon) -> Raw {
    // The kernel's own queue may be full for a moment (EAGAIN).
    wait::until("there is room to connect", wait::SOON, || Raw::connect(daemon.ctl.socket(), wait::SOON).ok())
}

/// It answers people.
#[track_caller]
fn lives(daemon: &Daemon) {
    assert_eq!(daemon.ctl.status()["connection"], "online");
}

/// What was opened is closed again.
#[track_caller]
fn closes_all(daemon: &Daemon, before: usize) {
    wait::until("all descriptors are back", wait::LONG, || (descriptors(daemon) <= before).then_some(()));
}

#[test]
fn a_thousand_clients_at_once_are_all_answered() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    lives(&alice);
    let before = descriptors(&alice);
    let together = Barrier::new(PLAYERS);
    thread::scope(|scope| {
        for _ in 0..PLAYERS {
            scope.spawn(|| {
                let mut clients: Vec<_> = (0..CROWD / PLAYERS).map(|_| connect(&alice)).collect();
                together.wait(); // from here on all thousand are connected
                for (id, client) in clients.iter_mut().enumerate() {
                    client.ask(id as u64, "Hello", json!({})).unwrap();
                    client.ask(id as u64 + 10_000, "List", json!({"query": {}})).unwrap();
                }
                for client in &mut clients {
                    for _ in 0..2 {
                        let answer = client.answer().unwrap();
                        assert!(answer["message"]["Ok"].is_object(), "{answer}");
                    }
                }
                together.wait();
            });
        }
    });
    lives(&alice);
    closes_all(&alice, before);
}

#[test]
fn clients_that_never_read_hold_nobody_up_and_are_disconnected() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    lives(&alice);
    let before = descriptors(&alice);
    let mut slow: Vec<_> = (0..50).map(|_| connect(&alice)).collect();
    for client in &mut slow {
        // Until the daemon takes no more: its answers are not read, so it stops reading.
        for id in 0..2_000 {
            let document = json!({"Request": {"id": id, "message": {"Contacts": {}}}});
            if client.frame(&document).is_err() || id > 200 {
                break;
            }
        }
    }
    for _ in 0..5 {
        lives(&alice);
    }
    drop(slow);
    closes_all(&alice, before);
}

#[test]
fn rubbish_frames_end_their_connection_and_nothing_else() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let mut good = connect(&alice);
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let framed = |text: &[u8]| [&u32::try_from(text.len()).unwrap().to_be_bytes()[..], text].concat();
    let rubbish: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0xFF; 64],
        vec![0; 4],
        framed(b"{"),
        framed(&[0xFF, 0xFE, 0x00]),
        framed(b"null"),
        framed(br#"{"Request":{"id":-1,"message":{"Status":{}}}}"#),
        framed(br#"{"Request":{"id":1e400,"message":{"Status":{}}}}"#),
        framed(deep.as_bytes()),
        framed(format!(r#"{{"Request":{{"id":1,"message":{deep}}}}}"#).as_bytes()),
        (2_u32 << 20).to_be_bytes().to_vec(),
        [&1_000_u32.to_be_bytes()[..], b"cut short"].concat(),
    ];
    for bytes in rubbish {
        let mut client = connect(&alice);
        let _ = client.bytes(&bytes); // may be closed on us in the middle
        if bytes.ends_with(b"cut short") {
            drop(client);
        } else {
            // Ended, or answered with an error and then ended by us.
            let said = client.answer();
            assert!(said.is_err() || said.as_ref().is_ok_and(|one| one["message"]["Err"].is_object()), "{said:?}");
        }
    }
    good.ask(1, "Hello", json!({})).unwrap();
    assert_eq!(good.answer().unwrap()["request_id"], 1);
    lives(&alice);
}

#[test]
fn huge_deadlines_and_ids_are_answered_and_do_not_hurt() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let mut client = connect(&alice);
    for (id, secs, nanos) in [(u64::MAX, u64::MAX, 999_999_999_u64), (1, 1 << 62, 0), (2, u64::MAX / 1_000, 0)] {
        let context = json!({"deadline": {"secs": secs, "nanos": nanos}});
        client.frame(&json!({"Request": {"context": context, "id": id, "message": {"Status": {}}}})).unwrap();
        let answer = client.answer().unwrap();
        assert_eq!(answer["request_id"], id, "{answer}");
        assert!(answer["message"]["Ok"].is_object(), "{answer}");
    }
    lives(&alice);
}

#[test]
fn callers_that_vanish_in_mid_call_leave_nothing_behind() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    lives(&alice);
    let before = descriptors(&alice);
    for number in 0..300_u64 {
        let mut client = connect(&alice);
        let waiting = json!({"after_seq": u64::MAX, "max_wait_ms": 60_000});
        match number % 3 {
            0 => client.ask(1, "Events", waiting).unwrap(),
            1 => client.ask(1, "List", json!({"query": {"all": true}})).unwrap(),
            _ => client.bytes(&[0, 0, 1, 0, b'{']).unwrap(),
        }
    }
    lives(&alice);
    closes_all(&alice, before);
}

/// The doors of the file system are opened wide first, so that only the daemon's own look at the caller is left.
#[test]
fn a_program_of_another_user_is_turned_away_by_the_daemon_itself() {
    if !geteuid().is_root() {
        println!("only root can be somebody else: not tried");
        return;
    }
    let stage = Stage::new();
    let alice = stage.online("alice");
    let open = |path: &std::path::Path| fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
    let run = alice.ctl.socket().parent().unwrap();
    for path in [stage.folder(), alice.home(), run.parent().unwrap(), run, alice.ctl.socket()] {
        open(path);
    }
    let program = stage.folder().join("xbtctl");
    fs::copy(programs::xbtctl(), &program).unwrap();
    open(&program);
    let ask = |uid: &str| {
        Command::new("setpriv")
            .args(["--reuid", uid, "--regid", uid, "--clear-groups", "--"])
            .arg(&program)
            .args(["status", "--json"])
            .env("XBT_SOCKET", alice.ctl.socket())
            .env("HOME", "/")
            .output()
            .unwrap()
    };
    let (nobody, myself) = (ask("65534"), ask("0"));
    assert_eq!(nobody.status.code(), Some(3), "{nobody:?}");
    assert!(nobody.stdout.is_empty(), "nothing is told: {nobody:?}");
    assert_eq!(myself.status.code(), Some(0), "{myself:?}");
    wait::until("the log tells of it", wait::SOON, || alice.log().contains("another user").then_some(()));
    lives(&alice);
}

#[test]
fn a_flood_of_connections_beyond_the_limit_is_turned_away_and_passes() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    lives(&alice);
    let before = descriptors(&alice);
    let crowd: Vec<_> =
        (0..2_000).filter_map(|_| Raw::connect(alice.ctl.socket(), Duration::from_secs(5)).ok()).collect();
    assert!(crowd.len() > 1_000, "{}", crowd.len());
    assert!(descriptors(&alice) < 1_400, "its connections are bounded");
    drop(crowd);
    lives(&alice);
    closes_all(&alice, before);
}
