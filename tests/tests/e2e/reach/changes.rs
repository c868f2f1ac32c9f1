//! The network changes under a transfer, which goes on by another way.

use std::path::PathBuf;
use std::time::Instant;

use xbt_tests::Daemon;
use xbt_tests::content::MIB;
use xbt_tests::ctl::done_bytes;
use xbt_tests::lab::{Family, Lab, Mapping, Nat, Place, Router, Scene, Side};
use xbt_tests::wait;

use super::{FAST, SLOW, begin, behind, finish, shut, takes};

/// At [`SLOW`] a minute's worth: the transfer outlasts every change.
const MUCH: u64 = 128 * MIB;

/// More than what can have been in flight when the way was cut.
const IN_FLIGHT: u64 = 3 * MIB;

/// A transfer under way.
struct Flowing {
    lab: Lab,
    alice: Daemon,
    bob: Daemon,
    out: u64,
    inn: u64,
    source: PathBuf,
}

impl Flowing {
    /// Builds the laboratory and sends so much from alice to bob, slowly; it must go this way. None where laboratories
    /// cannot be built.
    #[track_caller]
    fn by(way: &str, scene: Scene, size: u64) -> Option<Self> {
        let lab = Lab::open(scene)?;
        for side in [Side::A, Side::B] {
            lab.slow(side, SLOW);
        }
        let (alice, bob) = lab.both();
        let (out, inn, source) = begin(&lab, &alice, &bob, size);
        takes(&bob, inn, way);
        bob.ctl.has_moved(inn, MIB);
        Some(Self { lab, alice, bob, out, inn, source })
    }

    /// Waits until new content has come after the way was cut, and `fits` says yes to the way.
    #[track_caller]
    fn goes_on(&self, what: &str, fits: impl Fn(&str) -> bool) {
        let cut = Instant::now();
        let show = || self.bob.ctl.show(self.inn);
        let before = done_bytes(&show());
        let found = wait::within(wait::LONG, || {
            let one = show();
            assert_ne!(one["state"], "done", "it was over too early to see anything: {one:#}");
            (done_bytes(&one) > before + IN_FLIGHT && one["way"].as_str().is_some_and(&fits)).then_some(())
        });
        assert!(found.is_some(), "it must go on {what}: {:#}", show());
        println!("new content {:.1} s after the cut, {what}", cut.elapsed().as_secs_f32());
    }

    /// Lets it run to its end, and compares the contents.
    #[track_caller]
    fn finish(self) {
        self.lab.slow(Side::A, FAST);
        finish(&self.alice, &self.bob, self.out, self.inn, &self.source);
    }
}

#[test]
fn ipv4_takes_over_when_the_ipv6_interface_goes_down() {
    let Some(transfer) = Flowing::by("direct-tcp6", Scene::default(), MUCH) else { return };
    transfer.lab.host(Side::B).sh("ip link set eth1 down");
    transfer.goes_on("by direct-tcp4", |way| way == "direct-tcp4");
    transfer.finish();
}

#[test]
fn a_path_that_swallows_everything_is_left() {
    let Some(transfer) = Flowing::by("direct-tcp6", Scene::default(), MUCH) else { return };
    // Neither of the two hosts notices anything at its own interfaces.
    transfer.lab.public().sh("ip link set a6 nomaster");
    transfer.goes_on("by direct-tcp4", |way| way == "direct-tcp4");
    transfer.finish();
}

#[test]
fn another_way_is_found_when_the_router_forgets_its_tables() {
    let router = Router::plain(Nat::PortRestricted);
    let mut scene = behind(router);
    scene.a = Place::Behind(router.with(Mapping::Upnp));
    scene.proxy = Some(Side::A);
    let Some(mut transfer) = Flowing::by("mapped-tcp4", scene, MUCH) else { return };
    transfer.lab.router(Side::A).forget();
    transfer.goes_on("without the mapping", |way| way == "punched-udp" || way == "proxy65");
    transfer.finish();
}

#[test]
fn it_goes_on_when_the_routers_address_changes() {
    let nat = Place::Behind(Router::plain(Nat::PortRestricted));
    let Some(mut transfer) =
        Flowing::by("direct-tcp4", Scene { a: nat, b: Place::Public(Family::V4), ..Scene::default() }, MUCH)
    else {
        return;
    };
    transfer.lab.router(Side::A).renumber(31);
    transfer.goes_on("by a new link", |way| way == "direct-tcp4");
    transfer.finish();
}

#[test]
fn it_goes_on_when_the_receivers_own_address_changes() {
    let v4 = Place::Public(Family::V4);
    let Some(transfer) = Flowing::by("direct-tcp4", Scene { a: v4, b: v4, ..Scene::default() }, MUCH) else { return };
    let old = Side::B.public_v4();
    transfer.lab.host(Side::B).sh(&format!(
        "ip addr del {old}/24 dev eth0; ip addr add 11.0.0.42/24 dev eth0; ip route replace default via 11.0.0.1"
    ));
    transfer.goes_on("from the new address", |way| way == "direct-tcp4");
    transfer.finish();
}

#[test]
fn a_relayed_transfer_moves_up_when_a_port_is_opened_later() {
    let Some(mut transfer) = Flowing::by("proxy65", Scene { proxy: Some(Side::A), ..shut() }, 2 * MUCH) else { return };
    transfer.lab.router(Side::A).start_mapping(Mapping::Upnp);
    let opened = Instant::now();
    let moved =
        wait::within(wait::LONG, || (transfer.bob.ctl.show(transfer.inn)["way"] == "mapped-tcp4").then_some(()));
    assert!(moved.is_some(), "it must move up: {:#}", transfer.bob.ctl.show(transfer.inn));
    println!("moved up {:.1} s after the port could be opened", opened.elapsed().as_secs_f32());
    transfer.finish();
}
