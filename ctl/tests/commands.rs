//! Every command against a daemon.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::process::Stdio;

use common::{Bench, finish, transfer};
use tokio::io::AsyncWriteExt;
use xbt_api::{Direction, LimitChange, Priority, State, Why};

#[tokio::test]
async fn status_shows_the_connection_and_why_it_was_refused() {
    let bench = Bench::new().await;
    let ran = bench.run(&["status"]).await;
    assert!(ran.out.contains("1 content, read by 2 connections of other programs; they have got 3"), "{}", ran.out);
    assert_eq!(ran.code(), 0, "{}", ran.err);
    assert!(ran.out.contains("connection:     refused\n"), "{}", ran.out);
    assert!(ran.out.contains("the server refused the password [wrong-password]"), "{}", ran.out);
    assert!(ran.out.contains("up for 1h 1m"), "{}", ran.out);
    let json = bench.run(&["--json", "status"]).await.json();
    assert_eq!(json["connection"], "refused");
    assert_eq!(json["jid"], "alice@example.org");
    assert_eq!(json["listen"][0], "192.0.2.1:51413");
    assert_eq!(json["version"], "0.1.0");
}

#[tokio::test]
async fn a_status_line_of_ones_own_is_printed_for_status_bars() {
    let bench = Bench::new().await;
    let ran = bench.run(&["status", "--format", "{connection} {active} ↑{rate_up} {{}}"]).await;
    assert_eq!((ran.code(), ran.out.as_str()), (0, "refused 1 ↑1.0 KiB/s {}\n"), "{}", ran.err);
    let ran = bench.run(&["status", "--format", "{uptime}"]).await;
    assert_eq!((ran.code(), ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("--format has no key {uptime}") && ran.err.contains("rate_up"), "{}", ran.err);
    bench.kill_daemon();
    assert_eq!(bench.run(&["status", "--format", "{active}"]).await.code(), 3);
}

#[tokio::test]
async fn rules_end_with_what_holds_for_everybody() {
    let bench = Bench::new().await;
    let ran = bench.run(&["rules"]).await;
    let lines: Vec<_> = ran.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let expected = [
        "RULE FOR ACCEPT UP TO FOLDER",
        "- whom you allowed always 1.0 GiB /home/a/Downloads",
        "- others ask /home/a/Downloads",
    ];
    assert_eq!((ran.code(), lines), (0, expected.map(str::to_owned).to_vec()), "{}", ran.err);
    assert_eq!(bench.run(&["rules", "--json"]).await.json()["max_size"], 1 << 30);
}

#[tokio::test]
async fn top_refuses_where_there_is_no_terminal() {
    let bench = Bench::new().await;
    let ran = bench.run(&["top"]).await;
    assert_eq!((ran.code(), ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("top needs a terminal") && ran.err.contains("xbtctl list"), "{}", ran.err);
    assert_eq!(bench.run(&["top", "--json"]).await.json_error()["code"], "usage");
}

#[tokio::test]
async fn send_prints_only_the_id_and_passes_everything_on() {
    let bench = Bench::new().await;
    let arguments = "send bob@example.org a/../b ./c/ --to eve@example.org -m hello --expire 7d --name trip";
    let ran = bench.run(&arguments.split(' ').collect::<Vec<_>>()).await;
    assert_eq!((ran.code(), ran.out.as_str()), (0, "1\n2\n"), "{}", ran.err);
    assert!(ran.err.contains("1 queued: holiday → bob@example.org, 12 files, 1.2 GiB (bob is offline)"), "{}", ran.err);
    let sent = bench.world().sent.remove(0);
    assert_eq!(sent.contacts, ["bob@example.org", "eve@example.org"]);
    // Symlinks and `..` mean what they mean to the daemon; only the working directory is filled in.
    let here = bench.dir.path().to_str().unwrap().to_owned();
    assert_eq!(sent.paths, [format!("{here}/a/../b"), format!("{here}/c")]);
    assert_eq!((sent.name.as_deref(), sent.message.as_deref()), (Some("trip"), Some("hello")));
    assert_eq!(sent.expire_s, Some(604_800));
    let ran = bench.run(&["send", "bob@example.org", "x", "--quiet"]).await;
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("3\n", ""));
    let json = bench.run(&["send", "bob@example.org", "x", "--json"]).await.json();
    assert_eq!((&json["id"], &json["state"]), (&4.into(), &"queued".into()));
}

#[tokio::test]
async fn several_paths_are_contents_of_their_own_unless_they_are_to_be_one() {
    let bench = Bench::new().await;
    for name in ["a", "b"] {
        std::fs::write(bench.dir.path().join(name), name).unwrap();
    }
    let ran = bench.run(&["send", "bob@example.org", "a", "b", "--to", "eve@example.org", "-m", "both"]).await;
    assert_eq!((ran.code(), ran.out.as_str()), (0, "1\n2\n3\n4\n"), "{}", ran.err);
    let sent = std::mem::take(&mut bench.world().sent);
    let paths: Vec<_> = sent.iter().map(|request| request.paths.len()).collect();
    assert_eq!((paths, sent[1].message.as_deref(), sent[1].contacts.len()), (vec![1, 1], Some("both"), 2));
    for more in [&["--together"][..], &["--name", "both"]] {
        let ran = bench.run(&[&["send", "bob@example.org", "a", "b"], more].concat()).await;
        assert_eq!(ran.code(), 0, "{}", ran.err);
        assert_eq!(bench.world().sent.remove(0).paths.len(), 2);
    }
    let ran = bench.run(&["send", "bob@example.org", "a", "missing"]).await;
    assert_eq!((ran.code(), bench.world().sent.len()), (1, 0), "all or nothing: {}", ran.err);
    let ran = bench.run(&["send", "bob@example.org", ".", "--exclude", "*.o", "--exclude", "tmp/"]).await;
    assert_eq!(bench.world().sent.remove(0).exclude, ["*.o", "tmp/"]);
    assert!(ran.err.contains("left out: 2 things that are excluded"), "{}", ran.err);
}

#[tokio::test]
async fn a_send_to_a_group_says_who_that_is_and_who_cannot_be_reached() {
    let bench = Bench::new().await;
    let ran = bench.run(&["send", "--group", "friends", "a", "b", "--together"]).await;
    assert_eq!(ran.code(), 0, "{}", ran.err);
    assert!(ran.err.contains("to bob@example.org (online, xbt)"), "{}", ran.err);
    let sent = bench.world().sent.remove(0);
    assert_eq!((sent.contacts, sent.paths.len()), (vec!["bob@example.org".to_owned()], 2));
    let error = bench.run(&["send", "--group", "family", "a", "--json"]).await.json_error();
    assert!(error["hint"].as_str().unwrap().contains("friends"), "{error}");
}

#[tokio::test]
async fn who_asks_to_be_a_contact_is_told_with_the_command_that_answers() {
    let bench = Bench::new().await;
    bench.world().requests = vec!["carol@example.org".to_owned()];
    for command in ["contacts", "status", "list"] {
        let ran = bench.run(&[command]).await;
        let said = ran.out + &ran.err;
        assert!(
            said.contains("carol@example.org asks to be your contact: 'xbtctl contacts add carol@example.org'"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn limits_are_shown_where_nothing_is_to_change_and_a_unit_apart_is_explained() {
    let bench = Bench::new().await;
    let ran = bench.run(&["limit"]).await;
    assert_eq!((ran.code(), ran.out.as_str()), (0, "everything together: not limited\n"), "{}", ran.err);
    for (words, told) in
        [("limit --up 5 MB/s", "5 of what?"), ("limit --up 5MB/s MB", "in quotes"), ("limit --up 500", "'500 KiB/s'")]
    {
        let ran = bench.run(&words.split(' ').collect::<Vec<_>>()).await;
        assert_eq!(ran.code(), 2);
        assert!(ran.err.contains(told), "{words}: {}", ran.err);
    }
}

#[tokio::test]
async fn what_only_this_program_has_open_is_refused_with_the_way_to_send_it() {
    let bench = Bench::new().await;
    let command = format!("{} send bob@example.org <(echo x)", env!("CARGO_BIN_EXE_xbtctl"));
    let mut bash = tokio::process::Command::new("bash");
    bash.args(["-c", &command]).env("XBT_SOCKET", bench.socket());
    let ran = bash.stdin(Stdio::null()).output().await.unwrap();
    let told = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(2), "{told}");
    assert!(told.contains("by this program only") && told.contains("| xbtctl send CONTACT - --name"), "{told}");
    assert!(bench.world().sent.is_empty());
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_sent_to_whom_and_sends_nothing() {
    let bench = Bench::new().await;
    std::fs::create_dir(bench.dir.path().join("trip")).unwrap();
    std::fs::write(bench.dir.path().join("trip/a.jpg"), [0; 2_048]).unwrap();
    let ran = bench.run(&["send", "Bob", "trip", "--dry-run"]).await;
    let expected = "would send trip: 1 file, 2.0 KiB\n  to bob@example.org (online, xbt): at once\n";
    assert_eq!((ran.code(), ran.out.as_str()), (0, expected), "{}", ran.err);
    let json = bench.run(&["send", "bob@example.org", "trip", "--dry-run", "--json"]).await.json();
    assert_eq!(
        (&json["contact"], &json["size"], &json["files"]),
        (&"bob@example.org".into(), &2_048.into(), &1.into())
    );
    let ran = bench.run(&["send", "Bob", "trip", "--dry-run", "--skip-special"]).await;
    assert!(ran.out.contains("KiB\nleft out: 4 things that cannot be sent\n"), "{}", ran.out);
    let ran = bench.run(&["send", "carol@example.org", "trip", "--dry-run", "--json"]).await;
    assert_eq!((ran.code(), &ran.json_error()["code"]), (1, &"unknown-contact".into()));
    let ran = bench.run(&["send", "Bob", "nothing", "--dry-run", "--json"]).await;
    assert_eq!((ran.code(), &ran.json_error()["code"]), (1, &"path-not-found".into()));
    assert!(bench.world().sent.is_empty());
}

#[tokio::test]
async fn standard_input_is_spooled_privately_and_sent() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new().await;
    let mut child =
        bench.command(&["send", "bob@example.org", "-", "--name", "notes.txt"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"hello").await.unwrap();
    let ran = finish(child).await;
    assert_eq!((ran.code(), ran.out.as_str()), (0, "1\n"), "{}", ran.err);
    let path = std::path::PathBuf::from(&bench.world().sent[0].paths[0]);
    assert!(path.starts_with(bench.dir.path().join("state/xbt/spool")), "{}", path.display());
    assert!(path.ends_with("notes.txt"));
    assert_eq!(std::fs::read(&path).unwrap(), b"hello");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
}

#[tokio::test]
async fn on_a_terminal_a_send_is_told_once() {
    let bench = Bench::new().await;
    let command = format!("{} send bob@example.org x", env!("CARGO_BIN_EXE_xbtctl"));
    // script(1) gives the program a terminal.
    let mut script = tokio::process::Command::new("script");
    script.args(["-qefc", &command, "/dev/null"]).env("XBT_SOCKET", bench.socket()).env("TERM", "xterm");
    let seen = script.stdin(Stdio::null()).output().await.unwrap();
    let seen = String::from_utf8(seen.stdout).unwrap();
    assert_eq!(seen.lines().count(), 1, "{seen}");
    assert!(seen.starts_with("1 queued: holiday → bob@example.org"), "{seen}");
}

#[tokio::test]
async fn standard_input_that_was_refused_is_not_kept() {
    let bench = Bench::new().await;
    bench.world().refusal = Some(xbt_api::ApiError::new("unknown-contact", "no such contact", ""));
    let ran = bench.run(&["send", "bob@example.org", "-", "--name", "notes.txt"]).await;
    assert_eq!(ran.code(), 1);
    assert_eq!(std::fs::read_dir(bench.dir.path().join("state/xbt/spool")).unwrap().count(), 0);
}

#[tokio::test]
async fn list_is_a_table_for_people_with_foreign_text_made_harmless() {
    let bench = Bench::new().await;
    let mut sending = transfer(7, State::Sending);
    sending.done_bytes = sending.size / 2;
    sending.rate = 11_200_000;
    sending.eta_s = Some(110);
    let mut incoming = transfer(12, State::Offered);
    incoming.direction = Direction::In;
    incoming.name = "photo\u{202e}gpj\u{1b}[31m.exe".into();
    let mut queued = transfer(13, State::Queued);
    queued.why = Some(Why { code: "contact-offline".into(), text: "bob is offline".into() });
    let mut paused = transfer(14, State::Connecting);
    paused.done_bytes = paused.size / 4;
    paused.paused = true;
    bench.world().transfers = vec![sending, incoming, queued, paused];
    let ran = bench.run(&["list"]).await;
    let expected = [
        "ID     CONTACT          NAME                   SIZE  STATE                    RATE                     CHANGED",
        " 7  →  bob@example.org  holiday             1.2 GiB  sending 50%              10.7 MiB/s, 1m 50s left  AGO",
        "12  ←  bob@example.org  photo\u{fffd}gpj\u{fffd}[31m.exe  1.2 GiB  offered                                           AGO",
        "13  →  bob@example.org  holiday             1.2 GiB  queued (bob is offline)                           AGO",
        "14  →  bob@example.org  holiday             1.2 GiB  paused 25%                                        AGO",
    ];
    let ago = ran.out.lines().nth(1).unwrap().rsplit("  ").next().unwrap();
    assert!(ago.ends_with("d ago"), "{}", ran.out);
    assert_eq!(ran.out.replace(ago, "AGO").lines().collect::<Vec<_>>(), expected);
    let ran = bench.run(&["list", "--color", "always"]).await;
    assert!(ran.out.contains("\u{1b}[36msending 50%\u{1b}[0m"), "{}", ran.out);
}

#[tokio::test]
async fn list_json_is_an_array_over_all_pages() {
    let bench = Bench::new().await;
    assert_eq!(bench.run(&["list", "--json"]).await.out, "[]\n");
    let ran = bench.run(&["list"]).await;
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", "no transfers\n"));
    bench.world().transfers = (1..=25).map(|id| transfer(id, State::Done)).collect();
    bench.world().page = Some(10);
    let json = bench.run(&["list", "--json", "--all"]).await.json();
    let ids: Vec<u64> = json.as_array().unwrap().iter().map(|transfer| transfer["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, (1..=25).collect::<Vec<_>>());
}

#[tokio::test]
async fn list_filters_by_state_and_direction() {
    let bench = Bench::new().await;
    bench.world().transfers = vec![transfer(1, State::Done), transfer(2, State::Failed), transfer(3, State::Cancelled)];
    let json = bench.run(&["list", "--json", "--state", "done", "--state", "cancelled", "--out"]).await.json();
    assert_eq!((&json[0]["id"], &json[1]["id"], json.as_array().unwrap().len()), (&1.into(), &3.into(), 2));
    assert_eq!(bench.run(&["list", "--json", "--in"]).await.out, "[]\n");
}

#[tokio::test]
async fn show_tells_everything() {
    let bench = Bench::new().await;
    bench.world().transfers = vec![transfer(1, State::Connecting)];
    let ran = bench.run(&["show", "1"]).await;
    assert!(ran.out.contains("magnet:?xt=urn:btih:00&x.pe=192.0.2.1:51413"), "{}", ran.out);
    for part in [
        "1 holiday → bob@example.org\n",
        "not mapped-tcp4: bob's router refused the port mapping",
        "(verified)",
        "queued (bob is offline)",
        "2.0 KiB  a/b.jpg",
        "… and more",
    ] {
        assert!(ran.out.contains(part), "{part} is missing in {}", ran.out);
    }
    let json = bench.run(&["show", "1", "--json"]).await.json();
    assert_eq!((&json["id"], &json["files"], &json["verified"]), (&1.into(), &12.into(), &true.into()));
}

#[tokio::test]
async fn commands_that_change_transfers_say_what_became_of_them() {
    let bench = Bench::new().await;
    bench.world().transfers = (1..=2).map(|id| transfer(id, State::Offered)).collect();
    let line = |what: &str| format!("1 {what}: holiday → bob@example.org\n2 {what}: holiday → bob@example.org\n");
    for (command, what) in [
        ("pause", "paused"),
        ("resume", "resumed"),
        ("accept", "accepted"),
        ("decline", "declined"),
        ("cancel", "cancelled"),
    ] {
        let ran = bench.run(&[command, "1", "2"]).await;
        assert_eq!((ran.code(), ran.out), (0, line(what)), "{}", ran.err);
        assert_eq!(bench.run(&[command, "1", "2", "-q"]).await.out, "");
        let ran = bench.run(&["--json", command, "1", "2"]).await;
        let ids: Vec<u64> = ran
            .out
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_u64().unwrap())
            .collect();
        assert_eq!(ids, [1, 2], "{command}");
    }
    bench.run(&["accept", "1", "-o", "in/here"]).await;
    let into = bench.world().accepted_into.clone();
    assert_eq!(into.as_deref(), bench.dir.path().join("in/here").to_str());
    assert_eq!(bench.run(&["remove", "1", "2"]).await.out, "1 removed\n2 removed\n");
    assert!(bench.world().transfers.is_empty());
}

#[tokio::test]
async fn much_is_deleted_only_after_a_yes() {
    let bench = Bench::new().await;
    let small = |id| xbt_api::Transfer { size: 5_000, direction: Direction::In, ..transfer(id, State::Done) };
    bench.world().transfers = vec![small(1), small(3), small(5), transfer(7, State::Done)];
    for (ids, told) in [("3 5", "what came with 2 transfers, 9.8 KiB"), ("7", "holiday → bob@example.org, 1.2 GiB")] {
        let line: Vec<_> = ["remove", "--delete-data"].into_iter().chain(ids.split(' ')).collect();
        let ran = bench.run(&line).await;
        assert_eq!((ran.code(), ran.out.as_str()), (2, ""));
        assert!(ran.err.contains(&format!("this would delete {told}")) && ran.err.contains("--yes"), "{}", ran.err);
    }
    assert_eq!(bench.world().transfers.len(), 4);
    assert_eq!(bench.run(&["remove", "--delete-data", "1"]).await.code(), 0, "a small one goes at once");
    assert_eq!(bench.run(&["remove", "3", "--yes"]).await.code(), 2, "it belongs to --delete-data");
}

#[tokio::test]
async fn ended_transfers_are_removed_by_how_and_when_they_ended() {
    let bench = Bench::new().await;
    let ended = |id, state, updated: &str| xbt_api::Transfer { updated: updated.into(), ..transfer(id, state) };
    let (old, now) = ("2020-01-31T12:00:00Z", &jiff::Timestamp::now().to_string());
    let all = || {
        vec![
            ended(1, State::Done, old),
            ended(2, State::Done, now),
            ended(3, State::Failed, old),
            ended(4, State::Declined, now),
            ended(5, State::Sending, old),
        ]
    };
    for (options, gone) in [
        ("--done", "1 2"),
        ("--failed", "3 4"),
        ("--done --failed", "1 2 3 4"),
        ("--older 30d", "1 3"),
        ("--done --older 30d", "1"),
    ] {
        bench.world().transfers = all();
        let ran = bench.run(&["remove"].into_iter().chain(options.split(' ')).collect::<Vec<_>>()).await;
        let removed: String = gone.split(' ').map(|id| format!("{id} removed\n")).collect();
        assert_eq!((ran.code(), ran.out), (0, removed), "{options}: {}", ran.err);
    }
    bench.world().transfers.clear();
    assert!(bench.run(&["remove", "--done"]).await.err.contains("nothing to remove"));
    assert_eq!(bench.run(&["remove"]).await.code(), 2);
    assert_eq!(bench.run(&["remove", "1", "--done"]).await.code(), 2);
}

#[tokio::test]
async fn deleting_tells_what_is_gone_and_names_what_stays() {
    let bench = Bench::new().await;
    bench.world().transfers = vec![transfer(1, State::Done), transfer(2, State::Done)];
    let told = "1 removed, 12 deleted\n2 removed, 12 deleted, 3 kept:\n  holiday/mine\u{fffd} was not received\n  … and 2 more\n";
    assert_eq!(bench.run(&["remove", "1", "2", "--delete-data", "--yes"]).await.out, told);
    assert!(bench.world().transfers.is_empty());
    bench.world().transfers = vec![transfer(2, State::Done)];
    let json = bench.run(&["remove", "2", "--delete-data", "--yes", "--json"]).await.json();
    assert_eq!(
        (&json["id"], &json["removed"], &json["deleted"], &json["kept"]),
        (&2.into(), &true.into(), &12.into(), &3.into())
    );
    assert_eq!(json["stays"][0]["why"], "was not received");
}

#[tokio::test]
async fn contacts_are_shown_and_changed() {
    let bench = Bench::new().await;
    let ran = bench.run(&["contacts"]).await;
    assert!(ran.out.contains("bob@example.org  Bob   online, xbt"), "{}", ran.out);
    assert_eq!(bench.run(&["contacts", "--json"]).await.json()[0]["trust"], "unverified");
    assert_eq!(
        bench.run(&["contacts", "add", "eve@example.org", "--name", "Eve"]).await.out,
        "eve@example.org added\n"
    );
    assert_eq!(bench.run(&["contacts", "remove", "eve@example.org"]).await.out, "eve@example.org removed\n");
    assert_eq!(bench.run(&["contacts", "allow", "bob@example.org"]).await.code(), 0);
    assert_eq!(bench.run(&["contacts", "deny", "bob@example.org"]).await.code(), 0);
}

#[tokio::test]
async fn limits_are_read_as_people_write_rates_and_what_is_not_given_is_not_changed() {
    let bench = Bench::new().await;
    bench.world().transfers = vec![transfer(1, State::Sending), transfer(2, State::Sending)];
    let ran = bench.run(&["limit", "1", "2", "--up", "1.5 MiB/s"]).await;
    assert_eq!((ran.code(), ran.out.lines().count()), (0, 2), "{}", ran.out);
    let change = |upload, download| LimitChange { upload, download };
    assert_eq!(bench.world().limited, Some((change(Some(3 << 19), None), None)));
    assert_eq!(bench.run(&["limit", "1", "--down", "0", "--priority", "high"]).await.code(), 0);
    assert_eq!(bench.world().limited, Some((change(None, Some(0)), Some(Priority::High))));
    let shown = bench.run(&["show", "1"]).await.out;
    assert!(shown.contains("limits:         1.0 MiB/s up\n") && shown.contains("priority:       high\n"), "{shown}");
}

#[tokio::test]
async fn limits_for_everything_say_how_long_they_hold() {
    let bench = Bench::new().await;
    let ran = bench.run(&["limit", "--down", "2MiB", "--up", "0"]).await;
    assert_eq!(ran.out, "everything together: 2.0 MiB/s down (until the configuration is reloaded)\n");
    assert_eq!(bench.run(&["limit", "--up", "7B", "--json"]).await.json()["upload"], 7);
    let ran = bench.run(&["contacts", "limit", "bob@example.org", "--up", "5 KiB/s"]).await;
    assert_eq!(ran.out, "bob@example.org limited to 5.0 KiB/s up\n");
    assert_eq!(
        bench.run(&["contacts", "limit", "bob@example.org", "--up", "0"]).await.out,
        "bob@example.org no longer limited\n"
    );
}

#[tokio::test]
async fn a_limit_that_says_nothing_or_could_mean_two_things_is_wrong_usage() {
    let bench = Bench::new().await;
    for wrong in [
        &["limit", "1"][..],
        &["limit", "1", "--up", "2M"],
        &["limit", "1", "--down=-1"],
        &["limit", "--priority", "high"],
        &["limit", "1", "--priority", "urgent"],
        &["contacts", "limit", "bob@example.org"],
    ] {
        let ran = bench.run(wrong).await;
        assert_eq!(ran.code(), 2, "{wrong:?}: {}", ran.err);
        assert!(ran.err.contains("hint: "), "{wrong:?}: {}", ran.err);
    }
}

#[tokio::test]
async fn a_new_key_is_told_wherever_somebody_may_look_but_not_in_json() {
    let bench = Bench::new().await;
    bench.world().new_keys = vec!["bob@example.org".into()];
    let ran = bench.run(&["status"]).await;
    assert!(ran.out.contains("NEW KEY:        bob@example.org has a new key"), "{}", ran.out);
    let ran = bench.run(&["list"]).await;
    assert!(ran.err.contains("'xbtctl contacts verify bob@example.org'"), "{}", ran.err);
    let ran = bench.run(&["--json", "list"]).await;
    assert_eq!(ran.err, "");
}

#[tokio::test]
async fn a_contact_is_verified_only_with_the_right_number() {
    let bench = Bench::new().await;
    let ran = bench.run(&["contacts", "verify", "bob@example.org"]).await;
    assert!(ran.out.contains("safety number:  12345 67890"), "{}", ran.out);
    let ran = bench.run(&["contacts", "verify", "bob@example.org", "--confirm", "00000"]).await;
    assert_eq!(ran.code(), 1);
    let ran = bench.run(&["contacts", "verify", "bob@example.org", "--confirm", "12345 67890"]).await;
    assert_eq!((ran.code(), ran.out.as_str()), (0, "bob@example.org verified\n"));
}

/// What a shell is proposed for the last of `words`.
async fn proposed(bench: &Bench, words: &[&str]) -> Vec<String> {
    let line: Vec<&str> = [&["--", "xbtctl"], words].concat();
    let mut command = bench.command(&line);
    command.env("XBT_COMPLETE", "fish");
    finish(command.spawn().unwrap()).await.out.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn contacts_numbers_and_states_are_proposed_from_the_running_daemon() {
    let bench = Bench::new().await;
    let mut offer = transfer(3, State::Offered);
    offer.direction = Direction::In;
    offer.name = "photo\u{1b}\n.jpg".into();
    bench.world().transfers = vec![transfer(1, State::Done), transfer(2, State::Sending), offer];
    assert_eq!(proposed(&bench, &["send", "bo"]).await, ["bob@example.org\tBob, online, xbt"], "what was typed counts");
    assert_eq!(proposed(&bench, &["send", "x", "y", "--to", "B"]).await, ["Bob\tbob@example.org, online, xbt"]);
    let offer = "3\tphoto\u{fffd}\u{fffd}.jpg ← bob@example.org, offered";
    assert_eq!(proposed(&bench, &["accept", ""]).await[0], offer);
    assert!(proposed(&bench, &["cancel", "2"]).await[0].starts_with("2\tholiday → bob@example.org, sending"));
    assert!(proposed(&bench, &["remove", "1"]).await[0].starts_with("1\t"));
    assert_eq!(proposed(&bench, &["resume", "2"]).await, [""; 0]);
    assert!(proposed(&bench, &["list", "--state", "exp"]).await[0].starts_with("expired"));
    assert!(proposed(&bench, &["wat"]).await[0].starts_with("watch"));
    bench.kill_daemon();
    assert_eq!(proposed(&bench, &["accept", "1"]).await, [""; 0], "no daemon is no fault");
}

#[tokio::test]
async fn bash_completes_an_address_through_the_script() {
    let bench = Bench::new().await;
    let script = bench.run(&["completions", "bash"]).await.out;
    let lines = "\nCOMP_WORDS=(xbtctl send bob@ex); COMP_CWORD=2; COMP_TYPE=9\n\
                 _clap_complete_xbtctl xbtctl bob@ex send; echo \"[${COMPREPLY[*]}] $COMP_WORDBREAKS\"";
    let mut bash = tokio::process::Command::new("bash");
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_xbtctl")).parent().unwrap();
    bash.arg("-c").arg(script + lines).env("XBT_SOCKET", bench.socket());
    bash.env("PATH", format!("{}:{}", folder.display(), std::env::var("PATH").unwrap()));
    let said = String::from_utf8(bash.stdin(Stdio::null()).output().await.unwrap().stdout).unwrap();
    assert!(said.starts_with("[bob@example.org]"), "{said}");
    assert!(!said.split_once(']').unwrap().1.contains('@'), "{said}");
}

#[tokio::test]
async fn completions_and_manual_pages_come_from_the_same_definitions() {
    let bench = Bench::new().await;
    for shell in ["bash", "zsh", "fish"] {
        let script = bench.run(&["completions", shell]).await.out;
        assert!(script.contains("XBT_COMPLETE") && script.contains("xbtctl"), "{shell}: {script}");
    }
    assert!(bench.run(&["man"]).await.out.contains(".TH xbtctl 1"));
    assert_eq!(bench.run(&["man", "--dir", "pages"]).await.code(), 0);
    for page in ["xbtctl.1", "xbtctl-send.1", "xbtctl-contacts-verify.1"] {
        assert!(bench.dir.path().join("pages").join(page).exists(), "{page}");
    }
}

#[tokio::test]
async fn doctor_ends_with_1_if_there_is_a_problem_and_tells_it_on_a_line_of_its_own() {
    let bench = Bench::new().await;
    let ran = bench.run(&["doctor"]).await;
    assert_eq!((ran.code(), ran.err.as_str()), (1, ""));
    let problem =
        "problem  account     alice@example.org is not logged in: the server refused the password → change it\n";
    assert!(ran.out.contains(problem), "{}", ran.out);
    let ran = bench.run(&["doctor", "--json"]).await;
    assert_eq!(ran.code(), 1);
    let json = ran.json();
    assert_eq!((&json["healthy"], &json["findings"][0]["check"]), (&false.into(), &"daemon".into()));
    bench.kill_daemon();
    let ran = bench.run(&["doctor"]).await;
    assert_eq!(ran.code(), 1);
    assert!(ran.out.starts_with("problem  daemon      the daemon cannot be reached at "), "{}", ran.out);
    assert_eq!(ran.out.lines().count(), 1);
}
