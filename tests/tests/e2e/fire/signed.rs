//! Who has the account's password but not the device's key: another login of Bob's, and somebody in his place.

use std::fs;

use serde_json::Value;
use xbt_tests::content::MIB;
use xbt_tests::daemon::{Daemon, jid};
use xbt_tests::device::{Device, Offer, attribute};
use xbt_tests::stage::recipient;
use xbt_tests::{Stage, certs, wait};

fn device_of(daemon: &Daemon) -> String {
    daemon.ctl.status()["device"].as_str().unwrap().to_owned()
}

fn key_of(daemon: &Daemon) -> String {
    daemon.ctl.status()["fingerprint"].as_str().unwrap().to_owned()
}

/// Compares the safety number of a contact whose key is known.
#[track_caller]
fn verify(daemon: &Daemon, contact: &str) {
    let number = wait::until("the key is known", wait::SOON, || {
        let shown = daemon.ctl.run(&["--json", "contacts", "verify", contact]);
        let shown: Value = serde_json::from_str(&shown.stdout).ok()?;
        shown["devices"][0]["safety_number"].as_str().map(str::to_owned)
    });
    daemon.ctl.ok(&["contacts", "verify", contact, "--confirm", &number]);
}

/// What an offer of this daemon is called on the wire.
fn offered(daemon: &Daemon, id: u64) -> Offer {
    let shown = daemon.ctl.show(id);
    let hash = shown["info_hash"].as_str().unwrap().to_owned();
    Offer { from: device_of(daemon), id: String::new(), info_hash: hash }
}

/// All that would end a transfer.
fn ends(id: &str) -> Vec<String> {
    let one = |name: &str| format!("<{name} xmlns='urn:x-xbt:1' id='{id}'/>");
    vec![
        one("done"),
        one("decline"),
        one("cancel"),
        one("taken"),
        format!("<failed xmlns='urn:x-xbt:1' id='{id}' reason='evil'/>"),
        format!("<sync xmlns='urn:x-xbt:1'><item id='{id}' role='receiver' state='done'/></sync>"),
        format!("<sync xmlns='urn:x-xbt:1'><item id='{id}' role='receiver' state='declined'/></sync>"),
    ]
}

/// Stanzas of a kind that the server has passed on to somebody, whole.
fn recorded(stage: &Stage, kind: &str, to: &str) -> Vec<String> {
    let all = stage.prosody.stanzas();
    let parts = all.split("<iq ").skip(1).filter_map(|part| part.split_once("</iq>").map(|(iq, _)| iq.to_owned()));
    let is_kind = |iq: &String| iq.contains(&format!("<{kind}")) && attribute(iq, "to") == Some(to);
    parts.filter(|iq| is_kind(iq) && attribute(iq, "type") == Some("set")).collect()
}

#[test]
fn another_login_on_the_account_of_a_verified_contact_gets_no_address_and_ends_nothing() {
    let stage = Stage::crowd(1);
    let alice = stage.online("alice");
    let contact = jid(&recipient(1));
    let bob = stage.online(&recipient(1));
    let first = bob.ctl.send(&jid("alice"), &stage.file("first.bin", 10));
    alice.ctl.offer("first.bin");
    verify(&alice, &contact);
    bob.ctl.tell("cancel", first);
    let sent = alice.ctl.send(&contact, &stage.file("secret.bin", MIB));
    let got = bob.ctl.offer("secret.bin");
    let to = device_of(&alice);
    let mut evil = Device::login(&stage, &recipient(1));
    evil.claims = key_of(&bob);
    let id = recorded(&stage, "offer", &device_of(&bob))
        .iter()
        .find_map(|iq| attribute(iq.split("<offer ").nth(1)?, "id").map(str::to_owned))
        .unwrap();
    let offer = Offer { id: id.clone(), ..offered(&alice, sent) };
    // As it says it is, with the key that it has, and with the right key and no signature of it.
    let refused = |evil: &mut Device, attempt: &str| {
        let answer = evil.ask_raw(&to, attempt);
        assert!(answer.contains("<error") && !answer.contains("<candidate"), "{answer}");
    };
    let connect = evil.connect_xml(&offer);
    refused(&mut evil, &connect);
    let own = evil.signed(&to, &connect);
    refused(&mut evil, &own);
    let envelope = |xml: &str| attribute(xml.split("<signed ").nth(1)?, "key").map(str::to_owned);
    let bobs = recorded(&stage, "hello", &to).iter().find_map(|iq| envelope(iq)).unwrap();
    refused(&mut evil, &own.replacen(&envelope(&own).unwrap(), &bobs, 1));
    for end in ends(&id) {
        let plain = evil.ask_raw(&to, &end);
        assert!(plain.contains("<error"), "{plain}");
        let signed = evil.ask(&to, &end);
        assert!(signed.contains("<error"), "{signed}");
    }
    // The genuine words of the other device, from here.
    bob.ctl.accept(got);
    bob.ctl.reaches(got, "done");
    alice.ctl.reaches(sent, "done");
    let again = alice.ctl.send(&contact, &stage.file("second.bin", MIB));
    bob.ctl.offer("second.bin");
    for kind in ["connect", "done", "sync"] {
        for genuine in recorded(&stage, kind, &to) {
            let (_, inside) = genuine.split_once('>').unwrap();
            let answer = evil.ask_raw(&to, inside);
            assert!(answer.contains("<error") && !answer.contains("<candidate"), "{answer}");
        }
    }
    assert_eq!(alice.ctl.show(again)["state"], "offered");
    let status = alice.ctl.status();
    assert!(status["unproved"][0]["from"] == contact.as_str(), "{status:#}");
    assert!(status["unproved"][0]["stanzas"].as_u64().unwrap() > 10, "{status:#}");
    // It is a new device of hers, with a key that blocks, and nothing but a greeting was ever sent to it.
    let to_it = evil.chat.jid().to_owned();
    for kind in ["offer", "connect", "sync", "introduce"] {
        assert!(recorded(&stage, kind, &to_it).is_empty(), "{kind}");
    }
}

