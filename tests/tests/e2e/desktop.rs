//! Notifications, on a real notification server and pressed with a real mouse pointer.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use xbt_tests::content::MIB;
use xbt_tests::daemon::jid;
use xbt_tests::{Desktop, Stage, wait};

#[test]
fn an_offer_is_accepted_by_a_click_and_its_progress_and_its_end_are_shown() {
    let stage = Stage::new();
    let alice = stage.person("alice").with("network.upload_limit", "2 MiB/s").online();
    let bob = stage.online("bob");
    let desktop = Desktop::new(&stage.folder().join("desktop"));
    let _notifier = desktop.notifier(&bob);
    alice.ctl.send(&jid("bob"), &stage.tree("holiday <b>& more", 12, 16 * MIB));
    let offer = desktop.tells(&[
        "Alice wants to send you files",
        "holiday &lt;b&gt;&amp; more (12 files, 16.0 MiB)",
        "alice@localhost",
    ]);
    for part in [
        "\"accept\"",
        "\"Accept\"",
        "\"decline\"",
        "\"Decline\"",
        "\"category\"",
        "\"transfer\"",
        "\"desktop-entry\"",
        "\"xbt\"",
    ] {
        assert!(offer.contains(part), "{part} is missing: {offer}");
    }
    desktop.picture("notification-offer");
    let got = bob.ctl.offer("holiday <b>& more");
    let begun = Instant::now();
    desktop.presses("Accept");
    let progress = desktop.tells(&["Receiving from Alice", "holiday &lt;b&gt;&amp; more", "\"value\""]);
    assert!(progress.contains("of 16.0 MiB"), "{progress}");
    desktop.picture("notification-progress");
    bob.ctl.reaches(got, "done");
    let done =
        desktop.tells(&["Received from Alice", "holiday &lt;b&gt;&amp; more", "\"transfer.complete\"", "Open folder"]);
    assert!(!done.contains("uint32 0\n"), "it takes the place of the progress: {done}");
    let updates = desktop.told().iter().filter(|call| call.contains("Receiving")).count() as u64;
    let seconds = begun.elapsed().as_secs();
    assert!(updates <= seconds + 2, "one update a second at most: {updates} in {seconds} s");
    desktop.shows(1);
    desktop.picture("notification-done");
}

#[test]
fn an_offer_is_declined_by_a_click_and_the_sender_is_told() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let bob = stage.online("bob");
    let desktop = Desktop::new(&stage.folder().join("desktop"));
    let senders = Desktop::new(&stage.folder().join("senders desktop"));
    let _notifiers = (desktop.notifier(&bob), senders.notifier(&alice));
    let sent = alice.ctl.send(&jid("bob"), &stage.file("small.bin", MIB));
    desktop.tells(&["Alice wants to send you a file", "small.bin (1 file, 1.0 MiB)"]);
    desktop.presses("Decline");
    alice.ctl.reaches(sent, "declined");
    senders.tells(&["Bob has declined", "small.bin"]);
    desktop.shows(0);
    // What goes well is told at both ends.
    let sent = alice.ctl.send(&jid("bob"), &stage.file("other.bin", MIB));
    desktop.tells(&["Alice wants to send you a file", "other.bin"]);
    desktop.presses("Accept");
    alice.ctl.reaches(sent, "done");
    senders.tells(&["Bob has received", "other.bin"]);
    desktop.tells(&["Received from Alice", "other.bin"]);
}

#[test]
fn notifications_outlive_their_server_and_the_daemon_and_old_ones_are_not_told_again() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let mut bob = stage.online("bob");
    let mut desktop = Desktop::new(&stage.folder().join("desktop"));
    // Before the notifier runs: not told.
    alice.ctl.send(&jid("bob"), &stage.file("early.bin", MIB));
    let early = bob.ctl.offer("early.bin");
    bob.ctl.accept(early);
    bob.ctl.reaches(early, "done");
    alice.ctl.send(&jid("bob"), &stage.file("open.bin", MIB));
    let open = bob.ctl.offer("open.bin");
    let notifier = desktop.notifier(&bob);
    let opened = |desktop: &Desktop| desktop.told().iter().filter(|call| call.contains("open.bin")).count();
    desktop.tells(&["open.bin"]);
    desktop.kill_server();
    desktop.serve();
    wait::until("the open offer is shown again", wait::SOON, || (opened(&desktop) == 2).then_some(()));
    desktop.shows(1);
    bob.restart();
    // A later offer is told once the notifier has seen what the daemon has on its list now.
    let fence = alice.ctl.send(&jid("bob"), &stage.file("fence.bin", MIB));
    desktop.tells(&["fence.bin"]);
    alice.ctl.tell("cancel", fence);
    desktop.shows(1);
    assert_eq!(opened(&desktop), 2, "the same offer is not told again");
    desktop.presses("Accept");
    bob.ctl.reaches(open, "done");
    desktop.tells(&["Received from Alice", "open.bin"]);
    assert!(!desktop.calls().contains("early.bin"), "{}", desktop.calls());
    // A second one has nothing to do, and what waits for an answer goes with us.
    assert!(desktop.notifier(&bob).ends_within(wait::SOON).success());
    alice.ctl.send(&jid("bob"), &stage.file("last.bin", MIB));
    desktop.tells(&["Alice wants to send you a file", "last.bin"]);
    assert!(notifier.terminate(wait::SOON).success());
    wait::until("the offer is gone from the screen", wait::SOON, || (desktop.count()? <= 1).then_some(()));
}

