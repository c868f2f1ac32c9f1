//! A desktop nobody sits at: an X server without a screen (Xvfb), a session bus of its own, and a real notification server
//! (dunst). What is pressed is pressed with the mouse (xdotool).

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::daemon::Daemon;
use crate::process::{Launch, Process, path, read_log};
use crate::{programs, wait};

/// A bus that starts nothing by itself, so that only what a test has started is on it.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

/// An X server, a bus, and who shows notifications on them.
#[derive(Debug)]
pub struct Desktop {
    folder: PathBuf,
    display: String,
    address: String,
    // Dropped in this order: who uses it before what is used.
    server: Option<Process>,
    _monitor: Process,
    _bus: Process,
    _screen: Process,
}

impl Desktop {
    /// A desktop with a notification server, whose files lie in `folder`.
    pub fn new(folder: &Path) -> Self {
        fs::create_dir_all(folder).expect("the stage can be written");
        let screen =
            launch(folder, "Xvfb", &["-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp"], &[]);
        let display = first_line(&screen, "Xvfb has a display", |line| line.parse::<u32>().is_ok());
        let config = folder.join("bus.conf");
        fs::write(&config, BUS).expect("the stage can be written");
        let config = format!("--config-file={}", config.display());
        let bus = launch(folder, "dbus-daemon", &[&config, "--print-address", "--nofork"], &[]);
        let address = first_line(&bus, "the bus has an address", |line| line.starts_with("unix:"));
        let session = [("DBUS_SESSION_BUS_ADDRESS", OsString::from(&address))];
        let rule = "interface='org.freedesktop.Notifications'";
        let files = "interface='org.freedesktop.FileManager1'";
        let monitor = launch(folder, "dbus-monitor", &["--session", rule, files], &session);
        let mut desktop = Self {
            folder: folder.to_owned(),
            display: format!(":{display}"),
            address,
            server: None,
            _monitor: monitor,
            _bus: bus,
            _screen: screen,
        };
        // It may not listen yet.
        wait::until("the monitor hears the bus", wait::SOON, || {
            desktop.says("dbus-send", &["--session", "--type=signal", "/", "org.freedesktop.Notifications.Fence"])?;
            desktop.calls().contains("member=Fence").then_some(())
        });
        desktop.serve();
        desktop
    }

    /// Starts a notification server.
    pub fn serve(&mut self) {
        let menu = self.folder.join("menu");
        let chosen = self.folder.join("chosen");
        fs::write(&menu, format!("#!/bin/sh\nexec grep -m1 -F -f '{}'\n", chosen.display())).expect("our own folder");
        let config = self.folder.join("dunstrc");
        let text = format!(
            "[global]\nwidth = 420\norigin = top-right\noffset = 12x12\nfont = DejaVu Sans 10\nmarkup = full\n\
             icon_theme = Adwaita\nenable_recursive_icon_lookup = true\nmin_icon_size = 32\nmax_icon_size = 32\nnotification_limit = 12\ncorner_radius = 6\nframe_width = 1\ngap_size = 6\nword_wrap = true\nellipsize = end\n\
             dmenu = /bin/sh {}\nmouse_left_click = do_action\nmouse_right_click = close_current\n\
             [first_key]\ncategory = device.added\nmsg_urgency = low\nskip_display = true\n\
             [urgency_normal]\ntimeout = 0\n[urgency_critical]\nbackground = \"#7a1020\"\nforeground = \"#ffffff\"\n",
            menu.display()
        );
        fs::write(&config, text).expect("our own folder");
        let args = ["-conf", config.to_str().expect("the tests' own paths are UTF-8"), "-verbosity", "debug"];
        self.server = Some(launch(&self.folder, "dunst", &args, &self.env()));
        wait::until("the notification server answers", wait::SOON, || self.count());
    }

    /// Ends the notification server, as a crash would.
    pub fn kill_server(&mut self) {
        self.server.take().expect("a server runs").kill9();
    }

