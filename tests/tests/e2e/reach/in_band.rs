//! Row 8: nothing but XMPP is left.

use std::time::Instant;

use xbt_tests::lab::{Lab, Nat, Router, Side};

use super::{begin, behind, finish, takes};

#[test]
fn what_has_no_other_way_goes_in_band_within_the_servers_limits() {
    let Some(lab) = Lab::open(behind(Router::plain(Nat::Symmetric).without_udp())) else { return };
    let (alice, bob) = lab.both();
    let (out, inn, source) = begin(&lab, &alice, &bob, 256 << 10);
    let accepted = Instant::now();
    takes(&bob, inn, "in-band");
    takes(&alice, out, "in-band");
    finish(&alice, &bob, out, inn, &source);
    println!("in-band: 256 KiB done {:.1} s after accepting", accepted.elapsed().as_secs_f32());
    assert_eq!(
        lab.server(Side::A).log().matches("policy-violation").count(),
        0,
        "the server had nothing to complain of"
    );
}
