//! Wall clocks that jump: nothing is lost, and nothing lapses but what the clock says has lapsed.

use xbt_tests::content::{self, MIB};
use xbt_tests::ctl::{id, text};
use xbt_tests::daemon::jid;
use xbt_tests::{Daemon, Stage, wait};

use super::{Job, check, meet, settle};

/// Sends a file with an expiry; returns the transfer's id.
fn send(daemon: &Daemon, stage: &Stage, name: &str, expire: Option<&str>) -> u64 {
    let source = stage.file(name, 300_000);
    let contact = jid("bob");
    let mut args = vec!["send", &contact, text(&source)];
    args.extend(expire.iter().flat_map(|span| ["--expire", span]));
    id(&daemon.ctl.json(&args))
}

/// The daemon itself lives in another time: its clock was read, or this tests nothing.
#[track_caller]
fn lives_in(daemon: &Daemon, stage: &Stage, year: impl Fn(i64) -> bool) {
    let probe = send(daemon, stage, &format!("probe of {}", daemon.name()), None);
    let created = daemon.ctl.show(probe)["created"].as_str().map(str::to_owned);
    let found = created.as_deref().and_then(|text| text.get(..4)?.parse().ok());
    assert!(found.is_some_and(&year), "{}: {created:?}", daemon.name());
    daemon.ctl.tell("cancel", probe);
    daemon.ctl.tell("remove", probe);
}

fn this_year() -> i64 {
    let days = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / 86_400;
    1970 + (days as f64 / 365.2425) as i64
}

#[test]
fn clocks_that_jump_in_mid_transfer_do_not_touch_it() {
    let stage = Stage::new();
    let alice = stage.person("alice").with("network.upload_limit", "4 MiB/s").with_clock().online();
    let mut bob = stage.person("bob").with_clock().online();
    let source = stage.file("jumpy.bin", 24 * MIB);
    // It lapses in an hour, but for having been taken.
    let out = id(&alice.ctl.json(&["send", &jid("bob"), text(&source), "--expire", "1h"]));
    let inn = bob.ctl.offer("jumpy.bin");
    bob.ctl.accept(inn);
    for (moved, one, other) in [(2, "+1y", "-1d"), (6, "-1d", "+1y"), (10, "+0", "+0"), (14, "-1d", "-1d")] {
        bob.ctl.has_moved(inn, moved * MIB);
        alice.clock().set(one);
        bob.clock().set(other);
        if moved == 6 {
            // What it noted of its partial data in one time is believed in another.
            bob.restart();
        }
    }
    bob.ctl.reaches(inn, "done");
    alice.ctl.reaches(out, "done");
    assert_eq!(content::hash(&bob.downloads().join("jumpy.bin")), content::hash(&source));
    assert_eq!(content::names(&bob.downloads()), ["jumpy.bin"]);
    assert!(!alice.log().contains("panicked") && !bob.log().contains("panicked"));
}

#[test]
fn queued_offers_outlive_jumps_and_lapse_only_when_the_clock_says_so() {
    let stage = Stage::new();
    let mut alice = stage.person("alice").with_clock().online();
    let plain = send(&alice, &stage, "plain.bin", None);
    let hour = send(&alice, &stage, "hour.bin", Some("1h"));
    let long = send(&alice, &stage, "long.bin", Some("800d"));
    let states = |alice: &Daemon| [plain, hour, long].map(|id| alice.ctl.show(id)["state"].clone());
    for one in [plain, hour, long] {
        alice.ctl.reaches(one, "queued");
    }
    // The clock falls back, also over a restart: nothing lapses.
    alice.clock().set("-400d");
    lives_in(&alice, &stage, |year| year < this_year());
    alice.restart();
    assert_eq!(states(&alice), ["queued", "queued", "queued"]);
    // It runs ahead: the one that lapses in an hour has lapsed, and nothing else.
    alice.clock().set("+400d");
    lives_in(&alice, &stage, |year| year > this_year());
    alice.restart();
    alice.ctl.reaches(hour, "expired");
    assert_eq!(states(&alice), ["queued", "expired", "queued"]);
    // It is right again: the others arrive.
    alice.clock().set("+0");
    alice.restart();
    let bob = stage.person("bob").with("accept.from", vec![jid("alice")]).online();
    let jobs = ["plain.bin", "long.bin"].map(|name| Job { name: name.into(), from: 0 });
    settle([&alice, &bob], &jobs);
    check(&stage, [&alice, &bob], &jobs);
    assert_eq!(states(&alice), ["done", "expired", "done"]);
}

#[test]
fn what_a_receiver_with_a_wrong_clock_refused_as_lapsed_arrives_once_the_clock_is_right() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let mut bob = stage.person("bob").with("accept.from", vec![jid("alice")]).with_clock();
    bob.clock().set("+400d");
    bob.start();
    meet(&alice, &bob);
    let out = send(&alice, &stage, "hour.bin", Some("1h"));
    let refused = alice.ctl.becomes(out, "was refused", |one| one["why"]["code"] == "refused");
    assert!(refused["why"]["text"].as_str().is_some_and(|text| text.contains("expired")), "{refused}");
    let other = send(&alice, &stage, "plain.bin", None);
    alice.ctl.reaches(other, "done");
    assert_eq!(alice.ctl.show(out)["state"], "queued", "it is kept until our own clock says that it has lapsed");
    bob.clock().set("+0");
    bob.restart();
    alice.ctl.reaches(out, "done");
    wait::until("both have arrived", wait::SOON, || {
        (content::names(&bob.downloads()) == ["hour.bin", "plain.bin"]).then_some(())
    });
}
