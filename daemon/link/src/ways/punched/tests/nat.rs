//! Two devices behind routers that let no connection in: Linux as router, in network namespaces made for the test.
//!
//! `alice – alices-router – internet – bobs-router – bob`; two STUN servers in the internet. Each device is a process of
//! this very test program (`one_side`), because a process lives in one namespace.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use super::asking::Turnserver;
use super::*;

const STUN: [&str; 2] = ["203.0.113.1:3478", "203.0.113.2:3478"];

/// Which side a process is: `small` opens a stream.
const SIDE: &str = "XBT_TEST_PUNCH_SIDE";

/// Where a process has its key.
const KEY: &str = "XBT_TEST_PUNCH_KEY";

/// The namespaces, gone when dropped.
struct Internet {
    prefix: String,
    _servers: Vec<Turnserver>,
}

impl Internet {
    /// None, and why, where this cannot be had.
    fn make(name: &str, folder: &Path) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("network namespaces need root".to_owned());
        }
        let prefix = format!("xbt{}{name}", std::process::id());
        let mut internet = Self { prefix, _servers: Vec::new() };
        for place in ["a", "ra", "w", "rb", "b"] {
            run(&["ip", "netns", "add", &internet.at(place)])?;
            internet.run(place, "ip link set lo up")?;
        }
        internet.run("w", "ip link add br0 type bridge")?;
        internet.run("w", "ip addr add 203.0.113.1/24 dev br0")?;
        internet.run("w", "ip addr add 203.0.113.2/24 dev br0")?;
        internet.run("w", "ip link set br0 up")?;
        internet.home("a", 11)?;
        internet.home("b", 12)?;
        for server in STUN {
            let server: SocketAddr = server.parse().unwrap();
            let folder = folder.join(server.ip().to_string());
            std::fs::create_dir_all(&folder).unwrap();
            let through = ["ip", "netns", "exec", &internet.at("w")].map(str::to_owned);
            let started =
                Turnserver::start_through(&through, server, &folder).ok_or("there is no turnserver (coturn)")?;
            internet._servers.push(started);
        }
        Ok(internet)
    }

    /// A device and its router.
    fn home(&self, who: &str, number: u8) -> Result<(), String> {
        let router = &format!("r{who}");
        let (wan, lan) = (format!("203.0.113.{number}"), format!("10.{number}.0"));
        self.run(router, &format!("ip link add wan type veth peer name p{who} netns {}", self.at("w")))?;
        self.run("w", &format!("ip link set p{who} master br0 up"))?;
        self.run(router, &format!("ip link add lan type veth peer name eth netns {}", self.at(who)))?;
        self.run(router, &format!("ip addr add {wan}/24 dev wan"))?;
        self.run(router, &format!("ip addr add {lan}.1/24 dev lan"))?;
        self.run(router, "ip link set wan up")?;
        self.run(router, "ip link set lan up")?;
        self.run(who, &format!("ip addr add {lan}.2/24 dev eth"))?;
        self.run(who, "ip link set eth up")?;
        self.run(who, &format!("ip route add default via {lan}.1"))?;
        self.run(router, "sysctl -qw net.ipv4.ip_forward=1")?;
        self.run(router, "iptables -t nat -A POSTROUTING -o wan -j MASQUERADE")?;
        self.run(router, "iptables -A INPUT -i wan -j DROP")?;
        self.run(router, "iptables -A FORWARD -i wan -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT")?;
        self.run(router, "iptables -A FORWARD -i wan -j DROP")
    }

    fn at(&self, place: &str) -> String {
        format!("{}{place}", self.prefix)
    }

    fn run(&self, place: &str, command: &str) -> Result<(), String> {
        let place = self.at(place);
        let mut words = vec!["ip", "netns", "exec", &place];
        words.extend(command.split(' '));
        run(&words)
    }

    fn device(&self, place: &str, side: &str, key: &Path) -> Side {
        // Without the crate, as test programs know it.
        let (_, module) = module_path!().split_once("::").unwrap();
        let mut process = Command::new("ip")
            .args(["netns", "exec", &self.at(place)])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", &format!("{module}::one_side"), "--ignored", "--nocapture"])
            .env(SIDE, side)
            .env(KEY, key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, told) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        Side { process, tell, told }
    }
}

impl Drop for Internet {
    fn drop(&mut self) {
        self._servers.clear();
        for place in ["a", "ra", "w", "rb", "b"] {
            let _ = run(&["ip", "netns", "del", &self.at(place)]);
        }
    }
}

fn run(words: &[&str]) -> Result<(), String> {
    let done = Command::new(words[0]).args(&words[1..]).output().map_err(|error| error.to_string())?;
    if done.status.success() { Ok(()) } else { Err(format!("{words:?}: {}", String::from_utf8_lossy(&done.stderr))) }
}

/// A device in its namespace, as the test sees it.
struct Side {
    process: Child,
    tell: ChildStdin,
    told: BufReader<ChildStdout>,
}

