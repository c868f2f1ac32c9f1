//! Commands really run, here with /bin/sh as the person's own program.
#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

fn job(transfer: u64, hook: Hook, script: &str, time: u64) -> Job {
    Job {
        transfer: TransferId(transfer),
        contact: BareJid::from_normalised("bob@example.org"),
        hook,
        command: ["/bin/sh", "-c", script].map(str::to_owned).into(),
        facts: vec![("XBT_NAME", "$(false) `false`".into())],
        time: Duration::from_secs(time),
    }
}

async fn outcome(script: &str, time: u64) -> Result<(), String> {
    let mut hooks = Hooks::default();
    hooks.add(job(1, Hook::Complete, script, time)).unwrap();
    hooks.ended().await.unwrap().outcome
}

#[tokio::test]
async fn facts_are_in_the_environment_and_only_what_is_harmless_of_ours() {
    let check = "test \"$XBT_NAME\" = '$(false) `false`' && test -n \"$PATH\" && test -z \"$CARGO_PKG_NAME$CARGO_MANIFEST_DIR\"";
    assert!(env::var_os("CARGO_MANIFEST_DIR").is_some(), "there is something to hide");
    assert_eq!(outcome(check, 20).await, Ok(()));
}

#[tokio::test]
async fn a_failure_is_told_with_what_the_command_complained_about() {
    let told = outcome("echo first >&2; echo 'no\tspace' >&2; exit 3", 20).await.unwrap_err();
    assert_eq!(told, "failed (exit status: 3): no space");
    let mut hooks = Hooks::default();
    let missing = Job { command: vec!["/no/such/program".into()], ..job(1, Hook::Offer, "", 20) };
    hooks.add(missing).unwrap();
    assert!(hooks.ended().await.unwrap().outcome.unwrap_err().starts_with("cannot be run: "));
}

#[tokio::test]
async fn a_command_that_others_may_write_to_is_not_run() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let (program, ran) = (dir.path().join("hook"), dir.path().join("ran"));
    std::fs::write(&program, format!("#!/bin/sh\ntouch '{}'\n", ran.display())).unwrap();
    for (mode, runs) in [(0o757, false), (0o755, true)] {
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(mode)).unwrap();
        let mut hooks = Hooks::default();
        let command = vec![program.display().to_string()];
        hooks.add(Job { command, ..job(1, Hook::Complete, "", 20) }).unwrap();
        let outcome = hooks.ended().await.unwrap().outcome;
        assert_eq!((outcome.is_ok(), ran.exists()), (runs, runs), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_command_that_hangs_or_never_stops_talking_is_ended_in_time() {
    for script in ["sleep 600 & wait", "while :; do echo yes; done", "trap '' TERM HUP; while :; do sleep 1; done"] {
        assert_eq!(outcome(script, 1).await.unwrap_err(), "took longer than 1 s and was killed");
    }
}

#[tokio::test]
async fn at_most_four_run_at_a_time_and_all_get_their_turn() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().display();
    // Each leaves a file while it runs, and says how many there are.
    let script = format!("cd '{place}'; touch $$.runs; ls *.runs | wc -l >> count; sleep 0.1; rm $$.runs");
    let mut hooks = Hooks::default();
    for n in 0..12 {
        let hook = if n < 6 { Hook::Offer } else { Hook::Complete };
        hooks.add(job(n, hook, &script, 20)).unwrap();
    }
    for _ in 0..12 {
        assert_eq!(hooks.ended().await.unwrap().outcome, Ok(()));
    }
    let counts = std::fs::read_to_string(dir.path().join("count")).unwrap();
    let most: usize = counts.lines().map(|line| line.trim().parse().unwrap()).max().unwrap();
    assert!((1..=AT_ONCE).contains(&most) && counts.lines().count() == 12, "{counts}");
}

#[tokio::test]
async fn what_is_done_comes_before_what_is_offered() {
    let mut hooks = Hooks::default();
    // All places but one are taken for good, so the others run one after the other.
    for n in 1..AT_ONCE as u64 {
        let contact = BareJid::from_normalised(format!("{n}@example.org"));
        hooks.add(Job { contact, ..job(n, Hook::Offer, "sleep 600", 600) }).unwrap();
    }
    for (n, hook) in [(10, Hook::Offer), (11, Hook::Offer), (12, Hook::Complete), (13, Hook::Complete)] {
        hooks.add(job(n, hook, "true", 20)).unwrap();
    }
    let mut order = Vec::new();
    for _ in 0..4 {
        order.push(hooks.ended().await.unwrap().transfer.0);
    }
    assert_eq!(order, [10, 12, 13, 11]);
}

#[tokio::test]
async fn a_contact_that_offers_without_end_fills_only_its_own_part_of_the_queue() {
    let mut hooks = Hooks::default();
    let flood = (0..200).filter_map(|n| hooks.add(job(n, Hook::Offer, "sleep 600", 600)).err()).collect::<Vec<_>>();
    assert_eq!(flood.len(), 200 - AT_ONCE_FOR_ONE - OFFERS_WAITING);
    assert!(flood[0].outcome.as_ref().unwrap_err().contains("too many commands wait"));
    let other = Job { contact: BareJid::from_normalised("carol@example.org"), ..job(300, Hook::Offer, "true", 20) };
    assert!(hooks.add(other).is_ok() && hooks.add(job(301, Hook::Complete, "true", 20)).is_ok());
    assert_eq!(hooks.ended().await.unwrap().transfer.0, 300, "it does not wait for those of the flood");
}

#[tokio::test]
async fn what_runs_when_the_daemon_ends_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let pid = dir.path().join("pid");
    let mut hooks = Hooks::default();
    hooks
        .add(job(
            1,
            Hook::Complete,
            &format!("sleep 600 & echo $! > '{}.t'; mv '{0}.t' '{0}'; wait", pid.display()),
            60,
        ))
        .unwrap();
    let text = loop {
        match std::fs::read_to_string(&pid) {
            Ok(text) => break text,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    drop(hooks);
    let stat = format!("/proc/{}/stat", text.trim());
    while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

proptest! {
    #[test]
    fn values_from_outside_are_one_bounded_line(value in "\\PC{0,40}|[\\x01-\\x7f]{0,40}|.{4000,4200}") {
        let clean = facts::clean(&value);
        prop_assert!(clean.len() <= 4_096 && !clean.chars().any(char::is_control));
        let turns = clean.contains(['\u{202e}', '\u{2028}']);
        prop_assert!(!turns);
        prop_assert_eq!(facts::clean(&clean), clean.clone());
    }
}