    /// The environment of a program of this session.
    pub fn env(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("DISPLAY", OsString::from(&self.display)),
            ("DBUS_SESSION_BUS_ADDRESS", OsString::from(&self.address)),
            ("HOME", self.folder.clone().into_os_string()),
            ("XDG_RUNTIME_DIR", self.folder.clone().into_os_string()),
            ("LC_ALL", "C.UTF-8".into()),
            ("GSETTINGS_BACKEND", "memory".into()),
            ("NO_AT_BRIDGE", "1".into()),
        ]
    }

    /// Starts `xbt-notify` for a daemon, in this session.
    pub fn notifier(&self, daemon: &Daemon) -> Process {
        let mut env = self.env();
        env.push(("XBT_SOCKET", daemon.ctl.socket().as_os_str().to_owned()));
        Process::start(Launch {
            name: "xbt-notify",
            through: Vec::new(),
            program: &programs::xbt_notify(),
            args: Vec::new(),
            env,
            folder: &self.folder,
            log: self.folder.join("xbt-notify.log"),
        })
    }

    /// A command of this session.
    pub fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).env_clear().env("PATH", path()).envs(self.env()).current_dir(&self.folder);
        command
    }

    /// What a command of this session says; `None` when it fails.
    pub fn says(&self, program: &str, args: &[&str]) -> Option<String> {
        let output = self.command(program, args).output().unwrap_or_else(|error| panic!("{program}: {error}"));
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// How many notifications are on the screen.
    pub fn count(&self) -> Option<usize> {
        self.says("dunstctl", &["count", "displayed"])?.trim().parse().ok()
    }

    /// Waits until so many notifications are on the screen.
    #[track_caller]
    pub fn shows(&self, count: usize) {
        if wait::within(wait::SOON, || (self.count() == Some(count)).then_some(())).is_none() {
            panic!("there are {:?} notifications and not {count}:\n{}", self.count(), self.calls());
        }
    }

    /// What was said on the bus about notifications and files, so far.
    pub fn calls(&self) -> String {
        read_log(&self.folder.join("dbus-monitor.log"))
    }

    /// The calls that showed something, in their order.
    pub fn told(&self) -> Vec<String> {
        let calls = self.calls();
        let messages = calls.split("\nmethod ").flat_map(|part| part.split("\nsignal ").take(1));
        // The last argument is a number that stands alone: without it the call is only half written.
        let whole = |message: &&str| message.contains("member=Notify\n") && message.contains("\n   int32 ");
        messages.filter(whole).map(str::to_owned).collect()
    }

    /// Waits until something was shown that has all of these texts in it; the call that did it.
    #[track_caller]
    pub fn tells(&self, texts: &[&str]) -> String {
        let found = || self.told().into_iter().find(|call| texts.iter().all(|text| call.contains(text)));
        let Some(call) = wait::within(wait::LONG, found) else {
            panic!("nothing with {texts:?} was told:\n{}", self.calls());
        };
        call
    }

    /// Presses a button of the only notification on the screen: by a click that opens its menu.
    #[track_caller]
    pub fn presses(&self, button: &str) {
        fs::write(self.folder.join("chosen"), button).expect("our own folder");
        self.shows(1);
        let window = wait::until("dunst has a window", wait::SOON, || {
            let windows = self.says("xdotool", &["search", "--onlyvisible", "--class", "Dunst"])?;
            windows.lines().last().map(str::to_owned)
        });
        self.says("xdotool", &["mousemove", "--window", &window, "40", "20", "click", "1"]).expect("xdotool clicks");
    }

    /// Keeps a picture of the screen where `XBT_TEST_PICTURES` says, for a person to look at.
    pub fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("XBT_TEST_PICTURES") else { return };
        // What was told may not be drawn yet.
        std::thread::sleep(Duration::from_millis(500));
        let file = Path::new(&folder).join(format!("{name}.png"));
        let file = file.to_str().expect("a path in UTF-8");
        self.says("import", &["-window", "root", file]).expect("import (ImageMagick) takes pictures");
    }
}

fn launch(folder: &Path, program: &'static str, args: &[&str], env: &[(&'static str, OsString)]) -> Process {
    Process::start(Launch {
        name: program,
        through: Vec::new(),
        program: Path::new(program),
        args: args.iter().map(OsString::from).collect(),
        env: env.to_vec(),
        folder,
        log: folder.join(format!("{program}.log")),
    })
}

#[track_caller]
fn first_line(process: &Process, what: &str, fits: impl Fn(&str) -> bool) -> String {
    wait::until(what, wait::SOON, || {
        let log = process.log();
        let whole = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        whole.map(str::trim).find(|line| fits(line)).map(str::to_owned)
    })
}
