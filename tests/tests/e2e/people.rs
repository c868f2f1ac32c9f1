//! What people look at: the whole screen, and tables that fit it.

use xbt_tests::content::MIB;
use xbt_tests::daemon::jid;
use xbt_tests::{Stage, wait};

use crate::terminal::Terminal;

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
