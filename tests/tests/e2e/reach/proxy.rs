//! Rows 6, 7 and 9: through the XMPP server's SOCKS5 proxy.

use xbt_tests::lab::{Family, Place, Scene, ServerKind, Side};

use super::{arrives, shut};

#[test]
fn what_nothing_opens_goes_through_the_servers_proxy() {
    arrives(Scene { proxy: Some(Side::A), ..shut() }, "proxy65");
}

#[test]
fn ipv4_meets_ipv6_at_the_proxy() {
    let scene = Scene {
        a: Place::Public(Family::V4),
        b: Place::Public(Family::V6),
        proxy: Some(Side::A),
        proxy_by_name: true,
        ..Scene::default()
    };
    arrives(scene, "proxy65");
}

#[test]
fn the_proxy_of_the_senders_server_serves_both_of_two_servers() {
    arrives(Scene { federated: Some(ServerKind::Prosody), proxy: Some(Side::A), ..shut() }, "proxy65");
}

#[test]
fn the_proxy_of_the_receivers_server_serves_both_of_two_servers() {
    arrives(Scene { federated: Some(ServerKind::Prosody), proxy: Some(Side::B), ..shut() }, "proxy65");
}
