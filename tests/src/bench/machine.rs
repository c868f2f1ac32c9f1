//! What the figures were measured on.

use std::fs;
use std::process::Command;
use std::thread;

use serde_json::{Value, json};

use super::programs::venv;

/// The machine, the commit and the versions of everybody who takes part.
pub fn describe() -> Value {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu =
        cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name.to_owned());
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).map(|kib| kib >> 20);
    json!({
        "commit": said("git", &["describe", "--always", "--dirty"]),
        "date": said("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]),
        "build": crate::programs::profile(),
        "cpu": cpu,
        "cores": thread::available_parallelism().map_or(0, usize::from),
        "memory_gib": memory,
        "kernel": said("uname", &["-sr"]),
        "filesystem": said("stat", &["-f", "-c", "%T", &std::env::temp_dir().to_string_lossy()]),
        "programs": {
            "libtorrent": said("/usr/bin/python3", &["-c", "import libtorrent; print(libtorrent.__version__)"]),
            "aria2": said("aria2c", &["--version"]),
            "librqbit": "9.1.0",
            "ssh": said("ssh", &["-V"]),
            "prosody": said("dpkg-query", &["-W", "-f", "${Version}", "prosody"]),
            "python packages": python_packages(),
        },
    })
}

fn python_packages() -> String {
    let list = format!("{} list 2>/dev/null | grep -iE 'slixmpp|wormhole'", venv("pip").display());
    said("sh", &["-c", &list])
}

/// The load average, which a reader of figures has to know.
pub fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').take(1).collect()
}

/// What a program says of itself, on one line.
fn said(program: &str, args: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(args).output() else { return "not there".into() };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    text.lines()
        .take(3)
        .filter(|line| !line.is_empty())
        .take(if program == "sh" { 3 } else { 1 })
        .collect::<Vec<_>>()
        .join("; ")
}
