//! Row 4: both behind routers, one of which opens a port.

use xbt_tests::lab::{Mapping, Nat, Place, Router, Scene};

use super::{arrives, shut};

/// Symmetric, so that no hole can be punched meanwhile; bob's router opens nothing.
fn opened_by(mapping: Mapping) -> Scene {
    Scene { a: Place::Behind(Router::plain(Nat::Symmetric).with(mapping)), ..shut() }
}

#[test]
fn a_port_that_the_router_opens_by_upnp_is_used() {
    arrives(opened_by(Mapping::Upnp), "mapped-tcp4");
}

#[test]
fn a_port_that_the_router_opens_by_nat_pmp_is_used() {
    arrives(opened_by(Mapping::NatPmp), "mapped-tcp4");
}

#[test]
fn a_port_that_the_router_opens_by_pcp_is_used() {
    arrives(opened_by(Mapping::Pcp), "mapped-tcp4");
}

#[test]
fn a_port_that_the_receivers_router_opens_is_used_as_well() {
    let router = Router::plain(Nat::Symmetric).with(Mapping::Upnp);
    arrives(Scene { b: Place::Behind(router), ..shut() }, "mapped-tcp4");
}
