//! Every command in every state: carried out, or refused with what to do instead; nothing is changed by half.

use super::world::person::{alice_and_bob, offered};
use super::world::{Node, World};
use crate::ids::TransferId;
use crate::input::{Command, Destination, Input, TorrentEvent};
use crate::transfer::{Direction, Side, Transfer};

fn destination() -> Destination {
    Destination { folder: "/home/downloads".into(), free: Ok(u64::MAX), disk: None, largest: None, chosen: false }
}

fn commands(ids: &[TransferId]) -> Vec<(&'static str, Command)> {
    let ids = ids.to_vec();
    vec![
        ("accept", Command::Accept { ids: ids.clone(), destinations: vec![destination(); ids.len()] }),
        ("decline", Command::Decline { ids: ids.clone(), message: None }),
        ("cancel", Command::Cancel(ids.clone())),
        ("pause", Command::Pause(ids.clone())),
        ("resume", Command::Resume(ids.clone())),
        ("remove", Command::Remove { ids, delete_data: false }),
    ]
}

/// A world in which the transfer at one end has this state.
fn reach(state: &str, direction: Direction) -> (World, Node, TransferId) {
    let (mut world, a, b) = match state {
        "preparing" | "queued" => {
            let (mut world, alice, bob) = alice_and_bob(1);
            world.logout(bob);
            world.pass(100);
            let id = world.send(alice, &["bob"])[0];
            if state == "queued" {
                world.pass(1_000);
            }
            return (world, alice, id);
        }
        "expired" => {
            let (mut world, alice, bob) = alice_and_bob(1);
            world.send_file(alice, "file", &["bob"], Some(60_000)).unwrap();
            world.pass(1_000);
            let ids = (world.only(alice), world.only(bob));
            world.settle();
            (world, (alice, ids.0), (bob, ids.1))
        }
        _ => offered(1),
    };
    match state {
        "connecting" | "paused" => {
            world.faults.no_links = true;
            world.accept(b.0, b.1).unwrap();
            world.pass(500);
        }
        "sending" | "receiving" => {
            world.accept(b.0, b.1).unwrap();
            world.until(b.0, b.1, "receiving");
            world.until(a.0, a.1, "sending");
        }
        "done" => {
            world.accept(b.0, b.1).unwrap();
            world.settle();
        }
        "declined" => drop(world.decline(b.0, b.1).unwrap()),
        "cancelled" => drop(world.cancel(a.0, a.1).unwrap()),
        _ => {}
    }
    if state != "connecting" && state != "paused" && state != "sending" && state != "receiving" {
        world.pass(1_000);
    }
    let (node, id) = if direction == Direction::Out { a } else { b };
    if state == "paused" {
        world.pause(node, id).unwrap();
    } else {
        assert_eq!(world.state(node, id), state);
    }
    (world, node, id)
}

/// What each state allows.
fn allowed(state: &str, direction: Direction) -> &'static [&'static str] {
    match (state, direction) {
        ("offered", Direction::In) => &["accept", "decline", "cancel"],
        ("preparing" | "queued" | "offered" | "connecting" | "sending" | "receiving", _) => &["cancel", "pause"],
        ("paused", _) => &["cancel", "resume"],
        _ => &["remove"],
    }
}

#[test]
fn every_command_in_every_state_is_done_or_refused_with_a_hint() {
    let out = [
        "preparing",
        "queued",
        "offered",
        "connecting",
        "paused",
        "sending",
        "done",
        "declined",
        "cancelled",
        "expired",
    ];
    let inc = ["offered", "connecting", "paused", "receiving", "done", "declined", "cancelled", "expired"];
    let both = out.map(|s| (s, Direction::Out)).into_iter().chain(inc.map(|s| (s, Direction::In)));
    for (state, direction) in both {
        for (name, _) in commands(&[]) {
            let (mut world, node, id) = reach(state, direction);
            let before: Transfer = world.transfer(node, id).clone();
            let (_, command) = commands(&[id]).into_iter().find(|(n, _)| *n == name).unwrap();
            let reply = world.command(node, command);
            let may = allowed(state, direction).contains(&name);
            assert_eq!(reply.is_ok(), may, "{name} while {state} {direction:?}: {reply:?}");
            if let Err(fault) = reply {
                let of_a_send = direction == Direction::Out && ["accept", "decline"].contains(&name);
                let code = if of_a_send { "wrong-direction" } else { "wrong-state" };
                assert_eq!(fault.code, code, "{name} while {state}");
                assert!(!fault.message.is_empty() && !fault.hint.is_empty());
                assert_eq!(*world.transfer(node, id), before, "a refused command changes nothing");
            }
        }
    }
}

#[test]
fn an_unknown_number_is_refused_and_the_others_of_the_command_stay_as_they_are() {
    let (mut world, (alice, sent), _) = offered(2);
    for (name, command) in commands(&[sent, TransferId(99)]) {
        let fault = world.command(alice, command).unwrap_err();
        assert!(!fault.hint.is_empty(), "{name}");
        assert!(
            ["no-such-transfer", "wrong-state", "wrong-direction"].contains(&fault.code.as_str()),
            "{name}: {fault:?}"
        );
        assert_eq!(world.state(alice, sent), "offered");
        assert!(!world.transfer(alice, sent).paused.any());
    }
}

