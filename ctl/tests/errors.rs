//! What scripts see when something is wrong: exit codes and error messages.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use common::{Bench, finish};
use xbt_api::ApiError;

#[tokio::test]
async fn a_daemon_that_is_not_there_is_exit_3_with_a_hint() {
    let bench = Bench::new().await;
    let ran = bench.run(&["--socket", "/nowhere/xbtd.sock", "status"]).await;
    assert_eq!(ran.code(), 3);
    assert_eq!(
        ran.err,
        "error: the daemon cannot be reached at /nowhere/xbtd.sock\n\
         hint: start it with 'systemctl --user start xbtd', or run 'xbtd' in a terminal\n"
    );
    assert_eq!(ran.out, "");
    let ran = bench.run(&["status", "--json", "--socket", "/nowhere/xbtd.sock"]).await;
    assert_eq!(ran.code(), 3);
    assert_eq!(ran.json_error()["code"], "daemon-unreachable");
    assert_eq!(ran.out, "");
}

#[tokio::test]
async fn who_has_set_nothing_up_is_told_to_begin_with_that() {
    let bench = Bench::new().await;
    let home = bench.dir.path();
    let mut command = bench.command(&["status"]);
    command.env_remove("XBT_SOCKET").env("HOME", home).env("XDG_RUNTIME_DIR", home.join("run"));
    let ran = finish(command.spawn().unwrap()).await;
    assert_eq!(ran.code(), 3);
    assert!(ran.err.contains("hint: begin with 'xbtctl setup'"), "{}", ran.err);
    std::fs::create_dir_all(home.join(".config/xbt")).unwrap();
    std::fs::write(home.join(".config/xbt/xbtd.toml"), "").unwrap();
    let mut command = bench.command(&["status"]);
    command.env_remove("XBT_SOCKET").env("HOME", home).env("XDG_RUNTIME_DIR", home.join("run"));
    let ran = finish(command.spawn().unwrap()).await;
    assert!(ran.err.contains("systemctl --user start xbtd"), "{}", ran.err);
}

#[tokio::test]
async fn without_a_socket_of_its_own_the_default_is_used() {
    let bench = Bench::new().await;
    let mut command = bench.command(&["status"]);
    let child = command.env("XBT_SOCKET", "").env("XDG_RUNTIME_DIR", "/run/nobody").spawn().unwrap();
    let ran = common::finish(child).await;
    assert!(ran.err.starts_with("error: the daemon cannot be reached at /run/nobody/xbt/xbtd.sock\n"), "{}", ran.err);
}

#[tokio::test]
async fn wrong_usage_is_exit_2_in_words_and_in_json() {
    let bench = Bench::new().await;
    for wrong in [
        &["fly"][..],
        &["send"],
        &["send", "bob@example.org"],
        &["show", "seven"],
        &["list", "--state", "flying"],
        &["list", "--in", "--out"],
        &["send", "bob@example.org", "x", "--expire", "soon"],
        &["send", "bob@example.org", "-"],
        &["send", "bob@example.org", "-", "x", "--name", "n"],
        &["send", "bob@example.org", "-", "--name", "../n"],
        &["--color", "blue", "list"],
    ] {
        let ran = bench.run(wrong).await;
        assert_eq!(ran.code(), 2, "{wrong:?}: {}", ran.err);
        assert!(ran.err.starts_with("error: "), "{wrong:?}: {}", ran.err);
        assert_eq!(ran.out, "");
        let ran = bench.run(&[wrong, &["--json"]].concat()).await;
        assert_eq!(ran.code(), 2);
        assert_eq!(ran.json_error()["code"], "usage", "{wrong:?}");
    }
    let told = bench.run(&["send"]).await.err;
    assert_eq!(
        told,
        "error: missing: <CONTACT> and <PATH>...\nusage: xbtctl send <CONTACT> <PATH>...\nhint: see 'xbtctl send --help'\n"
    );
    let told = bench.run(&["fly"]).await.err;
    assert!(told.starts_with("error: there is no command 'fly'\n"), "{told}");
    let told = bench.run(&["lsit"]).await.err;
    assert!(told.starts_with("error: there is no command 'lsit'; did you mean 'list'?\n"), "{told}");
    let told = bench.run(&["show", "seven"]).await.err;
    assert!(told.contains("expected the number of a transfer"), "{told}");
    assert_eq!(bench.run(&[]).await.code(), 2);
    assert_eq!(bench.run(&["--json"]).await.json_error()["message"], "no command is given");
}

