//! A device of a real contact that turns bad: invited, authenticated, and then everything that BitTorrent allows to say wrong.

use std::io::{ErrorKind, Read, Write};
use std::time::Instant;

use xbt_tests::content::{self, MIB};
use xbt_tests::daemon::jid;
use xbt_tests::device::{Device, Link, Offer, handshake};
use xbt_tests::{Stage, wait};

use super::leaks::descriptors;

fn frame(id: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len() + 1).unwrap();
    [&length.to_be_bytes()[..], &[id], payload].concat()
}

fn numbers(numbers: [u32; 3]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// What is said after the handshake, and whether the daemon has to end the link for it.
fn insults() -> Vec<(&'static str, Vec<u8>, bool)> {
    let extended = |inner: &[u8]| frame(20, &[&[0][..], inner].concat());
    vec![
        ("a frame of 4 GiB", vec![0xFF; 64], true),
        ("a frame of 512 MiB", [&0x2000_0000_u32.to_be_bytes()[..], &[7; 5_000]].concat(), true),
        ("a request beyond the end", frame(6, &numbers([u32::MAX, 0, 16_384])), true),
        ("a request of 1 GiB", frame(6, &numbers([0, 0, 1 << 30])), true),
        ("a request that overflows", frame(6, &numbers([0, u32::MAX, u32::MAX])), true),
        ("a have beyond the end", frame(4, &u32::MAX.to_be_bytes()), true),
        ("a bitfield of 1 MiB", frame(5, &vec![0xFF; 1 << 20]), true),
        ("a choke with a body", frame(0, &[1, 2, 3]), true),
        ("rubbish in the extension handshake", extended(b"d1:md11:ut_metadatai-1ee13:metadata_sizei-5ee"), false),
        ("lists in lists", extended(&[b'l'; 30_000]), false),
        ("a dictionary that never ends", extended(&b"d1:".repeat(5_000)), false),
        ("a flood of requests", frame(6, &numbers([0, 0, 16_384])).repeat(50_000), true),
        ("a flood of unknown messages", frame(99, &[0; 100]).repeat(20_000), false),
        ("a flood of keep-alives", vec![0; 400_000], false),
    ]
}

/// Whether the other side ended the link, and not only for saying nothing; what it says meanwhile is thrown away.
fn ended(link: &mut Link) -> bool {
    let until = Instant::now() + wait::SOON;
    let mut buffer = vec![0; 65_536];
    while Instant::now() < until {
        match link.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return true,
        }
    }
    false
}

/// A link that the daemon has taken and shaken hands on.
#[track_caller]
fn invited(device: &mut Device, offer: &Offer) -> Link {
    wait::until("the contact's device gets a link", wait::LONG, || {
        let addresses = device.connect(offer);
        addresses.into_iter().find_map(|address| {
            let mut link = device.dial(address).ok()?;
            handshake(&mut link, &offer.info_hash).ok()?;
            Some(link)
        })
    })
}

#[test]
fn an_invited_device_that_turns_bad_harms_nobody_else() {
    let stage = Stage::new();
    let alice = stage.person("alice").with("network.upload_limit", "2 MiB/s").online();
    let dave = stage.person("dave").with("accept.from", vec![jid("alice")]).online();
    let mut bad = Device::login(&stage, "bob");
    let source = stage.file("for dave.bin", 24 * MIB);
    let precious = alice.ctl.send(&jid("dave"), &source);
    alice.ctl.has_moved(precious, MIB / 4);
    let before = descriptors(&alice);
    let memory = memory(&alice);
    let bait = alice.ctl.send(&jid("bob"), &stage.file("for bob.bin", MIB));
    let offer = bad.offer();
    for (what, bytes, must_end) in insults() {
        let mut link = invited(&mut bad, &offer);
        // May be cut off in the middle, which is right.
        let _ = link.write_all(&bytes).and_then(|()| link.flush());
        let ended = must_end && ended(&mut link);
        assert!(ended == must_end, "{what} must end the link");
        println!("{what}: survived");
    }
    assert!(memory_grew(&alice, memory) < 64 * MIB, "memory is bounded");
    let one = alice.ctl.show(bait);
    assert!(one["state"] != "done", "nobody said that it was received: {one}");
    alice.ctl.tell("cancel", bait);
    alice.ctl.reaches(precious, "done");
    assert_eq!(content::hash(&dave.downloads().join("for dave.bin")), content::hash(&source));
    drop(bad);
    wait::until("all descriptors are back", wait::LONG, || (descriptors(&alice) <= before + 4).then_some(()));
}

