//! Contents marked open: when other programs may read them, and when not (any more).

use super::world::person::alice_and_bob;
use super::world::{Node, World};
use crate::effect::Reply;
use crate::ids::TransferId;
use crate::session::SessionCommand;

fn send_open(world: &mut World, node: Node, path: &str, to: &[&str]) -> Vec<TransferId> {
    match world.send_open(node, path, to).unwrap() {
        Reply::Transfers(ids) => ids,
        Reply::Done | Reply::Removed(_) => panic!("a send makes transfers"),
    }
}

/// How many contents other programs may read, how many are served at all, and whether `id` has a magnet link.
fn open(world: &World, node: Node, id: TransferId) -> (usize, usize, bool) {
    let device = world.at(node);
    let magnet = device.domain.magnet(world.transfer(node, id)).is_some();
    assert_eq!(device.domain.open_contents(), device.engine.open.len());
    (device.engine.open.len(), device.engine.seeds.len(), magnet)
}

#[test]
fn only_a_content_marked_open_is_open_and_only_from_prepared_to_its_end() {
    let (mut world, alice, bob) = alice_and_bob(1);
    let private = world.send(alice, &["bob"])[0];
    world.pass(1_000);
    assert_eq!(open(&world, alice, private), (0, 0, false));
    let sent = send_open(&mut world, alice, "tune", &["bob"])[0];
    assert_eq!(open(&world, alice, sent), (0, 0, false), "nobody knows its info-hash yet");
    world.pass(1_000);
    assert_eq!(open(&world, alice, sent), (1, 1, true));
    assert_eq!(open(&world, alice, private), (1, 1, false));
    let got = world.list(bob).last().unwrap().id;
    world.accept(bob, got).unwrap();
    world.until(alice, sent, "done");
    world.pass(1_000);
    assert_eq!(open(&world, alice, sent), (0, 0, false));
}

#[test]
fn a_content_stays_open_while_one_of_its_recipients_has_not_got_it() {
    let (mut world, alice, bob) = alice_and_bob(2);
    world.befriend("alice", "carol");
    world.roster_push(alice, "carol");
    let sent = send_open(&mut world, alice, "tune", &["bob", "carol"]);
    world.pass(1_000);
    let got = world.only(bob);
    world.accept(bob, got).unwrap();
    world.until(alice, sent[0], "done");
    assert_eq!(open(&world, alice, sent[1]), (1, 1, true), "carol is still to get it");
    world.cancel(alice, sent[1]).unwrap();
    assert_eq!(open(&world, alice, sent[1]), (0, 0, false));
}

#[test]
fn what_is_paused_is_not_open_and_opens_again_with_what_holds_for_it() {
    let (mut world, alice, _) = alice_and_bob(3);
    let sent = send_open(&mut world, alice, "tune", &["bob"])[0];
    world.pass(1_000);
    world.pause(alice, sent).unwrap();
    assert_eq!(open(&world, alice, sent), (0, 0, false));
    world.resume(alice, sent).unwrap();
    assert_eq!(open(&world, alice, sent), (1, 1, true));
    assert_eq!(world.at(alice).engine.limited.len(), 1);
}

#[test]
fn what_was_open_is_open_again_after_a_restart_without_being_hashed_anew() {
    let (mut world, alice, _) = alice_and_bob(4);
    let sent = send_open(&mut world, alice, "tune", &["bob"])[0];
    world.pass(1_000);
    world.restart(alice);
    assert_eq!(open(&world, alice, sent), (1, 1, true));
    assert_eq!(world.at(alice).engine.prepared.values().copied().collect::<Vec<_>>(), [1]);
}

#[test]
fn the_same_thing_sent_open_twice_stays_open_until_both_have_ended() {
    let (mut world, alice, _) = alice_and_bob(5);
    let one = send_open(&mut world, alice, "tune", &["bob"])[0];
    let two = send_open(&mut world, alice, "tune", &["bob"])[0];
    world.pass(1_000);
    assert_eq!(world.at(alice).engine.open.len(), 1, "they have one info-hash");
    world.cancel(alice, one).unwrap();
    assert_eq!(world.at(alice).engine.open.len(), 1);
    world.cancel(alice, two).unwrap();
    assert_eq!(open(&world, alice, two), (0, 0, false));
}

#[test]
fn a_contact_without_xbt_is_told_the_magnet_link_of_an_open_content_and_of_no_other() {
    let mut world = World::new(6);
    world.befriend("alice", "bob");
    let (alice, bob) = (world.device("alice", "a1"), world.device("bob", "chat"));
    world.login(alice);
    world.login_as(bob, false);
    world.pass(1_000);
    world.send(alice, &["bob"]);
    send_open(&mut world, alice, "tune", &["bob"]);
    world.settle();
    let courtesy = |c: &SessionCommand| match c {
        SessionCommand::Courtesy { text, .. } => Some(text.contains("magnet:?xt=urn:btih:")),
        _ => None,
    };
    let told: Vec<bool> = world.at(alice).sent.iter().filter_map(courtesy).collect();
    assert_eq!(told, [false, true]);
}

#[test]
fn an_open_send_is_refused_where_nothing_is_listened_on() {
    let (mut world, alice, _) = alice_and_bob(7);
    let mut settings = world.at(alice).settings.clone();
    (settings.ways.direct, settings.ways.mapped) = (false, false);
    world.handle(alice, crate::input::Input::Settings(settings));
    assert_eq!(world.send_open(alice, "tune", &["bob"]).unwrap_err().code, "not-reachable");
    assert!(world.list(alice).is_empty());
}
