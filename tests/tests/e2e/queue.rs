//! What waits, survives; what people decide, both sides see.

use xbt_tests::content::{self, MIB};
use xbt_tests::ctl::{done_bytes, id, text};
use xbt_tests::daemon::{Daemon, jid};
use xbt_tests::rpc::Events;
use xbt_tests::{Stage, wait};

/// Daemons of alice, who sends 2 MiB/s, and of bob, with a transfer of 16 MiB in mid-flight; its ids on both sides.
fn in_flight(stage: &Stage) -> (Daemon, Daemon, u64, u64) {
    let alice = stage.person("alice").with("network.upload_limit", "2 MiB/s").online();
    let bob = stage.online("bob");
    let out = alice.ctl.send(&jid("bob"), &stage.file("flight.bin", 16 * MIB));
    let inn = bob.ctl.offer("flight.bin");
    bob.ctl.accept(inn);
    bob.ctl.has_moved(inn, MIB);
    alice.ctl.becomes(out, "is sending", |one| one["state"] == "sending");
    (alice, bob, out, inn)
}

/// Lets another transfer go all its way, so that whatever was due before it has happened.
#[track_caller]
fn meanwhile(alice: &Daemon, bob: &Daemon, stage: &Stage, name: &str) {
    let out = alice.ctl.send(&jid("bob"), &stage.file(name, MIB));
    bob.ctl.accept(bob.ctl.offer(name));
    alice.ctl.reaches(out, "done");
}

#[test]
fn a_send_to_an_offline_contact_survives_restarts_of_both_and_is_offered_exactly_once() {
    let stage = Stage::new();
    let mut alice = stage.online("alice");
    let source = stage.file("later.bin", 500_000);
    let out = alice.ctl.send(&jid("bob"), &source);
    let queued = alice.ctl.reaches(out, "queued");
    assert_eq!(queued["why"]["code"], "contact-offline", "{queued}");
    alice.restart();
    assert_eq!(alice.ctl.show(out)["state"], "queued");
    let mut bob = stage.online("bob");
    let inn = bob.ctl.offer("later.bin");
    alice.ctl.reaches(out, "offered");
    bob.restart();
    alice.restart();
    alice.ctl.sees(&jid("bob"));
    bob.ctl.sees(&jid("alice"));
    meanwhile(&alice, &bob, &stage, "fence.bin");
    assert_eq!(bob.ctl.named("in", "later.bin").len(), 1);
    assert_eq!(bob.ctl.show(inn)["state"], "offered");
    bob.ctl.accept(inn);
    bob.ctl.reaches(inn, "done");
    alice.ctl.reaches(out, "done");
    assert_eq!(content::hash(&bob.downloads().join("later.bin")), content::hash(&source));
    assert_eq!(bob.ctl.list().len(), 2);
}

#[test]
fn an_accept_while_the_sender_is_away_is_carried_out_when_it_returns() {
    let stage = Stage::new();
    let mut alice = stage.online("alice");
    let mut bob = stage.online("bob");
    let source = stage.file("away.bin", 500_000);
    let out = alice.ctl.send(&jid("bob"), &source);
    let inn = bob.ctl.offer("away.bin");
    alice.stop();
    bob.ctl.accept(inn);
    bob.ctl.reaches(inn, "connecting");
    bob.restart();
    assert_eq!(bob.ctl.show(inn)["state"], "connecting", "an accept outlives a restart");
    alice.start();
    bob.ctl.reaches(inn, "done");
    alice.ctl.reaches(out, "done");
    assert_eq!(content::hash(&bob.downloads().join("away.bin")), content::hash(&source));
}

#[test]
fn a_contact_with_a_chat_client_only_is_waited_for_and_told_once() {
    let stage = Stage::new();
    let mut chat = stage.chat("bob");
    let mut alice = stage.online("alice");
    let out = alice.ctl.send(&jid("bob"), &stage.file("courtesy.bin", 1000));
    let queued = alice.ctl.becomes(out, "waits for xbt", |one| one["why"]["code"] == "no-xbt");
    assert_eq!(queued["state"], "queued");
    chat.wait_for("courtesy.bin");
    alice.restart();
    alice.ctl.becomes(out, "waits for xbt", |one| one["why"]["code"] == "no-xbt");
    let bob = stage.online("bob");
    let inn = bob.ctl.offer("courtesy.bin");
    bob.ctl.accept(inn);
    bob.ctl.reaches(inn, "done");
    chat.say(&jid("bob"), "the end");
    chat.wait_for("the end");
    assert_eq!(chat.received().matches("<body").count(), 2, "one courtesy message and our own: {}", chat.received());
}