impl Side {
    /// The next line that is for us; the test framework prints others.
    fn line(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.told.read_line(&mut line).unwrap(), 0, "the device has ended");
            if let Some((_, told)) = line.split_once("@ ") {
                return told.trim().to_owned();
            }
        }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.tell, "{line}").unwrap();
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Told by a device: what STUN says. Told to it: the other's key and addresses. Told by it: how it went.
#[tokio::test]
#[ignore = "one side of the tests here, as a process of its own"]
async fn one_side() {
    let (Ok(side), Ok(key)) = (std::env::var(SIDE), std::env::var(KEY)) else { return };
    let identity = Identity::load_or_create(Path::new(&key)).unwrap();
    let mut device = Device::start(&identity, &["0.0.0.0:0"]);
    let servers = STUN.map(|server| server.parse().unwrap());
    let asked = async {
        loop {
            if let Ok(seen @ Reflexive { stable: Some(_), .. }) = device.punch.reflexive(&servers).await {
                return seen;
            }
        }
    };
    let seen = timeout(PATIENCE, asked).await.expect("both STUN servers");
    println!("@ {} {} {}", device.fingerprint, seen.address, seen.stable.unwrap());
    let line = told().await;
    let (peer, address) = line.trim().split_once(' ').unwrap();
    let peer: Fingerprint = peer.parse().unwrap();
    let begun = Instant::now();
    match device.punch.connect(peer, &[address.parse().unwrap()], Duration::from_secs(8)).await {
        Ok(()) => println!("@ through {}", begun.elapsed().as_millis()),
        Err(Failure { reason, text }) => return println!("@ {reason} {text}"),
    }
    let mut stream = if side == "small" {
        let (mut stream, _) = device.punch.open(peer).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        stream
    } else {
        let mut stream = device.arrived().await.stream;
        assert_eq!(read(&mut stream, 5).await, b"hello");
        stream.write_all(b"welcome").await.unwrap();
        stream
    };
    if side == "small" {
        assert_eq!(read(&mut stream, 7).await, b"welcome");
    }
    println!("@ spoken");
    // Until the other side has heard it and the test lets us go.
    told().await;
}

/// A line from the test.
async fn told() -> String {
    let reading = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).unwrap();
        line
    });
    reading.await.unwrap()
}

/// A round: both come to know each other and connect, `lag` after one another. What both say of it.
fn round(internet: &Internet, keys: &(std::path::PathBuf, std::path::PathBuf), lag: Duration) -> [String; 4] {
    let (mut alice, mut bob) = (internet.device("a", "small", &keys.0), internet.device("b", "large", &keys.1));
    let (of_alice, of_bob) = (alice.line(), bob.line());
    let (known_alice, alice_stable) = of_alice.rsplit_once(' ').unwrap();
    let (known_bob, bob_stable) = of_bob.rsplit_once(' ').unwrap();
    alice.say(known_bob);
    // Not waiting for a condition: the lag is what is tried.
    std::thread::sleep(lag);
    bob.say(known_alice);
    let went = [alice.line(), bob.line()];
    if went.iter().all(|side| side.starts_with("through")) {
        assert_eq!([alice.line(), bob.line()], ["spoken", "spoken"]);
    }
    let [alice_went, bob_went] = went;
    [alice_went, bob_went, alice_stable.to_owned(), bob_stable.to_owned()]
}

fn keys(folder: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let (one, other) = (folder.join("one"), folder.join("other"));
    let of = |path: &Path| Identity::load_or_create(path).unwrap().fingerprint();
    if of(&one) < of(&other) { (one, other) } else { (other, one) }
}

#[test]
fn ten_times_in_a_row_through_two_routers_that_let_nobody_in() {
    let folder = tempfile::tempdir().unwrap();
    let internet = match Internet::make("p", folder.path()) {
        Ok(internet) => internet,
        Err(why) => return eprintln!("not run: {why}"),
    };
    let keys = keys(folder.path());
    for turn in 0..10_u64 {
        // Signalling takes its time, now to one side and now to the other.
        let lag = Duration::from_millis(turn * 150);
        let [alice, bob, alice_stable, bob_stable] = round(&internet, &keys, lag);
        println!("{} ms after one another: alice {alice} ms, bob {bob} ms", lag.as_millis());
        assert!(alice.starts_with("through") && bob.starts_with("through"), "{alice}; {bob}");
        assert_eq!([alice_stable.as_str(), bob_stable.as_str()], ["true", "true"]);
    }
}

#[test]
fn a_router_that_gives_every_destination_another_port_is_recognised_and_not_got_through() {
    let folder = tempfile::tempdir().unwrap();
    let internet = match Internet::make("s", folder.path()) {
        Ok(internet) => internet,
        Err(why) => return eprintln!("not run: {why}"),
    };
    internet.run("rb", "iptables -t nat -F").unwrap();
    internet.run("rb", "iptables -t nat -A POSTROUTING -o wan -j MASQUERADE --random-fully").unwrap();
    let [alice, bob, alice_stable, bob_stable] = round(&internet, &keys(folder.path()), Duration::ZERO);
    assert_eq!([alice_stable.as_str(), bob_stable.as_str()], ["true", "false"]);
    assert!(alice.starts_with("no-answer") && bob.starts_with("no-answer"), "{alice}; {bob}");
}

#[test]
fn such_a_router_is_got_through_to_a_device_that_takes_any_port() {
    let folder = tempfile::tempdir().unwrap();
    let internet = match Internet::make("o", folder.path()) {
        Ok(internet) => internet,
        Err(why) => return eprintln!("not run: {why}"),
    };
    internet.run("rb", "iptables -t nat -F").unwrap();
    internet.run("rb", "iptables -t nat -A POSTROUTING -o wan -j MASQUERADE --random-fully").unwrap();
    // Alice's router keeps no track of who she has spoken to ("full cone").
    internet.run("ra", "iptables -t nat -A PREROUTING -i wan -p udp -j DNAT --to-destination 10.11.0.2").unwrap();
    internet.run("ra", "iptables -I FORWARD -i wan -p udp -j ACCEPT").unwrap();
    let [alice, bob, _, bob_stable] = round(&internet, &keys(folder.path()), Duration::ZERO);
    assert_eq!(bob_stable, "false");
    assert!(alice.starts_with("through") && bob.starts_with("through"), "{alice}; {bob}");
}
