//! Recipients of one send help each other, where they allow it.

use std::io::{ErrorKind, Read};

use xbt_tests::content::{self, MIB};
use xbt_tests::ctl::text;
use xbt_tests::daemon::{Daemon, jid};
use xbt_tests::device::{Device, Link, Offer, handshake};
use xbt_tests::one_to_many::{crowd, one_to_many, send_to_all};
use xbt_tests::stage::recipient;
use xbt_tests::stranger::{self, Shows};
use xbt_tests::{Stage, wait};

#[test]
fn recipients_of_one_send_help_each_other_so_that_the_sender_sends_little_more_than_once() {
    let shared = one_to_many(3, 16 * MIB, 2 * MIB);
    println!("{shared:?}: {:.2} times", shared.times());
    assert!(shared.uploaded < 2 * shared.size, "{shared:?}");
}

/// The ports on which a daemon takes links: on loopback they are what tells its addresses from those of others.
fn ports(daemon: &Daemon) -> Vec<String> {
    let status = daemon.ctl.status();
    let listen = status["listen"].as_array().unwrap().iter();
    listen.map(|address| address.as_str().unwrap().rsplit_once(':').unwrap().1.to_owned()).collect()
}

/// To whom the stanzas go that tell one of these ports or the key.
fn learnt(stanzas: &str, ports: &[String], key: &str) -> Vec<String> {
    let stanzas = stanzas.split("<iq ").skip(1).map(|one| one.replace('"', "'"));
    let tells = |one: &String| ports.iter().any(|port| one.contains(&format!("port='{port}'"))) || one.contains(key);
    let to =
        |one: String| one.split_once("to='").map_or(String::new(), |(_, to)| to.split('\'').next().unwrap().to_owned());
    stanzas.filter(tells).map(to).collect()
}

#[test]
fn who_does_not_want_to_be_introduced_is_told_to_nobody_else_and_gets_everything_all_the_same() {
    let stage = Stage::crowd(3);
    let alice = stage.person("alice").with("network.upload_limit", "2 MiB/s").online();
    let shy = stage.person(&recipient(3)).with("accept.introduce", false).online();
    let others = [stage.online(&recipient(1)), stage.online(&recipient(2)), shy];
    (1..=3).for_each(|number| alice.ctl.sees(&jid(&recipient(number))));
    let source = stage.file("shared.bin", 12 * MIB);
    let (_, got) = send_to_all(&alice, &others, &source);
    others.iter().zip(&got).for_each(|(one, id)| one.ctl.accept(*id));
    for (one, id) in others.iter().zip(&got).take(2) {
        one.ctl.becomes(*id, "helped by the other", |shown| shown["introduced"] == 1);
    }
    assert_eq!(others[2].ctl.show(got[2])["introduced"], 0);
    for (one, id) in others.iter().zip(&got) {
        one.ctl.reaches(*id, "done");
        assert_eq!(content::hash(&one.downloads().join("shared.bin")), content::hash(&source));
    }
    let stanzas = stage.prosody.stanzas();
    let told = others.each_ref().map(|one| {
        let key = one.ctl.status()["fingerprint"].as_str().unwrap().to_owned();
        learnt(&stanzas, &ports(one), &key)
    });
    let only_alice = |told: &Vec<String>| told.iter().all(|to| to.starts_with(&jid("alice")));
    assert!(!only_alice(&told[0]) && !only_alice(&told[1]), "the search finds what is there: {told:?}");
    assert!(!told[2].is_empty() && only_alice(&told[2]), "{:?}", told[2]);
}

#[test]
fn a_sender_that_forbids_it_introduces_nobody() {
    let stage = Stage::crowd(2);
    let alice = stage.person("alice").with("accept.introduce", false).online();
    let others = [stage.online(&recipient(1)), stage.online(&recipient(2))];
    (1..=2).for_each(|number| alice.ctl.sees(&jid(&recipient(number))));
    let (sent, got) = send_to_all(&alice, &others, &stage.file("shared.bin", 4 * MIB));
    others.iter().zip(&got).for_each(|(one, id)| one.ctl.accept(*id));
    sent.iter().for_each(|id| drop(alice.ctl.reaches(*id, "done")));
    assert!(!stage.prosody.stanzas().contains("<introduce "));
}