#[test]
fn who_asks_to_see_when_we_are_online_is_told() {
    let stage = Stage::new();
    let alice = stage.person("alice").with("accept.subscriptions", "ask").online();
    let erin = stage.online("erin");
    let desktop = Desktop::new(&stage.folder().join("desktop"));
    let _notifier = desktop.notifier(&alice);
    // What came before the notifier looks is not told: it does when an offer is.
    let bob = stage.online("bob");
    bob.ctl.send(&jid("alice"), &stage.file("first.bin", MIB));
    desktop.tells(&["first.bin"]);
    erin.ctl.ok(&["contacts", "add", &jid("alice")]);
    desktop.tells(&["erin@localhost asks to be your contact"]);
}

#[test]
fn a_server_that_does_not_let_the_daemon_in_is_told() {
    let stage = Stage::new();
    let mut alice = stage.online("alice");
    let desktop = Desktop::new(&stage.folder().join("desktop"));
    let _notifier = desktop.notifier(&alice);
    alice.stop();
    alice.password("not it");
    alice.start();
    desktop.tells(&["xbt cannot log in", "password"]);
}

#[test]
fn a_further_device_of_a_contact_is_told_loudly_and_what_arrived_is_shown_by_the_file_manager() {
    let stage = Stage::new();
    let bob = stage.online("bob");
    let desktop = Desktop::new(&stage.folder().join("desktop"));
    let _notifier = desktop.notifier(&bob);
    bob.ctl.ok(&["contacts", "allow", &jid("alice")]);
    let alice = stage.online("alice");
    desktop.tells(&["The key of Alice is saved", "byte 0"]);
    alice.ctl.send(&jid("bob"), &stage.file("first.bin", MIB));
    desktop.tells(&["Received from Alice", "first.bin"]);
    desktop.presses("Open folder");
    let uri = format!("file://{}", bob.downloads().join("first.bin").display());
    wait::until("a file manager is asked for", wait::SOON, || {
        let calls = desktop.calls();
        (calls.contains("member=ShowItems") && calls.contains(&uri)).then_some(())
    });
    let laptop = stage.device("alice", "laptop").online();
    laptop.ctl.send(&jid("bob"), &stage.file("second.bin", MIB));
    desktop.tells(&["Alice uses another device", "xbtctl contacts verify alice@localhost", "byte 2"]);
}

#[test]
fn send_to_asks_in_a_window_and_sends_to_whom_the_person_chooses() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let bob = stage.online("bob");
    alice.ctl.sees(&jid("bob"));
    let desktop = Desktop::new(&stage.folder().join("desktop"));
    let file = stage.file("--title=odd name.bin", MIB);
    let run = |path: &Path| {
        let mut command = desktop.command(xbt_tests::programs::xbtctl().to_str().unwrap(), &["send-to", "--"]);
        command.arg(path).env("XBT_SOCKET", alice.ctl.socket()).spawn().unwrap()
    };
    let window = |title: &str| {
        wait::until("the window is there", wait::SOON, || {
            desktop.says("xdotool", &["search", "--onlyvisible", "--name", title])
        })
    };
    let mut asks = run(&file);
    let list = window("Send --title=odd name.bin");
    desktop.picture("send-to");
    // Who is online is the first; nobody has chosen anything yet.
    desktop.says("xdotool", &["windowfocus", list.trim()]);
    desktop.says("xdotool", &["key", "--delay", "150", "Down", "Home", "Return"]).unwrap();
    let ended = wait::until("it has sent", wait::SOON, || asks.try_wait().unwrap());
    assert!(ended.success());
    bob.ctl.offer("--title=odd name.bin");
    // Whoever closes the window sends nothing, and what goes wrong stands in a window.
    let mut asks = run(&file);
    let list = window("Send --title=odd name.bin");
    desktop.says("xdotool", &["windowfocus", list.trim()]);
    desktop.says("xdotool", &["key", "Escape"]).unwrap();
    assert!(wait::until("it has ended", wait::SOON, || asks.try_wait().unwrap()).success());
    assert_eq!(alice.ctl.list().len(), 1);
    let mut asks = run(&stage.source("not there"));
    let list = window("Send not there");
    desktop.says("xdotool", &["windowfocus", list.trim()]);
    desktop.says("xdotool", &["key", "--delay", "150", "Down", "Home", "Return"]).unwrap();
    let told = window("xbt");
    desktop.picture("send-to-error");
    desktop.says("xdotool", &["windowfocus", told.trim()]);
    desktop.says("xdotool", &["key", "Return"]).unwrap();
    let ended = wait::until("it has ended", wait::SOON, || asks.try_wait().unwrap());
    assert_eq!(ended.code(), Some(1));
}

