//! A real `xbtd` with a home of its own.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;
use toml::{Table, Value};

use crate::clock::Clock;
use crate::ctl::{Ctl, text};
use crate::disk::{self, Disk};
use crate::foreign_disk::ForeignDisk;
use crate::net::Net;
use crate::power::PowerDisk;
use crate::process::{Launch, Process, read_log};
use crate::{ports, programs, wait};

/// SIGTERM has to end the daemon. It bounds its own steps to less than five seconds together, by a clock that goes on
/// while a busy machine lets it wait.
pub const CLEAN_STOP: Duration = wait::SOON;

/// A device: a home, a configuration, and the daemon while it runs.
#[derive(Debug)]
pub struct Daemon {
    /// Its command line.
    pub ctl: Ctl,
    name: String,
    home: PathBuf,
    config: Table,
    net: Net,
    disk: Option<u64>,
    foreign_disk: Option<ForeignDisk>,
    state_disk: Option<Disk>,
    power: Option<PowerDisk>,
    clock: Option<Clock>,
    told: Vec<(&'static str, OsString)>,
    handed: Option<u32>,
    open_files: Option<u32>,
    process: Option<Process>,
}

impl Daemon {
    /// Makes the home of a device; [`Self::start`] starts the daemon. `account` holds what belongs into `[account]`, except for the password,
    /// which goes into a file.
    pub fn prepare(name: &str, home: &Path, net: &Net, account: Table, password: &str) -> Self {
        for part in [".config/xbt", ".local/state", "run", "Downloads", "tmp"] {
            fs::create_dir_all(home.join(part)).expect("the home can be written");
        }
        fs::set_permissions(home.join("run"), Permissions::from_mode(0o700)).expect("our own folder");
        let mut daemon = Self {
            ctl: Ctl::new(name, home, &home.join("run/xbt/xbtd.sock")),
            name: name.to_owned(),
            home: home.to_owned(),
            config: Table::new(),
            net: net.clone(),
            disk: None,
            foreign_disk: None,
            state_disk: None,
            power: None,
            clock: None,
            told: Vec::new(),
            handed: None,
            open_files: None,
            process: None,
        };
        daemon.password(password);
        daemon.config.insert("account".into(), account.into());
        daemon.set("account.password_file", "~/.config/xbt/password");
        daemon.set("files.download_dir", "~/Downloads");
        // Loopback is offered to contacts because it is listed; ports are the kernel's.
        let listen = if ports::has_v6() { vec!["127.0.0.1:0", "[::1]:0"] } else { vec!["127.0.0.1:0"] };
        daemon.set("network.listen", listen);
        daemon.set("network.map_port", false);
        daemon
    }

    /// Sets a key of the configuration, such as `network.upload_limit`; it counts from the next start or SIGHUP on.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        let (section, key) = key.split_once('.').expect("a key is written section.key");
        let section = self.config.entry(section).or_insert_with(|| Table::new().into());
        section.as_table_mut().expect("a section is a table").insert(key.into(), value.into());
        self.write_config();
    }

    /// Adds one of several sections of a name, such as `[[rule]]`, with these keys.
    pub fn add(&mut self, section: &str, keys: &[(&str, Value)]) {
        let row: Table = keys.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let all = self.config.entry(section).or_insert_with(|| Value::Array(Vec::new()));
        all.as_array_mut().expect("this section may stand several times").push(row.into());
        self.write_config();
    }

    /// Takes a key out of the configuration.
    pub fn unset(&mut self, key: &str) {
        let (section, key) = key.split_once('.').expect("a key is written section.key");
        if let Some(section) = self.config.get_mut(section).and_then(Value::as_table_mut) {
            section.remove(key);
        }
        self.write_config();
    }