#[test]
fn a_recipient_that_is_killed_in_the_middle_holds_up_nobody_who_was_introduced_to_it() {
    let (stage, alice, mut others) = crowd(2, MIB);
    let source = stage.file("shared.bin", 12 * MIB);
    let (sent, got) = send_to_all(&alice, &others, &source);
    others.iter().zip(&got).for_each(|(one, id)| one.ctl.accept(*id));
    others[0].ctl.becomes(got[0], "helped by the other", |shown| shown["introduced"] == 1);
    others[0].ctl.has_moved(got[0], MIB);
    others[1].kill9();
    others[0].ctl.reaches(got[0], "done");
    alice.ctl.reaches(sent[0], "done");
    assert_eq!(content::hash(&others[0].downloads().join("shared.bin")), content::hash(&source));
    let shown = others[0].ctl.show(got[0]);
    let states: Vec<_> = shown["history"].as_array().unwrap().iter().map(|step| step["state"].clone()).collect();
    assert_eq!(states, ["offered", "connecting", "receiving", "done"], "its own link was never lost: {shown}");
}

/// A link with the sender that lasts, so that it introduces us.
fn linked(bad: &mut Device, offer: &Offer) -> Link {
    wait::until("the device gets a link", wait::LONG, || {
        let addresses = bad.connect(offer);
        addresses.into_iter().find_map(|address| {
            let mut link = bad.dial(address).ok()?;
            handshake(&mut link, &offer.info_hash).ok()?;
            Some(link)
        })
    })
}

#[test]
fn an_introduced_device_gets_the_one_content_and_no_other() {
    let stage = Stage::crowd(2);
    let alice = stage.person("alice").with("network.upload_limit", "1 MiB/s").online();
    let bob = stage.online(&recipient(1));
    let key = bob.ctl.status()["fingerprint"].as_str().unwrap().to_owned();
    let mut bad = Device::login_before(&stage, &recipient(2), &key);
    bad.introduce = true;
    alice.ctl.sees(&jid(&recipient(1)));
    let secret = alice.ctl.send(&jid(&recipient(1)), &stage.file("secret.bin", 24 * MIB));
    let got = bob.ctl.offer("secret.bin");
    bob.ctl.accept(got);
    let secret_hash = alice.ctl.becomes(secret, "moving", |one| one["state"] == "sending")["info_hash"].clone();
    let source = stage.file("shared.bin", 24 * MIB);
    let (one, two) = (jid(&recipient(1)), jid(&recipient(2)));
    alice.ctl.ok(&["send", &one, "--to", &two, text(&source)]);
    let shared = bob.ctl.offer("shared.bin");
    bob.ctl.accept(shared);
    bob.ctl.reaches(shared, "receiving");
    let offer = bad.offer();
    let _link = linked(&mut bad, &offer);
    let addresses =
        wait::until("bob is introduced to it", wait::SOON, || Some(bad.introduced()).filter(|a| !a.is_empty()));
    let mut link = bad.dial(addresses[0]).unwrap();
    let refused = handshake(&mut link, secret_hash.as_str().unwrap()).unwrap_err();
    let closed = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset].contains(&refused.kind());
    assert!(closed, "closed without a byte: {refused}");
    wait::until("it is counted", wait::SOON, || bob.log().contains("not-granted").then_some(()));
    // Another key than the one that the sender named gets not even the content that is shared.
    let shared_hash = stranger::info_hash(&offer.info_hash);
    let reply = stranger::dial(addresses[0], Shows::OwnKey, shared_hash, wait::LONG);
    assert!(reply.closed && reply.bytes.is_empty(), "{reply:?}");
    assert_eq!(bob.ctl.show(shared)["introduced"], 0);
    // What it was introduced for it gets, from one that is no contact of its own.
    let mut link = wait::until("bob takes it for the shared content", wait::LONG, || {
        let mut link = bad.dial(addresses[0]).ok()?;
        handshake(&mut link, &offer.info_hash).ok().map(|_| link)
    });
    let mut first = [0; 4];
    link.read_exact(&mut first).unwrap();
    bob.ctl.becomes(shared, "counts it", |shown| shown["introduced"] == 1);
    assert_eq!(bob.ctl.show(got)["introduced"], 0);
    drop(link);
    alice.ctl.tell("cancel", secret);
}
