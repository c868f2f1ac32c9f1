//! Stanzas that our parser refuses. Prosody takes them, passes them on and stores some of them.

use xbt_tests::daemon::jid;
use xbt_tests::{Stage, wait};

/// A payload that expat takes and Prosody writes with a raw carriage return inside an attribute.
const CARRIAGE_RETURN: &str = "<x xmlns='urn:h' a='1&#13;2'/>";

/// A payload with an attribute that is longer than the parser takes.
fn long() -> String {
    format!("<x xmlns='urn:h' a='{}'/>", "x".repeat(20_000))
}

#[test]
fn a_subscription_request_that_cannot_be_read_takes_nobody_offline_and_status_names_its_sender() {
    for payload in [CARRIAGE_RETURN.to_owned(), long()] {
        let stage = Stage::new();
        let mut alice = stage.online("alice");
        let mut mallory = stage.chat("mallory");
        mallory.raw(&format!("<presence type='subscribe' to='{}'>{payload}</presence>", jid("alice")));
        mallory.raw(&format!("<iq type='get' id='after' to='{}'><ping xmlns='urn:xmpp:ping'/></iq>", jid("mallory")));
        mallory.wait_for("after");
        // The server sends it again at each login.
        for login in 2..=3 {
            alice.restart();
            alice.ctl.connection_becomes("online", wait::SOON);
            let bob = stage.online("bob");
            let name = format!("after-{login}.bin");
            let out = bob.ctl.send(&jid("alice"), &stage.file(&name, 10_000));
            alice.ctl.accept(alice.ctl.offer(&name));
            bob.ctl.reaches(out, "done");
            assert_eq!(stage.prosody.logins("alice"), login, "one login for each start");
        }
        if payload != CARRIAGE_RETURN {
            let status = alice.ctl.status();
            assert_eq!(status["discarded"][0]["from"], jid("mallory"), "{status:#}");
            assert!(alice.ctl.ok(&["status"]).contains(&format!("from {}, skipped", jid("mallory"))));
        }
    }
}

#[test]
fn a_message_presence_or_iq_of_a_contact_that_cannot_be_read_costs_one_stanza() {
    let stage = Stage::new();
    let alice = stage.online("alice");
    let device = alice.ctl.status()["device"].as_str().unwrap().to_owned();
    let mut bob = stage.chat("bob");
    let deep = format!("<x xmlns='urn:h'>{}{}</x>", "<a>".repeat(5_000), "</a>".repeat(5_000));
    for (number, payload) in [CARRIAGE_RETURN, &deep, &long()].into_iter().enumerate() {
        bob.raw(&format!("<message to='{device}' type='headline'>{payload}</message>"));
        bob.raw(&format!("<presence to='{device}'>{payload}</presence>"));
        let id = format!("asked-{number}");
        bob.raw(&format!("<iq to='{device}' type='set' id='{id}'>{payload}</iq>"));
        bob.wait_for(&id);
    }
    bob.raw(&format!("<iq type='get' id='fence' to='{device}'><ping xmlns='urn:xmpp:ping'/></iq>"));
    bob.wait_for("fence");
    assert_eq!(alice.ctl.status()["connection"], "online");
    assert_eq!(stage.prosody.logins("alice"), 1);
}
