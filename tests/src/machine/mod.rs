//! A machine with a real systemd: this system's disk, copied on write, in namespaces of its own. What is installed,
//! started and removed there leaves no trace here.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::geteuid;
use tempfile::TempDir;

use crate::net::Net;
use crate::process::{path, tail, tell};
use crate::wait;

/// Each step of the way to a first process of its own.
const BOOT: &str = include_str!("boot.sh");

/// Where the kernel's control groups may be.
const CGROUPS: [&str; 3] = ["/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"];

/// A running machine; it is gone when this is dropped.
#[derive(Debug)]
pub struct Machine {
    child: Child,
    init: u32,
    groups: Vec<PathBuf>,
    folder: TempDir,
}

impl Machine {
    /// Why there can be no such machine here, if so.
    pub fn missing() -> Option<&'static str> {
        if !geteuid().is_root() {
            return Some("it needs root, for namespaces and mounts");
        }
        let systemd = Path::new("/lib/systemd/systemd").exists() && Path::new("/usr/bin/dpkg").exists();
        (!systemd).then_some("it needs Debian's package systemd")
    }

    /// Boots, in a network.
    pub fn boot(net: &Net) -> Self {
        let folder = tempfile::Builder::new().prefix("xbt-machine-").tempdir().expect("a temporary folder can be made");
        let (disk, script) = (folder.path().join("disk"), folder.path().join("boot.sh"));
        fs::create_dir(&disk).expect("our own folder");
        fs::write(&script, BOOT).expect("our own folder");
        let groups = groups();
        let log = File::create(folder.path().join("log")).expect("our own folder");
        // The shell puts itself into the groups before the machine takes them for the root of all groups.
        let enter = "for group; do echo $$ > \"$group/cgroup.procs\"; done; exec unshare --fork --kill-child --pid \
                     --mount --cgroup --uts --ipc sh \"$SCRIPT\" \"$DISK\"";
        let mut line = net.through();
        line.extend(["setpriv", "--pdeathsig", "KILL", "--", "sh", "-ec", enter, "sh"].map(OsString::from));
        let child = Command::new(&line[0])
            .args(&line[1..])
            .args(&groups)
            .env("SCRIPT", &script)
            .env("DISK", &disk)
            .env("PATH", path())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be cloned"))
            .stderr(log)
            .spawn()
            .expect("a shell can be started");
        let mut machine = Self { child, init: 0, groups, folder };
        machine.init = wait::until("the machine has a first process", wait::SOON, || machine.first_process());
        wait::until("systemd runs", wait::LONG, || {
            let state = machine.run(["systemctl", "is-system-running"]);
            let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
            matches!(state.as_str(), "running" | "degraded").then_some(())
        });
        machine
    }

    /// A path of the machine, as seen from here.
    pub fn at(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.init))
    }

    /// What runs a command in there: `nsenter` with its arguments.
    pub fn through(&self) -> [String; 5] {
        ["nsenter", "-t", &self.init.to_string(), "-a", "--"].map(str::to_owned)
    }

    /// Runs a command in there.
    pub fn run<S: AsRef<OsStr>>(&self, line: impl IntoIterator<Item = S>) -> Output {
        let through = self.through();
        let mut command = Command::new(&through[0]);
        command.args(&through[1..]).args(line).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("LC_ALL", "C.UTF-8").env("HOME", "/root").env("DEBIAN_FRONTEND", "noninteractive");
        command.current_dir("/").stdin(Stdio::null()).output().expect("nsenter can be run")
    }

    /// Runs a command in there that must succeed; what it said.
    #[track_caller]
    pub fn ok<S: AsRef<OsStr>>(&self, line: impl IntoIterator<Item = S>) -> String {
        let line: Vec<S> = line.into_iter().collect();
        let output = self.run(&line);
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let words: Vec<_> = line.iter().map(|word| word.as_ref().to_string_lossy()).collect();
        assert!(output.status.success(), "{words:?}: {told}{}", String::from_utf8_lossy(&output.stderr));
        told
    }

    fn first_process(&self) -> Option<u32> {
        let unshare = self.child.id();
        let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }
}

/// Groups of our own, one in each hierarchy that systemd uses.
fn groups() -> Vec<PathBuf> {
    let name = format!("xbt-machine-{}-{:?}", std::process::id(), std::thread::current().id());
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    let roots = CGROUPS.iter().map(Path::new).filter(|root| root.join("cgroup.procs").exists());
    let groups: Vec<_> = roots.map(|root| root.join(&name)).collect();
    groups.iter().for_each(|group| fs::create_dir(group).expect("root can make control groups"));
    groups
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let journal = self.run(["journalctl", "--no-pager", "-n", "60", "-o", "short-monotonic"]);
            let journal = String::from_utf8_lossy(&journal.stdout).into_owned();
            let log = tail(&self.folder.path().join("log"));
            tell(&format!("---- the machine's log ----\n{log}\n---- its journal ----\n{journal}"));
        }
        // With the first process of a namespace all others end.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for group in &self.groups {
            // What was made below goes first; a group whose processes are still ending is left behind, empty.
            let _ = wait::within(wait::SOON, || remove_group(group).ok());
        }
    }
}

fn remove_group(group: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(group)?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_group(&entry.path())?;
        }
    }
    fs::remove_dir(group)
}
