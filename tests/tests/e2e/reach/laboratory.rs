//! The laboratory is what it says: looked at without any of our programs.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use xbt_tests::lab::recorder::Recorder;
use xbt_tests::lab::scene::public_v4;
use xbt_tests::lab::{
    Family, Lab, Mapping, Nat, PROXY, Place, Router, SECOND_STUN, STUN, Scene, ServerKind, Side, probe,
};
use xbt_tests::wait;

const ANY4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const ANY6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// Both behind routers of one kind.
fn both(router: Router) -> Scene {
    Scene { a: Place::Behind(router), b: Place::Behind(router), stun: true, ..Scene::default() }
}

fn reaches(lab: &Lab, from: Side, to: Side, address: impl Into<IpAddr>) -> bool {
    let address = SocketAddr::new(address.into(), 40_000);
    let any = if address.is_ipv4() { ANY4 } else { ANY6 };
    probe::tcp_reaches(lab.host(from), lab.host(to), any, address)
}

#[test]
fn public_hosts_reach_each_other_with_the_families_that_they_have() {
    let Some(lab) = Lab::open(Scene::default()) else { return };
    for (from, to) in [(Side::A, Side::B), (Side::B, Side::A)] {
        assert!(reaches(&lab, from, to, to.public_v4()));
        assert!(reaches(&lab, from, to, to.public_v6()));
    }
    let mixed = Scene { a: Place::Public(Family::V4), b: Place::Public(Family::V6), ..Scene::default() };
    let Some(lab) = Lab::open(mixed) else { return };
    assert!(!reaches(&lab, Side::A, Side::B, Side::B.public_v4()));
    assert!(!reaches(&lab, Side::A, Side::B, Side::B.public_v6()));
}

#[test]
fn nobody_gets_in_where_a_router_is_and_everybody_gets_out() {
    let Some(lab) = Lab::open(Scene {
        a: Place::Behind(Router::plain(Nat::PortRestricted)),
        b: Place::Public(Family::Both),
        ..Scene::default()
    }) else {
        return;
    };
    assert!(reaches(&lab, Side::A, Side::B, Side::B.public_v4()));
    assert!(!reaches(&lab, Side::B, Side::A, Side::A.router_v4()));
    assert!(!reaches(&lab, Side::B, Side::A, Side::A.private_v4()));
}

#[test]
fn a_full_cone_lets_in_whatever_comes() {
    let Some(lab) = Lab::open(both(Router::plain(Nat::FullCone))) else { return };
    assert!(reaches(&lab, Side::A, Side::B, Side::B.router_v4()));
    assert!(probe::punches(lab.host(Side::A), lab.host(Side::B)));
}

#[test]
fn port_restricted_routers_keep_ports_and_can_be_punched_through() {
    let Some(lab) = Lab::open(both(Router::plain(Nat::PortRestricted))) else { return };
    for side in [Side::A, Side::B] {
        let socket = probe::udp(lab.host(side));
        let seen = probe::mapped(&socket, STUN).unwrap();
        assert_eq!(*seen.ip(), side.router_v4());
        assert_eq!(seen.port(), socket.local_addr().unwrap().port());
    }
    assert!(!reaches(&lab, Side::A, Side::B, Side::B.router_v4()));
    assert!(probe::punches(lab.host(Side::A), lab.host(Side::B)));
}

#[test]
fn symmetric_routers_cannot_be_punched_through() {
    let Some(lab) = Lab::open(both(Router::plain(Nat::Symmetric))) else { return };
    let socket = probe::udp(lab.host(Side::A));
    let seen = probe::mapped(&socket, STUN).unwrap();
    assert_eq!(*seen.ip(), Side::A.router_v4());
    let again = probe::mapped(&socket, SECOND_STUN).unwrap();
    assert_ne!(seen.port(), again.port(), "another port for another address");
    assert!(!probe::punches(lab.host(Side::A), lab.host(Side::B)));
    assert!(!reaches(&lab, Side::A, Side::B, Side::B.router_v4()));
}

#[test]
fn a_router_without_udp_passes_tcp_only() {
    let blocked = Router::plain(Nat::Symmetric).without_udp();
    let Some(lab) = Lab::open(both(blocked)) else { return };
    assert_eq!(probe::seen_at(lab.host(Side::A)), None);
    let server = SocketAddr::from((Side::A.server().0, 5222));
    assert!(lab.host(Side::A).inside(|| TcpStream::connect(server)).is_ok());
}

