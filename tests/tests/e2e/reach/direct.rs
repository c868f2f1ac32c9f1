//! Rows 1 to 3: straight from machine to machine, where at least one side can be reached.

use xbt_tests::lab::{Family, Nat, Place, Router, Scene};

use super::arrives;

const V4: Place = Place::Public(Family::V4);
const NAT: Place = Place::Behind(Router::plain(Nat::PortRestricted));

#[test]
fn two_public_hosts_take_ipv6() {
    arrives(Scene::default(), "direct-tcp6");
}

#[test]
fn two_public_hosts_without_ipv6_take_ipv4() {
    arrives(Scene { a: V4, b: V4, ..Scene::default() }, "direct-tcp4");
}

#[test]
fn a_sender_behind_a_router_reaches_a_public_receiver() {
    arrives(Scene { a: NAT, b: V4, ..Scene::default() }, "direct-tcp4");
}

#[test]
fn a_public_sender_is_reached_by_a_receiver_behind_a_router() {
    arrives(Scene { a: V4, b: NAT, ..Scene::default() }, "direct-tcp4");
}