#[test]
fn a_number_given_twice_counts_once() {
    let (mut world, (alice, sent), _) = offered(3);
    let reply = world.command(alice, Command::Cancel(vec![sent, sent])).unwrap();
    assert_eq!(reply, crate::effect::Reply::Transfers(vec![sent]));
}

#[test]
fn a_folder_that_cannot_be_used_is_told_and_nothing_is_accepted() {
    let (mut world, _, (bob, got)) = offered(4);
    let fault = crate::fault::Fault::new("destination-unwritable", "it is read-only", "choose another one");
    let destination =
        Destination { folder: "/".into(), free: Err(fault.clone()), disk: None, largest: None, chosen: false };
    let reply = world.command(bob, Command::Accept { ids: vec![got], destinations: vec![destination] });
    assert_eq!(reply, Err(fault));
    assert_eq!(world.state(bob, got), "offered");
}

#[test]
fn a_file_that_the_disk_cannot_hold_is_refused_before_it_is_fetched() {
    let (mut world, _, (bob, got)) = offered(4);
    let size = world.transfer(bob, got).facts.as_ref().unwrap().size;
    let accept = |largest| {
        let destination = Destination { largest: Some(largest), ..destination() };
        Command::Accept { ids: vec![got], destinations: vec![destination] }
    };
    let fault = world.command(bob, accept(size - 1)).unwrap_err();
    assert_eq!((fault.code.as_str(), world.state(bob, got)), ("destination-unsuitable", "offered"));
    world.command(bob, accept(size)).unwrap();
}

#[test]
fn what_is_paused_can_be_accepted_again_into_another_folder() {
    let (mut world, (alice, sent), (bob, got)) = offered(4);
    let elsewhere = || Destination { folder: "/media/usb".into(), chosen: true, ..destination() };
    let accept = |destination| Command::Accept { ids: vec![got], destinations: vec![destination] };
    world.accept(bob, got).unwrap();
    world.until(bob, got, "receiving");
    assert_eq!(world.command(bob, accept(elsewhere())).unwrap_err().code, "wrong-state", "it is not paused");
    world.pause(bob, got).unwrap();
    let configured = Destination { chosen: false, ..elsewhere() };
    assert_eq!(world.command(bob, accept(configured)).unwrap_err().code, "wrong-state", "no folder is named");
    world.command(bob, accept(elsewhere())).unwrap();
    assert!(!world.transfer(bob, got).paused.any());
    assert!(matches!(&world.transfer(bob, got).side, Side::In { folder: Some(folder), .. } if folder == "/media/usb"));
    world.settle();
    assert_eq!((world.state(alice, sent), world.state(bob, got)), ("done", "done"));
}

#[test]
fn names_that_the_disk_refuses_are_told_once() {
    let (mut world, _, (bob, got)) = offered(4);
    world.accept(bob, got).unwrap();
    world.until(bob, got, "receiving");
    let content = world.transfer(bob, got).content;
    let renamed: Vec<_> = (0..7).map(|n| (format!("w{n}?"), format!("w{n}_"))).collect();
    for _ in 0..2 {
        let event = TorrentEvent::Renamed { content, renamed: renamed.clone() };
        world.handle(bob, Input::Torrent(event));
    }
    let told: Vec<_> = world.transfer(bob, got).history.iter().filter_map(|step| step.reason.clone()).collect();
    let told: Vec<_> = told.iter().filter(|reason| reason.contains("refuses")).collect();
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("w0? is w0_") && told[0].ends_with("and 2 more have other names"), "{told:?}");
}

/// Plays one story, with every request delivered once or twice.
fn story(double: u64, seed: u64) -> Vec<(Vec<&'static str>, usize)> {
    let (mut world, alice, bob) = alice_and_bob(seed);
    let b2 = world.device("bob", "b2");
    world.login(b2);
    world.faults.double = double;
    for _ in 0..6 {
        world.send(alice, &["bob"]);
        world.pass(2_000);
    }
    let got: Vec<_> = world.list(bob).iter().map(|t| t.id).collect();
    let sent: Vec<_> = world.list(alice).iter().map(|t| t.id).collect();
    world.accept(bob, got[0]).unwrap();
    world.decline(bob, got[1]).unwrap();
    world.accept(b2, got[2]).unwrap();
    world.pass(5_000);
    world.cancel(alice, sent[3]).unwrap();
    world.accept(bob, got[4]).unwrap();
    world.pass(200);
    world.pause(bob, got[4]).unwrap();
    world.settle();
    for node in [alice, bob, b2] {
        world.logout(node);
    }
    for node in [alice, bob, b2] {
        world.login(node);
    }
    world.settle();
    [alice, bob, b2].iter().map(|node| (world.states(*node), world.at(*node).store.devices.len())).collect()
}

#[test]
fn every_request_delivered_twice_leads_to_the_same_state_as_once() {
    for seed in 0..20 {
        assert_eq!(story(0, seed), story(100, seed), "{seed}");
    }
}
