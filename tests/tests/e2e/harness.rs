//! The harness itself: what the other tests stand on.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use xbt_tests::process::{Launch, Process};
use xbt_tests::{Stage, disk, wait};

#[test]
fn friends_see_each_other_and_the_server_counts_logins_over_restarts() {
    let mut stage = Stage::new();
    let mut alice = stage.chat("alice");
    let mut bob = stage.chat("bob");
    alice.wait_for("from='bob@localhost/chat'");
    bob.say("alice@localhost", "hello");
    alice.wait_for("<body>hello</body>");
    assert_eq!((stage.prosody.logins("alice"), stage.prosody.connections()), (1, 2));
    drop((alice, bob));
    stage.prosody.kill9();
    stage.prosody.start();
    drop(stage.chat("alice"));
    wait::until("both logins are counted", wait::SOON, || (stage.prosody.logins("alice") == 2).then_some(()));
}

#[test]
fn a_private_network_counts_its_bytes() {
    let stage = Stage::counted();
    let bytes = stage.net().bytes();
    assert!(bytes < 10_000, "nothing but the start of Prosody: {bytes}");
}

#[test]
fn a_small_disk_is_small_and_its_files_are_seen_from_outside() {
    let folder = tempfile::tempdir().unwrap();
    let mount = folder.path().join("disk");
    fs::create_dir(&mount).unwrap();
    let script = format!("head -c 3000000 /dev/zero > '{}/zero'; echo wrote $?; exec sleep infinity", mount.display());
    let process = run(folder.path(), disk::small(1 << 20, &mount), &script);
    wait::until("it has tried", wait::SOON, || process.log().contains("wrote 1").then_some(()));
    let seen = Path::new("/proc").join(process.pid().to_string()).join("root").join(mount.strip_prefix("/").unwrap());
    assert_eq!(fs::metadata(seen.join("zero")).unwrap().len(), 1 << 20);
    assert!(!mount.join("zero").exists(), "only there");
}

#[test]
fn what_is_unreadable_is_so_for_root_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("locked");
    fs::write(&file, "secret").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    let process = run(folder.path(), Vec::new(), &format!("cat '{}'; echo ended $?", file.display()));
    wait::until("it has tried", wait::SOON, || process.log().contains("ended 1").then_some(()));
}

fn run(folder: &Path, through: Vec<std::ffi::OsString>, script: &str) -> Process {
    Process::start(Launch {
        name: "a shell",
        through,
        program: Path::new("/bin/sh"),
        args: vec!["-c".into(), script.into()],
        env: Vec::new(),
        folder,
        log: folder.join("log"),
    })
}