#[test]
fn each_kind_of_mapping_answers_to_its_own_protocol_only() {
    for mapping in [Mapping::Upnp, Mapping::NatPmp, Mapping::Pcp] {
        let router = Router::plain(Nat::PortRestricted).with(mapping);
        let Some(lab) = Lab::open(Scene { a: Place::Behind(router), ..Scene::default() }) else { return };
        for protocol in [Mapping::Upnp, Mapping::NatPmp, Mapping::Pcp] {
            let answers = probe::answers(lab.host(Side::A), Side::A, protocol);
            assert_eq!(answers, protocol == mapping, "{protocol:?} at a router with {mapping:?}");
        }
    }
}

#[test]
fn a_mapped_port_can_be_reached_until_the_router_forgets_it() {
    let router = Router::plain(Nat::Symmetric).with(Mapping::NatPmp);
    let Some(mut lab) = Lab::open(Scene { a: Place::Behind(router), ..Scene::default() }) else { return };
    assert!(!reaches(&lab, Side::B, Side::A, Side::A.router_v4()));
    assert_eq!(probe::map_tcp(lab.host(Side::A), Side::A, 40_000), Some(40_000));
    assert!(reaches(&lab, Side::B, Side::A, Side::A.router_v4()));
    lab.router(Side::A).forget();
    assert!(!reaches(&lab, Side::B, Side::A, Side::A.router_v4()));
    lab.router(Side::A).start_mapping(Mapping::NatPmp);
    assert_eq!(probe::map_tcp(lab.host(Side::A), Side::A, 40_000), Some(40_000));
    assert!(reaches(&lab, Side::B, Side::A, Side::A.router_v4()));
}

#[test]
fn a_router_gets_another_address() {
    let mut scene = both(Router::plain(Nat::PortRestricted));
    scene.b = Place::Public(Family::V4);
    let Some(mut lab) = Lab::open(scene) else { return };
    assert_eq!(probe::seen_at(lab.host(Side::A)).map(|seen| *seen.ip()), Some(Side::A.router_v4()));
    lab.router(Side::A).renumber(31);
    assert_eq!(probe::seen_at(lab.host(Side::A)).map(|seen| *seen.ip()), Some(public_v4(31)));
}

#[test]
fn prosody_brings_people_together() {
    let Some(lab) = Lab::open(Scene { stun: true, ..Scene::default() }) else { return };
    together(&lab);
}

#[track_caller]
fn together(lab: &Lab) {
    let (alice, bob) = lab.both();
    alice.ctl.sees(&lab.jid(Side::B));
    bob.ctl.sees(&lab.jid(Side::A));
}

/// The answer to a greeting of SOCKS5 (RFC 1928, section 3).
fn greets(lab: &Lab, from: Side, address: SocketAddr) -> std::io::Result<[u8; 2]> {
    let mut proxy = lab.host(from).inside(|| TcpStream::connect(address))?;
    proxy.write_all(&[5, 1, 0])?;
    let mut answer = [0; 2];
    proxy.read_exact(&mut answer)?;
    Ok(answer)
}

#[test]
fn both_servers_have_a_proxy_on_both_families_where_the_scene_says_so() {
    for server in [ServerKind::Prosody, ServerKind::Ejabberd] {
        let Some(lab) = Lab::open(Scene { server, proxy: Some(Side::A), ..Scene::default() }) else { return };
        let (four, six) = Side::A.server();
        for address in [SocketAddr::from((four, PROXY)), SocketAddr::from((six, PROXY))] {
            // A server that lets people log in may open its proxy a moment later.
            let answer = wait::until("the proxy answers", wait::SOON, || greets(&lab, Side::B, address).ok());
            assert_eq!(answer, [5, 0], "{server:?}");
        }
        assert!(lab.host(Side::B).sh("getent ahosts proxy.a.test").contains(&six.to_string()), "its name leads there");
    }
    let Some(lab) = Lab::open(Scene::default()) else { return };
    assert!(greets(&lab, Side::B, SocketAddr::from((Side::A.server().0, PROXY))).is_err());
}

