//! What `xbtctl doctor` and `xbtctl show` say about the network is so.

use serde_json::Value;
use xbt_tests::lab::{Lab, Mapping, Nat, Place, Router, Scene, Side};
use xbt_tests::{Ctl, Daemon, wait};

use super::{CONTENT, FAST, SLOW, begin, behind, finish, shut, takes};

/// Waits until the daemon knows its network: what the server offers, what STUN sees, and what the router says.
#[track_caller]
fn settled(daemon: &Daemon, mapped: &str) {
    let known = || {
        let network = &daemon.ctl.json(&["status"])["network"];
        let stun = network["stun"]["symmetric"].is_boolean();
        (stun && network["server"].is_object() && network["mapping"][mapped].is_string()).then_some(())
    };
    let found = wait::within(wait::LONG, known);
    assert!(found.is_some(), "its network is not known: {:#}", daemon.ctl.json(&["status"])["network"]);
}

/// Runs the doctor, who must end with this exit code: what people and what programs see.
#[track_caller]
fn doctor(ctl: &Ctl, exit: i32) -> (String, Vec<Value>) {
    let plain = ctl.run(&["doctor"]);
    assert_eq!(plain.code, Some(exit), "{plain:#?}");
    assert_eq!(plain.stderr, "", "what is wrong was told already");
    let report = ctl.run(&["doctor", "--json"]);
    assert_eq!(report.code, Some(exit), "{report:#?}");
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(report["healthy"], exit == 0);
    (plain.stdout, report["findings"].as_array().unwrap().clone())
}

/// The finding of a check, which must have this level.
#[track_caller]
fn finding(findings: &[Value], check: &str, level: &str) -> (String, String) {
    let found = findings.iter().find(|finding| finding["check"] == check);
    let found = found.unwrap_or_else(|| panic!("nothing about {check}: {findings:#?}"));
    assert_eq!(found["level"], level, "{found:#}");
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    (text("text"), text("remedy"))
}

#[test]
fn behind_a_symmetric_router_that_opens_nothing_the_doctor_names_both_and_the_remedy() {
    let Some(lab) = Lab::open(shut()) else { return };
    let bob = lab.daemon(Side::B).online();
    settled(&bob, "problem");
    let (text, findings) = doctor(&bob.ctl, 1);
    let port = bob.ctl.json(&["status"])["network"]["port"].as_u64().unwrap();
    let (nat, remedy) = finding(&findings, "nat", "note");
    assert!(nat.contains("symmetric NAT") && remedy.contains("forwarded"), "{nat} {remedy}");
    let (mapping, remedy) = finding(&findings, "port", "note");
    assert!(mapping.contains(&Side::B.gateway().to_string()) && mapping.contains("UPnP"), "{mapping}");
    assert!(mapping.contains(&format!("forward TCP port {port} by hand")), "{mapping}");
    assert!(remedy.contains(&format!("advertise = [\"{}:{port}\"]", Side::B.router_v4())), "{remedy}");
    finding(&findings, "proxy", "note");
    let (reach, _) = finding(&findings, "reach", "problem");
    assert!(reach.contains("only through the XMPP server itself"), "{reach}");
    assert!(text.lines().any(|line| line.starts_with("problem  reach")), "one line for each finding: {text}");
}

#[test]
fn behind_a_router_that_opens_ports_the_doctor_names_the_mapped_address() {
    let router = Router::plain(Nat::Symmetric).with(Mapping::Upnp);
    let Some(lab) = Lab::open(Scene { a: Place::Behind(router), ..shut() }) else { return };
    let alice = lab.daemon(Side::A).online();
    settled(&alice, "external");
    let (_, findings) = doctor(&alice.ctl, 0);
    let status = alice.ctl.json(&["status"]);
    let external = status["network"]["mapping"]["external"].as_str().unwrap();
    assert!(external.starts_with(&Side::A.router_v4().to_string()), "{external}");
    assert_eq!(status["mapped"], serde_json::json!([external]));
    let (port, _) = finding(&findings, "port", "ok");
    assert!(port.contains(external) && port.contains("upnp"), "{port}");
    finding(&findings, "reach", "ok");
}

#[test]
fn a_public_host_with_a_good_server_is_well() {
    let scene = Scene { proxy: Some(Side::A), stun: true, ..Scene::default() };
    let Some(lab) = Lab::open(scene) else { return };
    let alice = lab.daemon(Side::A).online();
    settled(&alice, "problem");
    let (_, findings) = doctor(&alice.ctl, 0);
    // The disk is the machine's own.
    let bad =
        findings.iter().filter(|one| one["level"] != "ok" && one["check"] != "downloads" && one["check"] != "state");
    assert_eq!(bad.collect::<Vec<_>>(), [] as [&Value; 0]);
    let (nat, _) = finding(&findings, "nat", "ok");
    assert!(nat.contains("no NAT"), "{nat}");
}

#[test]
fn show_names_the_relay_in_use_and_for_each_better_way_one_reason_with_what_to_do() {
    let Some(lab) = Lab::open(Scene { proxy: Some(Side::A), ..shut() }) else { return };
    lab.slow(Side::A, SLOW);
    let (alice, bob) = lab.both();
    for one in [&alice, &bob] {
        settled(one, "problem");
    }
    let (out, inn, source) = begin(&lab, &alice, &bob, CONTENT);
    takes(&bob, inn, "proxy65");
    let details = bob.ctl.show(inn);
    let ways: Vec<_> = details["attempts"].as_array().unwrap().iter().map(|one| one["way"].clone()).collect();
    assert_eq!(ways, ["direct-tcp6", "direct-tcp4", "mapped-tcp4", "punched-udp"], "{details:#}");
    let reason = |way: &str| {
        let all = details["attempts"].as_array().unwrap();
        all.iter().find(|one| one["way"] == way).unwrap()["reason"].as_str().unwrap().to_owned()
    };
    let has = |way: &str, part: &str| assert!(reason(way).contains(part), "{way}: {}", reason(way));
    let alice_jid = lab.jid(Side::A);
    has("direct-tcp6", "neither side has an IPv6 address");
    has("direct-tcp4", &format!("{alice_jid} is in another local network: {}", Side::A.private_v4()));
    has("mapped-tcp4", &format!("the router at {} does not answer to UPnP", Side::B.gateway()));
    has("mapped-tcp4", "by hand");
    has("punched-udp", "symmetric NAT");
    let text = bob.ctl.ok(&["show", &inn.to_string()]);
    assert_eq!(details["relay"], "proxy.a.test");
    let way = "proxy65: relayed (encrypted) by the proxy of an XMPP server (proxy.a.test)";
    assert!(text.contains(way), "{text}");
    for way in ["direct-tcp6", "direct-tcp4", "mapped-tcp4", "punched-udp"] {
        assert_eq!(text.matches(&format!("not {way}: ")).count(), 1, "{text}");
    }
    assert!(text.contains("'xbtctl doctor'"), "{text}");
    lab.slow(Side::A, FAST);
    finish(&alice, &bob, out, inn, &source);
}

#[test]
fn behind_a_router_that_keeps_ports_the_doctor_says_that_holes_can_be_punched() {
    let Some(lab) = Lab::open(behind(Router::plain(Nat::PortRestricted))) else { return };
    let alice = lab.daemon(Side::A).online();
    settled(&alice, "problem");
    let (_, findings) = doctor(&alice.ctl, 0);
    let (nat, _) = finding(&findings, "nat", "ok");
    assert!(nat.contains("hole punching works") && nat.contains(&Side::A.router_v4().to_string()), "{nat}");
    finding(&findings, "reach", "note");
}
