//! Several devices of one account, several recipients of one send.

use xbt_tests::content::{self, MIB};
use xbt_tests::ctl::{id, text};
use xbt_tests::daemon::jid;
use xbt_tests::{Stage, wait};

#[test]
fn both_devices_show_the_offer_and_after_one_accepts_the_other_shows_elsewhere() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let (desk, sofa) = (stage.device("bob", "desk").online(), stage.device("bob", "sofa").online());
    let source = stage.file("either.bin", 400_000);
    let out = alice.ctl.send(&jid("bob"), &source);
    let (at_desk, at_sofa) = (desk.ctl.offer("either.bin"), sofa.ctl.offer("either.bin"));
    sofa.ctl.accept(at_sofa);
    desk.ctl.reaches(at_desk, "elsewhere");
    sofa.ctl.reaches(at_sofa, "done");
    alice.ctl.reaches(out, "done");
    assert_eq!(content::hash(&sofa.downloads().join("either.bin")), content::hash(&source));
    assert!(content::names(&desk.downloads()).is_empty());
    desk.ctl.refused(&["accept", &at_desk.to_string()], "wrong-state");
}

#[test]
fn of_two_devices_that_accept_at_the_same_time_exactly_one_gets_it() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let devices = [stage.device("bob", "desk").online(), stage.device("bob", "sofa").online()];
    let out = alice.ctl.send(&jid("bob"), &stage.file("race.bin", 400_000));
    let offers = devices.each_ref().map(|device| device.ctl.offer("race.bin"));
    let running: Vec<_> =
        devices.iter().zip(offers).map(|(device, offer)| device.ctl.spawn(&["accept", &offer.to_string()])).collect();
    for one in running {
        one.ends_within(wait::SOON); // the slower one may be refused
    }
    alice.ctl.reaches(out, "done");
    let states = wait::until("both have ended", wait::SOON, || {
        let states = [0, 1].map(|at| devices[at].ctl.show(offers[at])["state"].as_str().unwrap().to_owned());
        states.iter().all(|state| ["done", "elsewhere"].contains(&state.as_str())).then_some(states)
    });
    assert_ne!(states[0], states[1], "one has it, the other knows");
}

#[test]
fn a_device_that_comes_after_the_answer_is_not_asked() {
    let stage = Stage::new();
    let (alice, desk) = (stage.online("alice"), stage.device("bob", "desk").online());
    let out = alice.ctl.send(&jid("bob"), &stage.file("settled.bin", 1000));
    let offer = desk.ctl.offer("settled.bin");
    desk.ctl.accept(offer);
    alice.ctl.reaches(out, "done");
    let sofa = stage.device("bob", "sofa").online();
    // What a device is offered when it appears comes before what is sent later.
    alice.ctl.send(&jid("bob"), &stage.file("later.bin", 1000));
    sofa.ctl.offer("later.bin");
    assert_eq!(sofa.ctl.list().len(), 1);
}

#[test]
fn two_recipients_of_one_send_both_get_it() {
    let stage = Stage::new();
    let (alice, bob, dave) = (stage.online("alice"), stage.online("bob"), stage.online("dave"));
    let source = stage.tree("for two", 40, 6 * MIB);
    let sent = alice.ctl.json_lines(&["send", &jid("bob"), text(&source), "--to", &jid("dave")]);
    assert_eq!(sent.len(), 2, "one transfer for each: {sent:?}");
    for person in [&bob, &dave] {
        let offer = person.ctl.offer("for two");
        person.ctl.accept(offer);
    }
    for (person, one) in [&bob, &dave].into_iter().zip(&sent) {
        assert_eq!(one["contact"], jid(person.name()));
        let done = alice.ctl.reaches(id(one), "done");
        assert_eq!(done["info_hash"], alice.ctl.show(id(&sent[0]))["info_hash"], "one content");
        assert_eq!(content::hash(&person.downloads().join("for two")), content::hash(&source));
    }
}

#[test]
fn what_one_recipient_declines_the_other_still_gets() {
    let stage = Stage::new();
    let (alice, bob, dave) = (stage.online("alice"), stage.online("bob"), stage.online("dave"));
    let source = stage.file("choice.bin", 300_000);
    let sent = alice.ctl.json_lines(&["send", &jid("bob"), text(&source), "--to", &jid("dave")]);
    let (at_bob, at_dave) = (bob.ctl.offer("choice.bin"), dave.ctl.offer("choice.bin"));
    bob.ctl.tell("decline", at_bob);
    dave.ctl.accept(at_dave);
    alice.ctl.reaches(id(&sent[0]), "declined");
    alice.ctl.reaches(id(&sent[1]), "done");
    assert_eq!(content::hash(&dave.downloads().join("choice.bin")), content::hash(&source));
}

#[test]
fn a_person_sends_to_another_device_of_their_own() {
    let stage = Stage::new();
    let (laptop, desk) = (stage.device("alice", "laptop").online(), stage.device("alice", "desk").online());
    let source = stage.file("mine.bin", 700_000);
    let out = laptop.ctl.send(&jid("alice"), &source);
    let offer = desk.ctl.offer("mine.bin");
    desk.ctl.accept(offer);
    desk.ctl.reaches(offer, "done");
    laptop.ctl.reaches(out, "done");
    assert_eq!(content::hash(&desk.downloads().join("mine.bin")), content::hash(&source));
    assert!(laptop.ctl.named("in", "mine.bin").is_empty(), "the sending device is not asked itself");
}