#[track_caller]
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

#[test]
fn entries_for_menus_sessions_and_file_managers_are_valid_and_name_the_installed_programs() {
    let home = tempfile::tempdir().unwrap();
    let home = fs::canonicalize(home.path()).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let make = |what: &str| {
        let mut make = Command::new("make");
        make.current_dir(&root).args(["--no-print-directory", what]).env("HOME", &home);
        make.arg(format!("PREFIX={}", home.join(".local").display()));
        make.arg(format!("PROGRAMS={}", xbt_tests::programs::xbt_notify().parent().unwrap().display()));
        said(&mut make);
    };
    make("install-files");
    let program = home.join(".local/bin/xbt");
    let dolphin = ".local/share/kio/servicemenus/xbt.desktop";
    for entry in [
        ".local/share/applications/xbt.desktop",
        ".config/autostart/xbt-notify.desktop",
        ".local/share/Thunar/sendto/xbt.desktop",
        dolphin,
    ] {
        let text = fs::read_to_string(home.join(entry)).unwrap();
        assert!(text.contains(&format!("\nExec={}", program.display())), "{entry}: {text}");
        // KDE's service menus are entries of a type of its own, whose keys the validator knows for another one only.
        let checked = home.join("checked.desktop");
        fs::write(&checked, text.replace("Type=Service\n", "Type=Application\nExec=true\n")).unwrap();
        let told = said(Command::new("desktop-file-validate").arg(&checked));
        assert!(told.is_empty(), "{entry}: {told}");
    }
    assert_eq!(fs::metadata(home.join(dolphin)).unwrap().permissions().mode() & 0o111, 0o111);
    let unit = fs::read_to_string(home.join(".local/share/systemd/user/xbt-notify.service")).unwrap();
    assert!(unit.contains(&format!("ExecStart={}-notify\n", program.display())), "{unit}");
    let menu = home.join(".local/share/nautilus-python/extensions/xbt.py");
    let script = "import gi, importlib.util, sys, types\n\
        gi.require_version('Nautilus', next(v for v in ('4.1', '4.0', '3.0') if v in gi.Repository.get_default().enumerate_versions('Nautilus')))\n\
        from gi.repository import Gio\n\
        spec = importlib.util.spec_from_file_location('xbt', sys.argv[1])\n\
        xbt = importlib.util.module_from_spec(spec); spec.loader.exec_module(xbt)\n\
        file = lambda uri: types.SimpleNamespace(get_location=lambda: Gio.File.new_for_uri(uri))\n\
        run = []; xbt.subprocess.Popen = run.append\n\
        items = xbt.SendToContact().get_file_items([file('file:///a%20b')])\n\
        items[0].emit('activate')\n\
        assert xbt.SendToContact().get_file_items([file('sftp://elsewhere/a')]) == []\n\
        print(items[0].props.label, run)\n";
    let told = said(Command::new("/usr/bin/python3").args(["-c", script]).arg(menu));
    assert_eq!(told.trim(), format!("Send to Contact… [['{}ctl', 'send-to', '/a b']]", program.display()));
    make("uninstall");
    let left: Vec<_> =
        xbt_tests::content::tree(&home).into_iter().filter(|path| !path.ends_with("checked.desktop")).collect();
    assert!(left.iter().all(|path| path.to_string_lossy().contains("__pycache__")), "{left:?}");
}
