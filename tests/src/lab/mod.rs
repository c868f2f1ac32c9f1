//! The network laboratory: two people, each in public or behind a router that translates addresses, and XMPP servers and a
//! STUN server on a public network between them, all in network namespaces of their own.
//!
//! `docs/laboratory.md` shows the whole. It needs root and the programs that `tests/setup.sh` installs. A laboratory is gone
//! with the thread that built it, whatever becomes of that; it has no names outside, so many can stand at once.

mod ejabberd;
pub mod line;
pub mod probe;
mod prosody;
pub mod recorder;
mod router;
pub mod scene;
mod server;
mod space;

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use rustix::process::geteuid;
use tempfile::TempDir;
use toml::Table;

use crate::content;
use crate::daemon::Daemon;
use crate::process::{Process, path};
use crate::stage::password;
use crate::wait;

pub use line::Line;
pub use router::RunningRouter;
pub use scene::{Family, Mapping, Nat, Place, Router, Scene, ServerKind, Side};
pub use server::{PROXY, SECOND_STUN, STUN, Server, proxy_domain};
pub use space::Space;

/// A laboratory that stands.
///
/// Drop daemons before it; a `let` for the laboratory before those of the daemons does that.
#[derive(Debug)]
pub struct Lab {
    scene: Scene,
    servers: Vec<Server>,
    _stun: Option<Process>,
    _lines: Vec<Process>,
    routers: [Option<RunningRouter>; 2],
    hosts: [Space; 2],
    public: Space,
    folder: TempDir,
}

impl Lab {
    /// Builds a laboratory. `None`, and a sentence that says so, where it cannot be: then the test has not run. Where `CI` is set
    /// that is a failure.
    pub fn open(scene: Scene) -> Option<Self> {
        if let Err(why) = possible() {
            assert!(env::var_os("CI").is_none(), "the laboratory must run here: {why}");
            // Not by a macro, whose words nobody sees when the test passes.
            let _ =
                writeln!(io::stderr(), "DID NOT RUN: {}: {why}", thread::current().name().unwrap_or("the laboratory"));
            return None;
        }
        Some(Self::build(scene))
    }

    fn build(scene: Scene) -> Self {
        let mut folder = tempfile::Builder::new().prefix("xbt-lab-").tempdir().expect("a temporary folder can be made");
        folder.disable_cleanup(env::var_os("XBT_TEST_KEEP").is_some());
        let names = prosody::hosts();
        let space = |name: &str| Space::new(name, folder.path(), &names);
        let public = space("public");
        public.sh(&public_script());
        let hosts = [space("a"), space("b")];
        if scene.line.is_some() {
            hosts.iter().chain([&public]).for_each(as_stock_systems);
        }
        let mut lines = Vec::new();
        let routers = [(Side::A, scene.a), (Side::B, scene.b)].map(|(side, place)| {
            let host = &hosts[index(side)];
            match place {
                Place::Public(family) => {
                    for (end, interface) in cables(side, family) {
                        lines.extend(lay(&public, &end, interface, host, scene.line));
                    }
                    host.sh(&host_script(side, place));
                    None
                }
                Place::Behind(kind) => {
                    let router = space(side.router());
                    lines.extend(lay(&public, side.router(), "eth0", &router, scene.line));
                    router.sh(&router_script(side, host.pid()));
                    host.sh(&host_script(side, place));
                    Some(RunningRouter::start(router, side, kind))
                }
            }
        });
        let stun = scene.stun.then(|| server::stun(&public));
        let sides: &[Side] = if scene.federated.is_some() { &[Side::A, Side::B] } else { &[Side::A] };
        let servers = sides.iter().map(|side| Server::start(&public, &scene, *side)).collect();
        Self { scene, servers, _stun: stun, _lines: lines, routers, hosts, public, folder }
    }

    /// What it was built from.
    pub fn scene(&self) -> &Scene {
        &self.scene
    }

    /// The namespace of a host.
    pub fn host(&self, side: Side) -> &Space {
        &self.hosts[index(side)]
    }

    /// The namespace of the servers, whose bridge is the public network.
    pub fn public(&self) -> &Space {
        &self.public
    }