#[test]
fn who_takes_the_place_of_a_device_can_say_nothing_that_it_said_before() {
    let stage = Stage::crowd(1);
    let alice = stage.person("alice").with("network.upload_limit", "256 KiB/s").online();
    let contact = jid(&recipient(1));
    let mut bob = stage.online(&recipient(1));
    let sent = alice.ctl.send(&contact, &stage.file("secret.bin", 16 * MIB));
    let got = bob.ctl.offer("secret.bin");
    bob.ctl.accept(got);
    bob.ctl.has_moved(got, MIB / 4);
    let (to, place, key) = (device_of(&alice), device_of(&bob), key_of(&bob));
    let genuine: Vec<String> =
        ["hello", "connect", "sync"].iter().flat_map(|kind| recorded(&stage, kind, &to)).collect();
    assert!(genuine.iter().any(|iq| iq.contains("<connect ")));
    bob.kill9();
    let (_, resource) = place.split_once('/').unwrap();
    let mut evil = Device::on(stage.chat_at(&recipient(1), resource), certs::device());
    evil.claims = key.clone();
    let mut heard = 0;
    for iq in &genuine {
        let (_, inside) = iq.split_once('>').unwrap();
        let answer = evil.ask_raw(&to, inside);
        assert!(!answer.contains("<candidate"), "{answer}");
        heard += usize::from(!answer.contains("<error"));
    }
    let hellos = genuine.iter().filter(|iq| iq.contains("<hello")).count();
    assert_eq!(heard, hellos, "an old `hello` is answered, and brings nothing");
    let id = attribute(genuine.iter().find_map(|iq| iq.split("<connect ").nth(1)).unwrap(), "id").unwrap().to_owned();
    for end in ends(&id) {
        // Some are acknowledged, as from a device that did not take it; none has an effect.
        evil.ask(&to, &end);
        assert!(matches!(alice.ctl.show(sent)["state"].as_str(), Some("connecting" | "sending")), "{end}");
    }
    let shown = alice.ctl.show(sent);
    assert!(matches!(shown["state"].as_str(), Some("connecting" | "sending")), "{shown}");
    for kind in ["connect", "introduce"] {
        let after: Vec<_> = recorded(&stage, kind, &place).into_iter().filter(|iq| !genuine.contains(iq)).collect();
        assert!(after.iter().all(|iq| attribute(iq, "from") == Some(to.as_str())));
    }
    let asked = evil.chat.received().matches("<connect ").count();
    assert_eq!(asked, 0, "no address goes to it");
    drop(evil);
    bob.start();
    bob.ctl.has_moved(got, MIB / 2);
    alice.ctl.tell("cancel", sent);
}

