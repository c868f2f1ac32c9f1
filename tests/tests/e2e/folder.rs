//! A folder arrives whole, or it is said beforehand what cannot be carried.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use xbt_tests::Stage;
use xbt_tests::ctl::text;
use xbt_tests::daemon::{Daemon, jid};

/// Sends from alice to bob, accepts, and waits until both say done. Returns the numbers there.
#[track_caller]
fn move_over(alice: &Daemon, bob: &Daemon, path: &Path) -> (u64, u64) {
    let out = alice.ctl.send(&jid("bob"), path);
    let inn = bob.ctl.offer(text(Path::new(path.file_name().unwrap())));
    bob.ctl.accept(inn);
    bob.ctl.reaches(inn, "done");
    alice.ctl.reaches(out, "done");
    (out, inn)
}

#[track_caller]
fn git(folder: &Path, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=a", "-c", "user.email=a@localhost", "-c", "core.hooksPath=/dev/null"];
    let mut command = Command::new("git");
    command.current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    let ran = command.args(identity).args(arguments).output().expect("git is there");
    let output = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "git {arguments:?}: {output}{}", String::from_utf8_lossy(&ran.stderr));
    output
}

#[test]
fn a_packed_git_repository_arrives_as_one() {
    let stage = Stage::new();
    let (alice, bob) = (stage.online("alice"), stage.online("bob"));
    let source = stage.source("project");
    fs::create_dir_all(source.join("bin")).unwrap();
    fs::write(source.join("bin/run"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(source.join("bin/run"), Permissions::from_mode(0o755)).unwrap();
    fs::write(source.join("read.me"), "words\n").unwrap();
    symlink("bin/run", source.join("start")).unwrap();
    symlink("../read.me", source.join("bin/about")).unwrap();
    git(&source, &["init", "--quiet"]);
    git(&source, &["add", "."]);
    git(&source, &["commit", "--quiet", "-m", "first"]);
    git(&source, &["pack-refs", "--all"]);
    git(&source, &["gc", "--quiet"]);
    let old = File::options().write(true).open(source.join("read.me")).unwrap();
    old.set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
    assert!(fs::read_dir(source.join(".git/refs/heads")).unwrap().next().is_none(), "a folder that is empty");

    move_over(&alice, &bob, &source);
    let got = bob.downloads().join("project");
    git(&got, &["fsck", "--strict"]);
    assert_eq!(git(&got, &["status", "--porcelain"]), "");
    assert_eq!(git(&got, &["log", "--format=%s"]), "first\n");
    assert_eq!(fs::metadata(got.join("read.me")).unwrap().mtime(), 1_000_000_000);
    assert_ne!(fs::metadata(got.join("bin/run")).unwrap().mode() & 0o100, 0);
    assert_eq!(fs::read_link(got.join("bin/about")).unwrap(), Path::new("../read.me"));
}

#[test]
fn a_script_stays_executable_and_keeps_its_time() {
    let stage = Stage::new();
    let (alice, bob) = (stage.online("alice"), stage.online("bob"));
    let source = stage.file("run.sh", 100);
    fs::set_permissions(&source, Permissions::from_mode(0o4755)).unwrap();
    File::open(&source).unwrap().set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
    move_over(&alice, &bob, &source);
    let meta = fs::metadata(bob.downloads().join("run.sh")).unwrap();
    assert_eq!((meta.mode() & 0o7100, meta.mtime()), (0o100, 1_000_000_000));
}

#[test]
fn what_is_excluded_and_what_is_unfinished_stays_at_home_and_it_is_said() {
    let stage = Stage::new();
    let (alice, bob) = (stage.online("alice"), stage.online("bob"));
    let source = stage.source("project");
    for name in ["main.c", "main.o", "build/log", "deep/er/other.o", "notes.secret", ".xbt-offer.part/half"] {
        let path = source.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
    fs::write(source.join(".xbtignore"), "# made from the rest\n*.o\nbuild/\n").unwrap();
    let sent = alice.ctl.run(&["send", &jid("bob"), text(&source), "--exclude", "*.secret"]);
    assert_eq!(sent.code, Some(0), "{sent:#?}");
    assert!(sent.stderr.contains("left out: 4 things that are excluded"), "{sent:#?}");
    assert!(sent.stderr.contains("left out: 1 unfinished download"), "{sent:#?}");
    let inn = bob.ctl.offer("project");
    bob.ctl.accept(inn);
    bob.ctl.reaches(inn, "done");
    let got = bob.downloads().join("project");
    assert_eq!(xbt_tests::content::names(&got), ["deep", "main.c"]);
    assert!(got.join("deep/er").is_dir() && !got.join("deep/er/other.o").exists());
    alice.ctl.refused(&["send", &jid("bob"), text(&source), "--exclude", "a{b"], "bad-pattern");
}

#[test]
fn files_that_the_kernel_makes_up_are_refused_at_once() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    for path in ["/proc/cpuinfo", "/proc/sys/kernel/random", "/sys/kernel/notes"] {
        let refusal = alice.ctl.refused(&["send", &jid("bob"), path, "--together"], "special-file");
        assert!(refusal.message.contains("makes them up"), "{refusal:?}");
    }
    assert!(alice.ctl.list().is_empty());
}

#[test]
fn thousands_of_files_need_few_descriptors_at_both_sides() {
    let stage = Stage::new();
    let alice = stage.person("alice").with_open_files(256).online();
    let bob = stage.person("bob").with_open_files(256).online();
    let source = stage.tree("many", 3000, 3_000_000);
    let (_, inn) = move_over(&alice, &bob, &source);
    assert_eq!(bob.ctl.show(inn)["files"], 3000);
    for daemon in [&alice, &bob] {
        assert!(!daemon.log().contains("Too many open files"), "{}", daemon.log());
    }
}

#[test]
fn what_cannot_be_carried_is_refused_at_once_and_left_out_only_when_asked() {
    let stage = Stage::new();
    let (alice, bob) = (stage.online("alice"), stage.online("bob"));
    let source = stage.tree("odds", 3, 3000);
    symlink("/etc/hostname", source.join("absolute")).unwrap();
    symlink("../../odds", source.join("outside")).unwrap();
    let _socket = UnixListener::bind(source.join("socket")).unwrap();
    fs::write(source.join(".xbt-unfinished.part"), "half").unwrap();
    let refusal = alice.ctl.refused(&["send", &jid("bob"), text(&source)], "special-file");
    for name in ["absolute", "outside", "socket"] {
        assert!(refusal.message.contains(text(&source.join(name))), "{refusal:?}");
    }
    assert!(refusal.hint.contains("--skip-special") && alice.ctl.list().is_empty(), "{refusal:?}");
    alice.ctl.refused(&["send", &jid("bob"), text(&source), "--dry-run"], "special-file");
    let dry = alice.ctl.json(&["send", &jid("bob"), text(&source), "--dry-run", "--skip-special"]);
    assert_eq!((&dry["files"], &dry["omitted"]), (&3.into(), &3.into()), "{dry}");

    let sent = alice.ctl.run(&["send", &jid("bob"), text(&source), "--skip-special"]);
    assert!(sent.code == Some(0) && sent.stderr.contains("left out: 3 things"), "{sent:#?}");
    let out = sent.stdout.trim().parse().unwrap();
    let inn = bob.ctl.offer("odds");
    bob.ctl.accept(inn);
    bob.ctl.reaches(inn, "done");
    alice.ctl.reaches(out, "done");
    for (daemon, id) in [(&alice, out), (&bob, inn)] {
        assert_eq!(daemon.ctl.show(id)["omitted"], 3);
        assert!(daemon.ctl.ok(&["show", &id.to_string()]).contains("left out:       3 that could not be sent"));
    }
    let got = bob.downloads().join("odds");
    assert!(["absolute", "outside", "socket", ".xbt-unfinished.part"].iter().all(|name| !got.join(name).exists()));
}
