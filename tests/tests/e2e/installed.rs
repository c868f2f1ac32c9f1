//! The package on a machine with a real systemd: installed by dpkg, run by systemd, and removed without a trace.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use xbt_tests::stage::password;
use xbt_tests::wait::{self, SOON};
use xbt_tests::{Machine, Stage};

use crate::packaging::package;

/// Where the package manager, systemd and other programs keep books of their own, also about what is gone.
const BOOKS: [&str; 7] =
    ["/var/log/", "/var/lib/dpkg/", "/var/lib/systemd/", "/var/cache/", "/var/backups/", "/var/tmp/", "/etc/.pwd.lock"];

/// Somebody with a home on the machine.
const ANNA: &str = "anna";

/// What a person's unit and the system's are told on the command line.
struct House {
    machine: Machine,
    stage: Stage,
}

impl House {
    fn with_package() -> Option<Self> {
        if let Some(why) = Machine::missing() {
            assert!(std::env::var_os("CI").is_none(), "this has to run here: {why}");
            println!("not run: {why}");
            return None;
        }
        let stage = Stage::counted();
        let machine = Machine::boot(stage.net());
        let house = Self { machine, stage };
        house.forget_own();
        let folder = tempfile::tempdir().unwrap();
        fs::copy(package(folder.path()), house.machine.at("/root/xbt.deb")).unwrap();
        fs::copy(house.stage.prosody.ca_file(), house.machine.at("/root/ca.pem")).unwrap();
        Some(house)
    }

    /// The machine has what this computer has: xbt too, perhaps, by the package or by `make install`, and set up.
    fn forget_own(&self) {
        self.machine.run(["systemctl", "stop", "xbtd.socket", "xbtd.service"]);
        self.machine.ok(["dpkg", "--purge", "xbt"]);
        let find = "find /etc /opt /srv /usr /var -xdev \\( -name 'xbt*' -o -name '_xbt*' \\) -prune -exec rm -rf {} +";
        self.machine.ok(["sh", "-c", find]);
        self.machine.ok(["systemctl", "daemon-reload"]);
    }

    fn install(&self) {
        self.machine.ok(["dpkg", "-i", "/root/xbt.deb"]);
    }

    /// A configuration of the system's daemon, as its unit wants it.
    fn configure_system(&self) {
        let at = |path| self.machine.at(path);
        fs::create_dir_all(at("/etc/xbt")).unwrap();
        fs::copy(at("/root/ca.pem"), at("/etc/xbt/ca.pem")).unwrap();
        let (server, ca) = (self.stage.prosody.address(), "/etc/xbt/ca.pem");
        let account = format!("jid = \"alice@localhost\"\nserver = \"{server}\"\nca_file = \"{ca}\"\n");
        let network = "listen = [\"127.0.0.1:0\"]\nmap_port = false\n";
        fs::write(at("/etc/xbt/xbtd.toml"), format!("[account]\n{account}[network]\n{network}")).unwrap();
        fs::write(at("/etc/xbt/password"), password("alice")).unwrap();
        fs::set_permissions(at("/etc/xbt/password"), Permissions::from_mode(0o600)).unwrap();
        // A standstill is to be seen in the time of a test.
        let drop_in = at("/etc/systemd/system/xbtd.service.d");
        fs::create_dir_all(&drop_in).unwrap();
        fs::write(drop_in.join("soon.conf"), "[Service]\nWatchdogSec=4\n").unwrap();
        self.machine.ok(["systemctl", "daemon-reload"]);
    }

    fn property(&self, name: &str) -> String {
        self.machine.ok(["systemctl", "show", "--value", "-p", name, "xbtd.service"]).trim().to_owned()
    }

    fn system_status(&self) -> Option<Value> {
        let told = self.machine.run(["xbtctl", "--socket", "/run/xbt/xbtd.sock", "--json", "status"]);
        serde_json::from_slice(&told.stdout).ok()
    }

    #[track_caller]
    fn system_is_online(&self) {
        wait::until("the system's daemon is online", SOON, || {
            self.system_status().filter(|status| status["connection"] == "online")
        });
    }