    /// Like [`Self::set`], for use in a chain.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.set(key, value);
        self
    }

    /// Puts the downloads on a disk of their own with so many bytes, which lives while the daemon does. Needs root or user namespaces.
    pub fn with_small_disk(mut self, bytes: u64) -> Self {
        self.disk = Some(bytes);
        self
    }

    /// Puts the downloads on a disk with other rules, which lives while the daemon does. See [`ForeignDisk::missing`].
    pub fn with_foreign_disk(mut self, disk: ForeignDisk) -> Self {
        self.foreign_disk = Some(disk);
        self
    }

    /// Puts the state on a disk of its own with so many bytes, which outlives the daemon. Needs root or user namespaces.
    pub fn with_small_state(mut self, bytes: u64) -> Self {
        let state = self.state_dir();
        fs::create_dir_all(&state).expect("the home can be written");
        self.state_disk = Some(Disk::mount(bytes, &state, &self.home));
        self
    }

    /// Puts state and downloads on a disk that can lose its power. Needs root and loop devices ([`PowerDisk::missing`]).
    pub fn with_power_disk(mut self, bytes: u64) -> Self {
        self.power = Some(PowerDisk::new(bytes, &self.state_dir(), &self.home.join("Downloads"), &self.home));
        self
    }

    /// Puts more into its environment, as a service manager does.
    pub fn with_env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.told.push((name, value.into()));
        self
    }

    /// Has somebody else listen on its socket, which gets this mode, and start it at the first connection, as socket
    /// activation does.
    pub fn with_handed_socket(mut self, mode: u32) -> Self {
        self.handed = Some(mode);
        self
    }

    /// Lets it have so many files and sockets open, and no more.
    pub fn with_open_files(mut self, most: u32) -> Self {
        self.open_files = Some(most);
        self
    }

    /// Gives it a wall clock of its own, to be set through [`Self::clock`].
    pub fn with_clock(mut self) -> Self {
        self.clock = Some(Clock::new(&self.home));
        self
    }

    /// Its own wall clock.
    pub fn clock(&self) -> &Clock {
        self.clock.as_ref().expect("it has a clock of its own")
    }

    /// Cuts its power at this moment. Its disk then holds what had been written to it.
    pub fn power_cut(&mut self) {
        let process = self.process.take().expect("the daemon runs");
        process.signal(Signal::STOP);
        self.power.as_mut().expect("it has a disk that can lose its power").cut(|| process.kill9());
    }

    /// The state folder as seen from outside, also where it is on a disk of its own.
    pub fn state_seen(&self) -> PathBuf {
        self.state_disk.as_ref().map_or_else(|| self.state_dir(), Disk::seen)
    }

    /// Writes the password file.
    pub fn password(&mut self, password: &str) {
        replace(&self.home.join(".config/xbt/password"), &format!("{password}\n"));
    }

    /// Starts it and waits until it serves its socket.
    #[track_caller]
    pub fn start(&mut self) {
        let mut process = self.launch();
        wait::until(&format!("{} serves its socket", self.name), wait::SOON, || {
            if let Some(status) = process.ended() {
                panic!("{} ended at once ({status}):\n{}", self.name, process.log());
            }
            UnixStream::connect(self.ctl.socket()).ok()
        });
        self.process = Some(process);
    }

    /// Starts it, which must fail; returns how it ended and what it said in this run.
    #[track_caller]
    pub fn start_fails(&mut self) -> (ExitStatus, String) {
        let before = read_log(&self.log_file()).len();
        let status = self.launch().ends_within(wait::SOON);
        assert!(!status.success(), "{} must not start", self.name);
        (status, self.log().split_off(before))
    }

    /// Starts it and waits until it is online.
    #[track_caller]
    pub fn online(mut self) -> Self {
        self.start();
        self.ctl.connection_becomes("online", wait::SOON);
        self
    }

    /// Kills it with SIGKILL.
    pub fn kill9(&mut self) {
        self.process.take().expect("the daemon runs").kill9();
    }

    /// Ends it with SIGTERM, after which it must return 0.
    #[track_caller]
    pub fn stop(&mut self) {
        let status = self.process.take().expect("the daemon runs").terminate(CLEAN_STOP);
        assert!(status.success(), "{} must end cleanly on SIGTERM, not with {status}", self.name);
    }

    /// Ends it with SIGTERM, starts it again and waits until it is online.
    #[track_caller]
    pub fn restart(&mut self) {
        self.stop();
        self.start();
        self.ctl.connection_becomes("online", wait::SOON);
    }

    /// Makes it read its configuration again.
    pub fn reload(&self) {
        self.process.as_ref().expect("the daemon runs").signal(Signal::HUP);
    }

    /// How messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its home.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Where it puts what it receives; on a disk of its own as seen from outside.
    pub fn downloads(&self) -> PathBuf {
        if let Some(power) = &self.power {
            return power.downloads();
        }
        let inside = self.home.join("Downloads");
        match (self.disk.is_some() || self.foreign_disk.is_some(), &self.process) {
            (true, Some(process)) => {
                let relative = inside.strip_prefix("/").expect("homes are absolute");
                Path::new("/proc").join(process.pid().to_string()).join("root").join(relative)
            }
            _ => inside,
        }
    }

    /// The configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.home.join(".config/xbt/xbtd.toml")
    }

    /// Where the database lies.
    pub fn state_dir(&self) -> PathBuf {
        self.home.join(".local/state/xbt")
    }

    /// What it has logged, over all starts.
    pub fn log(&self) -> String {
        read_log(&self.log_file())
    }

    /// Its process, while it runs.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("the daemon runs").pid()
    }

    /// The environment that the daemon runs in.
    pub fn env(&self) -> Vec<(&'static str, OsString)> {
        let at = |part: &str| self.home.join(part).into_os_string();
        let mut env = vec![
            ("HOME", at("")),
            ("XDG_CONFIG_HOME", at(".config")),
            ("XDG_STATE_HOME", at(".local/state")),
            ("XDG_RUNTIME_DIR", at("run")),
            ("TMPDIR", at("tmp")),
            ("XBT_LOG", std::env::var_os("XBT_LOG").unwrap_or_else(|| "debug".into())),
            ("RUST_BACKTRACE", "1".into()),
        ];
        env.extend(self.clock.iter().flat_map(Clock::env));
        env.extend(self.told.iter().cloned());
        env
    }

    fn launch(&self) -> Process {
        assert!(self.process.is_none(), "{} runs already", self.name);
        Process::start(Launch {
            name: &self.name,
            through: self.through(),
            program: &programs::xbtd(),
            args: Vec::new(),
            env: self.env(),
            folder: &self.home,
            log: self.log_file(),
        })
    }

    fn through(&self) -> Vec<OsString> {
        let mut line = self.net.through();
        if let Some(most) = self.open_files {
            line.extend(["prlimit".into(), format!("--nofile={most}:{most}").into()]);
        }
        if let Some(disk) = &self.state_disk {
            line.extend(disk.through());
        }
        if let Some(power) = &self.power {
            line.extend(power.through());
        }
        if let Some(mode) = self.handed {
            line.extend(self.activation(mode));
        }
        if let Some(disk) = self.foreign_disk {
            line.extend(disk.through(&self.home.join("disk-image"), &self.home.join("Downloads")));
        }
        if let Some(bytes) = self.disk {
            line.extend(disk::small(bytes, &self.home.join("Downloads")));
        }
        line
    }

    /// systemd's own tool. It has no option for the mode of the socket, as units have.
    fn activation(&self, mode: u32) -> Vec<OsString> {
        let folder = self.ctl.socket().parent().expect("a socket lies in a folder");
        fs::create_dir_all(folder).expect("the home can be written");
        fs::set_permissions(folder, Permissions::from_mode(0o700)).expect("our own folder");
        let mut line: Vec<OsString> = vec!["systemd-socket-activate".into()];
        line.extend(["-l".into(), self.ctl.socket().into()]);
        for (name, _) in self.env() {
            line.extend(["-E".into(), name.into()]);
        }
        let chmod = format!("chmod {mode:o} \"$0\"; exec \"$@\"");
        line.extend(["sh".into(), "-c".into(), chmod.into(), self.ctl.socket().into()]);
        line
    }

    fn log_file(&self) -> PathBuf {
        self.home.join("xbtd.log")
    }

    fn write_config(&self) {
        replace(&self.config_file(), &toml::to_string(&self.config).expect("a table can be written"));
    }
}

/// Writes a private file in one step: a daemon that reads it at this moment finds the old text or the new one.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).expect("the home can be written");
    fs::set_permissions(&new, Permissions::from_mode(0o600)).expect("our own file");
    fs::rename(&new, path).expect("the home can be written");
}

/// The bare JID of an account of the stage.
pub fn jid(user: &str) -> String {
    format!("{user}@{}", crate::prosody::DOMAIN)
}

/// A path below a folder as text, for arguments.
pub fn below(folder: &Path, name: &str) -> String {
    text(&folder.join(name)).to_owned()
}