#[test]
fn a_decline_shows_on_both_sides_with_its_words() {
    let stage = Stage::new();
    let (alice, bob) = (stage.online("alice"), stage.online("bob"));
    let out = alice.ctl.send(&jid("bob"), &stage.file("unwanted.bin", 1000));
    let inn = bob.ctl.offer("unwanted.bin");
    bob.ctl.ok(&["decline", &inn.to_string(), "-m", "I have it already"]);
    assert_eq!(bob.ctl.show(inn)["state"], "declined");
    let declined = alice.ctl.reaches(out, "declined");
    assert_eq!(declined["message"], "I have it already", "{declined}");
    assert!(content::names(&bob.downloads()).is_empty());
}

#[test]
fn a_decline_while_the_sender_is_away_reaches_it_later() {
    let stage = Stage::new();
    let (mut alice, bob) = (stage.online("alice"), stage.online("bob"));
    let out = alice.ctl.send(&jid("bob"), &stage.file("unwanted.bin", 1000));
    let inn = bob.ctl.offer("unwanted.bin");
    alice.stop();
    bob.ctl.tell("decline", inn);
    alice.start();
    alice.ctl.reaches(out, "declined");
}

#[test]
fn a_cancel_by_the_sender_shows_on_both_sides_and_leaves_nothing() {
    let stage = Stage::new();
    let (alice, bob, out, inn) = in_flight(&stage);
    alice.ctl.tell("cancel", out);
    alice.ctl.reaches(out, "cancelled");
    bob.ctl.reaches(inn, "cancelled");
    wait::until("nothing is left of it", wait::SOON, || content::names(&bob.downloads()).is_empty().then_some(()));
    assert_eq!(content::names(stage.source("flight.bin").parent().unwrap()), ["flight.bin"], "the source stays");
}

#[test]
fn a_cancel_by_the_receiver_shows_on_both_sides_and_leaves_nothing() {
    let stage = Stage::new();
    let (alice, bob, out, inn) = in_flight(&stage);
    bob.ctl.tell("cancel", inn);
    bob.ctl.reaches(inn, "cancelled");
    alice.ctl.reaches(out, "cancelled");
    wait::until("nothing is left of it", wait::SOON, || content::names(&bob.downloads()).is_empty().then_some(()));
}

#[test]
fn an_offer_cancelled_before_the_answer_is_gone_on_both_sides() {
    let stage = Stage::new();
    let (alice, bob) = (stage.online("alice"), stage.online("bob"));
    let out = alice.ctl.send(&jid("bob"), &stage.file("taken-back.bin", 1000));
    let inn = bob.ctl.offer("taken-back.bin");
    alice.ctl.tell("cancel", out);
    bob.ctl.reaches(inn, "cancelled");
    bob.ctl.refused(&["accept", &inn.to_string()], "wrong-state");
}

/// Pauses on one side, looks at both, resumes on the same side, and waits until it has arrived.
#[track_caller]
fn pause_and_resume(stage: &Stage, by_sender: bool) {
    let (alice, bob, out, inn) = in_flight(stage);
    let (who, id) = if by_sender { (&alice, out) } else { (&bob, inn) };
    who.ctl.tell("pause", id);
    for (daemon, id, own) in [(&alice, out, by_sender), (&bob, inn, !by_sender)] {
        let paused = daemon.ctl.becomes(id, "is paused", |one| one["paused"] == true);
        assert_eq!(paused["why"]["code"], if own { "paused" } else { "paused-by-contact" }, "{paused}");
    }
    // What was on its way may still be counted; after that nothing moves.
    meanwhile(&alice, &bob, stage, "first.bin");
    let moved = done_bytes(&bob.ctl.show(inn));
    meanwhile(&alice, &bob, stage, "second.bin");
    assert_eq!(done_bytes(&bob.ctl.show(inn)), moved, "a paused transfer rests");
    who.ctl.tell("resume", id);
    for (daemon, id) in [(&alice, out), (&bob, inn)] {
        daemon.ctl.becomes(id, "is not paused", |one| one["paused"] == false);
    }
    bob.ctl.reaches(inn, "done");
    alice.ctl.reaches(out, "done");
    assert_eq!(content::hash(&bob.downloads().join("flight.bin")), content::hash(&stage.source("flight.bin")));
}