#[test]
fn a_forged_offer_of_a_verified_contact_is_not_shown_and_runs_no_command() {
    let stage = Stage::crowd(1);
    let ran = stage.folder().join("ran");
    let script = format!("env > '{}'", ran.display());
    let alice = stage
        .person("alice")
        .with("hooks.on_offer", vec!["/bin/sh".to_owned(), "-c".to_owned(), script])
        .with("accept.from", vec![jid(&recipient(1))])
        .online();
    let contact = jid(&recipient(1));
    let bob = stage.online(&recipient(1));
    let first = alice.ctl.send(&contact, &stage.file("first.bin", 10));
    let got = bob.ctl.offer("first.bin");
    bob.ctl.accept(got);
    alice.ctl.reaches(first, "done");
    verify(&alice, &contact);
    let to = device_of(&alice);
    let mut evil = Device::login(&stage, &recipient(1));
    for claims in [key_of(&bob), evil.fingerprint.clone()] {
        let offer = format!(
            "<offer xmlns='urn:x-xbt:1' id='0f2d3c4b-5a69-4788-9960-a1b2c3d4e5f6' kind='btih' info-hash='{}' size='10' files='1' \
             metadata-size='100'><name>evil.sh</name><fingerprint>{claims}</fingerprint></offer>",
            "ab".repeat(20)
        );
        let plain = evil.ask_raw(&to, &offer);
        assert!(plain.contains("<error"), "{plain}");
        let signed = evil.ask(&to, &offer);
        assert!(signed.contains("<error"), "{signed}");
    }
    assert!(alice.ctl.named("in", "evil.sh").is_empty() && !ran.exists());
    // The right one does.
    bob.ctl.send(&jid("alice"), &stage.file("good.bin", 10));
    let told = wait::until("the command has run", wait::SOON, || {
        fs::read_to_string(&ran).ok().filter(|env| env.contains("XBT_NAME"))
    });
    assert!(told.contains("XBT_VERIFIED=yes") && told.contains("XBT_NAME=good.bin"), "{told}");
}

#[test]
fn a_contact_that_claims_the_key_of_another_is_refused_and_shown() {
    let stage = Stage::crowd(2);
    let alice = stage.person("alice").with("network.upload_limit", "512 KiB/s").online();
    let (one, two) = (jid(&recipient(1)), jid(&recipient(2)));
    let bob = stage.online(&recipient(1));
    let mut carol = Device::login(&stage, &recipient(2));
    let key = key_of(&bob);
    let to = device_of(&alice);
    alice.ctl.sees(&one);
    let source = stage.file("shared.bin", 8 * MIB);
    let sent = alice.ctl.send(&one, &source);
    let got = bob.ctl.offer("shared.bin");
    bob.ctl.accept(got);
    bob.ctl.has_moved(got, MIB);
    let hers = alice.ctl.send(&two, &source);
    let offer = carol.offer();
    carol.claims = key.clone();
    let connect = carol.connect_xml(&offer);
    for signs in [false, true] {
        let attempt = if signs { carol.signed(&to, &connect) } else { connect.clone() };
        let answer = carol.ask_raw(&to, &attempt);
        assert!(answer.contains("<error") && !answer.contains("<candidate"), "{answer}");
    }
    assert_eq!(alice.ctl.show(hers)["state"], "offered");
    wait::until("the person is told", wait::SOON, || {
        let log = alice.log();
        (log.contains(&format!("{two} claims the key {key}")) && log.contains(&one)).then_some(())
    });
    let shown = alice.ctl.show(sent);
    assert_eq!((&shown["state"], &shown["fingerprint"]), (&"sending".into(), &key.clone().into()), "{shown}");
    bob.ctl.reaches(got, "done");
    alice.ctl.reaches(sent, "done");
    assert_eq!(alice.ctl.show(hers)["state"], "offered", "what is done is done by bob");
}

#[test]
fn an_introduction_that_somebody_sends_again_does_nothing() {
    let stage = Stage::crowd(2);
    let alice = stage.person("alice").with("network.upload_limit", "512 KiB/s").online();
    let (one, two) = (jid(&recipient(1)), jid(&recipient(2)));
    let bob = stage.online(&recipient(1));
    let carol = stage.online(&recipient(2));
    [&one, &two].iter().for_each(|contact| alice.ctl.sees(contact));
    let source = stage.file("shared.bin", 16 * MIB);
    alice.ctl.ok(&["send", &one, "--to", &two, xbt_tests::ctl::text(&source)]);
    let got = [bob.ctl.offer("shared.bin"), carol.ctl.offer("shared.bin")];
    bob.ctl.accept(got[0]);
    carol.ctl.accept(got[1]);
    bob.ctl.becomes(got[0], "helped by the other", |shown| shown["introduced"] == 1);
    let place = device_of(&bob);
    let genuine = recorded(&stage, "introduce", &place);
    assert!(!genuine.is_empty());
    // Another login of Alice's says it again, and so does one in her device's place.
    let mut evil = Device::login(&stage, "alice");
    let before = bob.ctl.status()["unproved"].clone();
    for iq in &genuine {
        let (_, inside) = iq.split_once('>').unwrap();
        let answer = evil.ask_raw(&place, inside);
        assert!(answer.contains("<error"), "{answer}");
    }
    assert_ne!(bob.ctl.status()["unproved"], before, "and is counted");
    let (_, resource) = device_of(&alice).split_once('/').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let mut alice = alice;
    alice.kill9();
    let mut evil = Device::on(stage.chat_at("alice", &resource), certs::device());
    for iq in &genuine {
        let (_, inside) = iq.split_once('>').unwrap();
        let answer = evil.ask_raw(&place, inside);
        assert!(answer.contains("<error"), "{answer}");
    }
}
