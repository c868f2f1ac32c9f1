//! What other programs get of the same line.

use std::ffi::OsString;
use std::fs;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use crate::bench::programs::source;
use crate::bench::timed::Timed;
use crate::ctl::text;
use crate::lab::{Lab, Side};
use crate::wait;

/// Another program, which hands over bytes from alice's host to bob's: how many seconds it took.
pub(super) type Peer = fn(&Lab, u64) -> f64;

pub(super) const PEERS: [(&str, Peer); 4] =
    [("iperf3", iperf3), ("scp", scp), ("libtorrent-tcp", libtorrent_tcp), ("libtorrent-utp", libtorrent_utp)];

fn within(lab: &Lab, side: Side, program: &[&str]) -> Vec<OsString> {
    lab.host(side).through().into_iter().chain(program.iter().map(OsString::from)).collect()
}

/// TCP as it is, for long enough that its beginning does not count much.
fn iperf3(lab: &Lab, size: u64) -> f64 {
    let work = tempfile::tempdir().expect("a temporary folder can be made");
    let server = Timed::serve(&within(lab, Side::B, &["iperf3"]), &["-s", "-1"], work.path());
    let client = within(lab, Side::A, &["iperf3"]);
    let to = Side::B.public_v4().to_string();
    let said = wait::until("iperf3 listens", wait::SOON, || {
        let args = ["-c", &to, "-t", "15", "-J"];
        let output = Command::new(&client[0]).args(&client[1..]).args(args).output().ok()?;
        output.status.success().then_some(output.stdout)
    });
    drop(server);
    let said: Value = serde_json::from_slice(&said).expect("it says JSON");
    let rate = said["end"]["sum_received"]["bits_per_second"].as_f64().expect("it says how fast it was");
    size as f64 * 8.0 / rate
}

fn scp(lab: &Lab, size: u64) -> f64 {
    let work = tempfile::tempdir().expect("a temporary folder can be made");
    let at = |name: &str| text(&work.path().join(name)).to_owned();
    for key in ["host", "user"] {
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &at(key)]).status();
        assert!(made.is_ok_and(|status| status.success()), "ssh-keygen makes a key");
    }
    let _ = fs::create_dir_all("/run/sshd");
    let options = [
        format!("-oHostKey={}", at("host")),
        format!("-oAuthorizedKeysFile={}", at("user.pub")),
        "-oStrictModes=no".into(),
        "-oUsePAM=no".into(),
        "-oPermitRootLogin=yes".into(),
        "-oPidFile=none".into(),
        "-oSubsystem=sftp internal-sftp".into(),
    ];
    let args: Vec<&str> =
        ["-D", "-e", "-f", "/dev/null", "-p", "2222"].into_iter().chain(options.iter().map(String::as_str)).collect();
    let server = Timed::start(&within(lab, Side::B, &["/usr/sbin/sshd"]), &args, work.path());
    let listens = "ss -Hltn sport = :2222 | grep -q .";
    wait::until("sshd listens", wait::SOON, || lab.host(Side::B).try_sh(listens).0.then_some(()));
    let file = lab.file("scp.bin", size);
    let to = format!("{}:{}", Side::B.public_v4(), at("copy"));
    let key = at("user");
    let args = [
        "-q",
        "-P",
        "2222",
        "-i",
        &key,
        "-oStrictHostKeyChecking=no",
        "-oUserKnownHostsFile=/dev/null",
        "-oBatchMode=yes",
        text(&file),
        &to,
    ];
    let begun = Instant::now();
    Timed::start(&within(lab, Side::A, &["scp"]), &args, work.path()).ended();
    let took = begun.elapsed().as_secs_f64();
    server.stop();
    took
}

fn libtorrent_tcp(lab: &Lab, size: u64) -> f64 {
    libtorrent(lab, size, "tcp")
}

fn libtorrent_utp(lab: &Lab, size: u64) -> f64 {
    libtorrent(lab, size, "utp")
}

fn libtorrent(lab: &Lab, size: u64, over: &str) -> f64 {
    let work = tempfile::tempdir().expect("a temporary folder can be made");
    let into = tempfile::tempdir().expect("a temporary folder can be made");
    let script = source("bench/libtorrent_peer.py");
    let program = |side: Side| {
        let [listen, over] = [format!("LISTEN={}", side.public_v4()), format!("OVER={over}")];
        within(lab, side, &["env", &listen, &over, "/usr/bin/python3", text(&script)])
    };
    let file = lab.file("libtorrent.bin", size);
    let piece = (size / 1500).next_power_of_two().clamp(32 << 10, 4 << 20).to_string();
    let args = ["seed", text(&file), text(work.path()), &piece, "0"];
    let mut seed = Timed::start(&program(Side::A), &args, work.path());
    seed.number("prepared");
    let port = seed.number("port") as u16;
    let torrent = work.path().join("content.torrent");
    let mut get = Timed::start(&program(Side::B), &["get", text(&torrent), text(into.path())], into.path());
    get.number("port");
    get.tell(&format!("{}:{port}", Side::A.public_v4()));
    let took = get.number("done");
    get.stop();
    seed.stop();
    took
}
