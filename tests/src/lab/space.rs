//! Namespaces: a network stack and name tables of their own, which live as long as the process that holds them.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::Net;
use crate::process::{Launch, Process, path, read_log};
use crate::wait;

/// A namespace. It has no name that could be left over: it is gone when its holder and all that run in it are, and the
/// kernel kills those with the thread that started them.
#[derive(Clone, Debug)]
pub struct Space {
    name: String,
    folder: PathBuf,
    holder: Arc<Process>,
}

impl Space {
    /// Makes one in which `hosts` is the text of `/etc/hosts` and nobody is asked for other names. Needs root.
    pub fn new(name: &str, folder: &Path, hosts: &str) -> Self {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).expect("the laboratory can be written");
        fs::write(folder.join("hosts"), hosts).expect("the laboratory can be written");
        fs::write(folder.join("resolv.conf"), "nameserver 127.0.0.1\n").expect("the laboratory can be written");
        let script = "mount --bind hosts /etc/hosts\n\
                      if [ -e /etc/resolv.conf ]; then mount --bind resolv.conf /etc/resolv.conf; fi\n\
                      ip link set lo up\necho up\nexec sleep infinity";
        let log = folder.join("space.log");
        let mut holder = Process::start(Launch {
            name: &format!("the namespace {name}"),
            through: Vec::new(),
            program: Path::new("unshare"),
            args: ["--net", "--mount", "sh", "-ec", script].map(OsString::from).into(),
            env: Vec::new(),
            folder: &folder,
            log: log.clone(),
        });
        wait::until("the namespace is there", wait::SOON, || {
            if let Some(status) = holder.ended() {
                panic!("no namespace {name} ({status}): {}", read_log(&log));
            }
            read_log(&log).contains("up").then_some(())
        });
        Self { name: name.to_owned(), folder, holder: Arc::new(holder) }
    }

    /// What it is called in the laboratory.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process that keeps it: what `netns` of `ip link` takes.
    pub fn pid(&self) -> u32 {
        self.holder.pid()
    }

    /// Its folder, for configurations and logs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// For daemons that shall run in it.
    pub fn net(&self) -> Net {
        Net::of(self.holder.clone())
    }

    /// The words that stand before a command that shall run in it.
    pub fn through(&self) -> Vec<OsString> {
        self.net().through()
    }

    /// Runs a shell script in it that must succeed; returns what it printed.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        let (succeeded, printed) = self.try_sh(script);
        assert!(succeeded, "in {}: {script}\n{printed}", self.name);
        printed
    }

    /// Runs a shell script in it; whether it succeeded, and what it printed.
    pub fn try_sh(&self, script: &str) -> (bool, String) {
        let line = self.through();
        let output = Command::new(&line[0])
            .args(&line[1..])
            .args(["sh", "-ec", script])
            .env("PATH", path())
            .current_dir(&self.folder)
            .output()
            .expect("util-linux has nsenter");
        let printed = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&printed).into_owned())
    }

    /// Starts a program in it, which ends with the thread that calls this.
    pub fn start(&self, name: &str, program: &str, args: &[&str], env: Vec<(&'static str, OsString)>) -> Process {
        Process::start(Launch {
            name: &format!("{name} in {}", self.name),
            through: self.through(),
            program: Path::new(program),
            args: args.iter().map(OsString::from).collect(),
            env,
            folder: &self.folder,
            log: self.folder.join(format!("{name}.log")),
        })
    }

    /// Does something on its network. Sockets stay there, wherever they are used afterwards.
    pub fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let link = File::open(format!("/proc/{}/ns/net", self.pid())).expect("the holder lives");
        let moved = move || {
            move_into_link_name_space(link.as_fd(), Some(LinkNameSpaceType::Network)).expect("we are root");
            act()
        };
        std::thread::scope(|scope| scope.spawn(moved).join().expect("it does not panic"))
    }

    /// What a person types before a command.
    pub fn by_hand(&self) -> String {
        self.through().iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }
}