#[test]
fn pause_and_resume_by_the_sender_show_on_both_sides() {
    pause_and_resume(&Stage::new(), true);
}

#[test]
fn pause_and_resume_by_the_receiver_show_on_both_sides() {
    pause_and_resume(&Stage::new(), false);
}

#[test]
fn a_pause_outlives_restarts_of_both() {
    let stage = Stage::new();
    let (mut alice, mut bob, out, inn) = in_flight(&stage);
    bob.ctl.tell("pause", inn);
    alice.ctl.becomes(out, "is paused", |one| one["paused"] == true);
    bob.restart();
    alice.restart();
    alice.ctl.sees(&jid("bob"));
    meanwhile(&alice, &bob, &stage, "fence.bin");
    assert_eq!(bob.ctl.show(inn)["paused"], true);
    bob.ctl.tell("resume", inn);
    bob.ctl.reaches(inn, "done");
    alice.ctl.reaches(out, "done");
}

#[test]
fn an_offer_that_nobody_takes_expires_on_both_sides() {
    let stage = Stage::new();
    let mut alice = stage.person("alice").with_clock().online();
    let mut bob = stage.person("bob").with_clock().online();
    let source = stage.file("old.bin", 1000);
    let out = id(&alice.ctl.json(&["send", &jid("bob"), text(&source), "--expire", "1h"]));
    let inn = bob.ctl.offer("old.bin");
    for daemon in [&mut alice, &mut bob] {
        // A clock that runs ahead is noticed within the hour, or now.
        daemon.clock().set("+2h");
        daemon.restart();
    }
    alice.ctl.reaches(out, "expired");
    bob.ctl.reaches(inn, "expired");
    bob.ctl.refused(&["accept", &inn.to_string()], "wrong-state");
}

#[test]
fn what_is_removed_does_not_come_back() {
    let stage = Stage::new();
    let (mut alice, mut bob) = (stage.online("alice"), stage.online("bob"));
    alice.ctl.send(&jid("bob"), &stage.file("gone.bin", 1000));
    let inn = bob.ctl.offer("gone.bin");
    bob.ctl.tell("decline", inn);
    bob.ctl.tell("remove", inn);
    assert!(bob.ctl.list().is_empty());
    bob.restart();
    alice.restart();
    alice.ctl.sees(&jid("bob"));
    alice.ctl.send(&jid("bob"), &stage.file("next.bin", 1000));
    assert!(bob.ctl.offer("next.bin") > inn, "numbers are never used again");
    assert_eq!(bob.ctl.list().len(), 1, "it is gone for good");
}

#[test]
fn programs_that_watch_hear_what_was_removed_as_it_last_was() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let source = stage.file("gone.bin", 1000);
    let out = alice.ctl.send(&jid("dave"), &source);
    alice.ctl.reaches(out, "queued");
    alice.ctl.tell("cancel", out);
    let mut events = Events::follow(alice.ctl.socket());
    let last = alice.ctl.list().remove(0);
    alice.ctl.tell("remove", out);
    let told = events.until("the removal is told", |event| event["kind"] == "removed").pop().unwrap();
    assert_eq!(told["transfer"], last, "also the path of a content that is forgotten with it");
}

#[test]
fn removing_with_the_data_deletes_what_was_received_only() {
    let stage = Stage::new();
    let (alice, bob) = (stage.online("alice"), stage.online("bob"));
    let source = stage.file("data.bin", 1000);
    let out = alice.ctl.send(&jid("bob"), &source);
    let inn = bob.ctl.offer("data.bin");
    bob.ctl.accept(inn);
    bob.ctl.reaches(inn, "done");
    alice.ctl.reaches(out, "done");
    alice.ctl.refused(&["remove", &out.to_string(), "--delete-data"], "wrong-direction");
    assert!(source.exists());
    bob.ctl.ok(&["remove", &inn.to_string(), "--delete-data"]);
    assert!(content::names(&bob.downloads()).is_empty());
    assert!(source.exists());
}
