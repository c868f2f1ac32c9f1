//! Row 5: both behind routers that keep ports and open none.

use xbt_tests::lab::{Nat, Router, Side};

use super::{arrives, behind};

#[test]
fn a_hole_is_punched_through_two_port_restricted_routers() {
    arrives(behind(Router::plain(Nat::PortRestricted)), "punched-udp");
}

#[test]
fn a_hole_is_better_than_the_servers_proxy() {
    let mut scene = behind(Router::plain(Nat::PortRestricted));
    scene.proxy = Some(Side::A);
    arrives(scene, "punched-udp");
}
