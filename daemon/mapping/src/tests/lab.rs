//! Two network namespaces: a home with the mapper, and its router.
//!
//! Threads step into them, and a runtime that has only the one thread stays there.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{Ipv6Addr, UdpSocket};
use std::os::fd::AsFd;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::geteuid;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::{Mapper, MapperConfig, MappingState};

/// A router's own address, and ours in its network.
pub const ROUTER: &str = "192.168.77.1";
pub const OWN: &str = "192.168.77.2";
pub const ROUTER6: &str = "2001:db8:77::1";
pub const OWN6: &str = "2001:db8:77::2";
/// The router's address outside. miniupnpd takes none of the ranges for documentation; nothing leaves the namespace.
pub const OUTSIDE: &str = "11.22.33.44";
/// Another computer of the home.
pub const ANOTHER: &str = "192.168.77.9";
/// The port that we say listens.
pub const PORT: u16 = 4711;

/// The router starts with no announcement heard and the mapper just before its longest early gap: 30 s, and the work.
pub const PATIENCE: Duration = Duration::from_secs(120);

static COUNT: AtomicU32 = AtomicU32::new(0);

/// What miniupnpd is to speak.
#[derive(Clone, Copy)]
pub struct Speaks {
    pub upnp: bool,
    pub nat_pmp: bool,
    /// Needs `nat_pmp`.
    pub pcp: bool,
}

pub struct Lab {
    pub home: String,
    pub router: String,
    folder: TempDir,
    program: Option<Child>,
}