    /// Every path where packages put things, apart from books. (What lies elsewhere may change beneath the machine.)
    fn paths(&self) -> BTreeSet<String> {
        let found = self.machine.ok([
            "find",
            "/etc",
            "/home/anna",
            "/opt",
            "/srv",
            "/usr",
            "/var",
            "-xdev",
            "-not",
            "-type",
            "s",
        ]);
        let is_book = |path: &&str| BOOKS.iter().any(|book| path.starts_with(book));
        found.lines().filter(|path| !is_book(path)).map(str::to_owned).collect()
    }
}

#[test]
fn the_system_unit_runs_closed_in_as_it_is_with_a_socket_a_credential_and_a_watchdog() {
    let Some(house) = House::with_package() else { return };
    house.install();
    house.configure_system();
    let units = ["xbtd.service", "xbtd.socket"];
    for (whose, folder) in [("--system", "system"), ("--user", "user")] {
        let verify =
            ["env", "XDG_RUNTIME_DIR=/run", "systemd-analyze", whose, "verify", "--man=no", "--recursive-errors=no"];
        let paths = units.map(|unit| format!("/usr/lib/systemd/{folder}/{unit}"));
        let told = house.machine.run(verify.into_iter().chain(paths.iter().map(String::as_str)));
        assert!(told.status.success() && told.stderr.is_empty(), "{told:?}");
    }
    // Using the socket starts the daemon.
    house.machine.ok(["systemctl", "enable", "--now", "xbtd.socket"]);
    assert_eq!(house.property("ActiveState"), "inactive");
    house.system_is_online();
    assert_eq!(house.property("ActiveState"), "active");
    wait::until("systemd was told who is online", SOON, || {
        (house.property("StatusText") == "online as alice@localhost").then_some(())
    });
    let pid = house.property("MainPID");
    let uids = house.machine.ok(["grep", "^Uid:", &format!("/proc/{pid}/status")]);
    let uid: u32 = uids.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!((61_184..=65_519).contains(&uid), "a user of its own: {uids}");
    // Nobody else gets at the socket, and the password is not where it was.
    let stranger = house.machine.run([
        "setpriv",
        "--reuid=1",
        "--clear-groups",
        "xbtctl",
        "--socket",
        "/run/xbt/xbtd.sock",
        "status",
    ]);
    assert_eq!(stranger.status.code(), Some(3), "{stranger:?}");
    // A restart keeps the socket: no call fails meanwhile.
    house.machine.ok(["systemctl", "restart", "xbtd.service"]);
    house.system_is_online();
    // A process that stands still is ended and started again.
    house.machine.ok(["systemctl", "kill", "--kill-whom=main", "-s", "STOP", "xbtd.service"]);
    wait::until("the watchdog bites", SOON, || (house.property("NRestarts") == "1").then_some(()));
    house.system_is_online();
    house.machine.ok(["systemctl", "stop", "xbtd.service", "xbtd.socket"]);
    assert_eq!(house.property("Result"), "success");
    assert!(!house.machine.at("/run/xbt/xbtd.sock").exists());
}