#[test]
fn what_goes_through_the_proxy_is_recorded_both_ways() {
    let Some(lab) = Lab::open(Scene { proxy: Some(Side::A), ..Scene::default() }) else { return };
    let recorder = Recorder::start(lab.public());
    let proxy = SocketAddr::from((Side::A.server().0, PROXY));
    let answer = wait::until("the proxy answers", wait::SOON, || greets(&lab, Side::B, proxy).ok());
    assert_eq!(answer, [5, 0]);
    assert!(recorder.bytes().ends_with(&[5, 1, 0, 5, 0]));
}

#[test]
fn what_was_offered_while_the_other_server_was_dead_arrives_when_it_is_back() {
    let scene = Scene { federated: Some(ServerKind::Ejabberd), ..Scene::default() };
    let Some(mut lab) = Lab::open(scene) else { return };
    let (alice, bob) = lab.both();
    alice.ctl.sees(&lab.jid(Side::B));
    bob.ctl.sees(&lab.jid(Side::A));
    lab.kill_server(Side::B);
    let names = ["one.bin", "two.bin", "three.bin"];
    let sent = names.map(|name| alice.ctl.send(&lab.jid(Side::B), &lab.file(name, 10_000)));
    for id in sent {
        let waits = alice.ctl.becomes(id, "is put off", |one| one["why"]["code"] == "put-off");
        assert!(waits["why"]["text"].as_str().is_some_and(|text| text.contains("next try")), "{waits}");
    }
    lab.start_server(Side::B);
    let started = std::time::Instant::now();
    for name in names {
        bob.ctl.offer(name);
    }
    println!("three offers {:.1} s after the server's start", started.elapsed().as_secs_f32());
    for id in sent {
        alice.ctl.reaches(id, "offered");
    }
}

#[test]
fn federated_servers_bring_people_together() {
    let scene = Scene { federated: Some(ServerKind::Prosody), proxy: Some(Side::B), ..Scene::default() };
    let Some(lab) = Lab::open(scene) else { return };
    assert_eq!((lab.jid(Side::A).as_str(), lab.jid(Side::B).as_str()), ("alice@a.test", "bob@b.test"));
    together(&lab);
}

#[test]
fn a_host_sends_no_faster_than_it_may() {
    let Some(lab) = Lab::open(Scene::default()) else { return };
    lab.slow(Side::A, "8mbit");
    let to = SocketAddr::from((Side::B.public_v4(), 40_000));
    let listener = lab.host(Side::B).inside(|| TcpListener::bind(to)).unwrap();
    let mut out = lab.host(Side::A).inside(|| TcpStream::connect(to)).unwrap();
    let start = std::time::Instant::now();
    let reader = std::thread::spawn(move || {
        let mut from = listener.accept().unwrap().0;
        std::io::copy(&mut from, &mut std::io::sink()).unwrap()
    });
    out.write_all(&vec![0; 1 << 20]).unwrap();
    drop(out);
    assert_eq!(reader.join().unwrap(), 1 << 20);
    assert!(start.elapsed().as_millis() > 700, "a MiB at 1 MB/s took only {:?}", start.elapsed());
}

#[test]
fn nothing_is_left_when_a_laboratory_ends_however_it_ends() {
    let scene = both(Router::plain(Nat::Symmetric).with(Mapping::Upnp));
    let Some(lab) = Lab::open(scene) else { return };
    let marker = lab.folder().display().to_string();
    let here = || {
        let listed = Command::new("ps").args(["-eo", "args"]).output().unwrap();
        String::from_utf8_lossy(&listed.stdout).contains(&marker)
    };
    assert!(here(), "its programs run");
    let holders: Vec<_> = lab.spaces().iter().map(|space| space.pid()).collect();
    drop(lab);
    wait::until("its programs are gone", wait::SOON, || (!here()).then_some(()));
    assert!(holders.iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists()));

    // A thread that dies in the middle takes all with it.
    let held = std::thread::spawn(move || {
        let Some(lab) = Lab::open(scene) else { return Vec::new() };
        let pids = lab.spaces().iter().map(|space| space.pid()).collect();
        std::mem::forget(lab);
        pids
    });
    let pids = held.join().unwrap();
    assert_eq!(pids.len(), 5);
    wait::until("the forgotten one is gone", wait::SOON, || {
        let dead = |pid: &u32| {
            let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_else(|_| "gone) Z".into());
            state.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
        };
        pids.iter().all(dead).then_some(())
    });
}