fn run(line: &str) -> Output {
    let output = Command::new("sh").args(["-ec", line]).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn has(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", &format!("PATH=$PATH:/usr/sbin:/sbin command -v {program}")])
        .output()
        .is_ok_and(|o| o.status.success())
}

impl Lab {
    /// None where there can be none, and says so.
    pub fn new() -> Option<Self> {
        let missing: Vec<&str> = ["ip", "nft", "miniupnpd"].into_iter().filter(|program| !has(program)).collect();
        if !geteuid().is_root() || !missing.is_empty() {
            eprintln!("this test did not run: it needs root, and the packages iproute2, nftables and miniupnpd");
            return None;
        }
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = |what| format!("xbtmap-{}-{number}-{what}", std::process::id());
        let (home, router) = (name("home"), name("router"));
        let lab = Self { home, router, folder: tempfile::tempdir().unwrap(), program: None };
        lab.build();
        Some(lab)
    }

    fn build(&self) {
        let Self { home, router, .. } = self;
        run(&format!(
            "ip netns add {home}; ip netns add {router}
             # Addresses are to be there at once; nobody else has them.
             ip netns exec {home} sysctl -qw net.ipv6.conf.default.accept_dad=0
             ip netns exec {router} sysctl -qw net.ipv6.conf.default.accept_dad=0
             ip -n {router} link add lan0 type veth peer name eth0 netns {home}
             ip -n {router} link add wan0 type veth peer name wan1
             ip -n {home} link set lo up; ip -n {router} link set lo up
             ip -n {router} addr add {ROUTER}/24 dev lan0
             ip -n {router} addr add {ROUTER6}/64 dev lan0 nodad
             ip -n {router} addr add {OUTSIDE}/24 dev wan0
             ip -n {router} addr add 2001:db8:99::1/64 dev wan0 nodad
             ip -n {router} link set lan0 up; ip -n {router} link set wan0 up; ip -n {router} link set wan1 up
             ip -n {home} addr add {OWN}/24 dev eth0
             ip -n {home} addr add {ANOTHER}/24 dev eth0
             ip -n {home} addr add {OWN6}/64 dev eth0 nodad
             ip -n {home} link set eth0 up
             ip -n {home} route add default via {ROUTER}"
        ));
        self.nft(
            "add table inet filter
             add chain inet filter input { type filter hook input priority 0; }
             add chain inet filter forward { type filter hook forward priority 0; }
             add chain inet filter miniupnpd
             add chain inet filter prerouting_miniupnpd { type nat hook prerouting priority -100; }
             add chain inet filter postrouting_miniupnpd { type nat hook postrouting priority 100; }",
        );
    }

    /// A default route through the router's link-local address, as routers announce it.
    pub fn route_ipv6(&self) {
        let output = run(&format!("ip -n {} -6 -o addr show dev lan0 scope link", self.router));
        let text = String::from_utf8(output.stdout).unwrap();
        let router = text.split_whitespace().find(|word| word.starts_with("fe80")).unwrap().split('/').next().unwrap();
        run(&format!("ip -n {} -6 route add default via {router} dev eth0", self.home));
    }

    pub fn nft(&self, rules: &str) {
        let file = self.folder.path().join("rules.nft");
        fs::write(&file, rules).unwrap();
        run(&format!("ip netns exec {} nft -f {}", self.router, file.display()));
    }

    /// All rules of the router.
    pub fn rules(&self) -> String {
        let output = run(&format!("ip netns exec {} nft list ruleset", self.router));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Whether the router lets this port in by IPv4.
    pub fn forwards(&self, port: u16) -> bool {
        self.rules().lines().any(|rule| rule.contains(&format!("dport {port} dnat ip to {OWN}:{PORT}")))
    }

    /// Whether the router lets our port in by IPv6.
    pub fn lets_in_ipv6(&self) -> bool {
        let own: Ipv6Addr = OWN6.parse().unwrap();
        self.rules().lines().any(|rule| rule.contains(&format!("{:#034x}", own.to_bits())))
    }

    /// Waits until the router does or does not.
    pub async fn until_forwards(&self, port: u16, wanted: bool) {
        let deadline = Instant::now() + PATIENCE;
        while self.forwards(port) != wanted {
            assert!(Instant::now() < deadline, "the router's rules: {}", self.rules());
            sleep(Duration::from_millis(100)).await;
        }
    }

    pub fn start_router(&mut self, speaks: Speaks, more: &str) {
        let yes = |on| if on { "yes" } else { "no" };
        let mut config = format!(
            "ext_ifname=wan0\next_ifname6=wan0\nlistening_ip=lan0\nhttp_port=0\nsystem_uptime=no\nsecure_mode=yes\n\
             enable_upnp={}\nenable_natpmp={}\nnotify_interval=900\nuuid=9af2eeae-996f-43d3-8dbd-f7556185cee7\n{more}\n",
            yes(speaks.upnp),
            yes(speaks.nat_pmp),
        );
        write!(config, "allow 1024-65535 192.168.77.0/24 1024-65535\ndeny 0-65535 0.0.0.0/0 0-65535\n").unwrap();
        if !speaks.pcp {
            // The first byte of a datagram is the version; 2 is PCP.
            self.nft("add rule inet filter input udp dport 5351 @th,64,8 2 drop");
        }
        let file = self.folder.path().join("miniupnpd.conf");
        fs::write(&file, config).unwrap();
        let log = File::create(self.folder.path().join("miniupnpd.log")).unwrap();
        let child = Command::new("ip")
            .args(["netns", "exec", &self.router, "miniupnpd", "-d", "-f"])
            .arg(&file)
            .arg("-P")
            .arg(self.folder.path().join("miniupnpd.pid"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.program = Some(child);
        let sign = if speaks.nat_pmp { "Listening for NAT-PMP" } else { "HTTP listening" };
        let deadline = Instant::now() + PATIENCE;
        while !self.log().contains(sign) {
            assert!(Instant::now() < deadline, "miniupnpd does not start: {}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The router loses its power: no farewell, and all mappings gone.
    pub fn break_router(&mut self) {
        if let Some(mut child) = self.program.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        self.nft(
            "flush chain inet filter miniupnpd
             flush chain inet filter prerouting_miniupnpd
             flush chain inet filter postrouting_miniupnpd",
        );
    }

    /// Another computer has our port mapped to itself, by NAT-PMP.
    pub fn map_for_another(&self) {
        let [high, low] = PORT.to_be_bytes();
        let mut answer = [0; 16];
        within(&self.home, || {
            let socket = UdpSocket::bind((ANOTHER, 0)).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket.send_to(&[0, 2, 0, 0, high, low, high, low, 0, 0, 14, 16], (ROUTER, 5351)).unwrap();
            socket.recv(&mut answer).unwrap();
        });
        assert_eq!(answer[..4], [0, 130, 0, 0]);
        assert_eq!(answer[10..12], [high, low]);
    }

    /// A socket of the router.
    pub fn router_socket(&self, port: u16) -> UdpSocket {
        within(&self.router, move || UdpSocket::bind((ROUTER, port)).unwrap())
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("miniupnpd.log")).unwrap_or_default()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(mut child) = self.program.take() {
            child.kill().ok();
            child.wait().ok();
        }
        if thread::panicking() {
            eprintln!("the router's log:\n{}", self.log());
        }
        for name in [&self.home, &self.router] {
            Command::new("ip").args(["netns", "del", name]).output().ok();
        }
    }
}

/// Does something in a namespace.
pub fn within<T: Send>(name: &str, job: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            let namespace = File::open(format!("/run/netns/{name}")).unwrap();
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            job()
        });
        inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Runs a test's body at home.
pub fn at_home(mut lab: Lab, body: impl AsyncFnOnce(&mut Lab) + Send) {
    let home = lab.home.clone();
    within(&home, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(body(&mut lab));
    });
}

/// A mapper, what it tells, and the count of changes of the network.
pub struct Running {
    pub mapper: Mapper,
    pub state: watch::Receiver<MappingState>,
    pub network: watch::Sender<u64>,
}

pub fn start(ipv4: bool, ipv6: &[&str]) -> Running {
    start_as(None, ipv4, ipv6)
}

pub fn start_as(nonce: Option<[u8; 12]>, ipv4: bool, ipv6: &[&str]) -> Running {
    let (network, changed) = watch::channel(0);
    let ipv6 = ipv6.iter().map(|ip| ip.parse().unwrap()).collect();
    let config = MapperConfig { port: PORT, ipv4, ipv6, description: "xbt".into(), nonce };
    let (mapper, state) = Mapper::start(config, changed);
    Running { mapper, state, network }
}

impl Running {
    /// Waits for a state.
    pub async fn until(&mut self, what: &str, is_so: impl Fn(&MappingState) -> bool) -> MappingState {
        let found = timeout(PATIENCE, self.state.wait_for(is_so)).await.map(|state| state.unwrap().clone());
        found.unwrap_or_else(|_| panic!("waited in vain for: {what}; now {:#?}", *self.state.borrow()))
    }
}