    /// The router of a side that has one.
    #[track_caller]
    pub fn router(&mut self, side: Side) -> &mut RunningRouter {
        self.routers[index(side)].as_mut().expect("this side is behind a router")
    }

    /// All namespaces.
    pub fn spaces(&self) -> Vec<&Space> {
        let routers = self.routers.iter().flatten().map(|router| &router.space);
        [&self.public].into_iter().chain(&self.hosts).chain(routers).collect()
    }

    /// The server of a side.
    pub fn server(&self, side: Side) -> &Server {
        self.servers.get(index(side)).unwrap_or(&self.servers[0])
    }

    /// Kills the server of a side with SIGKILL.
    pub fn kill_server(&mut self, side: Side) {
        let at = index(side).min(self.servers.len() - 1);
        self.servers[at].kill9();
    }

    /// Starts a server that was killed, and waits until it listens.
    pub fn start_server(&mut self, side: Side) {
        let at = index(side).min(self.servers.len() - 1);
        self.servers[at].start_again(&self.public);
    }

    /// The bare JID of a side's person: alice or bob.
    pub fn jid(&self, side: Side) -> String {
        format!("{}@{}", person(side), self.server(side).domain())
    }

    /// The daemon of a side, not started, configured as one that nobody has configured: it listens everywhere and asks its router
    /// for a port.
    pub fn daemon(&self, side: Side) -> Daemon {
        let server = self.server(side);
        let place = match side {
            Side::A => self.scene.a,
            Side::B => self.scene.b,
        };
        let mut account = Table::new();
        account.insert("jid".into(), self.jid(side).into());
        account.insert("server".into(), server.address(place.v4()).into());
        account.insert("ca_file".into(), server.ca_file().to_string_lossy().as_ref().into());
        let name = person(side);
        let home = self.folder.path().join(name);
        let mut daemon = Daemon::prepare(name, &home, &self.host(side).net(), account, &password(name));
        daemon.unset("network.listen");
        daemon.unset("network.map_port");
        daemon
    }

    /// The daemons of both sides, started and online.
    #[track_caller]
    pub fn both(&self) -> (Daemon, Daemon) {
        (self.daemon(Side::A).online(), self.daemon(Side::B).online())
    }

    /// Lets a host send at most so many bits per second, such as `40mbit`.
    pub fn slow(&self, side: Side, rate: &str) {
        let host = self.host(side);
        for interface in ["eth0", "eth1"] {
            // Not every host has both.
            host.try_sh(&format!(
                "tc qdisc replace dev {interface} root tbf rate {rate} burst 64k latency 50ms 2>/dev/null"
            ));
        }
    }

    /// Makes a file of random bytes to send.
    pub fn file(&self, name: &str, size: u64) -> PathBuf {
        let path = self.folder.path().join(name);
        content::file(&path, size, size ^ 0x1AB);
        path
    }

    /// What all routers have in their tables, for whoever looks for a fault.
    pub fn report(&self) -> String {
        self.routers.iter().flatten().map(|router| format!("{}\n{}", router.space.name(), router.report())).collect()
    }

    /// The folder of the laboratory.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Whether a laboratory can be built here; if not, why.
///
/// # Errors
/// A sentence for people.
pub fn possible() -> Result<(), String> {
    if !geteuid().is_root() {
        return Err("the network laboratory needs root (try: sudo make test)".to_owned());
    }
    let mut probe = Command::new("unshare");
    probe.args(["--net", "--mount", "nft", "list", "ruleset"]).env("PATH", path());
    match probe.stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("this root may make no network namespaces with nftables in them (a container?)".to_owned()),
        Err(error) => Err(format!("unshare cannot be run: {error}")),
    }
}

/// Who lives on this side.
pub fn person(side: Side) -> &'static str {
    match side {
        Side::A => "alice",
        Side::B => "bob",
    }
}

fn index(side: Side) -> usize {
    match side {
        Side::A => 0,
        Side::B => 1,
    }
}

