//! The XMPP server dies in the middle of what the two say to each other.

use std::time::Duration;

use xbt_tests::content;
use xbt_tests::ctl::id;
use xbt_tests::daemon::jid;
use xbt_tests::trial::Trial;
use xbt_tests::{Stage, wait};

use super::{Job, check, clear, meet, settle};

#[test]
fn a_server_that_dies_in_mid_signalling_loses_and_doubles_nothing() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.online("alice"), stage.online("bob"));
    let pair = [&alice, &bob];
    for round in Trial::new("fire::signalling::a_server_that_dies_in_mid_signalling_loses_and_doubles_nothing", 6) {
        let mut chance = round.chance();
        if chance.once_in(2) {
            meet(&alice, &bob);
        }
        let job = Job { name: format!("round {}", round.number), from: chance.below(2) as usize };
        content::file(&stage.source(&job.name), chance.below(300_000), round.number);
        let to = jid(["bob", "alice"][job.from]);
        pair[job.from].ctl.send(&to, &stage.source(&job.name));
        let after_accept = chance.once_in(2);
        if after_accept {
            let receiver = pair[1 - job.from];
            let offer = wait::until("there is an offer", wait::LONG, || {
                receiver.ctl.named("in", &job.name).first().filter(|one| one["state"] == "offered").map(id)
            });
            receiver.ctl.accept(offer);
        }
        chance.pause(Duration::from_millis(if after_accept { 60 } else { 250 }));
        // An administrator's restart says good-bye, a crash does not.
        if chance.once_in(3) {
            stage.prosody.stop();
        } else {
            stage.prosody.kill9();
        }
        chance.pause(Duration::from_millis(300));
        stage.prosody.start();
        settle(pair, std::slice::from_ref(&job));
        check(&stage, pair, std::slice::from_ref(&job));
        clear(pair);
    }
}
