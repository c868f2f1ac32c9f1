//! The network changes under a transfer, which goes on by another way.

use std::time::{Duration, Instant};

use xbt_tests::Daemon;
use xbt_tests::content::MIB;
use xbt_tests::ctl::done_bytes;
use xbt_tests::lab::{Family, Lab, Mapping, Nat, Place, Router, Scene, Side};
use xbt_tests::wait;

use super::{FAST, SLOW, begin, behind, finish, shut, takes};

/// From the cut until content moves again.
const GOES_ON: Duration = Duration::from_secs(15);

/// From a better way's coming up until it is in use.
const MOVES_UP: Duration = Duration::from_secs(60);

/// At [`SLOW`] a minute's worth: the transfer outlasts every change.
const MUCH: u64 = 128 * MIB;

/// More than what can have been in flight when the way was cut.
const IN_FLIGHT: u64 = 3 * MIB;

/// Waits until new content has come after the way was cut, and `fits` says yes to the way.
#[track_caller]
fn goes_on(bob: &Daemon, inn: u64, what: &str, fits: impl Fn(&str) -> bool) {
    let cut = Instant::now();
    let before = done_bytes(&bob.ctl.show(inn));
    let found = wait::within(GOES_ON, || {
        let one = bob.ctl.show(inn);
        assert_ne!(one["state"], "done", "it was over too early to see anything: {one:#}");
        (done_bytes(&one) > before + IN_FLIGHT && one["way"].as_str().is_some_and(&fits)).then_some(())
    });
    assert!(found.is_some(), "it must go on within {GOES_ON:?} {what}: {:#}", bob.ctl.show(inn));
    println!("new content {:.1} s after the cut, {what}", cut.elapsed().as_secs_f32());
}

#[test]
fn ipv4_takes_over_when_the_ipv6_interface_goes_down() {
    let Some(lab) = Lab::open(Scene::default()) else { return };
    lab.slow(Side::A, SLOW);
    let (alice, bob) = lab.both();
    let (out, inn, source) = begin(&lab, &alice, &bob, MUCH);
    takes(&bob, inn, "direct-tcp6");
    bob.ctl.has_moved(inn, MIB);
    lab.host(Side::B).sh("ip link set eth1 down");
    goes_on(&bob, inn, "by direct-tcp4", |way| way == "direct-tcp4");
    lab.slow(Side::A, FAST);
    finish(&alice, &bob, out, inn, &source);
}

#[test]
fn a_path_that_swallows_everything_is_left() {
    let Some(lab) = Lab::open(Scene::default()) else { return };
    lab.slow(Side::A, SLOW);
    let (alice, bob) = lab.both();
    let (out, inn, source) = begin(&lab, &alice, &bob, MUCH);
    takes(&bob, inn, "direct-tcp6");
    bob.ctl.has_moved(inn, MIB);
    // Neither of the two hosts notices anything at its own interfaces.
    lab.public().sh("ip link set a6 nomaster");
    goes_on(&bob, inn, "by direct-tcp4", |way| way == "direct-tcp4");
    lab.slow(Side::A, FAST);
    finish(&alice, &bob, out, inn, &source);
}

#[test]
fn another_way_is_found_when_the_router_forgets_its_tables() {
    let router = Router::plain(Nat::PortRestricted);
    let mut scene = behind(router);
    scene.a = Place::Behind(router.with(Mapping::Upnp));
    scene.proxy = Some(Side::A);
    let Some(mut lab) = Lab::open(scene) else { return };
    for side in [Side::A, Side::B] {
        lab.slow(side, SLOW);
    }
    let (alice, bob) = lab.both();
    let (out, inn, source) = begin(&lab, &alice, &bob, MUCH);
    takes(&bob, inn, "mapped-tcp4");
    bob.ctl.has_moved(inn, MIB);
    lab.router(Side::A).forget();
    goes_on(&bob, inn, "without the mapping", |way| way == "punched-udp" || way == "proxy65");
    lab.slow(Side::A, FAST);
    finish(&alice, &bob, out, inn, &source);
}

#[test]
fn it_goes_on_when_the_routers_address_changes() {
    let nat = Place::Behind(Router::plain(Nat::PortRestricted));
    let Some(mut lab) = Lab::open(Scene { a: nat, b: Place::Public(Family::V4), ..Scene::default() }) else { return };
    lab.slow(Side::A, SLOW);
    let (alice, bob) = lab.both();
    let (out, inn, source) = begin(&lab, &alice, &bob, MUCH);
    takes(&bob, inn, "direct-tcp4");
    bob.ctl.has_moved(inn, MIB);
    lab.router(Side::A).renumber(31);
    goes_on(&bob, inn, "by a new link", |way| way == "direct-tcp4");
    lab.slow(Side::A, FAST);
    finish(&alice, &bob, out, inn, &source);
}

#[test]
fn it_goes_on_when_the_receivers_own_address_changes() {
    let v4 = Place::Public(Family::V4);
    let Some(lab) = Lab::open(Scene { a: v4, b: v4, ..Scene::default() }) else { return };
    lab.slow(Side::A, SLOW);
    let (alice, bob) = lab.both();
    let (out, inn, source) = begin(&lab, &alice, &bob, MUCH);
    takes(&bob, inn, "direct-tcp4");
    bob.ctl.has_moved(inn, MIB);
    let old = Side::B.public_v4();
    lab.host(Side::B).sh(&format!(
        "ip addr del {old}/24 dev eth0; ip addr add 11.0.0.42/24 dev eth0; ip route replace default via 11.0.0.1"
    ));
    goes_on(&bob, inn, "from the new address", |way| way == "direct-tcp4");
    lab.slow(Side::A, FAST);
    finish(&alice, &bob, out, inn, &source);
}

#[test]
fn a_relayed_transfer_moves_up_when_a_port_is_opened_later() {
    let Some(mut lab) = Lab::open(Scene { proxy: Some(Side::A), ..shut() }) else { return };
    lab.slow(Side::A, SLOW);
    let (alice, bob) = lab.both();
    let (out, inn, source) = begin(&lab, &alice, &bob, 2 * MUCH);
    takes(&bob, inn, "proxy65");
    lab.router(Side::A).start_mapping(Mapping::Upnp);
    let opened = Instant::now();
    let moved = wait::within(MOVES_UP, || (bob.ctl.show(inn)["way"] == "mapped-tcp4").then_some(()));
    assert!(moved.is_some(), "it must move up within {MOVES_UP:?}: {:#}", bob.ctl.show(inn));
    println!("moved up {:.1} s after the port could be opened", opened.elapsed().as_secs_f32());
    lab.slow(Side::A, FAST);
    finish(&alice, &bob, out, inn, &source);
}