/// The bridge, and the servers' addresses on it. Nothing is forwarded: private addresses lead nowhere, as on the Internet.
fn public_script() -> String {
    // An address of its own: else the bridge takes another one when an interface leaves it, and nobody knows it by that.
    let mut script =
        "ip link add br0 address 02:00:00:00:00:01 type bridge forward_delay 0 mcast_snooping 0\nip link set br0 up\n"
            .to_owned();
    let stun = [STUN, SECOND_STUN].map(|last| (scene::public_v4(last), scene::public_v6(last)));
    for (four, six) in [Side::A.server(), Side::B.server()].into_iter().chain(stun) {
        script.push_str(&format!("ip addr add {four}/24 dev br0\nip -6 addr add {six}/64 dev br0 nodad\n"));
    }
    script
}

/// TCP as distributions ship it: with cubic. A namespace may choose only what the machine allows to everybody.
fn as_stock_systems(space: &Space) {
    const ALLOWED: &str = "/proc/sys/net/ipv4/tcp_allowed_congestion_control";
    let allowed = fs::read_to_string(ALLOWED).unwrap_or_default();
    if !allowed.split_whitespace().any(|name| name == "cubic") {
        // Where it cannot be had, TCP does as this machine does.
        let _ = fs::write(ALLOWED, format!("{} cubic", allowed.trim()));
    }
    space.try_sh("sysctl -qw net.ipv4.tcp_congestion_control=cubic");
}

/// A cable from the public bridge to an interface of another namespace, or a long line in its place; the program that is the
/// line.
fn lay(public: &Space, end: &str, interface: &str, to: &Space, line: Option<Line>) -> Option<Process> {
    let pid = to.pid();
    let far = format!("{end}x");
    let program = line.map(|line| {
        let name = format!("line-{end}");
        let program = crate::programs::folder().join("line").display().to_string();
        let seed = end.bytes().map(u64::from).sum::<u64>().to_string();
        let mut process = public.start(&name, &program, &[end, &far, &line.to_string(), &seed], Vec::new());
        wait::until("the line is there", wait::SOON, || {
            assert!(process.ended().is_none(), "no line: {}", process.log());
            process.log().contains("READY").then_some(())
        });
        process
    });
    match &program {
        None => public.sh(&format!("ip link add {end} type veth peer name {interface} netns {pid}")),
        Some(_) => public.sh(&format!("ip link set {far} netns {pid} name {interface}")),
    };
    public.sh(&format!("ip link set {end} master br0\nip link set {end} up\n"));
    program
}

/// The ends of a public host's cables, and the interfaces that they lead to.
fn cables(side: Side, family: Family) -> Vec<(String, &'static str)> {
    let all = [(format!("{}4", side.host()), "eth0"), (format!("{}6", side.host()), "eth1")];
    let wanted = [matches!(family, Family::V4 | Family::Both), matches!(family, Family::V6 | Family::Both)];
    all.into_iter().zip(wanted).filter(|(_, wanted)| *wanted).map(|(cable, _)| cable).collect()
}

fn router_script(side: Side, host: u32) -> String {
    format!(
        "ip addr add {}/24 dev eth0\nip link set eth0 up\nip route add default via {}\n\
         ip link add eth1 type veth peer name eth0 netns {host}\nip addr add {}/24 dev eth1\nip link set eth1 up\n\
         sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.disable_ipv6=1\n",
        side.router_v4(),
        Side::A.server().0,
        side.gateway()
    )
}

fn host_script(side: Side, place: Place) -> String {
    let mut script = String::new();
    if place.v4() {
        let (address, gateway) = match place {
            Place::Public(_) => (side.public_v4(), Side::A.server().0),
            Place::Behind(_) => (side.private_v4(), side.gateway()),
        };
        // Only what is wanted: no link-local IPv6 address here.
        script.push_str(&format!(
            "sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1\nip addr add {address}/24 dev eth0\nip link set eth0 up\n\
             ip route add default via {gateway}\n"
        ));
    }
    if place.v6() {
        script.push_str(&format!(
            "ip -6 addr add {}/64 dev eth1 nodad\nip link set eth1 up\nip -6 route add default via {}\n",
            side.public_v6(),
            Side::A.server().1
        ));
    }
    script
}
