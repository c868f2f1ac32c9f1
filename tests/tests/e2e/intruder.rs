//! Who was not invited gets nothing.

use std::net::SocketAddr;
use std::thread;

use xbt_tests::content::{self, MIB};
use xbt_tests::daemon::{Daemon, jid};
use xbt_tests::stranger::{self, Reply, Shows};
use xbt_tests::{Stage, wait};

fn addresses(daemon: &Daemon) -> Vec<SocketAddr> {
    let status = daemon.ctl.status();
    let listen = status["listen"].as_array().unwrap();
    assert!(!listen.is_empty(), "{status}");
    listen.iter().map(|address| address.as_str().unwrap().parse().unwrap()).collect()
}

#[test]
fn carol_dials_with_the_info_hash_of_a_running_transfer_and_is_refused_before_the_engine_sees_a_byte() {
    let stage = Stage::new();
    let alice = stage.person("alice").with("network.upload_limit", "256 KiB/s").online();
    let bob = stage.online("bob");
    let out = alice.ctl.send(&jid("bob"), &stage.file("secret.bin", 32 * MIB));
    let inn = bob.ctl.offer("secret.bin");
    bob.ctl.accept(inn);
    bob.ctl.has_moved(inn, MIB);
    let hash = stranger::info_hash(alice.ctl.show(out)["info_hash"].as_str().unwrap());
    let doors = [&bob, &alice].map(|daemon| (daemon.name(), addresses(daemon)));
    let doors = doors.iter().flat_map(|(name, addresses)| addresses.iter().map(move |address| (name, *address)));
    // At once: the uninvited may be kept waiting for as long as links are parked.
    thread::scope(|scope| {
        for (name, address) in doors {
            for shows in [Shows::OwnKey, Shows::NoKey, Shows::NoTls] {
                scope.spawn(move || {
                    let reply = stranger::dial(address, shows, hash, wait::LONG);
                    // An engine that had seen the handshake would have answered with its own.
                    assert!(reply.closed && reply.bytes.is_empty(), "{name} at {address} to {shows:?}: {reply:?}");
                });
            }
        }
    });
    // The invited ones have not noticed.
    let now = bob.ctl.show(inn);
    assert_eq!(now["state"], "receiving", "{now}");
    bob.ctl.has_moved(inn, now["done_bytes"].as_u64().unwrap() + MIB);
    alice.ctl.tell("cancel", out);
}

#[test]
fn carol_dials_while_an_offer_waits_and_is_refused() {
    let stage = Stage::new();
    let (alice, bob) = (stage.online("alice"), stage.online("bob"));
    let source = stage.file("waiting.bin", 50_000);
    let out = alice.ctl.send(&jid("bob"), &source);
    let inn = bob.ctl.offer("waiting.bin");
    let hash = stranger::info_hash(alice.ctl.show(out)["info_hash"].as_str().unwrap());
    for daemon in [&alice, &bob] {
        let reply = stranger::dial(addresses(daemon)[0], Shows::OwnKey, hash, wait::LONG);
        assert_eq!(reply, Reply { bytes: Vec::new(), closed: true }, "{}", daemon.name());
    }
    bob.ctl.accept(inn);
    bob.ctl.reaches(inn, "done");
    assert_eq!(content::hash(&bob.downloads().join("waiting.bin")), content::hash(&source));
}

#[test]
fn an_offer_from_nobody_on_the_contact_list_is_not_shown() {
    let stage = Stage::new();
    let (mallory, bob) = (stage.online("mallory"), stage.online("bob"));
    let refusal = mallory
        .ctl
        .refused(&["send", &jid("bob"), xbt_tests::ctl::text(&stage.file("spam.bin", 10))], "unknown-contact");
    assert!(refusal.message.contains("bob@localhost"), "{refusal:?}");
    assert!(bob.ctl.list().is_empty());
}

#[test]
fn a_chat_client_of_a_stranger_cannot_put_an_offer_into_the_list() {
    let stage = Stage::new();
    let bob = stage.online("bob");
    let device = bob.ctl.status()["device"].as_str().unwrap().to_owned();
    let mut mallory = stage.chat("mallory");
    let offer = format!(
        "<offer xmlns='urn:x-xbt:1' id='0f2d3c4b-5a69-4788-9960-a1b2c3d4e5f6' kind='btih' info-hash='{}' size='10' files='1' metadata-size='100'>\
         <name>spam.bin</name><fingerprint>{}</fingerprint></offer>",
        "ab".repeat(20),
        "cd".repeat(32)
    );
    mallory.raw(&format!("<iq type='set' id='spam' to='{device}'>{offer}</iq>"));
    mallory.wait_for("id='spam'");
    assert!(mallory.has("service-unavailable"), "as from a client without xbt: {}", mallory.received());
    assert!(bob.ctl.list().is_empty());
}
