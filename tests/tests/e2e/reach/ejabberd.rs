//! Rows 1 to 5 with ejabberd in place of Prosody.

use xbt_tests::lab::{Family, Lab, Mapping, Nat, Place, Router, Scene, ServerKind, Side};

use super::{arrives, behind, shut};

const V4: Place = Place::Public(Family::V4);
const NAT: Place = Place::Behind(Router::plain(Nat::PortRestricted));

fn with_ejabberd(scene: Scene) -> Scene {
    Scene { server: ServerKind::Ejabberd, ..scene }
}

#[test]
fn an_untouched_ejabberd_lets_people_log_in() {
    let Some(lab) = Lab::open(with_ejabberd(Scene::default())) else { return };
    let (alice, bob) = lab.both();
    alice.ctl.sees(&lab.jid(Side::B));
    bob.ctl.sees(&lab.jid(Side::A));
}

#[test]
fn two_public_hosts_take_ipv6() {
    arrives(with_ejabberd(Scene::default()), "direct-tcp6");
}

#[test]
fn two_public_hosts_without_ipv6_take_ipv4() {
    arrives(with_ejabberd(Scene { a: V4, b: V4, ..Scene::default() }), "direct-tcp4");
}

#[test]
fn a_sender_behind_a_router_reaches_a_public_receiver() {
    arrives(with_ejabberd(Scene { a: NAT, b: V4, ..Scene::default() }), "direct-tcp4");
}

#[test]
fn a_public_sender_is_reached_by_a_receiver_behind_a_router() {
    arrives(with_ejabberd(Scene { a: V4, b: NAT, ..Scene::default() }), "direct-tcp4");
}

#[test]
fn a_port_that_the_router_opens_is_used() {
    let router = Router::plain(Nat::Symmetric).with(Mapping::Upnp);
    arrives(with_ejabberd(Scene { a: Place::Behind(router), ..shut() }), "mapped-tcp4");
}

#[test]
fn a_hole_is_punched_through_two_port_restricted_routers() {
    arrives(with_ejabberd(behind(Router::plain(Nat::PortRestricted))), "punched-udp");
}
