//! Chat messages that come to xbtd, which has no chat.

use serde_json::Value;
use xbt_tests::daemon::jid;
use xbt_tests::rpc::Events;
use xbt_tests::{Stage, wait};

fn text(event: &Value) -> &str {
    event["text"].as_str().unwrap_or_default()
}

#[test]
fn a_chat_message_to_our_full_jid_comes_back_as_an_error_and_the_person_is_told() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let device = alice.ctl.status()["device"].as_str().unwrap().to_owned();
    let mut events = Events::follow(alice.ctl.socket());
    let mut bob = stage.chat("bob");
    for (id, attribute) in [("chat-1", "type='chat'"), ("normal-1", "")] {
        bob.raw(&format!("<message {attribute} id='{id}' to='{device}'><body>shall we meet at {id}?</body></message>"));
        bob.wait_for(&format!("id='{id}'"));
    }
    let received = bob.received().to_owned();
    assert_eq!(received.matches("type='error'").count(), 2, "{received}");
    assert!(received.contains("service-unavailable") && received.contains(&jid("alice")), "{received}");
    // What needs no answer gets none.
    bob.raw(&format!("<message type='headline' to='{device}'><body>news</body></message>"));
    bob.raw(&format!(
        "<message type='chat' to='{device}'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>"
    ));
    bob.raw(&format!("<message type='error' to='{device}'><body>no</body></message>"));
    bob.raw(&format!("<iq type='get' id='fence' to='{device}'><ping xmlns='urn:xmpp:ping'/></iq>"));
    bob.wait_for("fence");
    assert_eq!(bob.received().matches("type='error'").count(), 2, "{}", bob.received());
    bob.raw(&format!("<message type='chat' id='last' to='{device}'><body>the last</body></message>"));
    let told = events.until("the last message is told", |event| text(event).contains("the last"));
    let told: Vec<_> = told.iter().filter(|event| event["kind"] == "notice").map(text).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told[0].starts_with("bob@localhost sent a chat message") && told[0].contains("“shall we meet at chat-1?”"),
        "{told:?}"
    );
    assert!(told[1].contains("“shall we meet at normal-1?”"), "{told:?}");
}

#[test]
fn a_stranger_who_writes_to_our_full_jid_hears_what_a_server_says_and_nobody_is_disturbed() {
    let stage = Stage::new();
    let mut alice = stage.online("alice");
    let device = alice.ctl.status()["device"].as_str().unwrap().to_owned();
    let mut mallory = stage.chat("mallory");
    mallory.raw(&format!("<message type='chat' id='m' to='{device}'><body>psst</body></message>"));
    mallory.wait_for("id='m'");
    let received = mallory.received();
    assert!(received.contains("service-unavailable") && !received.contains("<text"), "{received}");
    alice.stop();
    assert!(!alice.log().contains("psst"));
}

#[test]
fn presence_says_that_no_person_sits_there() {
    let stage = Stage::new();
    let mut bob = stage.chat("bob");
    let _alice = stage.online("alice");
    bob.wait_for("<show>xa</show>");
    bob.wait_for("xbt: files only");
    bob.wait_for("<priority>-1</priority>");
}

#[test]
fn a_courtesy_message_is_followed_by_presence_so_that_answers_go_to_the_person() {
    let stage = Stage::new();
    let mut bob = stage.chat("bob");
    let alice = stage.online("alice");
    bob.wait_for("<priority>-1</priority>");
    let device = alice.ctl.status()["device"].as_str().unwrap().to_owned();
    alice.ctl.send(&jid("bob"), &stage.file("hello.bin", 1_000));
    bob.wait_for("<body>");
    bob.raw("<iq type='get' id='fence'><ping xmlns='urn:xmpp:ping'/></iq>");
    wait::until("presence follows the message", wait::SOON, || {
        bob.has("fence");
        let received = bob.received();
        let after = received.split_once("<body>")?.1;
        (after.contains("<presence") && after.contains(&device)).then_some(())
    });
}