fn memory(daemon: &xbt_tests::Daemon) -> u64 {
    super::leaks::in_status(daemon, "VmRSS") * 1_024
}

fn memory_grew(daemon: &xbt_tests::Daemon, before: u64) -> u64 {
    memory(daemon).saturating_sub(before)
}

/// An offer with everything as it should be, but for what is given.
fn offer(device: &Device, number: u32, name: &str, size: &str) -> String {
    format!(
        "<offer xmlns='urn:x-xbt:1' id='0f2d3c4b-5a69-4788-9960-a1b2{number:08x}' kind='btih' info-hash='{}' size='{size}' files='1' \
         metadata-size='100'><name>{name}</name><fingerprint>{}</fingerprint></offer>",
        "ab".repeat(20),
        device.fingerprint
    )
}

#[test]
fn a_contact_that_floods_with_offers_and_absurd_stanzas_is_bounded_and_the_others_are_served() {
    /// `docs/protocol.md` and the limits: what of one contact waits for an answer.
    const OFFERS: usize = 256;
    let stage = Stage::unlimited();
    let alice = stage.online("alice");
    let dave = stage.online("dave");
    let mut bad = Device::login(&stage, "bob");
    let to = alice.ctl.status()["device"].as_str().unwrap().to_owned();
    let memory_before = memory(&alice);
    for number in 0..1_000 {
        let signed = bad.signed(&to, &offer(&bad, number, &format!("spam {number}"), "10"));
        bad.send_raw(&to, &signed);
        // Read, so that the server does not wait for us.
        bad.chat.has("");
    }
    for (number, name) in
        ["../../etc/passwd", "/etc/passwd", "..", "CON", "a\u{202e}gpj.exe", "x/y", "\u{200b}"].iter().enumerate()
    {
        let signed = bad.signed(&to, &offer(&bad, 5_000 + number as u32, name, "18446744073709551615"));
        bad.send_raw(&to, &signed);
    }
    for size in ["-1", "1e9", "99999999999999999999999", "", "0x10"] {
        bad.send_raw(&to, &offer(&bad, 6_000, "absurd", size));
    }
    bad.send_raw(&to, &format!("{}{}", "<a xmlns='urn:x-xbt:1'>".repeat(400), "</a>".repeat(400)));
    let items = "<item id='x' role='sender' state='open'/>".repeat(1_500);
    bad.send_raw(&to, &format!("<sync xmlns='urn:x-xbt:1'>{items}</sync>"));
    bad.chat.has("");
    // The others are served all the same.
    let out = dave.ctl.send(&jid("alice"), &stage.file("honest.bin", 50_000));
    let inn = alice.ctl.offer("honest.bin");
    alice.ctl.accept(inn);
    dave.ctl.reaches(out, "done");
    let kept = alice.ctl.list().iter().filter(|one| one["contact"] == jid("bob")).count();
    assert!((1..=OFFERS).contains(&kept), "{kept} offers of one contact");
    assert!(memory_grew(&alice, memory_before) < 64 * MIB, "memory is bounded");
    assert_eq!(alice.ctl.status()["connection"], "online");
    assert_eq!(content::names(&alice.downloads()), ["honest.bin"]);
}
