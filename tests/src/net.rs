//! Networks: the machine's own, or a private one whose every byte is counted.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustix::process::geteuid;

use crate::process::{Launch, Process, read_log};
use crate::wait;

/// Where the programs of a stage have their sockets.
#[derive(Clone, Debug, Default)]
pub struct Net {
    private: Option<Arc<Process>>,
    /// Whether programs also get the folders and files that the holder sees.
    mounts: bool,
}

impl Net {
    /// The machine's own network.
    pub fn machine() -> Self {
        Self::default()
    }

    /// A network namespace with nothing but a loopback interface. Needs root, or a kernel that lets people have user
    /// namespaces; panics, saying so, where it has neither.
    pub fn private(folder: &Path) -> Self {
        let log = folder.join("net.log");
        let mut args: Vec<OsString> = vec!["--net".into()];
        if !geteuid().is_root() {
            args.extend(["--user".into(), "--map-root-user".into()]);
        }
        args.extend(["sh", "-ec", "ip link set lo up; echo up; exec sleep infinity"].map(OsString::from));
        let launch = Launch {
            name: "a private network",
            through: Vec::new(),
            program: Path::new("unshare"),
            args,
            env: Vec::new(),
            folder,
            log: log.clone(),
        };
        let mut holder = Process::start(launch);
        wait::until("the private network is up", wait::SOON, || {
            if let Some(status) = holder.ended() {
                panic!(
                    "no private network ({status}): this test needs root or unprivileged user namespaces \
                     (sysctl kernel.unprivileged_userns_clone=1), and the packages util-linux and iproute2: {}",
                    read_log(&log)
                );
            }
            read_log(&log).contains("up").then_some(())
        });
        Self { private: Some(Arc::new(holder)), mounts: false }
    }

    /// The network and the mounts of a process that root has put into namespaces of its own.
    pub fn of(holder: Arc<Process>) -> Self {
        Self { private: Some(holder), mounts: true }
    }

    /// What a program has to be run through to be in this network.
    pub fn through(&self) -> Vec<OsString> {
        let Some(holder) = &self.private else { return Vec::new() };
        let namespaces = format!("/proc/{}/ns", holder.pid());
        let mut line = vec!["nsenter".into(), format!("--net={namespaces}/net").into()];
        if self.mounts {
            line.push(format!("--mount={namespaces}/mnt").into());
        }
        if !geteuid().is_root() {
            line.extend([format!("--user={namespaces}/user").into(), "--preserve-credentials".into()]);
        }
        line
    }

    /// All bytes that have gone over the private network's loopback so far, with the headers of IP and TCP; each byte counts once.
    pub fn bytes(&self) -> u64 {
        let holder = self.private.as_ref().expect("only a private network counts its bytes");
        let table = fs::read_to_string(format!("/proc/{}/net/dev", holder.pid())).expect("the kernel counts bytes");
        let line = table
            .lines()
            .find_map(|line| line.trim_start().strip_prefix("lo:"))
            .expect("there is a loopback interface");
        line.split_whitespace()
            .next()
            .and_then(|received| received.parse().ok())
            .expect("the first column counts received bytes")
    }
}
