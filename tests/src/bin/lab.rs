//! Opens the network laboratory by hand: `make lab SCENE=name` (`docs/laboratory.md`).

use std::fs::{self, Permissions};
use std::io::{IsTerminal, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, ExitCode};

use xbt_tests::Lab;
use xbt_tests::lab::{Family, Mapping, Nat, Place, Router, Scene, ServerKind, Side, person, possible};
use xbt_tests::process::shell_word;

const NAT: Place = Place::Behind(Router::plain(Nat::PortRestricted));
const SYMMETRIC: Router = Router::plain(Nat::Symmetric);
const V4: Place = Place::Public(Family::V4);

/// The scenes that have a name.
fn scenes() -> Vec<(&'static str, &'static str, Scene)> {
    let plain = Scene { stun: true, ..Scene::default() };
    let shut = Scene { a: Place::Behind(SYMMETRIC), b: Place::Behind(SYMMETRIC), ..plain };
    let mapped = |mapping| Scene { a: Place::Behind(SYMMETRIC.with(mapping)), ..shut };
    vec![
        ("public", "both in public, IPv4 and IPv6", plain),
        ("ipv4", "both in public, IPv4 only", Scene { a: V4, b: V4, ..plain }),
        ("one-nat", "alice behind a router, bob in public", Scene { a: NAT, b: V4, ..plain }),
        ("upnp", "symmetric routers, alice's opens ports by UPnP", mapped(Mapping::Upnp)),
        ("nat-pmp", "symmetric routers, alice's opens ports by NAT-PMP", mapped(Mapping::NatPmp)),
        ("pcp", "symmetric routers, alice's opens ports by PCP", mapped(Mapping::Pcp)),
        ("punch", "port-restricted routers, which can be punched through", Scene { a: NAT, b: NAT, ..plain }),
        ("proxy", "symmetric routers, the server has a proxy", Scene { proxy: Some(Side::A), ..shut }),
        (
            "mixed",
            "alice has IPv4 only, bob IPv6 only, the server has both and a proxy",
            Scene {
                a: V4,
                b: Place::Public(Family::V6),
                proxy: Some(Side::A),
                proxy_by_name: true,
                ..Scene::default()
            },
        ),
        (
            "in-band",
            "symmetric routers without UDP, no proxy",
            Scene {
                a: Place::Behind(SYMMETRIC.without_udp()),
                b: Place::Behind(SYMMETRIC.without_udp()),
                ..Scene::default()
            },
        ),
        (
            "federated",
            "symmetric routers, two servers, alice's has a proxy",
            Scene { federated: Some(ServerKind::Prosody), proxy: Some(Side::A), ..shut },
        ),
        (
            "ejabberd",
            "both in public, ejabberd with a proxy",
            Scene { server: ServerKind::Ejabberd, proxy: Some(Side::A), ..plain },
        ),
    ]
}

fn main() -> ExitCode {
    let scenes = scenes();
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let Some((_, what, scene)) = scenes.iter().find(|(name, ..)| *name == wanted) else {
        println!("Choose one: make lab SCENE=name\n");
        for (name, what, _) in &scenes {
            println!("  {name:<10} {what}");
        }
        return if wanted.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) };
    };
    if let Err(why) = possible() {
        eprintln!("error: {why}\nhint: sudo make lab SCENE={wanted}");
        return ExitCode::FAILURE;
    }
    let line = match std::env::args().nth(2).filter(|line| !line.is_empty()).map(|line| line.parse()).transpose() {
        Ok(line) => line,
        Err(error) => {
            eprintln!("error: {error}\nhint: sudo make lab SCENE={wanted} LINE=100,25,0.1");
            return ExitCode::from(2);
        }
    };
    let Some(lab) = Lab::open(Scene { line, ..*scene }) else { return ExitCode::FAILURE };
    let people = [Side::A, Side::B].map(|side| lab.daemon(side).online());
    println!("{wanted}: {what}. Everything lies in {}", lab.folder().display());
    let bin = lab.folder().join("bin");
    fs::create_dir_all(&bin).expect("the laboratory can be written");
    let script = |name: &str, line: &str| {
        let path = bin.join(name);
        fs::write(&path, format!("#!/bin/sh\nexec {line} \"$@\"\n")).expect("the laboratory can be written");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("our own file");
    };
    println!("\nA command in a namespace:");
    for space in lab.spaces() {
        script(space.name(), &space.by_hand());
        println!("  {:<7} {}", space.name(), space.by_hand());
    }
    println!("\nThe daemons:");
    for (side, daemon) in [Side::A, Side::B].into_iter().zip(&people) {
        let xbtctl = xbt_tests::programs::xbtctl();
        let line = format!("env XBT_SOCKET={} {}", shell_word(daemon.ctl.socket()), shell_word(&xbtctl));
        script(person(side), &line);
        println!(
            "  {:<7} {line}    # {}, log: {}",
            person(side),
            lab.jid(side),
            daemon.home().join("xbtd.log").display()
        );
    }
    if std::io::stdin().is_terminal() {
        println!(
            "\nIn this shell the words on the left are commands, such as `alice status` or `ra nft list ruleset`. `exit` ends all."
        );
        let mut path = bin.into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let shell = Command::new("bash").args(["--norc", "-i"]).env("PATH", path).env("PS1", "lab$ ").status();
        if let Err(error) = shell {
            eprintln!("error: no shell: {error}");
            return ExitCode::FAILURE;
        }
    } else {
        println!("\nThe laboratory stands until the end of its input.");
        // What comes does not matter, only that it ends.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
    }
    ExitCode::SUCCESS
}
