//! Somebody ends a transfer, and at that very moment somebody dies: both sides agree all the same.

use std::time::Duration;

use serde_json::Value;
use xbt_tests::content::{self, MIB};
use xbt_tests::ctl::id;
use xbt_tests::daemon::jid;
use xbt_tests::trial::{Chance, Trial};
use xbt_tests::{Daemon, Stage, wait};

use super::{clear, look, pick};

/// What ends it, who says so (0: the sender), and the state that this leads to.
const ENDS: [(&str, usize, &str); 3] =
    [("cancel", 0, "cancelled"), ("cancel", 1, "cancelled"), ("decline", 1, "declined")];

fn only(daemon: &Daemon, direction: &str, name: &str) -> Option<Value> {
    let list = look(daemon)?;
    let found = pick(&list, direction, name);
    assert!(found.len() <= 1, "nothing is there twice: {found:#?}");
    found.first().map(|one| (*one).clone())
}

/// Waits until both have ended it, and the same way; returns how.
#[track_caller]
fn agreed(pair: &[Daemon; 2], name: &str) -> String {
    let mut seen = None;
    let found = wait::within(wait::LONG, || {
        let both = [only(&pair[0], "out", name)?, only(&pair[1], "in", name)?];
        let states = both.clone().map(|one| one["state"].as_str().unwrap_or_default().to_owned());
        seen = Some(both);
        let ended = ["done", "cancelled", "declined", "failed", "expired", "elsewhere"];
        (ended.contains(&states[0].as_str()) && states[0] == states[1]).then(|| states[1].clone())
    });
    found.unwrap_or_else(|| panic!("{name} must have ended the same way on both sides: {seen:#?}"))
}

/// Kills one of the two, or both, and starts them again.
fn hit(pair: &mut [Daemon; 2], chance: &mut Chance) {
    let victims = [&[0][..], &[1], &[0, 1]][chance.below(3) as usize];
    println!("kill {victims:?}");
    for victim in victims {
        pair[*victim].kill9();
    }
    chance.pause(Duration::from_millis(200));
    for victim in victims {
        pair[*victim].start();
    }
}

#[test]
fn kills_while_a_transfer_is_ended_leave_both_sides_agreed() {
    let stage = Stage::new();
    let mut pair = [stage.person("alice").with("network.upload_limit", "8 MiB/s").online(), stage.online("bob")];
    for round in Trial::new("fire::endings::kills_while_a_transfer_is_ended_leave_both_sides_agreed", 5) {
        let mut chance = round.chance();
        let name = format!("round {}", round.number);
        content::file(&stage.source(&name), 1 + chance.below(6 * MIB), round.number);
        let out = pair[0].ctl.send(&jid("bob"), &stage.source(&name));
        let inn = wait::until("there is an offer", wait::LONG, || {
            only(&pair[1], "in", &name).filter(|one| one["state"] == "offered").map(|one| id(&one))
        });
        let (verb, who, state) = ENDS[chance.below(3) as usize];
        if verb != "decline" {
            pair[1].ctl.accept(inn);
            chance.pause(Duration::from_millis(700));
        }
        let said = pair[who].ctl.spawn(&[verb, &[out, inn][who].to_string()]);
        chance.pause(Duration::from_millis(60));
        hit(&mut pair, &mut chance);
        let told = said.ends_within(wait::SOON).code == Some(0);
        println!("round {}: {verb} by {who}, answered: {told}", round.number);
        if !told {
            // Whether it counted is not known: the person says it again, which is refused where it did.
            let _ = pair[who].ctl.run(&[verb, &[out, inn][who].to_string()]);
        }
        let end = agreed(&pair, &name);
        // It may have been done, in truth, before the other side heard of the end.
        assert!(end == state || end == "done", "{name}: {end} after {verb}");
        let expected: &[String] = if end == "done" { std::slice::from_ref(&name) } else { &[] };
        wait::until(&format!("there is nothing but {expected:?} of {name}, which was {end}"), wait::SOON, || {
            (content::names(&pair[1].downloads()) == expected).then_some(())
        });
        clear([&pair[0], &pair[1]]);
    }
}