#[test]
fn a_person_installs_sets_up_and_is_online_and_after_the_removal_only_what_is_theirs_is_left() {
    let Some(house) = House::with_package() else { return };
    let machine = &house.machine;
    machine.ok(["useradd", "--create-home", "--shell", "/bin/sh", ANNA]);
    let before = house.paths();
    house.install();
    machine.ok(["dpkg", "--audit"]);
    let uid = machine.ok(["id", "-u", ANNA]).trim().to_owned();
    let runtime = format!("/run/user/{uid}");
    machine.ok(["install", "-d", "-m", "700", "-o", ANNA, &runtime]);
    let runtime_dir = format!("XDG_RUNTIME_DIR={runtime}");
    // As user@.service, without a log-in that needs more than this machine has.
    let user = format!("User={ANNA}");
    machine.ok([
        "systemd-run",
        "-q",
        "--unit=anna",
        "-p",
        &user,
        "-p",
        "Delegate=yes",
        "-E",
        &runtime_dir,
        "/lib/systemd/systemd",
        "--user",
    ]);
    let home = format!("HOME=/home/{ANNA}");
    let anna = ["setpriv", "--reuid", ANNA, "--regid", ANNA, "--init-groups", "env", &home, &runtime_dir];
    let as_anna = |line: &[&str]| anna.iter().chain(line).map(|word| (*word).to_owned()).collect::<Vec<String>>();
    wait::until("her systemd runs", SOON, || {
        machine.run(as_anna(&["systemctl", "--user", "is-system-running"])).status.success().then_some(())
    });
    fs::copy(machine.at("/root/ca.pem"), machine.at("/home/anna/ca.pem")).unwrap();
    fs::set_permissions(machine.at("/home/anna/ca.pem"), Permissions::from_mode(0o644)).unwrap();
    fs::write(machine.at("/home/anna/secret"), password("bob")).unwrap();
    fs::set_permissions(machine.at("/home/anna/secret"), Permissions::from_mode(0o644)).unwrap();
    let server = house.stage.prosody.address();
    let setup = format!(
        "xbtctl setup --jid bob@localhost --server {server} --ca-file /home/anna/ca.pem --keep file --password-stdin --yes < ~/secret"
    );
    let told = machine.ok(as_anna(&["sh", "-c", &setup]));
    assert!(told.contains("xbtd is running and online"), "{told}");
    let units = machine.ok(as_anna(&["systemctl", "--user", "is-active", "xbtd.service", "xbtd.socket"]));
    assert_eq!(units, "active\nactive\n");
    assert_eq!(
        machine.ok(as_anna(&["systemctl", "--user", "is-enabled", "xbtd.service", "xbtd.socket"])),
        "enabled\nenabled\n"
    );
    machine.ok(as_anna(&["systemctl", "--user", "stop", "xbtd.service"]));
    assert!(machine.at(&format!("{runtime}/xbt/xbtd.sock")).exists());
    machine.ok(as_anna(&["xbtctl", "status"]));
    house.configure_system();
    machine.ok(["systemctl", "enable", "--now", "xbtd.service"]);
    house.system_is_online();

    for action in ["-r", "-P"] {
        machine.ok(["dpkg", action, "xbt"]);
        assert!(!machine.at("/usr/bin/xbtd").exists());
        assert_ne!(house.property("ActiveState"), "active");
        let after = house.paths();
        let theirs = |path: &&String| {
            let own = [
                "/home/anna/",
                "/etc/xbt",
                "/var/lib/private",
                "/var/lib/xbt",
                "/root/",
                "/etc/systemd/system/xbtd.service.d",
            ];
            own.iter().any(|own| path.starts_with(own))
        };
        // Configuration of the package itself goes with a purge, as is Debian's way.
        let kept_until_purge = |path: &&String| action == "-r" && path.starts_with("/etc/xdg/");
        // The machine has what this computer has installed, and some of that makes itself a folder when it is first asked.
        let of_another = |path: &&String| path.starts_with("/var/lib/") && !path.contains("xbt");
        let left: Vec<_> = after
            .difference(&before)
            .filter(|path| !theirs(path) && !kept_until_purge(path) && !of_another(path))
            .collect();
        assert!(left.is_empty(), "dpkg {action} leaves {left:?}");
        let lost: Vec<_> = before.difference(&after).collect();
        assert!(lost.is_empty(), "dpkg {action} takes {lost:?}");
        for kept in [
            "/etc/xbt/xbtd.toml",
            "/etc/xbt/password",
            "/home/anna/.config/xbt/xbtd.toml",
            "/home/anna/.local/state/xbt/xbt.db",
        ] {
            assert!(machine.at(kept).exists(), "dpkg {action} takes {kept}");
        }
        assert!(after.iter().any(|path| path.starts_with("/var/lib/private/xbt/")), "the system's state stays");
    }
}