#[tokio::test]
async fn help_and_version_are_exit_0() {
    let bench = Bench::new().await;
    let help = bench.run(&["--help"]).await;
    assert_eq!((help.code(), help.err.as_str()), (0, ""));
    for command in
        ["setup", "status", "send", "list", "show", "accept", "decline", "contacts", "watch", "top", "Exit codes:"]
    {
        assert!(help.out.contains(command), "{command}");
    }
    for later in ["browse", "search"] {
        assert!(!help.out.contains(later), "{later} is not there yet");
    }
    assert_eq!(bench.run(&["--version"]).await.out, format!("xbtctl {}\n", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn a_refusal_is_exit_1_with_code_message_and_hint() {
    let bench = Bench::new().await;
    let ran = bench.run(&["cancel", "99"]).await;
    assert_eq!(ran.code(), 1);
    assert_eq!(ran.err, "error: there is no transfer 99\nhint: see 'xbtctl list --all'\n");
    let ran = bench.run(&["--json", "cancel", "99"]).await;
    assert_eq!(
        ran.err,
        "{\"error\":{\"code\":\"no-such-transfer\",\"message\":\"there is no transfer 99\",\
         \"hint\":\"see 'xbtctl list --all'\"}}\n"
    );
}

#[tokio::test]
async fn not_connected_is_exit_4_for_contacts_add_and_remove_only() {
    let bench = Bench::new().await;
    bench.world().refusal = Some(ApiError::new("not-connected", "not connected to example.org", "wait"));
    assert_eq!(bench.run(&["contacts", "add", "bob@example.org"]).await.code(), 4);
    assert_eq!(bench.run(&["contacts", "remove", "bob@example.org"]).await.code(), 4);
    assert_eq!(bench.run(&["contacts", "allow", "bob@example.org"]).await.code(), 1);
    assert_eq!(bench.run(&["send", "bob@example.org", "x"]).await.code(), 1);
}

#[tokio::test]
async fn another_protocol_is_recognised() {
    let bench = Bench::new().await;
    bench.world().protocol = Some(99);
    let ran = bench.run(&["--json", "status"]).await;
    assert_eq!(ran.code(), 1);
    assert_eq!(ran.json_error()["code"], "protocol-mismatch");
}

#[tokio::test]
async fn a_daemon_that_does_not_answer_is_exit_3() {
    let bench = Bench::new().await;
    let path = bench.dir.path().join("silent.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let ran = bench.run(&["status", "--json", "--socket", path.to_str().unwrap()]).await;
    assert_eq!(ran.code(), 3);
    assert!(ran.json_error()["message"].as_str().unwrap().ends_with(": it does not answer"), "{}", ran.err);
}

#[tokio::test]
async fn something_that_is_no_daemon_is_recognised() {
    use std::io::{Read, Write};
    let bench = Bench::new().await;
    let path = bench.dir.path().join("http.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        stream
    });
    let ran = bench.run(&["status", "--json", "--socket", path.to_str().unwrap()]).await;
    assert_eq!(ran.code(), 1);
    assert_eq!(ran.json_error()["code"], "protocol-mismatch", "{}", ran.err);
    drop(server.join().unwrap());
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_fault() {
    let bench = Bench::new().await;
    bench.world().transfers = (1..5_000).map(|id| common::transfer(id, xbt_api::State::Done)).collect();
    for arguments in [&["list"][..], &["list", "--json"], &["completions", "bash"], &["man"]] {
        let mut child = bench.command(arguments).spawn().unwrap();
        drop(child.stdout.take());
        let ran = common::finish(child).await;
        assert_eq!((ran.code(), ran.err.as_str()), (0, ""), "{arguments:?}");
    }
}
