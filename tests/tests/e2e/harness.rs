//! The harness itself: what the other tests stand on.

use xbt_tests::{Stage, wait};

#[test]
fn friends_see_each_other_and_the_server_counts_logins_over_restarts() {
    let mut stage = Stage::new();
    let mut alice = stage.chat("alice");
    let mut bob = stage.chat("bob");
    alice.wait_for("from='bob@localhost/chat'");
    bob.say("alice@localhost", "hello");
    alice.wait_for("<body>hello</body>");
    assert_eq!((stage.prosody.logins("alice"), stage.prosody.connections()), (1, 2));
    drop((alice, bob));
    stage.prosody.kill9();
    stage.prosody.start();
    drop(stage.chat("alice"));
    wait::until("both logins are counted", wait::SOON, || (stage.prosody.logins("alice") == 2).then_some(()));
}

#[test]
fn a_private_network_counts_its_bytes() {
    let stage = Stage::counted();
    let bytes = stage.net().bytes();
    assert!(bytes < 10_000, "nothing but the start of Prosody: {bytes}");
}
