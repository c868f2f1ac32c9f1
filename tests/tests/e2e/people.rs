//! What people look at: the whole screen, and tables that fit it.

use xbt_tests::content::MIB;
use xbt_tests::daemon::jid;
use xbt_tests::terminal::Terminal;
use xbt_tests::{Stage, wait};

#[test]
fn top_shows_what_moves_obeys_keys_and_gives_the_terminal_back() {
    let stage = Stage::new();
    let alice = stage.person("alice").with("network.upload_limit", "200 KiB/s").online();
    let bob = stage.online("bob");
    let out = alice.ctl.send(&jid("bob"), &stage.file("slow.bin", 50 * MIB));
    let inn = bob.ctl.offer("slow.bin");
    let mut seat = Terminal::run(&bob.ctl.command(&["top"]));
    seat.sees("offered");
    seat.sees("1 to answer");
    seat.types("a");
    bob.ctl.reaches(inn, "receiving");
    seat.sees("receiving");
    seat.sees("KiB/s");
    seat.sees("1× direct-tcp");
    println!("{}", seat.sight());
    seat.types("p");
    wait::until("the key has paused it", wait::SOON, || (bob.ctl.show(inn)["paused"] == true).then_some(()));
    seat.types("c");
    seat.sees("Cancel 1 slow.bin");
    seat.types("y");
    alice.ctl.reaches(out, "cancelled");
    seat.types("q");
    let (code, screen) = seat.ends();
    assert_eq!(code, 0, "{screen}");
    let (begun, left) = (screen.rfind("\u{1b}[?1049h"), screen.rfind("\u{1b}[?1049l"));
    assert!(begun.is_some() && left > begun, "the screen before is back: {screen:?}");
}

#[test]
fn top_gives_the_terminal_back_also_when_it_is_killed_and_when_the_daemon_goes() {
    let stage = Stage::new();
    let mut alice = stage.online("alice");
    let restored = |screen: &str| screen.rfind("\u{1b}[?1049l") > screen.rfind("\u{1b}[?1049h");
    let seat = Terminal::run(&alice.ctl.command(&["top"]));
    seat.sees("online");
    seat.signal(rustix::process::Signal::TERM);
    let (code, screen) = seat.ends();
    assert!(code == 130 && restored(&screen), "{code} {screen:?}");
    let seat = Terminal::run(&alice.ctl.command(&["top"]));
    seat.sees("online");
    alice.stop();
    let (code, screen) = seat.ends();
    assert!(code == 3 && restored(&screen), "{code} {screen:?}");
    assert!(screen.contains("error:") && screen.contains("it closed the connection"), "{screen:?}");
}

#[test]
fn waiting_for_several_shows_a_bar_for_each_and_one_for_all() {
    let stage = Stage::new();
    let alice = stage.person("alice").with("network.upload_limit", "300 KiB/s").online();
    let bob = stage.online("bob");
    let _dave = stage.online("dave");
    let source = stage.file("slow.bin", 8 * MIB);
    let line = ["send", "-w", &jid("bob"), source.to_str().unwrap(), "--to", &jid("dave")];
    let seat = Terminal::run(&alice.ctl.command(&line));
    let inn = bob.ctl.offer("slow.bin");
    seat.sees("0 of 2 ended");
    bob.ctl.accept(inn);
    seat.sees("sending");
    seat.sees("KiB/s");
    seat.sees("left");
    println!("{}", seat.sight());
    for out in alice.ctl.named("out", "slow.bin") {
        alice.ctl.ok(&["cancel", &out["id"].to_string()]);
    }
    let (code, screen) = seat.ends();
    assert_eq!(code, 1, "{screen}");
    assert!(screen.contains("was cancelled"), "{screen}");
}

#[test]
fn watch_is_a_live_log_on_a_terminal() {
    let stage = Stage::new();
    let (alice, bob) = (stage.online("alice"), stage.online("bob"));
    let mut seat = Terminal::run(&bob.ctl.command(&["watch"]));
    seat.sees("Watching");
    alice.ctl.send(&jid("bob"), &stage.file("seen.bin", 100_000));
    let inn = bob.ctl.offer("seen.bin");
    seat.sees("seen.bin ← alice@localhost");
    bob.ctl.accept(inn);
    bob.ctl.reaches(inn, "done");
    seat.sees("done");
    println!("{}", seat.sight());
    seat.types("\u{3}");
    let (code, screen) = seat.ends();
    assert_eq!(code, 130, "{screen}");
    assert!(screen.contains("\u{1b}[32mdone"), "{screen}");
}

#[test]
fn a_table_fits_the_terminal_and_has_colours_only_there() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let name = "a-very-long-name-".repeat(9) + ".bin";
    alice.ctl.send(&jid("bob"), &stage.file(&name, 10));
    let piped = alice.ctl.ok(&["list"]);
    assert!(piped.contains(&name) && !piped.contains('\u{1b}'), "{piped}");
    let (code, screen) = Terminal::run(&alice.ctl.command(&["list"])).ends();
    assert_eq!(code, 0, "{screen}");
    assert!(!screen.contains(&name) && screen.contains("a-very-long-name-") && screen.contains("\u{1b}["), "{screen}");
    let mut plain = alice.ctl.command(&["list"]);
    plain.env("NO_COLOR", "1");
    let (_, screen) = Terminal::run(&plain).ends();
    assert!(!screen.contains('\u{1b}') && screen.lines().all(|line| line.chars().count() <= 120), "{screen}");
}
