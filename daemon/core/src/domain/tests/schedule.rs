//! Random people, networks and crashes; afterwards everybody is there long enough, and all must agree.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::agree::check;
use super::world::{Faults, Node, World};
use crate::ids::TransferId;
use crate::signal::{Condition, ErrorType};
use crate::way::Way;

/// How many schedules are played when nothing else is said; `make test` plays 100,000, and each pass of `make soak` many
/// more, with other seeds (`XBT_SEED` is the first, `XBT_SCHEDULES` how many, and none begins after `XBT_UNTIL`, in
/// seconds since 1970).
const SCHEDULES: u64 = 2_000;

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn whatever_happens_everybody_agrees_in_the_end() {
    let first = from_env("XBT_SEED");
    let usual = if first.is_some() { 1 } else { SCHEDULES };
    let first = first.unwrap_or(0);
    let seeds = first..first + from_env("XBT_SCHEDULES").unwrap_or(usual);
    let until = from_env("XBT_UNTIL").map(|until| UNIX_EPOCH + Duration::from_secs(until));
    let in_time = || until.is_none_or(|until| SystemTime::now() < until);
    let played = AtomicU64::new(0);
    let workers = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let fails = |seed: &u64| {
        played.fetch_add(1, Ordering::Relaxed);
        catch_unwind(AssertUnwindSafe(|| play(*seed))).is_err()
    };
    // Every schedule has its own world, so they can be played side by side.
    let shares = (0..workers).map(|worker| {
        let share = seeds.clone().filter(move |seed| seed % workers == worker);
        share.take_while(|_| in_time())
    });
    let failed: Vec<u64> = std::thread::scope(|scope| {
        let playing: Vec<_> =
            shares.map(|share| scope.spawn(move || share.filter(fails).collect::<Vec<_>>())).collect();
        playing.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    println!("{} schedules, first seed {first}", played.into_inner());
    assert!(
        failed.is_empty(),
        "{} schedules fail; play one again: XBT_SEED={} cargo test -p xbt-core schedule; all of them: {failed:?}",
        failed.len(),
        failed[0]
    );
}

fn play(seed: u64) {
    let mut world = World::new(seed);
    for (a, b) in [("alice", "bob"), ("alice", "carol"), ("bob", "carol")] {
        world.befriend(a, b);
    }
    let devices: Vec<Node> = [("alice", "a1"), ("bob", "b1"), ("bob", "b2"), ("alice", "a2"), ("carol", "c1")]
        .into_iter()
        .take(2 + world.random.below(4) as usize)
        .map(|(account, resource)| world.device(account, resource))
        .collect();
    for device in &devices {
        world.at_mut(*device).settings.courtesy_message = false;
        world.login(*device);
    }
    if world.random.chance(40) {
        world.ways = vec![Way::DirectTcp6, Way::MappedTcp4, Way::PunchedUdp, Way::Proxy65, Way::InBand];
        world.pace = [100, 3_000, 15_000][world.random.below(3) as usize];
    }
    let bad = world.random.chance(80);
    let late = bad && world.random.chance(30);
    let attacks = if bad && world.random.chance(40) { 10 + world.random.below(40) } else { 0 };
    world.faults.attacks = attacks;
    let steps = 5 + world.random.below(60);
    for _ in 0..steps {
        if bad {
            weather(&mut world, &devices, late, attacks);
        }
        person(&mut world, &devices);
        if world.random.chance(4) {
            busy(&mut world, &devices);
        }
        let longest = [200, 3_000, 60_000][world.random.below(3) as usize];
        let wait = world.random.below(longest);
        world.pass(wait);
    }
    calm(&mut world, &devices);
    // Also what an attacker held back may come late.
    if late || attacks > 0 {
        devices.iter().for_each(|device| world.logout(*device));
        calm(&mut world, &devices);
    }
    if let Err(why) = catch_unwind(AssertUnwindSafe(|| check(&world))) {
        eprintln!("seed {seed}");
        std::panic::resume_unwind(why);
    }
}

fn any(world: &mut World, devices: &[Node]) -> Node {
    devices[world.random.below(devices.len() as u64) as usize]
}

/// What the network, the machines and the disks do.
fn weather(world: &mut World, devices: &[Node], late: bool, attacks: u64) {
    let node = any(world, devices);
    match world.random.below(16) {
        0 => world.logout(node),
        1 | 2 => world.login(node),
        3 => world.restart(node),
        4 => world.at_mut(node).crash = true,
        5 => world.lose_links(node),
        6 => world.hang(node),
        7 => world.resume_stream(node),
        8 => {
            world.faults = Faults {
                lose: world.random.below(4) * 10,
                double: world.random.below(3) * 15,
                late,
                attacks,
                reorder: world.random.chance(30),
                no_links: world.random.chance(15),
                error: world.random.chance(15).then_some((Condition::RemoteServerTimeout, ErrorType::Wait)),
            };
        }
        9 => world.faults = Faults { attacks, ..Faults::default() },
        10 => {
            let full = world.random.chance(30);
            world.at_mut(node).engine.disk_full = full;
        }
        12 => world.stall_links(node),
        11 => world.skew[node.0] = world.random.below(20_000) as i64 - 10_000,
        _ => {}
    }
}

/// What a person does: also what makes no sense, which must be refused and change nothing.
fn person(world: &mut World, devices: &[Node]) {
    let node = any(world, devices);
    let ids: Vec<TransferId> = world.list(node).iter().map(|t| t.id).collect();
    let what = world.random.below(16);
    if what < 4 || ids.is_empty() {
        let to = ["alice", "bob", "carol"];
        let first = to[world.random.below(3) as usize];
        let second = to[world.random.below(3) as usize];
        let expire = world.random.chance(15).then(|| world.random.below(120_000));
        let path = format!("file-{}", world.count());
        let path = if world.random.chance(5) { "missing".to_owned() } else { path };
        let _ = world.send_file(node, &path, &[first, second], expire);
        return;
    }
    let id = ids[world.random.below(ids.len() as u64) as usize];
    let _ = match what {
        4..=9 => world.accept(node, id),
        10 => world.decline(node, id),
        11 => world.cancel(node, id),
        12 => world.pause(node, id),
        13 | 14 => world.resume(node, id),
        _ => world.remove(node, id),
    };
}

/// Many sends at once, and everything on offer is accepted: more than the links of a pair.
fn busy(world: &mut World, devices: &[Node]) {
    let from = any(world, devices);
    for _ in 0..6 {
        let path = format!("file-{}", world.count());
        let _ = world.send_file(from, &path, &["bob"], None);
    }
    world.pass(2_000);
    for node in devices {
        let ids: Vec<TransferId> = world.list(*node).iter().map(|t| t.id).collect();
        for id in ids {
            let _ = world.accept(*node, id);
        }
    }
}

/// No more faults, and time.
fn calm(world: &mut World, devices: &[Node]) {
    world.faults = Faults::default();
    world.pace = 100;
    for device in devices {
        world.skew[device.0] = 0;
        world.at_mut(*device).crash = false;
        world.at_mut(*device).engine.disk_full = false;
        world.resume_stream(*device);
        world.login(*device);
    }
    world.settle();
}
