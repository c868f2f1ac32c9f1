//! Distance: long lines between the people and the public network.

use xbt_tests::lab::{Family, Lab, Line, Nat, Place, Router, Scene, Side};

use super::{CONTENT, arrives, arrives_by, begin, behind, finish, shut};

/// A round trip of 150 ms from person to person: half of it lies at each end.
const FAR: Option<Line> = Some(Line::new(1000.0, 37.5));

#[test]
fn a_line_delays_paces_and_loses_what_goes_over_it() {
    let line = Line::new(20.0, 25.0).losing(5.0);
    let Some(lab) = Lab::open(Scene { line: Some(line), ..Scene::default() }) else { return };
    let pings = lab.host(Side::A).sh(&format!("ping -c 200 -i 0.002 -q {} || true", Side::B.public_v4()));
    let fastest = pings.split("= ").nth(1).and_then(|times| times.split('/').next()).and_then(|ms| ms.parse().ok());
    let fastest: f64 = fastest.unwrap_or_else(|| panic!("ping says how long it takes: {pings}"));
    assert!(fastest >= 100.0, "two lines, there and back, are 100 ms: {pings}");
    let received = pings.split(" received").next().and_then(|text| text.rsplit(' ').next()?.parse::<u32>().ok());
    let received = received.unwrap_or_else(|| panic!("ping counts: {pings}"));
    assert!((100..195).contains(&received), "a packet passes four lines, each of which loses 5 %: {pings}");
    // 250 kB at 20 Mbit/s take 100 ms, over IPv6 too.
    let six = lab.host(Side::A).sh(&format!("ping -6 -c 3 -i 0.2 -q {}", Side::B.public_v6()));
    assert!(six.contains("received"), "{six}");
}

#[test]
fn two_public_hosts_far_apart_take_quic_or_tcp_if_it_is_late() {
    arrives_by(Scene { line: FAR, ..Scene::default() }, &["direct-udp6", "direct-tcp6"]);
}

#[test]
fn a_sender_behind_a_router_reaches_a_receiver_far_away() {
    let place = Place::Behind(Router::plain(Nat::PortRestricted));
    let direct = ["direct-udp4", "direct-tcp4"];
    arrives_by(Scene { a: place, b: Place::Public(Family::V4), line: FAR, ..Scene::default() }, &direct);
    let scene = Scene { a: place, b: Place::Public(Family::V4), line: FAR, stun: true, ..Scene::default() };
    // A hole is open at the same moment as the port of the other side: which of the two is first is chance.
    arrives_by(scene, &["direct-udp4", "punched-udp", "direct-tcp4"]);
}

#[test]
fn what_goes_over_a_line_that_loses_packets_arrives_whole() {
    let line = Some(Line::new(100.0, 25.0).losing(1.0));
    for scene in [Scene::default(), behind(Router::plain(Nat::PortRestricted))] {
        let Some(lab) = Lab::open(Scene { line, ..scene }) else { return };
        let (alice, bob) = lab.both();
        let (out, inn, source) = begin(&lab, &alice, &bob, CONTENT);
        finish(&alice, &bob, out, inn, &source);
    }
}

#[test]
fn a_hole_is_punched_between_routers_far_apart() {
    arrives(Scene { line: FAR, ..behind(Router::plain(Nat::PortRestricted)) }, "punched-udp");
}

#[test]
fn symmetric_routers_far_apart_take_the_proxy() {
    arrives(Scene { line: FAR, proxy: Some(Side::A), ..shut() }, "proxy65");
}
